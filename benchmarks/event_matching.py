"""Events held against what was said: which are right, late, missing or false."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .streams import Truth

__all__ = ["Heard", "Outcome", "Spoke", "Whose", "match", "most_overlapping", "newest", "summary"]


@dataclass(frozen=True)
class Heard:
    """An event, seconds of the stream."""

    label: str
    start_s: float
    end_s: float
    now_s: float


@dataclass(frozen=True)
class Spoke:
    """An utterance of the stream, and what was made of it."""

    label: str
    start_s: float
    end_s: float
    events: tuple[Heard, ...]

    @property
    def named(self) -> bool:
        """Its last event has its label."""
        return bool(self.events) and self.events[-1].label == self.label


@dataclass(frozen=True)
class Outcome:
    """What one way made of a stream."""

    spoken: tuple[Spoke, ...]
    false: int
    quiet_s: float
    """Seconds in which nobody spoke."""


Whose = Callable[[Heard, NDArray[np.float64]], int | None]
"""The number of the utterance that an event is about, of spans in seconds; None for a false one."""


def most_overlapping(event: Heard, spans: NDArray[np.float64]) -> int | None:
    """The utterance of which most was classified."""
    shared = np.minimum(spans[:, 1], event.end_s) - np.maximum(spans[:, 0], event.start_s)
    best = int(shared.argmax())
    return best if shared[best] > 0 else None


def newest(event: Heard, spans: NDArray[np.float64]) -> int | None:
    """The utterance that had begun last when the event came, if any was classified."""
    if most_overlapping(event, spans) is None:
        return None
    return int(np.searchsorted(spans[:, 0], event.now_s)) - 1


def match(
    events: Iterable[Heard],
    truths: Sequence[Truth],
    seconds: float,
    rate: int,
    whose: Whose = most_overlapping,
) -> Outcome:
    """Give each event to its utterance.

    Args:
        events: in order.
        truths: what was said, at least one utterance.
        seconds: length of the stream.
        rate: hertz, of the positions in `truths`.
        whose: chooses the utterance.
    """
    spans = np.array([(truth.start / rate, truth.end / rate) for truth in truths])
    given: list[list[Heard]] = [[] for _ in truths]
    false = 0
    for event in events:
        number = whose(event, spans)
        if number is None:
            false += 1
        else:
            given[number].append(event)
    rows = zip(truths, given, strict=True)
    spoke = tuple(
        Spoke(truth.utterance.label, truth.start / rate, truth.end / rate, tuple(own))
        for truth, own in rows
    )
    return Outcome(spoke, false, seconds - float((spans[:, 1] - spans[:, 0]).sum()))


def summary(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Figures over some streams; NaN for what is of events where there are none."""
    spoke = [spoken for outcome in outcomes for spoken in outcome.spoken]
    pairs = [(event, utterance) for utterance in spoke for event in utterance.events]
    right = [float(event.label == utterance.label) for event, utterance in pairs] or [math.nan]
    delays = [event.now_s - utterance.end_s for event, utterance in pairs] or [math.nan]
    first = [u.events[0].now_s - u.end_s for u in spoke if u.events] or [math.nan]
    quiet_h = sum(outcome.quiet_s for outcome in outcomes) / 3600
    named = sum(utterance.named for utterance in spoke)
    return {
        "utterances": len(spoke),
        "events": len(pairs) + sum(outcome.false for outcome in outcomes),
        "accuracy_of_events": float(np.mean(right)),
        "utterances_named": named / len(spoke),
        "utterances_without_event": sum(not u.events for u in spoke) / len(spoke),
        "events_per_utterance": len(pairs) / len(spoke),
        "delay_median_s": float(np.median(delays)),
        "delay_p95_s": float(np.percentile(delays, 95)),
        "first_delay_median_s": float(np.median(first)),
        "false_per_quiet_hour": sum(outcome.false for outcome in outcomes) / quiet_h,
        "quiet_hours": quiet_h,
    }
