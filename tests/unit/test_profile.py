"""Profiles of speakers: how much is believed, what is taken off, and what a file may hold."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.adaptation import adapt, profile_recordings
from edge_ser.audio import Clip
from edge_ser.card import InputSpec, ModelCard, ModelFile, Population
from edge_ser.card.numbers import encoded
from edge_ser.classifier import (
    Classifier,
    Profile,
    RollingClassifier,
    believed,
    known_population,
    load_model,
    profile_of,
    profile_text,
    read_profile,
)
from edge_ser.classifier.profile import offset_of
from edge_ser.corpora import read_corpus
from edge_ser.errors import ConfigError, DataError, ModelError
from edge_ser.frontend import PRESETS
from edge_ser.runtime import Tensor
from edge_ser.testing import TINY_CLIP_SAMPLES, TINY_FRONTEND, FakeInterpreter, tiny_card

from .adaptation_models import write_base, write_tones

RATE = 16_000
SHAPE = TINY_FRONTEND.shape(TINY_CLIP_SAMPLES)
VALUES = SHAPE[0] * SHAPE[1]
TYPICAL = np.linspace(-3, 3, VALUES, dtype=np.float32)
DOUBT = np.linspace(0, 50, VALUES, dtype=np.float32)
POPULATION = Population.of(TYPICAL.tolist(), DOUBT.tolist())
CARD = tiny_card(population=POPULATION)


def clips(number: int, seed: int = 0) -> list[Any]:
    """Features of a speaker's clips."""
    rng = np.random.default_rng(seed)
    return [rng.normal(1, 2, SHAPE).astype(np.float32) for _ in range(number)]


def speaker(mean: Any, number: int) -> Profile:
    """The profile of so many clips that have this mean."""
    made = profile_of(CARD, [np.asarray(mean, np.float32).reshape(SHAPE)], 1.0)
    return replace(made, clips=number)


# What is known of a speaker


def test_a_profile_is_the_mean_of_the_clips() -> None:
    heard = clips(5)
    profile = profile_of(CARD, heard, 6.25)
    assert (profile.clips, profile.seconds) == (5, 6.25)
    assert profile.frontend == CARD.frontend[0].digest()
    share = believed(POPULATION, 5)
    expected = share * (np.mean(heard, axis=0).ravel() - TYPICAL)
    np.testing.assert_allclose(
        offset_of(CARD, profile), expected.reshape(SHAPE), rtol=1e-5, atol=1e-5
    )


def test_no_clip_makes_no_profile() -> None:
    with pytest.raises(ConfigError, match="a profile of no clips"):
        profile_of(CARD, [], 0.0)


@given(st.integers(1, 1_000_000))
def test_the_share_that_is_believed(number: int) -> None:
    share = believed(POPULATION, number)
    np.testing.assert_allclose(share, number / (number + DOUBT.astype(float)))
    assert share[0] == 1  # without doubt one clip is enough
    assert (share > 0).all() and (np.diff(share) <= 0).all()
    assert (believed(POPULATION, number + 1) >= share).all()


def test_half_is_believed_after_as_many_clips_as_the_doubt() -> None:
    assert believed(Population.of([0.0], [12.0]), 12).tolist() == [0.5]


@given(st.integers(0, 99), st.integers(1, 1000))
def test_the_offset_lies_between_nothing_and_the_speakers_difference(
    seed: int, number: int
) -> None:
    mean = np.random.default_rng(seed).normal(0, 5, VALUES).astype(np.float32)
    offset = offset_of(CARD, speaker(mean, number))
    assert offset.shape == SHAPE and offset.dtype == np.float32
    whole = (mean - TYPICAL).reshape(SHAPE)
    assert (np.abs(offset) <= np.abs(whole) * (1 + 1e-6)).all()
    assert (offset * whole >= 0).all()
    # The first value has no doubt.
    assert offset.flat[0] == pytest.approx(whole.flat[0], rel=1e-6)


def test_many_clips_give_the_speakers_own_mean() -> None:
    mean = TYPICAL + np.float32(4)
    offset = offset_of(CARD, speaker(mean, 1_000_000))
    np.testing.assert_allclose(offset, np.full(SHAPE, 4), rtol=1e-4)
    # What is left of the clips is spread around the population's mean.
    np.testing.assert_allclose(mean.reshape(SHAPE) - offset, TYPICAL.reshape(SHAPE), atol=1e-3)


