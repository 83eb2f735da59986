"""Options of the speech gate: decibels and milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from edge_ser.errors import CardError, ConfigError

__all__ = ["GateOptions", "frame_samples"]

# A card may come from anyone: frames of 1 ms are the most that a long recording is looked at in.
FRAME_MS = (1.0, 1000.0)
DURATION_MS = (0.0, 60_000.0)
DECIBELS = (-200.0, 200.0)
RISE = (0.0, 1000.0)
PROBABILITY = (0.0, 1.0)


@dataclass(frozen=True)
class GateOptions:
    """Two thresholds above a noise floor that follows what is there between utterances.

    Sound is looked at in half-octave bands, each with a floor of its own; what counts is the band
    that is most above its floor.
    """

    frame_ms: float = 10.0
    """Milliseconds; length of the frames whose levels are measured."""
    smooth_ms: float = 80.0
    """Milliseconds over which the levels (in decibels) are averaged: clicks and ripple weigh
    little."""
    enter_db: float = 10.0
    """Decibels above the noise floor at which speech begins."""
    leave_db: float = 6.0
    """Decibels above the noise floor below which it ends."""
    minimum_dbfs: float = -60.0
    """Decibels re full scale; nothing quieter begins an utterance, however quiet the room."""
    quiet_dbfs: float = -80.0
    """Decibels re full scale; a band that is quieter counts as this loud."""
    min_speech_ms: float = 100.0
    """Milliseconds above `enter_db` that make an utterance."""
    min_silence_ms: float = 400.0
    """Milliseconds below `leave_db` that end one; a shorter pause belongs to it."""
    padding_ms: float = 100.0
    """Milliseconds kept on both sides, at most `min_silence_ms`; the rest of the closing silence is
    not kept."""
    onset_ms: float = 300.0
    """Milliseconds within which `min_speech_ms` must lie; an utterance begins no earlier, padding
    aside."""
    floor_ms: float = 2000.0
    """Milliseconds; time constant with which the noise floor follows the levels between utterances,
    and falls within them."""
    floor_rise_db_per_s: float = 1.5
    """Decibels per second by which the noise floor may rise within an utterance."""
    floor_start_ms: float = 1000.0
    """Milliseconds whose quieter levels give the first noise floor; nothing is told before."""
    silero_enter: float = 0.5
    """Probability of speech, 0 to 1, at which it begins. Gate silero only."""
    silero_leave: float = 0.35
    """Probability of speech, 0 to 1, below which it ends. Gate silero only."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value, (low, high) = getattr(self, field.name), _bounds(field.name)
            if not low <= value <= high:
                raise ConfigError(f"gate: {field.name} is {value}, expected {low:g} to {high:g}")
        if self.leave_db > self.enter_db:
            raise ConfigError(
                f"gate: leave_db {self.leave_db} is above enter_db {self.enter_db}; "
                "lower it, or the gate flickers"
            )
        if self.silero_leave > self.silero_enter:
            raise ConfigError(
                f"gate: silero_leave {self.silero_leave} is above silero_enter "
                f"{self.silero_enter}; lower it, or the gate flickers"
            )

    @classmethod
    def recommended(cls, values: Mapping[str, object]) -> GateOptions:
        """The options that a card recommends; what it does not name keeps its default.

        Raises:
            CardError: a value is no number or out of range.
        """
        known = {f.name: values[f.name] for f in fields(cls) if f.name in values}
        for name, value in known.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise CardError(
                    f"segmenting: {name} is {value!r}, expected a number; correct the card"
                )
        try:
            return cls(**{name: float(str(value)) for name, value in known.items()})
        except ConfigError as error:
            raise CardError(f"segmenting: {error}; correct the card") from error

    def frames(self, duration: str) -> int:
        """A duration, by its field's name, in whole frames, at least one."""
        return max(1, round(float(getattr(self, duration)) / self.frame_ms))


def _bounds(name: str) -> tuple[float, float]:
    """Least and largest value of an option, by its unit."""
    if name == "frame_ms":
        return FRAME_MS
    if name.endswith("_per_s"):
        return RISE
    if name.startswith("silero_"):
        return PROBABILITY
    return DURATION_MS if name.endswith("_ms") else DECIBELS


def frame_samples(rate: int, options: GateOptions) -> int:
    """Samples in one gate frame at `rate` hertz."""
    return max(1, round(rate * options.frame_ms / 1000))
