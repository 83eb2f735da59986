"""Versions of clips: made once, of a clip's own bytes, drawn anew in every epoch."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_ser.corpora import Corpus, Utterance
from edge_ser.errors import ConfigError, DataError
from edge_ser.lab import examples as examples_module
from edge_ser.lab import features
from edge_ser.lab.architectures.networks import network
from edge_ser.lab.datasets import Dataset, known_classes, read_dataset
from edge_ser.lab.examples import examples_of, versions_of
from edge_ser.lab.experiment import DataOptions, Experiment, TrainingOptions
from edge_ser.lab.protocols import ProtocolOptions

STEPS = [{"name": "white_noise", "snr_db": [0, 20]}, {"name": "speed", "probability": 0.5}]
DATA = DataOptions(
    frontend="log-mel",
    features={"rate": 8_000, "fmax": 4_000.0, "n_mels": 8},
    clip_samples=4_000,
)


def experiment(seed: int = 3, **augmentation: Any) -> Experiment:
    return Experiment(
        "made-up",
        DATA,
        network("spectral-base"),
        ProtocolOptions("grouped"),
        TrainingOptions(seed=seed),
        {"versions": 3, "step": STEPS, **augmentation},
    )


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    monkeypatch.setenv("EDGE_SER_RUNS", str(tmp_path / "runs"))
    rng = np.random.default_rng(0)
    made = []
    for index in range(6):
        path = tmp_path / f"{index}.wav"
        soundfile.write(path, 0.1 * rng.standard_normal(3_000), 8_000)
        made.append(Utterance(path, "ab"[index % 2], f"s{index // 2}"))
    return Corpus("tiny", tuple(made))


def read(corpus: Corpus, chosen: Experiment) -> Dataset:
    return read_dataset(corpus, DATA, versions=versions_of(chosen))


def stacked(data: Dataset) -> NDArray[np.float32]:
    return np.stack([data.features, *data.versions])


def test_versions_are_repeatable_and_no_two_are_alike(corpus: Corpus) -> None:
    every = stacked(read(corpus, experiment()))
    assert len({each.tobytes() for clip in every for each in clip}) == 4 * 6
    np.testing.assert_array_equal(every[0], read_dataset(corpus, DATA).features)
    again = stacked(read(corpus, experiment()))
    np.testing.assert_array_equal(every, again)
    # Whatever seed a training has, so that its config.toml alone gives it again.
    np.testing.assert_array_equal(every, stacked(read(corpus, experiment(seed=4))))


def test_versions_are_kept(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    every = stacked(read(corpus, experiment()))
    assert len(list((features.runs_folder() / "features").glob("*.npy"))) == 4
    monkeypatch.setattr(features, "Frontend", None)  # nothing is computed again
    np.testing.assert_array_equal(stacked(read(corpus, experiment())), every)


def test_a_clips_versions_do_not_hang_on_the_other_clips(corpus: Corpus) -> None:
    every = stacked(read(corpus, experiment()))
    turned = Corpus("other", tuple(corpus.utterances[at] for at in (5, 2, 1)))
    np.testing.assert_array_equal(stacked(read(turned, experiment())), every[:, [5, 2, 1]])


def test_other_steps_are_other_versions(corpus: Corpus) -> None:
    every = stacked(read(corpus, experiment()))
    louder = stacked(read(corpus, experiment(step=[{"name": "white_noise", "snr_db": 0}])))
    assert (louder[1:] != every[1:]).any(axis=(2, 3)).all()


def test_other_recordings_of_noise_are_other_versions(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = {"name": "real_noise", "folder": "noise", "snr_db": 0}
    monkeypatch.setenv("EDGE_SER_DATA", str(tmp_path))
    (tmp_path / "noise").mkdir()
    found = []
    for seed in (0, 0, 1):
        noise = 0.1 * np.random.default_rng(seed).standard_normal(8_000)
        soundfile.write(tmp_path / "noise" / "a.wav", noise, 8_000)
        found.append(stacked(read(corpus, experiment(versions=1, step=[step])))[1])
    np.testing.assert_array_equal(found[1], found[0])
    assert (found[2] != found[0]).any(axis=(1, 2)).all()


def test_every_epoch_draws_of_each_clip_the_one_or_the_other(corpus: Corpus) -> None:
    chosen = experiment()
    data = read(corpus, chosen)
    names = [data.names[at] for at in (4, 0, 3)]
    examples = examples_of(chosen, data, names)
    assert (examples.count, examples.classes) == (3, 2)
    every = stacked(data)[:, [4, 0, 3]]
    drawn = np.zeros((4, 3), int)
    for epoch in range(200):
        found, labels = examples.of_epoch(epoch)
        assert labels.tolist() == [0, 0, 1]
        np.testing.assert_array_equal(found, examples.of_epoch(epoch)[0])
        drawn += (every == found).all(axis=(2, 3))
    # 200 draws out of 4: 50 each, deviation 6.
    assert drawn.sum() == 600 and drawn.min() > 25 and drawn.max() < 75


def test_masks_are_laid_anew_over_versions(corpus: Corpus) -> None:
    mask = {"name": "frequency_mask", "share": 0.25, "fill": "zero"}
    chosen = experiment(versions=1, step=[*STEPS, mask])
    data = read(corpus, chosen)
    found, _ = examples_of(chosen, data, data.names).of_epoch(0)
    assert ((found == 0).all(axis=1).sum(axis=1) == 2).all()
    assert not any((version == 0).any() for version in data.versions)


def test_without_augmentation_or_versions_nothing_is_made(corpus: Corpus) -> None:
    for chosen in (experiment(versions=0), replace(experiment(), augmentation={})):
        assert versions_of(chosen) == []
    plain = replace(experiment(), augmentation={})
    data = read(corpus, plain)
    np.testing.assert_array_equal(
        examples_of(plain, data, data.names).of_epoch(7)[0], data.features
    )


def test_data_without_the_versions_is_refused(corpus: Corpus) -> None:
    data = read_dataset(corpus, DATA)
    with pytest.raises(DataError, match="0 versions of each clip were read, expected 3"):
        examples_of(experiment(), data, data.names)


def test_which_classes_a_corpus_has() -> None:
    def said(label: str, corpus: str | None) -> Utterance:
        return Utterance(Path("x"), label, corpus=corpus)

    joined = [said("a", "one"), said("b", "one"), said("b", "two"), said("c", "two")]
    assert known_classes(joined, ("a", "b", "c")).tolist() == [
        [True, True, False],
        [True, True, False],
        [False, True, True],
        [False, True, True],
    ]
    assert known_classes([said("b", None), said("a", None)], ("a", "b")).all()


def test_examples_tell_the_classes_of_their_corpus(corpus: Corpus) -> None:
    utterances = tuple(
        replace(each, corpus="one" if at < 4 else "two", label="ababcc"[at])
        for at, each in enumerate(corpus.utterances)
    )
    joined = Corpus("one+two", utterances)
    for augmentation in ({}, {"versions": 1}, {"versions": 0}, {"mode": "copies", "versions": 0}):
        steps = [{"name": "gain"}, {"name": "reverse"}]
        chosen = experiment(**{"step": steps, **augmentation})
        data = read(joined, chosen)
        examples = examples_of(chosen, data, ["5", "1"])
        _, labels = examples.of_epoch(0)
        assert len(labels) == examples.count == len(examples.known)
        assert examples.known[np.arange(examples.count), labels].all()
        assert {tuple(row) for row in examples.known.tolist()} == {
            (False, False, True),
            (True, True, False),
        }


COPIES = [{"name": "gain"}, {"name": "reverse"}]
SOUNDS = np.full((4, *DATA.spec().shape(DATA.clip_samples)), 7, dtype=np.float32)


@pytest.fixture
def sounds(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Four sounds in place of a thousand; what was asked for."""
    asked: list[Any] = []

    def cached(*what: Any) -> NDArray[np.float32]:
        asked.append(what)
        return SOUNDS

    monkeypatch.setattr(examples_module, "cached_nonspeech", cached)
    return asked


