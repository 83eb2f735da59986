"""Models before any framework: shapes, scores, comparison, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.card import InputSpec, ModelCard, OutputSpec, Provenance
from edge_ser.errors import DataError, ModelError, UsageError
from edge_ser.frontend import PRESETS
from edge_ser.lab.export import compare as comparing
from edge_ser.lab.export.compare import (
    Comparison,
    Speed,
    compare,
    probabilities,
    refuse_another_model,
    refuse_poor_form,
    shown_loss,
    time_both,
)
from edge_ser.lab.export.files import _told_of, source_of
from edge_ser.lab.export.forms import kind_of_name
from edge_ser.lab.export.reference import Source, counted, fitted
from edge_ser.runtime import Tensor
from edge_ser.runtime.tensors import arranged

FINE = Comparison(clips=100, worst=1e-6, changed=0)
CARD = ModelCard(
    name="m",
    task="t",
    labels=("a", "b"),
    input=InputSpec(rate=16_000, clip_samples=80),
    frontend=(replace(PRESETS["waveform"], normalise="none"),),
    output=OutputSpec(kind="logits"),
    provenance=Provenance(state="untrained"),
)


@given(st.lists(st.integers(2, 9), min_size=1, max_size=3).map(tuple), st.integers(0, 2))
def test_axes_of_one_are_added_in_front_or_behind(shape: tuple[int, ...], way: int) -> None:
    taken = (shape, (*shape, 1), (1, *shape))[way]
    assert fitted(shape, taken, "m") == taken
    assert fitted(shape, tuple(-1 if n > 1 else n for n in taken), "m") == taken
    with pytest.raises(DataError, match="the frontend gives"):
        fitted(shape, (*taken[:-1], taken[-1] + 1), "m")


@pytest.mark.parametrize("shape", [(5,), (5, 3)])
def test_the_runtime_takes_a_channel_behind_the_batch(shape: tuple[int, ...]) -> None:
    (block,) = arranged([np.ones(shape)], [Tensor("x", (1, 1, *shape), "float32")])
    assert block.shape == (1, 1, *shape)


def test_scores_are_counted_and_finite() -> None:
    assert counted(np.zeros((3, 1, 2)), 2, "m").shape == (3, 2)
    with pytest.raises(ModelError, match="m gives 2 scores, expected one for each of 3 labels"):
        counted(np.zeros((3, 2)), 3, "m")
    with pytest.raises(ModelError, match="NaN or infinite"):
        counted(np.array([[0.0, np.nan]]), 2, "m")


def test_a_source_is_bound_to_the_shapes_of_the_card() -> None:
    asked: list[Any] = []

    def bind(shapes: Any, labels: int) -> Any:
        asked.append((shapes, labels))

    Source("torch", "m", None, bind).bound(CARD)
    with_channel = replace(CARD, input=replace(CARD.input, layout="NCT"))
    Source("torch", "m", None, bind).bound(with_channel)
    Source("onnx", "m", ((1, -1),), bind).bound(CARD)
    assert asked == [(((80,),), 2), (((1, 80),), 2), (((1, 80),), 2)]
    with pytest.raises(DataError, match="m takes 2 inputs, the card has 1 frontends"):
        Source("onnx", "m", ((80,), (80,)), bind).bound(CARD)


def test_other_objects_and_names_are_refused() -> None:
    with pytest.raises(UsageError, match=r"a dict was given, expected a keras.Model or"):
        source_of({})
    assert kind_of_name(Path("a.b.onnx")) == "onnx"
    with pytest.raises(UsageError, match=r"ends in \.tflite or \.onnx"):
        kind_of_name(Path("a.pt"))


class Echo:
    """A file whose scores are its features times a factor."""

    outputs = (Tensor("scores", (1, 2), "float32"),)

    def __init__(self, factor: float = 1.0, wait: Callable[[], None] = lambda: None) -> None:
        self.factor, self.wait = factor, wait

    def run(self, features: Any) -> dict[str, Any]:
        self.wait()
        return {"scores": self.factor * features[0][None]}


CLIPS = [np.array([[0.0, 1.0], [3.0, 1.0], [2.0, 2.1]], np.float32)]


def test_logits_are_compared_as_probabilities() -> None:
    told: list[Any] = []
    found = compare(Echo(), CARD, CLIPS, CLIPS[0], None, lambda *at: told.append(at))
    assert found == Comparison(clips=3, worst=0.0, changed=0)
    assert told == [(1, 3), (2, 3), (3, 3)]
    turned = compare(Echo(-1.0), CARD, CLIPS, CLIPS[0], None, lambda *_: None)
    assert turned.changed == 3
    assert turned.worst == pytest.approx(2 / (1 + np.exp(-2)) - 1)
    np.testing.assert_allclose(probabilities(CLIPS[0], "logits").sum(axis=1), 1)
    assert probabilities(CLIPS[0], "probabilities")[1, 0] == 3


def test_scores_that_are_no_numbers_are_infinitely_far() -> None:
    found = compare(Echo(np.nan), CARD, CLIPS, CLIPS[0], None, lambda *_: None)
    with pytest.raises(ModelError, match="float16 file is inf from Torch's"):
        refuse_another_model(found, "float16", "Torch")


@pytest.mark.parametrize(
    ("changes", "form", "words"),
    [
        ({"worst": 2e-4}, "float32", "is 0.0002 from Keras's, expected at most 0.0001"),
        ({"changed": 2}, "int8", "changes 2 of 100 labels, expected at most 1%"),
        (
            {"lost": 0.011, "changed": 2},
            "int8",
            "loses 1.1% of UAR on 100 clips.* at most 1%",
        ),
    ],
)
def test_another_model_is_refused(changes: Any, form: Any, words: str) -> None:
    refuse_another_model(FINE, form, "Keras")
    with pytest.raises(ModelError, match=words):
        refuse_another_model(replace(FINE, **changes), form, "Keras")


def test_what_is_advised_for_int8_fits_every_network() -> None:
    with pytest.raises(ModelError, match=r"export dynamic, which needs no ranges .* or float32$"):
        refuse_another_model(replace(FINE, lost=0.75, changed=75), "int8", "Keras")


def test_nothing_lost_has_no_sign() -> None:
    assert [*map(shown_loss, (0.0, -0.0, -0.0004, 0.0046, -0.003))] == [
        *("0.0%", "0.0%", "0.0%", "0.5%", "-0.3%")
    ]
    told = _told_of(CARD, "dynamic", replace(FINE, lost=-0.0001)).provenance.protocol
    assert told.endswith("changes 0 of 100 labels and loses 0.0 points of UAR.")


def test_where_it_is_known_what_is_right_labels_may_change_for_the_better() -> None:
    refuse_another_model(replace(FINE, changed=50, lost=-0.2), "int8", "Keras")
    refuse_another_model(replace(FINE, changed=1, lost=0.02), "int8", "Keras")
    right = np.array([1, 0, 0])
    found = compare(Echo(-1.0), CARD, CLIPS, CLIPS[0], right, lambda *_: None)
    # The original answers 1, 0, 1: recalls of 1 and 1/2; the opposite 0, 1, 0: 0 and 1/2.
    assert found.changed == 3 and found.lost == pytest.approx(0.5)


def test_quantised_forms_have_to_be_worth_having() -> None:
    worth = replace(FINE, share=0.5, speed=Speed(1.0, 1.0))
    refuse_poor_form(worth, "int8")
    slow = replace(worth, speed=Speed(2.5, 1.25))
    with pytest.raises(
        ModelError, match=r"takes 2.50 ms a clip here, the float32 file 1.25.*--force"
    ):
        refuse_poor_form(slow, "int8")
    large = replace(worth, share=0.51)
    with pytest.raises(
        ModelError, match=r"dynamic file has 51% of .* export float32, or .*--force"
    ):
        refuse_poor_form(large, "dynamic")
    with pytest.raises(ModelError, match=r"takes 0.0217 ms a clip here, the float32 file 0.0201,"):
        refuse_poor_form(replace(worth, speed=Speed(0.0217, 0.0201)), "dynamic")
    for form in ("float16", "float32"):
        refuse_poor_form(replace(large, speed=slow.speed), form)


class Clock:
    """Seconds that pass when somebody waits."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def wait(self, *seconds: float) -> Callable[[], None]:
        """What waits for these by turns, the last for ever."""
        left = list(seconds)

        def pass_by() -> None:
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return pass_by


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(
        comparing, "time", SimpleNamespace(perf_counter=clock, monotonic=clock), raising=True
    )
    return clock


def test_files_are_timed_by_turns_and_the_first_runs_do_not_count(clock: Clock) -> None:
    small, plain = Echo(wait=clock.wait(9, 9, 0.002)), Echo(wait=clock.wait(9, 9, 0.004))
    assert time_both(small, plain, CLIPS).ratio == pytest.approx(0.5)


def test_a_disturbed_measurement_is_made_again(clock: Clock) -> None:
    disturbed = [0.5] * 12
    small = Echo(wait=clock.wait(*disturbed, 0.004))
    assert time_both(small, Echo(wait=clock.wait(0.004)), CLIPS).ratio == pytest.approx(1.0)


def test_what_is_slower_stays_slower(clock: Clock) -> None:
    found = time_both(Echo(wait=clock.wait(0.5)), Echo(wait=clock.wait(0.25)), CLIPS)
    assert (found.milliseconds, found.ratio) == (pytest.approx(500), pytest.approx(2))
    assert clock.now < 60
