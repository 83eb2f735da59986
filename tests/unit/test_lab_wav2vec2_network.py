"""Wav2Vec2: counts, folders, padding and masks against transformers, export, kept embeddings.

All backbones here have random weights; the large ones are on the meta device, without memory.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ser.corpora import Utterance
from edge_ser.errors import (
    DataError,
    ModelDamagedError,
    ModelError,
    ModelNotFoundError,
    StorageError,
)
from edge_ser.lab import embedding
from edge_ser.lab.architectures.networks import network
from edge_ser.lab.architectures.options import Wav2Vec2Options
from edge_ser.lab.experiment import from_tables

pytestmark = [
    pytest.mark.needs("torch", "transformers"),
    # Torch's exporter meets a deprecation of its own.
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"),
]

TINY = Wav2Vec2Options(size="tiny", hidden=(16, 8))
SAMPLES = 4000


def tiny(seed: int = 0, **options: Any) -> Any:
    import torch

    from edge_ser.lab.architectures import wav2vec2

    torch.manual_seed(seed)
    return wav2vec2.build(replace(TINY, **options), 4, (SAMPLES,))


def clip(length: int, seed: int = 0, start: int = 0) -> Any:
    """A clip of that many samples from `start` on, in zeros, with a batch axis."""
    import torch

    samples = np.zeros(SAMPLES, dtype=np.float32)
    samples[start : start + length] = np.random.default_rng(seed).normal(0.01, 0.1, length)
    return torch.from_numpy(samples)[None]


# Counts and the summary.


@pytest.mark.parametrize(
    "name", ["wav2vec2-large", "wav2vec2-960h-lv60-self", "wav2vec2", "wav2vec2-base"]
)
def test_counts_are_the_published_ones(name: str) -> None:
    import torch

    from edge_ser.lab.architectures import wav2vec2
    from edge_ser.lab.architectures.backbones import count

    row = network(name)
    with torch.device("meta"):
        made = wav2vec2.build(row.options, 4, (96_000,))
    assert {p.device.type for p in made.parameters()} == {"meta"}
    assert {4: count(made)} == row.parameters


def test_the_summary_has_the_published_shapes_and_total() -> None:
    import torch

    from edge_ser.lab.architectures import wav2vec2
    from edge_ser.lab.architectures.summary import layer_summary

    with torch.device("meta"):
        made = wav2vec2.build(network("wav2vec2-large").options, 4, (96_000,))
    lines = layer_summary(made, (96_000,), batch=16).splitlines()
    assert lines[-1] == "total: 316,087,684 parameters"
    rows = {line.split()[0]: line for line in lines[1:-1]}
    assert "(16, 299, 1024)" in rows["backbone.model.encoder"]
    assert "(16, 1024)" in rows["backbone"]
    assert "524,800" in rows["head.hidden.0"] and "(16, 4)" in rows["head"]
    # 1024 x 64 x 128, a factor for each of 128 taps, and 1024 biases.
    assert "8,389,760" in rows["backbone.model.encoder.pos_conv_embed.conv"]
    numbers = [re.search(r" ([\d,]+)$", line) for line in rows.values()]
    assert sum(int(n[1].replace(",", "")) for n in numbers if n) == 316_087_684
    assert made.training and not made._forward_hooks


# What happens to a clip.


def test_a_configuration_brings_it_as_the_docs_say() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/wav2vec2.md").read_text()
    (text,) = re.findall(r"^```toml\n(.*?)^```", page, re.M | re.S)
    given = from_tables(tomllib.loads(text), "x", "wav2vec2.md")
    assert given.network.options == Wav2Vec2Options(folder="wav2vec2-large", dropout=0.6)
    assert given.data.spec().shape(given.data.clip_samples) == (96_000,)
    assert given.data.spec().normalise == "none"
    assert given.training.mixed_precision and given.training.accumulate == 4


def reference(backbone: Any, norm: str, samples: Any) -> Any:
    """Pooled vector of an unpadded clip (1, n), padded to SAMPLES, by transformers' own path."""
    import torch
    from transformers import Wav2Vec2FeatureExtractor

    extractor = Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)
    given = extractor(
        samples[0].numpy(), sampling_rate=16_000, padding="max_length", max_length=SAMPLES,
        return_tensors="pt",
    )  # fmt: skip
    mask = given["attention_mask"]
    model = backbone.model
    with torch.no_grad():
        if norm == "group":
            return model(given["input_values"]).last_hidden_state.mean(1)
        states = model(given["input_values"], attention_mask=mask).last_hidden_state
        heard = model._get_feature_vector_attention_mask(states.shape[1], mask)
        return states[heard].mean(0, keepdim=True)