@pytest.mark.parametrize(
    ("share", "augmentation", "clips", "count"),
    [
        (0.5, {}, 6, 3),
        (0.25, {"versions": 2}, 6, 2),
        (2.0, {"versions": 0, "step": COPIES}, 6, 12),
        (0.5, {"versions": 0, "mode": "copies", "step": COPIES}, 18, 9),
        (0.01, {}, 6, 0),
    ],
)
def test_sounds_that_are_no_speech_come_beside_the_clips(
    corpus: Corpus,
    sounds: list[Any],
    share: float,
    augmentation: dict[str, Any],
    clips: int,
    count: int,
) -> None:
    chosen = experiment(**augmentation) if augmentation else replace(experiment(), augmentation={})
    data = read(corpus, chosen)
    plain = examples_of(chosen, data, data.names)
    assert (plain.count, plain.sounds, plain.nonspeech) == (clips, 0, None)
    assert sounds == []
    chosen = replace(chosen, data=replace(DATA, nonspeech=share))
    found = examples_of(chosen, data, data.names)
    assert (found.count, found.sounds) == (clips + count, count)
    assert found.nonspeech is SOUNDS and found.chances is None
    assert sounds == [(DATA.spec(), DATA.clip_samples, "both")]
    features, labels = found.of_epoch(0)
    assert len(features) == len(labels) == len(found.known) == clips
    np.testing.assert_array_equal(features, plain.of_epoch(0)[0])


