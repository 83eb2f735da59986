"""Events, and the decider that makes them of scores."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.classifier import NO_SPEECH
from edge_ser.errors import CardError, ConfigError
from edge_ser.events import DecideOptions, Decider, Decision, Event

PAGE = Path(__file__).resolve().parents[2] / "docs/events.md"
LABELS = ("anger", "joy", "neutral")
ANGER, JOY, NEUTRAL = np.eye(3) * 0.7 + 0.1
RAW = DecideOptions(smoothing_s=0, switch_margin=0)


def windows(
    decider: Decider, scores: list[Any], utterance: int = 1, first_s: float = 1.0
) -> list[tuple[float, Decision]]:
    """What is decided of windows of 1 s, one a second; with the end of the window."""
    decided = [
        (end, decider.decide("window", one, end - 1, end, utterance))
        for end, one in enumerate(scores, start=round(first_s))
    ]
    return [(end, decision) for end, decision in decided if decision is not None]


def labels(decided: list[tuple[float, Decision]]) -> list[tuple[float, str]]:
    return [(end, decision.label) for end, decision in decided]


def test_every_utterance_is_decided_by_its_own_scores() -> None:
    decider = Decider(LABELS)
    first = decider.decide("utterance", ANGER.astype(np.float32), 0.5, 2.0, 1)
    second = decider.decide("utterance", JOY, 3.0, 4.0, 2, cut=True)
    assert first is not None and first.kind == "utterance"
    assert (first.label, first.uncertain, first.start_s, first.end_s, first.cut) == (
        *("anger", False, 0.5, 2.0, False),
    )
    assert first.scores == pytest.approx({"anger": 0.8, "joy": 0.1, "neutral": 0.1})
    assert second is not None and (second.label, second.cut) == ("joy", True)
    assert second.scores == dict(zip(LABELS, JOY, strict=True))


def test_the_first_of_equal_labels_is_taken() -> None:
    decision = Decider(LABELS).decide("utterance", [0.2, 0.4, 0.4], 0, 1, 1)
    assert decision is not None and decision.label == "joy"


def test_scores_of_another_model_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Decider(LABELS).decide("utterance", [0.5, 0.5], 0, 1, 1)


@pytest.mark.parametrize(("below", "uncertain"), [(None, False), (0.8, False), (0.81, True)])
def test_an_unlikely_result_is_reported_as_uncertain(below: float | None, uncertain: bool) -> None:
    decision = Decider(LABELS, uncertain_below=below).decide("utterance", [0.1, 0.8, 0.1], 0, 1, 1)
    assert decision is not None
    assert (decision.label, decision.uncertain) == ("joy", uncertain)


def test_a_label_under_its_own_threshold_does_not_give_way_to_the_next() -> None:
    options = DecideOptions(thresholds={"anger": 0.9, "joy": 0.0})
    decider = Decider(LABELS, options, uncertain_below=0.95)
    anger = decider.decide("utterance", [0.85, 0.15, 0.0], 0, 1, 1)
    joy = decider.decide("utterance", [0.3, 0.4, 0.3], 1, 2, 2)
    neutral = decider.decide("utterance", [0.0, 0.06, 0.94], 2, 3, 3)
    assert anger is not None and (anger.label, anger.uncertain) == ("anger", True)
    assert joy is not None and (joy.label, joy.uncertain) == ("joy", False)
    assert neutral is not None and (neutral.label, neutral.uncertain) == ("neutral", True)


def test_thresholds_for_labels_of_another_model_are_refused_by_name() -> None:
    options = DecideOptions(thresholds={"rage": 0.9, "anger": 0.5, "glee": 0.1})
    with pytest.raises(ConfigError, match=r"thresholds names glee, rage, expected .*anger, joy"):
        Decider(LABELS, options)


def test_the_same_result_is_not_reported_again_within_the_refractory_time() -> None:
    decider = Decider(LABELS, DecideOptions(refractory_s=5), uncertain_below=0.5)
    ends = {"anger": [1.0, 3.0, 5.9, 6.0, 7.0], "joy": [4.0]}
    reported = [
        (end, decision.label)
        for end, label in sorted((end, label) for label in ends for end in ends[label])
        if (decision := decider.decide("utterance", np.eye(3)[LABELS.index(label)], 0, end, 1))
    ]
    # At 6.0 the time since the report at 1.0 is over; what was held back in between adds nothing.
    assert reported == [(1.0, "anger"), (4.0, "joy"), (6.0, "anger")]


def test_an_uncertain_result_does_not_hold_back_a_certain_one() -> None:
    decider = Decider(LABELS, DecideOptions(refractory_s=5), uncertain_below=0.5)
    decided = [
        decider.decide("utterance", scores, end - 1, end, end)
        for end, scores in enumerate([[0.4, 0.3, 0.3], [0.4, 0.3, 0.3], [0.8, 0.1, 0.1]], start=1)
    ]
    assert [d and (d.label, d.uncertain) for d in decided] == [
        *(("anger", True), None, ("anger", False)),
    ]


def test_a_partial_result_is_its_own_and_leaves_no_trace() -> None:
    options = DecideOptions(refractory_s=100, smoothing_s=100)
    decider, without = Decider(LABELS, options), Decider(LABELS, options)
    first = [d.decide("window", ANGER, 0, 1, 1) for d in (decider, without)]
    partials = [decider.decide("partial", JOY, 0, end, 1) for end in (1, 2)]
    assert all(p is not None and (p.kind, p.label) == ("partial", "joy") for p in partials)
    assert partials[0] is not None and partials[0].scores == dict(zip(LABELS, JOY, strict=True))
    later = [d.decide("window", JOY, 300, 301, 1) for d in (decider, without)]
    assert first[0] == first[1] and later[0] == later[1] is not None


def test_windows_are_reported_when_their_label_is_first_found_and_when_it_changes() -> None:
    found = windows(Decider(LABELS, RAW), [ANGER, ANGER, JOY, JOY, ANGER])
    assert labels(found) == [(1, "anger"), (3, "joy"), (5, "anger")]
    assert found[1][1] == Decision("window", "joy", False, found[1][1].scores, 2, 3, False)


def test_smoothing_follows_the_time_between_windows() -> None:
    decider = Decider(LABELS, DecideOptions(smoothing_s=2.0, switch_margin=0))
    decider.decide("window", [1, 0, 0], 0, 1.0, 1)
    assert decider.decide("window", [0, 1, 0], 0, 1.5, 1) is None
    changed = decider.decide("window", [0, 1, 0], 0, 4.5, 1)
    expected = math.exp(-0.5 / 2) * math.exp(-3.0 / 2)
    assert changed is not None
    assert changed.scores == pytest.approx({"anger": expected, "joy": 1 - expected, "neutral": 0})


@given(
    st.lists(st.floats(0.01, 5), min_size=1, max_size=6),
    st.floats(0.1, 20),
    st.lists(st.floats(0, 1), min_size=3, max_size=3).filter(lambda s: sum(s) > 0.1),
)
def test_how_a_stretch_is_divided_into_windows_does_not_change_its_smoothed_scores(
    steps: list[float], smoothing: float, weights: list[float]
) -> None:
    target = np.array(weights) / sum(weights)
    start = [1.0, 0.0, 0.0]

    def after(parts: list[float]) -> list[float]:
        decider = Decider(LABELS, DecideOptions(smoothing_s=smoothing))
        decider.decide("window", start, 0, 0, 1)
        for end in np.cumsum(parts):
            decider.decide("window", target, 0, end, 1)
        track = decider._track
        assert track is not None
        return track.scores

    assert after(steps) == pytest.approx(after([sum(steps)]), abs=1e-9)


def test_a_label_must_lead_by_the_margin_to_take_the_place_of_another() -> None:
    options = DecideOptions(smoothing_s=0, switch_margin=0.25)
    found = windows(
        Decider(LABELS, options), [[0.5, 0.5, 0], [0.4, 0.6, 0], [0.37, 0.63, 0], [0.4, 0.6, 0]]
    )
    assert labels(found) == [(1, "anger"), (3, "joy")]


def test_a_label_must_hold_before_it_is_reported() -> None:
    options = DecideOptions(smoothing_s=0, switch_margin=0, min_duration_s=2)
    found = windows(Decider(LABELS, options), [JOY, ANGER, ANGER, ANGER, JOY, JOY, ANGER, ANGER])
    assert labels(found) == [(4, "anger")]


def test_durations_that_hops_just_reach_count() -> None:
    options = DecideOptions(smoothing_s=0, min_duration_s=0.2)
    decider = Decider(LABELS, options)
    ends = [0.1, 0.2, 0.1 + 0.2]  # the last is 0.30000000000000004
    assert [decider.decide("window", JOY, 0, end, 1) is not None for end in ends] == [
        *(False, False, True),
    ]
    assert [0.3 - 0.1 >= 0.2, 0.7 - 0.5 >= 0.2] == [False, False]
    other = Decider(LABELS, options)
    assert [other.decide("window", JOY, 0, end, 1) is not None for end in (0.5, 0.6, 0.7)] == [
        *(False, False, True),
    ]


def test_an_uncertain_window_changes_nothing_and_ends_the_holding() -> None:
    options = DecideOptions(smoothing_s=0, switch_margin=0, min_duration_s=1)
    doubt = [0.3, 0.4, 0.3]
    found = windows(
        Decider(LABELS, options, uncertain_below=0.5),
        [ANGER, ANGER, doubt, doubt, JOY, doubt, JOY, doubt, ANGER, JOY, JOY],
    )
    assert labels(found) == [(2, "anger"), (11, "joy")]


def test_an_utterance_that_is_uncertain_so_far_is_reported_so_once() -> None:
    doubts = [[0.3, 0.4, 0.3], [0.4, 0.3, 0.3], [0.3, 0.3, 0.4]]
    found = windows(Decider(LABELS, RAW, uncertain_below=0.5), [*doubts, JOY, *doubts, JOY, ANGER])
    assert [(end, d.label, d.uncertain) for end, d in found] == [
        *((1, "joy", True), (4, "joy", False), (9, "anger", False)),
    ]


def test_each_utterance_begins_anew() -> None:
    decider = Decider(LABELS, DecideOptions(smoothing_s=1000, switch_margin=0.9))
    assert labels(windows(decider, [ANGER, JOY])) == [(1, "anger")]
    assert labels(windows(decider, [JOY, ANGER], utterance=2, first_s=3)) == [(3, "joy")]


def test_a_change_that_was_held_back_is_reported_when_the_refractory_time_is_over() -> None:
    options = DecideOptions(smoothing_s=0, switch_margin=0, refractory_s=5)
    found = windows(Decider(LABELS, options), [ANGER, JOY, ANGER, ANGER, ANGER, ANGER, ANGER])
    assert labels(found) == [(1, "anger"), (2, "joy"), (6, "anger")]


def test_a_change_that_was_held_back_is_reported_only_by_a_window_that_says_so() -> None:
    options = DecideOptions(smoothing_s=0, switch_margin=0.3, refractory_s=5)
    unsure = [0.45, 0.55, 0]
    found = windows(Decider(LABELS, options), [ANGER, JOY, ANGER, ANGER, ANGER, unsure, ANGER])
    assert labels(found) == [(1, "anger"), (2, "joy"), (7, "anger")]


scores = st.lists(st.floats(0, 1), min_size=3, max_size=3).map(
    lambda values: list((np.array(values) + 1e-3) / (sum(values) + 3e-3))
)
durations = st.floats(0, 5)
decide_options = st.builds(
    DecideOptions,
    smoothing_s=durations,
    switch_margin=st.floats(0, 1),
    min_duration_s=durations,
    refractory_s=durations,
    thresholds=st.dictionaries(st.sampled_from(LABELS), st.floats(0, 1)),
)
pieces = st.lists(
    st.tuples(
        st.sampled_from(["window", "window", "window", "utterance", "partial"]),
        scores,
        st.floats(0.01, 3),
        st.booleans(),
    ),
    max_size=40,
)


def run(options: DecideOptions, below: float, stream: list[Any]) -> list[tuple[int, Decision]]:
    """(utterance, decision) of pieces of (kind, scores, seconds since the last, is a new one)."""
    decider = Decider(LABELS, options, below)
    end, utterance, found = 0.0, 1, []
    for kind, values, step, is_new in stream:
        end, utterance = end + step, utterance + is_new
        decision = decider.decide(kind, values, end - 1, end, utterance)
        if decision is not None:
            found.append((utterance, decision))
    return found


@given(decide_options, st.floats(0, 1), pieces)
def test_whatever_comes_in_what_is_decided_holds_together(
    options: DecideOptions, below: float, stream: list[Any]
) -> None:
    found = run(options, below, stream)
    assert found == run(options, below, stream)
    for _, decision in found:
        assert sum(decision.scores.values()) == pytest.approx(1)
        best = max(decision.scores.values())
        assert decision.scores[decision.label] == best
        least = options.thresholds.get(decision.label, below)
        assert decision.uncertain == (best < least)
    assert sum(d.kind == "partial" for _, d in found) == sum(s[0] == "partial" for s in stream)
    last: dict[tuple[str, bool], float] = {}
    for _, decision in (pair for pair in found if pair[1].kind != "partial"):
        result = (decision.label, decision.uncertain)
        assert decision.end_s - last.get(result, -math.inf) >= options.refractory_s - 1e-5
        last[result] = decision.end_s


@given(decide_options, st.floats(0, 1), pieces)
def test_windows_of_an_utterance_report_changes_and_no_doubt_after_a_label(
    options: DecideOptions, below: float, stream: list[Any]
) -> None:
    found = run(options, below, stream)
    for number in {utterance for utterance, _ in found}:
        told = [d for utterance, d in found if utterance == number and d.kind == "window"]
        assert not any(d.uncertain for d in told[1:])
        labels = [d.label for d in told if not d.uncertain]
        assert all(a != b for a, b in pairwise(labels))


def test_silence_is_reported_once_after_its_time_and_only_where_that_was_asked_for() -> None:
    asked, never = Decider(LABELS, DecideOptions(no_speech_after_s=2)), Decider(LABELS)
    found = {}
    for tick in range(60):
        now = tick / 10
        assert never.silence(now, speaking=False) is None
        if decision := asked.silence(now, speaking=now == 3.0):
            found[now] = decision
    nothing = dict.fromkeys(LABELS, 0.0)
    assert list(found.values()) == [
        Decision("no_speech", NO_SPEECH, False, nothing, 0.0, 2.0, False),
        Decision("no_speech", NO_SPEECH, False, nothing, 3.1, 5.1, False),
    ]


def test_a_silence_begins_where_the_last_utterance_ended() -> None:
    decider = Decider(LABELS, DecideOptions(no_speech_after_s=2))
    assert decider.silence(0.0, speaking=False) is None
    assert decider.decide("utterance", JOY, 0.5, 1.5, 1) is not None
    assert decider.silence(2.1, speaking=False) is None
    decision = decider.silence(3.5, speaking=False)
    assert decision is not None and (decision.start_s, decision.end_s) == (1.5, 3.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"smoothing_s": -1}, "smoothing_s is -1, expected 0 to 3600"),
        ({"smoothing_s": math.nan}, "smoothing_s is nan"),
        ({"switch_margin": 1.1}, "switch_margin is 1.1, expected 0 to 1"),
        ({"min_duration_s": "1"}, "min_duration_s is '1', expected a number"),
        ({"refractory_s": True}, "refractory_s is True, expected a number"),
        ({"smoothing_s": None}, "smoothing_s is None, expected a number"),
        ({"no_speech_after_s": -0.1}, "no_speech_after_s is -0.1"),
        ({"thresholds": {"joy": 2}}, r"thresholds\.joy is 2, expected 0 to 1"),
        ({"thresholds": {"joy": "x"}}, r"thresholds\.joy is 'x', expected a number"),
        ({"thresholds": [0.5]}, r"thresholds is \[0.5\], expected label = probability"),
    ],
)
def test_options_out_of_range_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^decide: {message}"):
        DecideOptions(**changes)
    with pytest.raises(CardError, match=f"^deciding: decide: {message}.*; correct the card"):
        DecideOptions.recommended(changes)


def test_a_card_recommends_what_it_names() -> None:
    card = {"smoothing_s": 2, "thresholds": {"joy": 0.4}, "no_speech_after_s": None, "new": [1]}
    assert DecideOptions.recommended(card) == DecideOptions(
        smoothing_s=2.0, thresholds={"joy": 0.4}
    )
    assert DecideOptions.recommended({}) == DecideOptions()


def test_an_event_is_json_with_times_in_utc() -> None:
    event = Event(
        sequence=7,
        kind="utterance",
        label="joy",
        uncertain=False,
        scores={"anger": 0.123456, "joy": 0.876544},
        start_s=1.23456,
        end_s=2.0,
        time=1_792_000_000.0625,
        level_dbfs=-23.456,
        latency_ms=41.26,
        dropped_samples=0,
        cut=False,
        model="plb",
        model_sha256="ab" * 32,
        source="USB",
    )
    assert json.loads(json.dumps(event.to_dict())) == {
        "sequence": 7,
        "kind": "utterance",
        "label": "joy",
        "uncertain": False,
        "scores": {"anger": 0.1235, "joy": 0.8765},
        "start_s": 1.235,
        "end_s": 2.0,
        "time": "2026-10-14T17:46:40.062Z",
        "level_dbfs": -23.5,
        "latency_ms": 41.3,
        "dropped_samples": 0,
        "cut": False,
        "model": "plb",
        "model_sha256": "ab" * 32,
        "source": "USB",
    }


def test_every_field_and_option_is_explained() -> None:
    first_cells = re.findall(r"^\| (`.+?`) \|", PAGE.read_text(), re.M)
    known = [field.name for cls in (Event, DecideOptions) for field in dataclasses.fields(cls)]
    assert re.findall(r"`(\w+)`", " ".join(first_cells)) == known


def test_the_example_of_the_documentation_is_an_event() -> None:
    (example,) = re.findall(r"^```json\n(.+)\n```$", PAGE.read_text(), re.M)
    assert list(json.loads(example)) == [field.name for field in dataclasses.fields(Event)]