def test_nothing_is_taken_off_an_ordinary_speaker() -> None:
    assert not offset_of(CARD, speaker(TYPICAL, 7)).any()


def test_a_profile_of_another_frontend_or_size_is_refused() -> None:
    profile = speaker(TYPICAL, 3)
    other = tiny_card(frontend=(replace(TINY_FRONTEND, fmax=7000.0),), population=POPULATION)
    with pytest.raises(ModelError, match="another frontend than tiny's"):
        offset_of(other, profile)
    with pytest.raises(ModelError, match=f"has 1 values, expected {VALUES}"):
        offset_of(CARD, replace(profile, mean=Population.of([0.0], [0.0]).mean))


def test_a_model_without_a_population_takes_none() -> None:
    for call in (
        lambda: offset_of(tiny_card(), speaker(TYPICAL, 3)),
        lambda: profile_of(tiny_card(), clips(1), 1.0),
        lambda: model(tiny_card(), speaker(TYPICAL, 3)),
    ):
        with pytest.raises(ModelError, match="tiny knows nothing of how speakers differ"):
            call()


def test_functionals_of_unnamed_speakers_are_told_that_these_lack() -> None:
    spec = PRESETS["functionals"]
    nameless = tiny_card(frontend=(spec,), input=InputSpec(rate=spec.rate, clip_samples=RATE))
    with pytest.raises(ModelError, match="did not tell three speakers apart; train it on clips"):
        known_population(nameless)
    with pytest.raises(ModelError, match="expected a model of functionals"):
        known_population(tiny_card())


# In a file


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20),
    st.integers(1, 1_000_000),
    st.floats(0, 1e6),
)
def test_a_file_holds_all_of_it(
    tmp_path_factory: pytest.TempPathFactory, mean: list[float], number: int, seconds: float
) -> None:
    path = tmp_path_factory.getbasetemp() / "round.json"
    made = Profile("0" * 64, number, seconds, Population.of(mean, [0.0] * len(mean)).mean)
    path.write_text(profile_text(made))
    assert read_profile(path) == made
    assert json.loads(path.read_text())["edge_ser_profile"] == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = ("edge_ser_profile", "frontend", "clips", "seconds", "mean")


