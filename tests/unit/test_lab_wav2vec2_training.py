"""Wav2Vec2 in training: what is masked, dropped and frozen, and kept embeddings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ser.corpora import Utterance
from edge_ser.errors import StorageError
from edge_ser.lab import embedding, features
from edge_ser.lab.architectures.options import Wav2Vec2Options

from .lab_wav2vec2_tiny import NEEDS, SAMPLES, TINY, clip, tiny

pytestmark = NEEDS


# Training.


def test_spec_augment_and_dropped_layers_are_for_training_alone() -> None:
    import torch

    made = tiny(dropout=0.0)
    backbone = made.backbone
    config = backbone.model.config
    for name in ("hidden_dropout", "activation_dropout", "attention_dropout"):
        assert getattr(config, name) == 0.1
    for module in made.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    for layer in backbone.model.encoder.layers:
        layer.attention.dropout = 0.0
    backbone.layerdrop = 0.0
    given = torch.cat([clip(SAMPLES, seed) for seed in range(2)])
    assert config.layerdrop == 0.1 and made.training

    with torch.no_grad():
        torch.manual_seed(0)
        first = backbone.train()(given)
        second = backbone(given)
        torch.manual_seed(0)
        again = backbone(given)
        assert not torch.allclose(first, second)
        assert torch.equal(first, again)
        config.apply_spec_augment = False
        torch.testing.assert_close(backbone(given), backbone.eval()(given))


def test_layers_are_dropped_in_training_and_never_after_eval() -> None:
    made = tiny()
    assert made.backbone.model.config.layerdrop == 0.1
    assert made.eval().backbone.model.config.layerdrop == 0.0
    assert made.train().backbone.model.config.layerdrop == 0.1


@settings(max_examples=30)
@given(
    size=st.integers(1, 60),
    part=st.floats(0.01, 1),
    length=st.integers(1, 70),
    fewest=st.integers(0, 5),
)
def test_spans_hide_what_they_should(size: int, part: float, length: int, fewest: int) -> None:
    import torch

    from edge_ser.lab.architectures.wav2vec2 import spans

    torch.manual_seed(size)
    hidden = spans(3, size, part, length, fewest, torch.device("cpu"))
    assert hidden.shape == (3, size) and hidden.dtype == torch.bool
    length = min(length, size)
    most = min(size - length + 1, max(fewest, int(part * size / length) + 1))
    for row in hidden.tolist():
        assert sum(row) <= most * length
        runs = [len(run) for run in "".join(".#"[on] for on in row).split(".") if run]
        assert all(run >= length for run in runs)
        assert bool(runs) or fewest == 0


@pytest.mark.parametrize(
    ("freeze", "trained"), [("none", {"cnn", "rest", "head"}), ("encoder", {"rest", "head"}),
                            ("all", {"head"})],
)  # fmt: skip
def test_what_is_frozen_stays_as_it_was(freeze: str, trained: set[str]) -> None:
    import torch

    made = tiny(freeze=freeze).train()
    before = {name: value.clone() for name, value in made.named_parameters()}
    optimiser = torch.optim.SGD([p for p in made.parameters() if p.requires_grad], 0.1)
    made(torch.cat([clip(SAMPLES, seed) for seed in range(3)])).square().sum().backward()
    optimiser.step()
    parts = {
        "head" if name.startswith("head") else "cnn" if "feature_extractor" in name else "rest"
        for name, value in made.named_parameters()
        if not torch.equal(value, before[name])
    }
    assert parts == trained
    assert made.backbone.training == (freeze != "all")


def test_the_large_encoder_frozen_leaves_the_published_number_to_train() -> None:
    import torch

    from edge_ser.lab.architectures import wav2vec2

    with torch.device("meta"):
        made = wav2vec2.build(Wav2Vec2Options(freeze="encoder"), 4, (96_000,))
    assert sum(p.numel() for p in made.parameters() if p.requires_grad) == 311_887_236


# Kept embeddings.


@pytest.fixture
def clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Utterance]:
    monkeypatch.setenv("EDGE_SER_RUNS", str(tmp_path / "runs"))
    rng = np.random.default_rng(0)
    made = []
    for index in range(3):
        path = tmp_path / f"{index}.wav"
        soundfile.write(path, rng.uniform(-0.5, 0.5, 3000 + 1000 * index), 16_000)
        made.append(Utterance(path, "ab"[index % 2]))
    return made


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a clip was embedded again")

    monkeypatch.setattr(embedding, "_embedded", never)


def test_vectors_are_the_backbones_and_computed_once(
    clips: list[Utterance], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    made = tiny()
    seen: list[int] = []
    vectors = embedding.cached_embeddings(clips, made.backbone, SAMPLES, progress=seen.append)
    assert vectors.shape == (3, 32) and vectors.dtype == np.float32 and seen == [1, 2, 3]
    # The mode is given back as it was.
    assert made.training and made.backbone.training
    samples = soundfile.read(clips[1].path, dtype="float32")[0]
    with torch.no_grad():
        alone = made.eval().backbone(torch.from_numpy(samples)[None])
    np.testing.assert_allclose(vectors[1], alone[0], atol=1e-6)

    forbid(monkeypatch)
    again = embedding.cached_embeddings(clips[::-1], made.backbone, SAMPLES)
    np.testing.assert_array_equal(again, vectors[::-1])


def test_other_weights_settings_lengths_or_bytes_are_embedded_again(
    clips: list[Utterance], monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = tiny().backbone
    embedding.cached_embeddings(clips, backbone, SAMPLES)
    forbid(monkeypatch)
    again = pytest.raises(AssertionError, match="again")
    with again:
        embedding.cached_embeddings(clips, backbone, SAMPLES - 1)
    with again:
        embedding.cached_embeddings(clips, backbone, SAMPLES, "end")
    with again:
        embedding.cached_embeddings(clips, tiny(seed=1).backbone, SAMPLES)
    backbone.normalise = False
    with again:
        embedding.cached_embeddings(clips, backbone, SAMPLES)
    backbone.normalise = True
    embedding.cached_embeddings(clips, backbone.eval(), SAMPLES)
    soundfile.write(clips[0].path, np.zeros(3000), 16_000)
    with again:
        embedding.cached_embeddings(clips, backbone, SAMPLES)


@pytest.mark.parametrize("harm", [b"", b"\x93NUMPY\x01\x00", b"no array at all"])
def test_a_damaged_vector_is_computed_again(clips: list[Utterance], harm: bytes) -> None:
    backbone = tiny().backbone
    vectors = embedding.cached_embeddings(clips, backbone, SAMPLES)
    kept = sorted((embedding.runs_folder() / "embeddings").rglob("*.npy"))
    assert len(kept) == 3
    whole = kept[0].read_bytes()
    kept[0].write_bytes(harm)
    np.save(kept[1], np.zeros(7, dtype=np.float32))
    np.testing.assert_array_equal(embedding.cached_embeddings(clips, backbone, SAMPLES), vectors)
    assert kept[0].read_bytes() == whole
    assert not list((embedding.runs_folder() / "embeddings").rglob("*.part"))


def test_a_vector_that_cannot_be_kept_is_said(
    clips: list[Utterance], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(features.os, "replace", full)
    with pytest.raises(StorageError, match="No space left on device, expected room"):
        embedding.cached_embeddings(clips, tiny().backbone, SAMPLES)
    assert not list((embedding.runs_folder() / "embeddings").rglob("*.part"))


def test_a_head_trained_on_vectors_joins_its_backbone(clips: list[Utterance]) -> None:
    import torch

    from edge_ser.lab.architectures import wav2vec2

    backbone = wav2vec2.build_backbone(TINY, (SAMPLES,))
    vectors = torch.from_numpy(embedding.cached_embeddings(clips, backbone, SAMPLES))
    head = wav2vec2.build_head(TINY, backbone.hidden, 4)
    optimiser = torch.optim.Adam(head.parameters(), 1e-2)
    for _ in range(5):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(head(vectors), torch.tensor([0, 1, 0])).backward()
        optimiser.step()
    joined = wav2vec2.with_head(backbone, head).eval()
    samples = torch.zeros(1, SAMPLES)
    samples[0, 500:3500] = torch.from_numpy(soundfile.read(clips[0].path, dtype="float32")[0])
    with torch.no_grad():
        torch.testing.assert_close(joined(samples), head(vectors)[:1], atol=1e-5, rtol=0)
        assert joined.embed(samples).shape == (1, 8) == head.embed(vectors[:1]).shape
