"""Adapting: the fit, the estimate, the file and its card."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.adaptation import Layer, adapt, answers, fit, left_out, starting_layer
from edge_ser.audio import read_clip
from edge_ser.card import Provenance, read_model
from edge_ser.classifier import load_model
from edge_ser.corpora import Corpus, read_corpus
from edge_ser.errors import DataError, ModelError, StorageError, UsageError
from edge_ser.metrics import softmax
from edge_ser.testing import write_tiny_model
from edge_ser.verification import verify

from .adaptation_models import LABELS, write_base, write_tones

FREE = 3


def problem(seed: int, clips: int = 20, labels: int = 3) -> tuple[np.ndarray, np.ndarray, Layer]:
    """Values, targets that occur all, and a layer to start from."""
    chance = np.random.default_rng(seed)
    values = chance.normal(0, 2, (clips, FREE + labels))
    targets = np.concatenate([np.arange(labels), chance.integers(0, labels, clips - labels)])
    weights = np.eye(labels, FREE + labels, FREE)
    return values, targets, Layer(weights, chance.normal(0, 1, labels))


def loss(layer: Layer, values: np.ndarray, targets: np.ndarray, start: Layer, l2: float) -> float:
    """As the module defines it, written down again."""
    mean = values[:, :FREE].mean(axis=0)
    scale = np.sqrt(((values[:, :FREE] - mean) ** 2).sum(axis=1).mean())
    change = layer.weights - start.weights
    assert not change[:, FREE:].any()
    inner = change[:, :FREE] * scale
    bias = layer.bias - start.bias + change[:, :FREE] @ mean
    counts = np.bincount(targets)
    weights = (len(targets) / len(counts) / counts)[targets]
    missed = -np.log(answers(layer, values)[np.arange(len(targets)), targets])
    return float((weights * missed).sum() + l2 / 2 * ((inner**2).sum() + (bias**2).sum()))


@pytest.mark.parametrize("l2", [0.02, 1.0])
def test_no_layer_near_it_has_less_loss(l2: float) -> None:
    values, targets, start = problem(0)
    found = fit(values, targets, start, FREE, l2)
    least = loss(found, values, targets, start, l2)
    assert least < loss(start, values, targets, start, l2) - 0.1
    chance = np.random.default_rng(1)
    for _ in range(50):
        step = np.zeros_like(found.weights)
        step[:, :FREE] = chance.normal(0, 1e-3, (3, FREE))
        near = Layer(found.weights + step, found.bias + chance.normal(0, 1e-3, 3))
        assert loss(near, values, targets, start, l2) >= least - 1e-9


@given(st.integers(0, 50), st.floats(1e-3, 1e3))
def test_it_never_fits_worse_than_the_start_and_repeats(seed: int, l2: float) -> None:
    values, targets, start = problem(seed)
    found = fit(values, targets, start, FREE, l2)
    assert loss(found, values, targets, start, l2) <= loss(start, values, targets, start, l2) + 1e-9
    again = fit(values, targets, start, FREE, l2)
    assert np.array_equal(found.weights, again.weights) and np.array_equal(found.bias, again.bias)


def test_a_strong_l2_leaves_the_answers_as_they_were() -> None:
    values, targets, start = problem(0)
    found = fit(values, targets, start, FREE, 1e6)
    assert answers(found, values) == pytest.approx(answers(start, values), abs=1e-4)


def test_a_label_without_clips_keeps_its_logits() -> None:
    values, targets, start = problem(0)
    some = targets != 1
    found = fit(values[some], targets[some], start, FREE)
    assert found.logits(values)[:, 1] == pytest.approx(start.logits(values)[:, 1])
    assert found.logits(values)[:, 0] != pytest.approx(start.logits(values)[:, 0])


def test_an_embedding_that_says_nothing_moves_the_bias_alone() -> None:
    values, targets, start = problem(0)
    values[:, :FREE] = 1.0
    found = fit(values, targets, start, FREE)
    assert np.isfinite(found.weights).all() and np.isfinite(found.bias).all()
    assert found.weights == pytest.approx(start.weights)


def test_a_clip_that_is_left_out_is_answered_by_the_others() -> None:
    values, targets, start = problem(0)
    found = left_out(values, targets, start, FREE)
    others = np.arange(len(targets)) != 4
    layer = fit(values[others], targets[others], start, FREE)
    assert found[4] == pytest.approx(answers(layer, values[[4]])[0])


def test_many_clips_are_left_out_in_parts() -> None:
    values, targets, start = problem(0, clips=230)
    found = left_out(values, targets, start, FREE)
    assert np.isfinite(found).all()
    assert found.sum(axis=1) == pytest.approx(np.ones(230))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """base.onnx, and tones/ with four clips of each of its labels."""
    folder = tmp_path_factory.mktemp("home")
    write_base(folder / "base.onnx")
    write_tones(folder / "tones")
    return folder


def test_the_start_gives_the_present_answers(home: Path) -> None:
    model = load_model(home / "base.onnx")
    clip = read_clip(home / "tones/low/0.wav")
    values = model.head_values(clip)
    labels, start = starting_layer(model.card, ("low",), len(values))
    assert labels == LABELS
    assert softmax(start.logits(values[None]))[0] == pytest.approx(model.scores(clip), abs=1e-6)
    labels, start = starting_layer(model.card, ("high", "low"), len(values), only=True)
    among = model.scores(clip)[[0, 2]]
    assert labels == ("low", "high")
    assert softmax(start.logits(values[None]))[0] == pytest.approx(among / among.sum(), abs=1e-6)


def test_the_labels_of_the_model_improve_and_the_graph_stays(home: Path, tmp_path: Path) -> None:
    clips = read_corpus(home / "tones")
    steps: list[tuple[int, int]] = []
    made = adapt(
        home / "base.onnx",
        clips,
        tmp_path / "mine.onnx",
        progress=lambda done, of: steps.append((done, of)),
    )
    base = read_model(home / "base.onnx")
    assert made.model.payload == base.payload
    assert verify(made.model.path).ok
    assert steps == [(done, 12) for done in range(1, 13)]
    assert made.before is not None and made.before.uar < 0.7
    assert made.after.uar == made.after.accuracy == 1.0
    model = load_model(made.model.path)
    assert all(model(u.path).label == u.label for u in clips.utterances)
    new = read_corpus(write_tones(tmp_path / "new", seed=9))
    assert all(model(u.path).label == u.label for u in new.utterances)


def test_the_card_says_what_it_was_adapted_on_and_no_figure_of_the_original(
    home: Path, tmp_path: Path
) -> None:
    clips = read_corpus(home / "tones")
    named = replace(clips, utterances=tuple(replace(u, speaker="me") for u in clips.utterances))
    card = adapt(home / "base.onnx", named, tmp_path / "mine.onnx").model.card
    base = read_model(home / "base.onnx").card
    assert (card.name, card.labels, card.requires) == ("base-adapted", LABELS, ("head",))
    assert card.payload_sha256 == base.payload_sha256
    assert card.output == replace(base.output, temperature=1.0, ece=None, uncertain_below=None)
    assert card.deciding == {"smoothing_s": 2.0}
    known = card.provenance
    assert (known.state, known.licence, known.robustness) == ("adapted", "CC0-1.0", ())
    assert known.metrics == {"accuracy_left_out": 1.0, "uar_left_out": 1.0, "clips": 12}
    assert known.data == (
        f"Adapted from base (payload_sha256 {base.payload_sha256}) on 12 clips: high 4, low 4, "
        "middle 4; speakers me. base: tones"
    )
    digests = {read_clip(u.path).digest() for u in clips.utterances}
    assert set(known.training_clips) == {"0123456789abcdef", *digests}
    assert known.speakers == ("01", "me")


def test_twenty_clips_tell_what_is_uncertain(home: Path, tmp_path: Path) -> None:
    clips = read_corpus(write_tones(tmp_path / "more", each=7))
    card = adapt(home / "base.onnx", clips, tmp_path / "mine.onnx").model.card
    assert card.output.uncertain_below is not None and 0.4 < card.output.uncertain_below < 1


def test_labels_of_ones_own_take_the_place_of_the_model_s(home: Path, tmp_path: Path) -> None:
    clips = read_corpus(write_tones(tmp_path / "own", names=("stop", "low", "go")))
    made = adapt(home / "base.onnx", clips, tmp_path / "own.onnx")
    assert made.model.card.labels == ("go", "low", "stop")
    assert made.before is None and made.after.uar == 1.0
    assert verify(made.model.path).ok
    model = load_model(made.model.path)
    assert all(model(u.path).label == u.label for u in clips.utterances)


def test_labels_without_clips_stay_unless_only_those_with_clips_are_wanted(
    home: Path, tmp_path: Path
) -> None:
    tones = read_corpus(home / "tones")
    some = Corpus("two", tuple(u for u in tones.utterances if u.label != "middle"))
    whole = adapt(home / "base.onnx", some, tmp_path / "whole.onnx")
    two = adapt(home / "base.onnx", some, tmp_path / "two.onnx", only=True)
    assert whole.model.card.labels == LABELS
    assert two.model.card.labels == ("low", "high")
    assert verify(two.model.path).ok and two.after.uar == 1.0


def test_an_adapted_model_can_be_adapted_again(home: Path, tmp_path: Path) -> None:
    clips = read_corpus(home / "tones")
    first = adapt(home / "base.onnx", clips, tmp_path / "first.onnx")
    second = adapt(first.model.path, clips, tmp_path / "second.onnx")
    assert second.seen == 12 and first.seen == 0
    assert second.before is not None and second.before.uar == 1.0
    assert second.model.card.name == "base-adapted"
    assert verify(second.model.path).ok
    stiff = adapt(first.model.path, clips, tmp_path / "stiff.onnx", l2=1e6)
    path = clips.utterances[0].path
    scores = [load_model(m.model.path)(path).scores["low"] for m in (first, stiff)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)


def test_recordings_that_cannot_be_read_are_counted(home: Path, tmp_path: Path) -> None:
    folder = write_tones(tmp_path / "tones")
    (folder / "low" / "0.wav").write_bytes(b"no audio")
    made = adapt(home / "base.onnx", read_corpus(folder), tmp_path / "mine.onnx")
    assert [Path(failure.path).name for failure in made.failures] == ["0.wav"]
    assert made.clips == {"high": 4, "low": 3, "middle": 4}
    for number in range(1, 3):
        (folder / "low" / f"{number}.wav").write_bytes(b"no audio")
    with pytest.raises(DataError, match=r"1 clips of 'low' \(3 could not be read: .*0\.wav"):
        adapt(home / "base.onnx", read_corpus(folder), tmp_path / "none.onnx")
    assert not (tmp_path / "none.onnx").exists()


def test_too_few_labels_or_clips(home: Path, tmp_path: Path) -> None:
    tones = read_corpus(home / "tones")
    one = Corpus("one", tuple(u for u in tones.utterances if u.label == "low"))
    with pytest.raises(DataError, match="one: clips of 1 label, expected 2 labels or more"):
        adapt(home / "base.onnx", one, tmp_path / "mine.onnx")
    few = Corpus("few", (*one.utterances, tones.utterances[0]))
    assert tones.utterances[0].label == "high"
    with pytest.raises(DataError, match="few: 1 clips of 'high', expected 2 or more"):
        adapt(home / "base.onnx", few, tmp_path / "mine.onnx")


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("a\x1b[31m", "the label 'a.x1b.31m' has control characters: rename its folder"),
        ("a\u202eb", "has control characters: rename"),
        ("n" * 250, "a label has 250 characters, expected 1 to 200: rename"),
        ("no_speech", "no_speech, which stands for silence: rename"),
    ],
)
def test_labels_that_no_card_can_have_are_refused_first(
    home: Path, tmp_path: Path, label: str, said: str
) -> None:
    clips = read_corpus(home / "tones")
    named = Corpus("mine", tuple(replace(u, label=label) for u in clips.utterances[:2]))
    with pytest.raises(DataError, match=said):
        adapt(home / "base.onnx", named, tmp_path / "mine.onnx", progress=_never)


def _never(done: int, of: int) -> None:
    raise AssertionError("a clip was heard")


def test_models_that_cannot_be_adapted(home: Path, tmp_path: Path) -> None:
    clips = read_corpus(home / "tones")
    write_tiny_model(tmp_path / "tiny.onnx", {"low": 0.5, "middle": 0.3, "high": 0.2})
    with pytest.raises(ModelError, match=r"tiny\.onnx: the card names no embedding"):
        adapt(tmp_path / "tiny.onnx", clips, tmp_path / "mine.onnx")
    write_base(tmp_path / "fresh.onnx", provenance=Provenance(state="untrained"))
    with pytest.raises(ModelError, match="never trained"):
        adapt(tmp_path / "fresh.onnx", clips, tmp_path / "mine.onnx")
    with pytest.raises(UsageError, match=r"expected a name that ends in \.onnx"):
        adapt(home / "base.onnx", clips, tmp_path / "mine.tflite")
    with pytest.raises(UsageError, match="l2 is 0, expected 1e-06 to 1e"):
        adapt(home / "base.onnx", clips, tmp_path / "mine.onnx", l2=0)
    with pytest.raises(StorageError, match=r"gone/mine\.onnx: no such folder: make it"):
        adapt(home / "base.onnx", clips, tmp_path / "gone" / "mine.onnx")
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(UsageError, match=r"pipe\.onnx: is there and no file"):
        adapt(home / "base.onnx", clips, tmp_path / "pipe.onnx")
    left = ["fresh.onnx", "pipe.onnx", "tiny.onnx"]
    assert sorted(path.name for path in tmp_path.iterdir()) == left


def test_a_file_that_does_not_verify_is_not_kept(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_base(tmp_path / "base.onnx")
    base = read_model(tmp_path / "base.onnx")
    assert base.card.goldens is not None
    wrong = replace(base.card.goldens, signal_sha256="0" * 64)
    from edge_ser.card import write_model

    write_model(tmp_path / "base.onnx", base.payload, replace(base.card, goldens=wrong))
    with pytest.raises(ModelError, match=r"mine\.onnx: the adapted model does not verify \(signal"):
        adapt(tmp_path / "base.onnx", read_corpus(home / "tones"), tmp_path / "mine.onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base.onnx"]