@pytest.mark.parametrize("length", [SAMPLES, 3999, 1234, 400])
@pytest.mark.parametrize("norm", ["group", "layer"])
def test_clips_are_taken_as_transformers_takes_them(norm: str, length: int) -> None:
    import torch

    backbone = tiny(norm=norm).backbone.eval()
    with torch.no_grad():
        ours = backbone(clip(length))
    torch.testing.assert_close(
        ours, reference(backbone, norm, clip(length)[:, :length]), atol=2e-5, rtol=0
    )


@settings(max_examples=15)
@given(
    start=st.integers(0, 2000),
    length=st.integers(1, 2000),
    gain=st.floats(0.05, 20),
    norm=st.sampled_from(["group", "layer"]),
)
def test_neither_the_side_of_the_padding_nor_the_level_matters(
    start: int, length: int, gain: float, norm: str
) -> None:
    import torch

    made = tiny(norm=norm).eval()
    with torch.no_grad():
        torch.testing.assert_close(
            made(gain * clip(length, start=start)), made(clip(length)), atol=1e-3, rtol=0
        )


@pytest.mark.parametrize("norm", ["group", "layer"])
def test_other_clips_of_a_batch_and_silence_do_no_harm(norm: str) -> None:
    import torch

    made = tiny(norm=norm).eval()
    clips = [clip(SAMPLES), clip(900, start=700), clip(0)]
    with torch.no_grad():
        together = made(torch.cat(clips))
        alone = torch.cat([made(one) for one in clips])
    assert torch.isfinite(together).all()
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_layer_norm_backbones_do_not_hear_the_padding() -> None:
    import torch

    layer, group = tiny(norm="layer").eval(), tiny(norm="group").eval()
    with torch.no_grad():
        for made, same in ((layer, True), (group, False)):
            padded, cropped = made(clip(2000)), made(clip(2000)[:, :2000])
            assert torch.allclose(padded, cropped, atol=1e-5) == same


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


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ({}, (98, 64), "features of shape"),
        ({}, (399,), "with 400 to 960000"),
        ({}, (960_001,), "with 400 to 960000"),
        ({"size": "huge"}, (SAMPLES,), "size is 'huge', expected one of large, base, tiny"),
        ({"norm": "batch"}, (SAMPLES,), "norm is 'batch'"),
        ({"freeze": "some"}, (SAMPLES,), "freeze is 'some'"),
        ({"hidden": (8,)}, (SAMPLES,), "widths"),
        ({"hidden": (8, 100_000)}, (SAMPLES,), "widths"),
        ({"dropout": 1.0}, (SAMPLES,), "dropout is 1.0"),
    ],
)
def test_options_that_cannot_be_taken_are_said(
    options: dict[str, Any], shape: tuple[int, ...], message: str
) -> None:
    from edge_ser.lab.architectures import wav2vec2

    with pytest.raises(DataError, match=message):
        wav2vec2.build(replace(TINY, **options), 4, shape)


# Folders.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny layer-norm backbone as transformers saves it."""
    from transformers.utils import logging

    home = tmp_path / "backbone"
    logging.disable_progress_bar()
    tiny(norm="layer").backbone.model.save_pretrained(home)
    return home


