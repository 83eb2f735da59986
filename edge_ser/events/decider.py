"""`Decider`: which scores are worth an event.

The verdict on scores is the likeliest label; *uncertain* where its probability is below its
threshold. A lower-ranked label never takes its place.

- `utterance`: its verdict is reported.
- `partial`: the same, and nothing is remembered of it.
- `window`: each utterance begins anew. With t the time since the previous window,
  smoothed += (1 - exp(-t / smoothing_s)) * (scores - smoothed); the verdict is on the smoothed
  scores. A label takes the place of the decided one where it is certain and leads by
  `switch_margin`, in every window of `min_duration_s`. An uncertain verdict never does, but stands
  where no label was decided yet. What is decided is reported once, by the first window of which it
  is also the verdict.
- A result, a label certain or the same label uncertain, is not reported within `refractory_s` of
  its last report; a window that still says so afterwards reports it then.
- `no_speech` is reported once in a silence that lasts `no_speech_after_s`. Only `silence` does it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from edge_ser.errors import ConfigError
from edge_ser.events.event import EventKind
from edge_ser.events.options import DecideOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Decider", "Decision"]

UNCERTAIN = -1
"""The verdict that is no label's index."""
TOLERANCE_S = 1e-6
"""Sums of hops miss a duration by rounding errors; a sample is longer than this."""


@dataclass(frozen=True)
class Decision:
    """Scores that are worth an event."""

    kind: EventKind
    label: str
    uncertain: bool
    scores: dict[str, float]
    """Probability of every label, in the model's order; smoothed for `window`, 0 for
    `no_speech`."""
    start_s: float
    """Seconds of the stream at which what was classified begins."""
    end_s: float
    cut: bool
    """Audio was lost within it, or listening stopped."""


@dataclass
class _Track:
    """What is known of the utterance whose windows are coming in."""

    utterance: int
    scores: list[float]
    end_s: float
    decided: int | None = None
    reported: int | None = None
    candidate: int | None = None
    since_s: float = 0.0
    """End of the first window of which the candidate was the verdict."""


class Decider:
    """Makes decisions of scores, by the algorithm above: no clock inside, the same every time."""

    def __init__(
        self,
        labels: Sequence[str],
        options: DecideOptions | None = None,
        uncertain_below: float | None = None,
    ) -> None:
        """Prepare for one stream.

        Args:
            labels: in the order of the scores.
            options: durations, margin and thresholds; the defaults without.
            uncertain_below: a likeliest label below this probability is uncertain, if
                `options.thresholds` does not name it.

        Raises:
            ConfigError: `options.thresholds` names labels that the model does not have.
        """
        self._options = options or DecideOptions()
        self._labels = tuple(labels)
        thresholds = self._options.thresholds
        foreign = sorted(set(thresholds) - set(labels))
        if foreign:
            raise ConfigError(
                f"decide: thresholds names {', '.join(foreign)}, expected labels of the model: "
                f"{', '.join(labels)}"
            )
        self._least = [thresholds.get(label, uncertain_below or 0.0) for label in labels]
        self._track: _Track | None = None
        self._reports: dict[tuple[int, bool], float] = {}
        self._silent_since: float | None = None
        self._silence_reported = False

    def decide(
        self,
        kind: Literal["utterance", "window", "partial"],
        scores: Sequence[float] | NDArray[np.floating],
        start_s: float,
        end_s: float,
        utterance: int,
        cut: bool = False,
    ) -> Decision | None:
        """Decide on one piece of the stream; None where it is not worth an event.

        Args:
            kind: of the piece.
            scores: calibrated probability of every label, shape (labels,), finite.
            start_s: seconds of the stream at which the piece begins.
            end_s: seconds at which it ends; windows of one utterance come in this order.
            utterance: number of the utterance that it belongs to.
            cut: audio was lost within it, or listening stopped.
        """
        self._silent_since, self._silence_reported = end_s, False
        probabilities = [float(score) for score in scores]
        if kind == "window":
            return self._window(probabilities, start_s, end_s, utterance, cut)
        best, certain = self._verdict(probabilities)
        if kind == "utterance":
            if self._recent(best, certain, end_s):
                return None
            self._reports[best, certain] = end_s
        return self._decision(kind, probabilities, start_s, end_s, cut)

    def silence(self, now_s: float, speaking: bool) -> Decision | None:
        """`no_speech` once the silence has lasted, and None ever after until somebody speaks.

        A silence begins at the end of the last piece, or where it is first told of.

        Args:
            now_s: seconds of the stream until now.
            speaking: the gate is open, or audio was just lost: a silence begins anew.
        """
        if speaking:
            self._silent_since, self._silence_reported = None, False
            return None
        since = now_s if self._silent_since is None else self._silent_since
        self._silent_since = since
        after = self._options.no_speech_after_s
        if after is None or self._silence_reported or now_s - since < after - TOLERANCE_S:
            return None
        self._silence_reported = True
        nothing = dict.fromkeys(self._labels, 0.0)
        return Decision("no_speech", "no_speech", False, nothing, since, now_s, False)

    def _window(
        self, scores: list[float], start_s: float, end_s: float, utterance: int, cut: bool
    ) -> Decision | None:
        track = self._track
        if track is None or track.utterance != utterance:
            track = self._track = _Track(utterance, scores, end_s)
        else:
            self._smooth(track, scores, end_s)
        best, certain = self._verdict(track.scores)
        self._settle(track, best, certain)
        says = best if certain else UNCERTAIN
        if says != track.decided or says == track.reported or self._recent(best, certain, end_s):
            return None
        track.reported = says
        self._reports[best, certain] = end_s
        return self._decision("window", track.scores, start_s, end_s, cut)

    def _smooth(self, track: _Track, scores: list[float], end_s: float) -> None:
        """Move the smoothed scores towards new ones, by the time between the windows' ends."""
        smoothing = self._options.smoothing_s
        elapsed = max(0.0, end_s - track.end_s)
        weight = 1 - math.exp(-elapsed / smoothing) if smoothing else 1.0
        pairs = zip(track.scores, scores, strict=True)
        track.scores = [old + weight * (new - old) for old, new in pairs]
        track.end_s = end_s

    def _settle(self, track: _Track, best: int, certain: bool) -> None:
        """Decide anew where a candidate has held long enough."""
        says = best if certain else UNCERTAIN
        if track.decided is not None and track.decided != UNCERTAIN:
            lead = track.scores[best] - track.scores[track.decided]
            if not certain or lead <= 0 or lead < self._options.switch_margin:
                says = track.decided
        if says != track.candidate:
            track.candidate, track.since_s = says, track.end_s
        if track.end_s - track.since_s >= self._options.min_duration_s - TOLERANCE_S:
            track.decided = says

    def _verdict(self, scores: list[float]) -> tuple[int, bool]:
        """Index of the likeliest label, the first of equals, and whether it is certain."""
        best = max(range(len(scores)), key=scores.__getitem__)
        return best, scores[best] >= self._least[best]

    def _recent(self, best: int, certain: bool, end_s: float) -> bool:
        """The same result was reported within the refractory time."""
        last = self._reports.get((best, certain))
        return last is not None and end_s - last < self._options.refractory_s - TOLERANCE_S

    def _decision(
        self, kind: EventKind, scores: list[float], start_s: float, end_s: float, cut: bool
    ) -> Decision:
        best, certain = self._verdict(scores)
        named = dict(zip(self._labels, scores, strict=True))
        return Decision(kind, self._labels[best], not certain, named, start_s, end_s, cut)
