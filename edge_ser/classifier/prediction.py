"""`Prediction`: what a model says of one recording, and how long each stage took."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from edge_ser.card.checks import NO_SPEECH
from edge_ser.errors import EdgeSerError

__all__ = ["NO_SPEECH", "Outcome", "Prediction", "Segment", "Stopwatch"]


@dataclass(frozen=True)
class Segment:
    """One stretch of speech in a long recording."""

    start_s: float
    """Seconds from the start of the recording."""
    end_s: float
    label: str
    scores: dict[str, float]


@dataclass(frozen=True)
class Prediction:
    """What a model says of one recording."""

    label: str
    """The likeliest label, or `no_speech` where a long recording holds none."""
    scores: dict[str, float]
    """Calibrated probability of every label, in the card's order.

    They add up to 1, or are all 0 for `no_speech`.
    """
    uncertain: bool
    """The highest score is below the card's threshold."""
    seconds: float
    """Length of the recording."""
    gain_db: float
    """Decibels added to bring the speech to the training level; the mean over segments."""
    timings: dict[str, float]
    """Milliseconds spent in load, resample, frontend, model, post, and in all: total."""
    segments: tuple[Segment, ...] = ()
    """Empty for a recording that is one clip."""

    def to_dict(self) -> dict[str, Any]:
        """JSON values; scores to 4 digits, times to the millisecond, timings to the microsecond."""
        return {
            "label": self.label,
            "scores": _rounded(self.scores, 4),
            "uncertain": self.uncertain,
            "seconds": round(self.seconds, 3),
            "gain_db": round(self.gain_db, 2),
            "segments": [
                {
                    "start_s": round(s.start_s, 3),
                    "end_s": round(s.end_s, 3),
                    "label": s.label,
                    "scores": _rounded(s.scores, 4),
                }
                for s in self.segments
            ],
            "timings_ms": _rounded(self.timings, 3),
        }


@dataclass(frozen=True)
class Outcome:
    """What became of one file of many: a prediction or the error that it met."""

    path: str
    prediction: Prediction | None = None
    error: EdgeSerError | None = None


@dataclass
class Stopwatch:
    """Milliseconds by stage: `lap` adds the time since the last lap to a stage."""

    stages: dict[str, float] = field(default_factory=dict)
    _last: float = field(default_factory=time.perf_counter)

    def lap(self, stage: str) -> None:
        """Charge the time since the last lap to `stage`."""
        now = time.perf_counter()
        self.stages[stage] = self.stages.get(stage, 0.0) + (now - self._last) * 1000
        self._last = now

    def total(self) -> dict[str, float]:
        """All stages and their sum."""
        return {**self.stages, "total": sum(self.stages.values())}


def _rounded(values: dict[str, float], digits: int) -> dict[str, float]:
    return {key: round(value, digits) for key, value in values.items()}