def read(folder: Path) -> Any:
    from edge_ser.lab.architectures.backbones import read_backbone

    return read_backbone(folder)


def edited(folder: Path, **values: Any) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return folder


def test_a_folder_gives_its_weights_and_its_own_norm(folder: Path) -> None:
    import torch

    wanted = tiny(norm="layer").backbone
    made = tiny(seed=1, folder=str(folder), norm="group", size="large").backbone
    assert made.masked and made.hidden == 32
    state = made.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in wanted.state_dict().items())
    assert all(p.requires_grad and p.dtype == torch.float32 for p in made.parameters())
    with torch.no_grad():
        torch.testing.assert_close(made.eval()(clip(900)), wanted.eval()(clip(900)))


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_old_names_prefixes_other_heads_and_half_precision_are_all_right(
    folder: Path, kind: str
) -> None:
    import torch
    from safetensors.torch import save_file

    wanted = read(folder).state_dict()
    old = {"lm_head.weight": torch.zeros(32, 32)}
    for name, value in wanted.items():
        name = name.replace("parametrizations.weight.original0", "weight_g")
        name = name.replace("parametrizations.weight.original1", "weight_v")
        if name != "masked_spec_embed":
            old[f"wav2vec2.{name}"] = value.half()
    assert any(name.endswith("weight_g") for name in old)
    (folder / "model.safetensors").unlink()
    if kind == "bin":
        torch.save(old, folder / "pytorch_model.bin")
    else:
        save_file(old, folder / "model.safetensors")
    for name, value in read(folder).state_dict().items():
        if name != "masked_spec_embed":
            assert torch.equal(value, wanted[name].half().float())


def test_the_preprocessor_says_whether_clips_are_normalised(folder: Path) -> None:
    import torch

    assert tiny(folder=str(folder)).backbone.normalise
    path = folder / "preprocessor_config.json"
    path.write_text('{"do_normalize": false, "sampling_rate": 16000}')
    plain = tiny(folder=str(folder)).backbone.eval()
    with torch.no_grad():
        assert not torch.allclose(plain(clip(900)), plain(5 * clip(900)), atol=1e-4)
    path.write_text('{"sampling_rate": 8000}')
    with pytest.raises(ModelError, match="sampling_rate is 8000, expected 16000"):
        tiny(folder=str(folder))