@given(
    st.binary(max_size=60)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JSON)).map(
        lambda found: json.dumps({"edge_ser_profile": 1, **found}).encode()
    )
    | st.sampled_from(FIELDS).flatmap(
        lambda name: JSON.map(
            lambda value: json.dumps(
                {**json.loads(profile_text(speaker(TYPICAL, 3))), name: value}
            ).encode()
        )
    )
)
def test_whatever_stands_there_is_a_profile_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "garbage.json"
    path.write_bytes(data)
    try:
        found = read_profile(path)
    except ConfigError as error:
        assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
        assert "edge-ser adapt MODEL FOLDER --unlabelled" in str(error)
    else:
        assert found.clips >= 1 and found.seconds >= 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"clips": 0}, "clips is 0, expected 1 to 1000000"),
        ({"clips": True}, "clips is True"),
        ({"clips": 1.0}, "clips is 1.0"),
        ({"clips": 1_000_001}, "clips is 1000001"),
        ({"seconds": -1}, "seconds is -1, expected 0 or more"),
        ({"seconds": float("nan")}, "the number NaN is not finite"),
        ({"seconds": ["x" * 10**5]}, r"seconds is \[.{60,80}\], expected"),
        ({"clips": 10**100}, "digits"),
        ({"frontend": 3}, "frontend and mean have to be text"),
        ({"mean": "no base64!"}, "mean is no base64"),
        ({"mean": "AAA="}, "mean has 2 bytes"),
        ({"mean": "AADAfw=="}, "mean has a number that is not finite"),
        ({"edge_ser_profile": 2}, "no edge_ser_profile of version 1"),
        ({"more": 1}, "it has .*more.*, expected clips, edge_ser_profile, frontend, mean, seconds"),
        ({"mean": encoded([0.0, -2e6])}, "a number beyond 1e.06, which no feature has"),
        ({"mean": "A" * (1 << 20)}, "over 1048576 bytes"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(
    changes: dict[str, object], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "me.json"
    path.write_text(json.dumps({**json.loads(profile_text(speaker(TYPICAL, 3))), **changes}))
    with pytest.raises(ConfigError, match=said):
        read_profile(path)


def test_a_place_that_holds_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # which nobody writes to
    for path in (
        tmp_path / "pipe",
        tmp_path,
        tmp_path / "gone.json",
        Path("/dev/zero"),
        Path("a\0b"),
    ):
        with pytest.raises(ConfigError, match=r": .*expected a profile"):
            read_profile(path)


# In use


def answer(features: Sequence[np.ndarray]) -> Mapping[str, Any]:
    """Scores that hang on all features."""
    score = 1 / (1 + np.exp(-float(features[0].mean()) / 10))
    return {"scores": [[score, 1 - score]]}


def model(card: ModelCard = CARD, profile: Profile | None = None) -> Classifier:
    shape = (1, *card.frontend[0].shape(card.input.clip_samples), 1)
    fake = FakeInterpreter(
        answer, [Tensor("features", shape, "float32")], [Tensor("scores", (1, 2), "float32")]
    )
    return Classifier(ModelFile(Path("tiny.onnx"), "onnx", b"", card), fake, profile)


def noise(seconds: float, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(int(seconds * RATE))).astype(np.float32)


@pytest.mark.parametrize("level_dbfs", [None, -26.0])
def test_a_classifier_with_a_profile_hears_features_less_the_offset(
    level_dbfs: float | None,
) -> None:
    card = tiny_card(
        population=POPULATION,
        input=InputSpec(rate=RATE, clip_samples=TINY_CLIP_SAMPLES, level_dbfs=level_dbfs),
    )
    profile = profile_of(card, clips(9), 9.0)
    plain, mine = model(card), model(card, profile)
    clip = Clip(noise(1.2), RATE)
    (features,) = plain.features(clip)
    np.testing.assert_array_equal(mine.features(clip)[0], features)  # as they are heard
    expected = answer([features - offset_of(card, profile)])["scores"][0]
    assert mine.scores(clip) == pytest.approx(expected, abs=1e-6)
    assert mine.scores(clip) != pytest.approx(plain.scores(clip), abs=1e-3)
    assert list(mine.predict(clip.samples).scores.values()) == pytest.approx(expected, abs=1e-6)


def test_a_long_recording_is_answered_with_the_profile() -> None:
    profile = profile_of(CARD, clips(9), 9.0)
    plain, mine = model(), model(profile=profile)
    samples = np.concatenate([noise(1.5) / 300, noise(3), noise(1.5, 1) / 300])
    without, found = plain(samples, RATE), mine(samples, RATE)
    assert len(found.segments) > 1
    assert [each.start_s for each in found.segments] == [each.start_s for each in without.segments]
    for each, other in zip(found.segments, without.segments, strict=True):
        assert each.scores != pytest.approx(other.scores, abs=1e-3)


@pytest.mark.parametrize("level_dbfs", [None, -26.0])
def test_windows_are_answered_with_the_profile(level_dbfs: float | None) -> None:
    card = tiny_card(
        population=POPULATION,
        input=InputSpec(rate=RATE, clip_samples=RATE, level_dbfs=level_dbfs),
    )
    mine, plain = model(card, profile_of(card, clips(9), 9.0)), model(card)
    rolling = RollingClassifier(mine, RATE)
    stream = noise(3)
    for start in range(0, 2 * RATE, 3200):
        window = stream[start : start + RATE]
        found = rolling(window, start, run=0).scores
        assert found == pytest.approx(mine.predict(window).scores, abs=1e-4)
        assert found != pytest.approx(plain.predict(window).scores, abs=1e-3)


def test_the_other_blocks_of_features_are_left_alone() -> None:
    card = tiny_card(frontend=(TINY_FRONTEND, TINY_FRONTEND), population=POPULATION)
    blocks = [Tensor(name, (1, *SHAPE, 1), "float32") for name in ("one", "two")]
    fake = FakeInterpreter(answer, blocks, [Tensor("scores", (1, 2), "float32")])
    profile = profile_of(card, clips(9), 9.0)
    mine = Classifier(ModelFile(Path("tiny.onnx"), "onnx", b"", card), fake, profile)
    clip = Clip(noise(1), RATE)
    first, second = mine.features(clip)
    mine.scores(clip)
    np.testing.assert_array_equal(fake.calls[-1][0], first - offset_of(card, profile))
    np.testing.assert_array_equal(fake.calls[-1][1], second)


# Of recordings


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """base.onnx with a population, and tones/ with four clips of each of its labels."""
    folder = tmp_path_factory.mktemp("home")
    write_base(folder / "base.onnx", population=POPULATION)
    write_tones(folder / "tones")
    return folder


def test_recordings_make_a_profile(home: Path) -> None:
    classifier = load_model(home / "base.onnx")
    paths = sorted((home / "tones").rglob("*.wav"))
    steps: list[tuple[int, int]] = []
    heard = profile_recordings(classifier, paths, lambda *at: steps.append(at))
    assert heard.failures == () and steps == [(done, 12) for done in range(1, 13)]
    features = [classifier.features(path)[0] for path in paths]
    assert heard.profile == profile_of(classifier.card, features, 6.0)


@pytest.mark.parametrize("as_file", [False, True])
def test_a_model_is_loaded_with_it(home: Path, tmp_path: Path, as_file: bool) -> None:
    plain = load_model(home / "base.onnx")
    profile = profile_recordings(plain, sorted((home / "tones/low").iterdir())).profile
    path = tmp_path / "me.json"
    path.write_text(profile_text(profile))
    mine = load_model(home / "base.onnx", profile=path if as_file else profile)
    clip = home / "tones/high/1.wav"
    (features,) = plain.features(clip)
    shifted = features - offset_of(plain.card, profile)
    interpreter = mine._interpreter.run([shifted])["scores"][0]
    assert mine(clip).scores != pytest.approx(plain(clip).scores, abs=1e-4)
    # The base's temperature of 2 takes the root.
    rooted = np.sqrt(interpreter) / np.sqrt(interpreter).sum()
    assert list(mine(clip).scores.values()) == pytest.approx(rooted, abs=1e-5)


def test_an_adapted_model_keeps_its_population(home: Path, tmp_path: Path) -> None:
    made = adapt(home / "base.onnx", read_corpus(home / "tones"), tmp_path / "mine.onnx")
    assert made.model.card.population == POPULATION
    profile_recordings(load_model(made.model.path), sorted((home / "tones/low").iterdir()))


def test_a_long_recording_is_cut_into_utterances(home: Path, tmp_path: Path) -> None:
    classifier = load_model(home / "base.onnx")
    quiet = [noise(1.5, seed) / 300 for seed in range(3)]
    samples = np.concatenate([quiet[0], noise(0.8), quiet[1], noise(0.7, 4), quiet[2]])
    soundfile.write(tmp_path / "long.wav", samples, RATE)
    profile = profile_recordings(classifier, [tmp_path / "long.wav"]).profile
    assert profile.clips == 2 and 1.5 <= profile.seconds < 2.5


def test_what_cannot_be_heard_is_told(home: Path, tmp_path: Path) -> None:
    classifier = load_model(home / "base.onnx")
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"no audio")
    heard = profile_recordings(classifier, [bad, *(home / "tones/low").iterdir()])
    assert [each.path for each in heard.failures] == [str(bad)] and heard.profile.clips == 4
    with pytest.raises(DataError, match=r"no speech in 1 recording \(1 left out: .*bad"):
        profile_recordings(classifier, [bad])
    quiet = tmp_path / "quiet.wav"
    soundfile.write(quiet, noise(4) / 3000, RATE)
    with pytest.raises(DataError, match="no speech in 1 recording, expected 1 s or more"):
        profile_recordings(classifier, [quiet])
    # A short one is one clip without being cut, and digital silence is nobody's voice.
    for samples in (np.zeros(RATE), np.zeros(1), np.full(RATE, 1e-5)):
        soundfile.write(quiet, samples, RATE)
        with pytest.raises(DataError, match=r"no speech in 1 recording \(1 .*no speech in it"):
            profile_recordings(classifier, [quiet])


@pytest.mark.parametrize(("samples", "said"), [(80, "0.01"), (RATE - 160, "0.99")])
def test_less_than_a_second_of_speech_is_no_profile(
    samples: int, said: str, home: Path, tmp_path: Path
) -> None:
    classifier = load_model(home / "base.onnx")
    path = tmp_path / "short.wav"
    soundfile.write(path, noise(1)[:samples], RATE)
    with pytest.raises(DataError, match=f"{said} s of speech in 1 recording, expected 1 s or more"):
        profile_recordings(classifier, [path])
    soundfile.write(path, noise(1), RATE)
    assert profile_recordings(classifier, [path]).profile.seconds == 1.0


def test_a_model_without_a_population_refuses_before_it_hears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_base(tmp_path / "base.onnx")
    monkeypatch.setattr("edge_ser.adaptation.speaker.open_recording", None)
    with pytest.raises(ModelError, match="base knows nothing of how speakers differ"):
        profile_recordings(load_model(tmp_path / "base.onnx"), [tmp_path / "any.wav"])
