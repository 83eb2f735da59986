"""Speech gate: which stretches of a recording hold speech, by adaptive energy. Array form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from edge_ser.errors import CardError, ConfigError

__all__ = ["GateOptions", "frame_levels", "frame_samples", "speech_segments"]

SILENCE_DB = -120.0

# A card may come from anyone: frames of 1 ms are the most that a long recording is looked at in.
FRAME_MS = (1.0, 1000.0)
DURATION_MS = (0.0, 60_000.0)
DECIBELS = (-200.0, 200.0)
RISE = (0.0, 1000.0)


@dataclass(frozen=True)
class GateOptions:
    """Two thresholds above a noise floor that follows the quietest frames."""

    frame_ms: float = 10.0
    """Milliseconds; length of the frames whose level is measured."""
    enter_db: float = 15.0
    """Decibels above the noise floor at which speech begins."""
    leave_db: float = 9.0
    """Decibels above the noise floor below which it ends."""
    minimum_dbfs: float = -60.0
    """Decibels re full scale; nothing quieter is speech, however quiet the room."""
    min_speech_ms: float = 80.0
    """Milliseconds above `enter_db` that make an utterance."""
    min_silence_ms: float = 400.0
    """Milliseconds below `leave_db` that end one; a shorter pause belongs to it."""
    padding_ms: float = 100.0
    """Milliseconds kept on both sides; the rest of the closing silence is not kept."""
    floor_rise_db_per_s: float = 1.5
    """Decibels per second by which the noise floor may rise; it falls at once."""
    floor_start_ms: float = 1000.0
    """Milliseconds whose quietest frame gives the first noise floor."""

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


def _bounds(name: str) -> tuple[float, float]:
    """Least and largest value of an option, by its unit."""
    if name == "frame_ms":
        return FRAME_MS
    if name.endswith("_per_s"):
        return RISE
    return DURATION_MS if name.endswith("_ms") else DECIBELS


def frame_samples(rate: int, options: GateOptions) -> int:
    """Samples in one gate frame at `rate` hertz."""
    return max(1, round(rate * options.frame_ms / 1000))


def frame_levels(samples: NDArray[np.float32], frame: int) -> NDArray[np.float64]:
    """Level of each whole frame of `frame` samples, in dB re full scale, at least -120.

    It is the frame's standard deviation, so a microphone's DC offset is not taken for sound.
    """
    count = len(samples) // frame
    variance = samples[: count * frame].reshape(count, frame).var(axis=1, dtype=np.float64)
    levels: NDArray[np.float64] = 10 * np.log10(np.maximum(variance, 10 ** (SILENCE_DB / 10)))
    return levels


def speech_segments(
    levels: NDArray[np.float64], options: GateOptions | None = None
) -> list[tuple[int, int]]:
    """Stretches of speech as (first frame, frame after the last), padded, in order, disjoint.

    Args:
        levels: level of every frame in dB re full scale, shape (frames,).
        options: thresholds and durations; the defaults without.
    """
    options = options or GateOptions()
    if not len(levels):
        return []
    raw = _utterances(zip(levels, _noise_floor(levels, options), strict=True), options)
    padding = round(options.padding_ms / options.frame_ms)
    segments: list[tuple[int, int]] = []
    for start, end in raw:
        start, end = max(0, start - padding), min(len(levels), end + padding)
        if segments and start < segments[-1][1]:
            start = segments[-1][1]
        segments.append((start, end))
    return segments


def _noise_floor(levels: NDArray[np.float64], options: GateOptions) -> Iterator[float]:
    """Noise floor at each frame: the quietest level, rising slowly while nothing is that quiet."""
    rise = options.floor_rise_db_per_s * options.frame_ms / 1000
    start = max(1, round(options.floor_start_ms / options.frame_ms))
    floor = float(levels[:start].min())
    for level in levels:
        floor = min(float(level), floor + rise)
        yield floor


def _utterances(
    frames: Iterable[tuple[float, float]], options: GateOptions
) -> Iterator[tuple[int, int]]:
    """(first frame, frame after the last) of each utterance among (level, noise floor) frames."""
    min_speech = max(1, round(options.min_speech_ms / options.frame_ms))
    min_silence = max(1, round(options.min_silence_ms / options.frame_ms))
    start: int | None = None
    loud, last = 0, 0
    for position, (level, floor) in enumerate(frames):
        if level >= max(floor + options.leave_db, options.minimum_dbfs):
            start = position if start is None else start
            last = position
            loud += level >= floor + options.enter_db
        elif start is not None and position - last >= min_silence:
            if loud >= min_speech:
                yield start, last + 1
            start, loud = None, 0
    if start is not None and loud >= min_speech:
        yield start, last + 1
