"""Following one speaker without labels: what is learnt, of which utterances, and when it counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.card import ModelFile, OutputSpec, Population
from edge_ser.classifier import (
    Classifier,
    FollowingClassifier,
    profile_of,
    profile_with,
)
from edge_ser.classifier.profile import MEMORY, offset_of
from edge_ser.errors import ConfigError, ModelError
from edge_ser.listening.pipeline import Listening
from edge_ser.runtime import Tensor
from edge_ser.segment import SegmentOptions
from edge_ser.testing import TINY_CLIP_SAMPLES, TINY_FRONTEND, FakeInterpreter, tiny_card

from .listener_scripts import listener, model, silence, speech, utterances

SHAPE = TINY_FRONTEND.shape(TINY_CLIP_SAMPLES)
VALUES = SHAPE[0] * SHAPE[1]
POPULATION = Population.of([-40.0] * VALUES, [2.0] * VALUES)
CARD = tiny_card(population=POPULATION)


def clip(seed: int) -> Any:
    return np.random.default_rng(seed).normal(-30, 5, SHAPE).astype(np.float32)


@given(st.integers(1, 40))
def test_the_mean_of_the_first_clips_and_then_of_the_latest(number: int) -> None:
    profile = None
    for seed in range(number):
        profile = profile_with(CARD, profile, clip(seed), 0.5)
    assert profile is not None and profile.clips == min(number, MEMORY)
    assert profile.seconds == pytest.approx(0.5 * number)
    offset = offset_of(CARD, profile)
    if number <= MEMORY:
        whole = profile_of(CARD, [clip(seed) for seed in range(number)], 0.5 * number)
        np.testing.assert_allclose(offset, offset_of(CARD, whole), rtol=1e-4, atol=1e-4)


def test_a_long_profile_is_believed_as_far_as_it_is_still_there() -> None:
    profile = profile_of(CARD, [clip(seed) for seed in range(120)], 240.0)
    worth = [profile.clips]
    for seed in range(300):
        profile = profile_with(CARD, profile, clip(seed), 2.0)
        worth.append(profile.clips)
    # (29/30)^2 / 120 + (1/30)^2 of a clip's variance is that of a mean of 112.
    assert worth[:2] == [120, 112] and sorted(worth, reverse=True) == worth
    # What an average with a thirtieth for the newest tells for ever: (2 - w) / w clips.
    assert worth[-1] == pytest.approx(59, abs=1)


def test_another_speaker_is_learnt_in_time() -> None:
    profile = profile_of(CARD, [np.zeros(SHAPE, np.float32)] * 500, 500.0)
    for _ in range(3 * MEMORY):
        profile = profile_with(CARD, profile, np.full(SHAPE, -60, np.float32), 1.0)
    share = 59 / (59 + 2)
    # e^-3 of the one before is left.
    np.testing.assert_allclose(offset_of(CARD, profile), share * (-60 + 40), atol=3.5)


def sure(features: Sequence[np.ndarray]) -> Mapping[str, Any]:
    return {"scores": [[0.9, 0.1]]}


def unsure(features: Sequence[np.ndarray]) -> Mapping[str, Any]:
    return {"scores": [[0.5, 0.5]]}


def classifier(answer: Any) -> tuple[Classifier, FakeInterpreter]:
    card = tiny_card(population=POPULATION, output=OutputSpec(uncertain_below=0.7))
    shape = (1, *SHAPE, 1)
    fake = FakeInterpreter(
        answer, [Tensor("features", shape, "float32")], [Tensor("scores", (1, 2), "float32")]
    )
    return Classifier(ModelFile(Path("tiny.onnx"), "onnx", b"", card), fake), fake


def noise(seed: int) -> Any:
    return (0.1 * np.random.default_rng(seed).standard_normal(16_000)).astype(np.float32)


def test_each_utterance_is_answered_with_the_profile_of_those_before() -> None:
    plain, fake = classifier(sure)
    following = FollowingClassifier(plain)
    features = [plain.features_of(noise(seed), _watch())[0][0] for seed in range(3)]
    for seed in range(3):
        following(noise(seed))
    heard = [np.asarray(call[0]).reshape(SHAPE) for call in fake.calls]
    np.testing.assert_allclose(heard[0], features[0])
    for number in (1, 2):
        profile = profile_of(plain.card, features[:number], float(number))
        expected = features[number] - offset_of(plain.card, profile)
        np.testing.assert_allclose(heard[number], expected, rtol=1e-3, atol=1e-2)
    assert plain.profile is None  # the model that was given stays as it is
    assert following.model.profile is not None and following.model.profile.clips == 3


def _watch() -> Any:
    from edge_ser.classifier.prediction import Stopwatch

    return Stopwatch()


def test_what_the_model_is_unsure_of_teaches_nothing() -> None:
    following = FollowingClassifier(classifier(unsure)[0])
    assert following(noise(0)).uncertain
    assert following.model.profile is None


def test_it_begins_with_the_profile_that_is_known() -> None:
    plain, _ = classifier(sure)
    known = profile_of(plain.card, [clip(1)] * 5, 5.0)
    following = FollowingClassifier(plain.with_profile(known))
    following(noise(0))
    assert following.model.profile is not None and following.model.profile.clips == 6


def test_models_that_know_nothing_of_speakers_cannot() -> None:
    for make in (
        lambda: FollowingClassifier(model()),
        lambda: listener([], options=Listening(follow=True)),
    ):
        with pytest.raises(ModelError, match=r"tiny\.onnx: tiny knows nothing of how speakers"):
            make()


def test_a_listener_follows_whole_utterances() -> None:
    heard: list[float] = []

    def answer(features: Sequence[np.ndarray]) -> Mapping[str, Any]:
        heard.append(float(np.mean(features[0])))
        return sure(features)

    following = model(answer, population=POPULATION)
    script = [*utterances(2), *speech(), *silence()]
    events = list(listener(script, classifier=following, options=Listening(follow=True)))
    assert [event.kind for event in events] == ["utterance"] * 3
    # The same speech again is nearer to the population, and nearer still.
    first, second, third = (abs(mean + 40) for mean in heard[-3:])
    assert first > second > third

    heard.clear()
    options = Listening(segment=SegmentOptions(partial_s=0.4), follow=True)
    kinds = [event.kind for event in listener(script, classifier=following, options=options)]
    assert kinds.count("utterance") == 3 and kinds.count("partial") >= 3
    # Early results have the profile, too, and teach nothing.
    assert abs(heard[-2] + 40) < 0.9 * first
    assert abs(heard[-1] + 40) == pytest.approx(third, rel=1e-6)


def test_windows_cannot_be_followed() -> None:
    options = Listening(segment=SegmentOptions(mode="window"), follow=True)
    with pytest.raises(ConfigError, match=r"segment\.mode is window: set it to utterance"):
        listener([], classifier=model(population=POPULATION), options=options)
