"""`benchmarks/event_matching.py`: which utterance an event is about, and what is false or late."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from edge_ser.benchmarks.event_matching import Heard, match, newest, summary
from edge_ser.benchmarks.streams import Truth

from edge_ser.corpora import Utterance

RATE = 100


def said(label: str, start_s: float, end_s: float) -> Truth:
    span = round(start_s * RATE), round(end_s * RATE)
    return Truth(Utterance(Path(f"{label}.wav"), label), *span, *span)


TRUTHS = [said("anger", 1, 3), said("fear", 5, 8)]


def test_an_event_is_about_what_it_overlaps_most() -> None:
    outcome = match([Heard("fear", 2.5, 7.0, 7.1)], TRUTHS, 10, RATE)
    assert [len(spoke.events) for spoke in outcome.spoken] == [0, 1]
    assert outcome.false == 0


def test_an_event_that_overlaps_nothing_is_false() -> None:
    outcome = match([Heard("fear", 3.0, 5.0, 5.5), Heard("fear", 8, 9, 9)], TRUTHS, 10, RATE)
    assert [spoke.events for spoke in outcome.spoken] == [(), ()]
    assert outcome.false == 2
    assert outcome.quiet_s == pytest.approx(5.0)


def test_the_newest_utterance_is_the_one_that_began_last() -> None:
    events = [Heard("fear", 1, 5.5, 5.5), Heard("fear", 2, 4, 4.5), Heard("fear", 8, 9, 9)]
    outcome = match(events, TRUTHS, 10, RATE, newest)
    assert [spoke.events for spoke in outcome.spoken] == [(events[1],), (events[0],)]
    assert outcome.false == 1


def test_the_last_event_names_an_utterance() -> None:
    events = [Heard("anger", 1, 2, 2.0), Heard("fear", 1, 3, 3.4), Heard("fear", 5, 8, 8.4)]
    first, second = match(events, TRUTHS, 10, RATE).spoken
    assert not first.named
    assert second.named


def test_figures_are_over_all_streams() -> None:
    heard = [Heard("anger", 1, 2, 2.5), Heard("sadness", 1, 3, 3.5), Heard("fear", 9, 9.5, 10)]
    figures = summary([match(heard, TRUTHS, 10, RATE), match([], TRUTHS, 3610, RATE)])
    assert figures["utterances"] == 4
    assert figures["events"] == 3
    assert figures["accuracy_of_events"] == 0.5
    assert figures["utterances_named"] == 0
    assert figures["utterances_without_event"] == 0.75
    assert figures["events_per_utterance"] == 0.5
    assert figures["delay_median_s"] == pytest.approx(0.0)
    assert figures["first_delay_median_s"] == pytest.approx(-0.5)
    assert figures["false_per_quiet_hour"] == pytest.approx(1 / (3610 / 3600))


def test_no_event_at_all_is_no_number() -> None:
    figures = summary([match([], TRUTHS, 10, RATE)])
    assert figures["utterances_without_event"] == 1
    assert math.isnan(figures["accuracy_of_events"])
    assert math.isnan(figures["delay_median_s"])
