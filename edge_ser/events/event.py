"""`Event`, what listening reports, and `Status`, what it says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

__all__ = ["Event", "EventKind", "State", "Status"]

EventKind = Literal["utterance", "window", "partial", "no_speech"]
State = Literal["starting", "warming", "listening", "paused", "degraded", "ended", "failed"]


@dataclass(frozen=True)
class Event:
    """One result of listening."""

    sequence: int
    """Number of the event since listening began, from 1."""
    kind: EventKind
    label: str
    """The decided label; `no_speech` for a silence that was asked to be reported."""
    uncertain: bool
    """The highest score is below the threshold."""
    scores: dict[str, float]
    """Calibrated, smoothed probability of every label; all 0 for `no_speech`."""
    start_s: float
    """Seconds of the stream at which what was classified begins; lost audio counts."""
    end_s: float
    time: float
    """Seconds since the epoch at `start_s`, by the clock as it is set when the event is made."""
    level_dbfs: float
    """Active speech level of what was classified, in dB re full scale, as it came in."""
    latency_ms: float
    """Milliseconds from the capture of the last sample to the event."""
    dropped_samples: int
    """Samples lost since listening began, at the model's rate."""
    cut: bool
    """Audio was lost within it, or listening stopped."""
    model: str
    """Name in the model's card."""
    model_sha256: str
    """`payload_sha256` of the card."""
    source: str
    """Name of the microphone or file."""

    def to_dict(self) -> dict[str, Any]:
        """JSON values; the wall-clock time as ISO 8601 in UTC."""
        moment = datetime.fromtimestamp(self.time, UTC)
        return {
            "sequence": self.sequence,
            "kind": self.kind,
            "label": self.label,
            "uncertain": self.uncertain,
            "scores": {label: round(score, 4) for label, score in self.scores.items()},
            "start_s": round(self.start_s, 3),
            "end_s": round(self.end_s, 3),
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level_dbfs": round(self.level_dbfs, 1),
            "latency_ms": round(self.latency_ms, 1),
            "dropped_samples": self.dropped_samples,
            "cut": self.cut,
            "model": self.model,
            "model_sha256": self.model_sha256,
            "source": self.source,
        }


@dataclass(frozen=True)
class Status:
    """What a listener says of itself at one moment."""

    state: State
    causes: tuple[str, ...] = ()
    """Why it is degraded or failed, or what it waits for; newest last."""
    source: str = ""
    stream_s: float = 0.0
    """Seconds of audio since listening began, lost audio included."""
    level_dbfs: float = -120.0
    """Level of the last block."""
    floor_dbfs: float = -120.0
    """The gate's noise floor."""
    speaking: bool = False
    """The gate is open."""
    muted: bool = False
    events: int = 0
    dropped_samples: int = 0
    skipped_s: float = 0.0
    """Seconds of speech that were not classified because inference was too slow."""
    sink_drops: dict[str, int] = field(default_factory=dict)
    """Events that a sink could not take, by sink."""
    faults: dict[str, int] = field(default_factory=dict)
    """How often each kind of fault was met."""
    latency_ms: float = 0.0
    """Of the last event."""