def of_two_corpora(corpus: Corpus) -> Corpus:
    """Four clips of one, two of the other."""
    homes = ("one", "two", "one", "one", "two", "one")
    return Corpus(
        "one+two",
        tuple(
            replace(each, corpus=home) for each, home in zip(corpus.utterances, homes, strict=True)
        ),
    )


@pytest.mark.parametrize("balance", [0.3, 0.7, 1.0])
def test_chances_are_those_of_the_size_of_a_corpus(corpus: Corpus, balance: float) -> None:
    plain = replace(experiment(), augmentation={})
    data = read(of_two_corpora(corpus), plain)
    assert examples_of(plain, data, data.names).chances is None
    chosen = replace(plain, training=replace(plain.training, balance=balance))
    chances = examples_of(chosen, data, data.names).chances
    assert chances is not None and chances.sum() == pytest.approx(1)
    large, small = chances[[0, 2, 3, 5]], chances[[1, 4]]
    assert small == pytest.approx(large[:2] * 2**balance)
    if balance == 1:
        assert large.sum() == pytest.approx(small.sum())
    # Of the training clips alone: two of each here.
    even = examples_of(chosen, data, [data.names[at] for at in (0, 1, 4, 5)]).chances
    assert even == pytest.approx(np.full(4, 0.25))


def test_every_corpus_of_one_size_has_the_same_chance(corpus: Corpus) -> None:
    plain = replace(experiment(), augmentation={})
    chosen = replace(plain, training=replace(plain.training, balance=0.5))
    data = read(corpus, chosen)
    chances = examples_of(chosen, data, data.names).chances
    assert chances == pytest.approx(np.full(6, 1 / 6))


@pytest.mark.usefixtures("sounds")
def test_copies_have_the_chance_of_their_clip_and_sounds_none(corpus: Corpus) -> None:
    base = experiment(versions=0, mode="copies", step=COPIES)
    chosen = replace(
        base,
        data=replace(DATA, nonspeech=0.5),
        training=replace(base.training, balance=1.0),
    )
    data = read(of_two_corpora(corpus), base)
    found = examples_of(chosen, data, data.names)
    assert found.chances is not None and found.chances.shape == (18,)
    assert (found.count, found.sounds) == (27, 9)
    clips, copies = found.chances[:6], found.chances[6:].reshape(6, 2)
    np.testing.assert_allclose(copies, np.repeat(clips[:, None], 2, axis=1))
    assert found.chances.sum() == pytest.approx(1)


def test_temperatures_are_those_of_the_clips_corpora(corpus: Corpus) -> None:
    base = experiment(versions=0, mode="copies", step=COPIES)
    data = read(of_two_corpora(corpus), base)
    assert examples_of(base, data, data.names).temperatures is None
    options = replace(base.training, corpus_temperature={"two": 0.4})
    found = examples_of(replace(base, training=options), data, data.names).temperatures
    clips = np.array([1, 0.4, 1, 1, 0.4, 1])
    np.testing.assert_array_equal(found, np.concatenate([clips, np.repeat(clips, 2)]))


@pytest.mark.parametrize("value", [0.0, -1.0, 1e3, math.nan])
def test_a_temperature_out_of_range_is_refused(value: float) -> None:
    with pytest.raises(ConfigError, match=r"corpus_temperature.mine is .*, expected 0.01 to 100"):
        TrainingOptions(corpus_temperature={"mine": value})


def test_margins_have_no_temperature() -> None:
    with pytest.raises(ConfigError, match="corpus_temperature with loss = margin"):
        TrainingOptions(corpus_temperature={"mine": 2.0}, loss="margin")


@given(st.floats(allow_nan=True), st.sampled_from(["balance", "nonspeech"]))
def test_a_share_is_within_its_range_or_refused(value: float, name: str) -> None:
    options: Any = TrainingOptions if name == "balance" else DataOptions
    most = {"balance": 1, "nonspeech": 10}[name]
    if 0 <= value <= most:
        assert getattr(options(**{name: value}), name) == value
    else:
        with pytest.raises(ConfigError, match=name):
            options(**{name: value})