def absent(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("[" * 100_000)


def long_config(folder: Path) -> None:
    (folder / "config.json").write_text(" " * (1 << 21))


def broken_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\xff" * 1000)


def code_for_weights(folder: Path) -> None:
    import torch

    (folder / "model.safetensors").unlink()
    torch.save({"weights": Wav2Vec2Options()}, folder / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("harm", "error", "message"),
    [
        (absent, ModelNotFoundError, "nothing is fetched here"),
        (no_config, ModelNotFoundError, "no file .*config.json"),
        (no_weights, ModelNotFoundError, "neither model.safetensors nor pytorch_model.bin"),
        (broken_config, ModelDamagedError, "no JSON object"),
        (long_config, ModelDamagedError, "larger than"),
        (broken_weights, ModelDamagedError, "no weights can be read"),
        (code_for_weights, ModelDamagedError, "as tensors alone"),
    ],
)
def test_a_folder_with_something_missing_or_damaged(
    folder: Path, harm: Callable[[Path], None], error: type[ModelError], message: str
) -> None:
    harm(folder)
    with pytest.raises(error, match=message) as caught:
        read(folder)
    assert "\n" not in str(caught.value) and caught.type is error


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "hubert"}, "model_type is 'hubert', expected wav2vec2"),
        ({"model_type": None}, "model_type is None"),
        ({"add_adapter": True}, "add_adapter is True"),
        ({"hidden_size": 10**9}, "hidden_size is 1000000000, expected a whole number from 1"),
        ({"hidden_size": True}, "hidden_size is True"),
        ({"hidden_size": 32.0}, "hidden_size is 32.0"),
        ({"num_hidden_layers": 10_000}, "num_hidden_layers is 10000"),
        ({"num_attention_heads": 5}, "a divisor of hidden_size 32"),
        ({"conv_dim": [32] * 100}, "conv_dim is"),
        ({"conv_dim": []}, "conv_dim is"),
        ({"conv_stride": [5, 2]}, "lengths of conv_dim, conv_kernel, conv_stride"),
        ({"conv_kernel": [1000] * 7}, "conv_kernel is"),
        ({"feat_extract_norm": "batch"}, "expected one of group, layer"),
        ({"hidden_act": ["gelu"]}, "hidden_act is"),
        ({"layerdrop": 2}, "layerdrop is 2, expected a number from 0 to below 1"),
        ({"conv_bias": "yes"}, "conv_bias is 'yes', expected true or false"),
        ({"hidden_size": 64}, "has shape .*, expected .*is config.json of the same model"),
        ({"num_hidden_layers": 3}, "lacks the weight encoder.layers.2"),
        (
            {"hidden_size": 4096, "num_hidden_layers": 96, "intermediate_size": 16_384},
            "parameters, expected at most 2,500,000,000",
        ),
    ],
)
def test_a_config_that_cannot_be_believed(
    folder: Path, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        read(edited(folder, **values))
    assert "\n" not in str(caught.value)


def test_what_else_a_config_asks_for_is_not_heard(folder: Path) -> None:
    edited(
        folder,
        attn_implementation="someone/kernel",
        auto_map={"AutoModel": "code.Model"},
        quantization_config={"quant_method": "bitsandbytes"},
    )
    assert read(folder).config.feat_extract_norm == "layer"


# Export.


@pytest.mark.needs("onnx")
@pytest.mark.parametrize("norm", ["group", "layer"])
def test_it_leaves_as_onnx_in_float_and_int8(norm: str, tmp_path: Path) -> None:
    import onnx
    import onnxruntime
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic

    from edge_ser.lab.architectures.backbones import count

    made = tiny(norm=norm, hidden=(512, 256)).eval()
    path, small = tmp_path / "float.onnx", tmp_path / "int8.onnx"
    torch.onnx.export(
        made, (clip(SAMPLES),), path, input_names=["samples"], output_names=["logits"],
        dynamo=True, external_data=False, verbose=False,
    )  # fmt: skip
    model = onnx.load(path)
    # Shapes of weights that the exporter transposed are stale, and quantisation stumbles on them;
    # the notes on nodes hold lines of source and paths of the machine that exported.
    del model.graph.value_info[:]
    for node in model.graph.node:
        del node.metadata_props[:]
    onnx.save(model, path)
    quantize_dynamic(
        path, small, weight_type=QuantType.QInt8, per_channel=True,
        op_types_to_quantize=["MatMul", "Gemm"],
    )  # fmt: skip

    clips = [clip(SAMPLES), clip(1500, 1, start=300), clip(0)]
    with torch.no_grad():
        wanted = torch.cat([made(one) for one in clips]).softmax(1).numpy()

    def scores(file: Path) -> Any:
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        logits = [session.run(None, {"samples": one.numpy()})[0] for one in clips]
        return torch.tensor(np.concatenate(logits)).softmax(1).numpy()

    assert np.abs(scores(path) - wanted).max() < 1e-4
    assert np.abs(scores(small) - wanted).max() < 0.02
    assert 1 < path.stat().st_size / (4 * count(made)) < 1.15
    assert small.stat().st_size < 0.6 * path.stat().st_size
    kinds = [node.op_type for node in onnx.load(small).graph.node]
    assert "MatMulInteger" in kinds and "Gemm" not in kinds


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

    monkeypatch.setattr(embedding.os, "replace", full)
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
