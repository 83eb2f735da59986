"""`Clip`, mono audio in memory, and `Recording`, what it shares with an open file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_ser.errors import AudioError

__all__ = [
    "MAX_CHANNELS",
    "MAX_RATE",
    "MIN_RATE",
    "Clip",
    "Recording",
    "Samples",
    "as_clip",
    "check_layout",
    "downmix",
]

Samples = NDArray[np.float32]

MIN_RATE = 1_000
MAX_RATE = 768_000
MAX_CHANNELS = 64


class Recording(Protocol):
    """Mono audio that is read piece by piece: an open file, or a clip in memory."""

    @property
    def rate(self) -> int:
        """Hertz."""

    @property
    def length(self) -> int:
        """Samples."""

    def read(self, start: int, count: int) -> Samples:
        """Samples `start` to `start + count`, fewer at the end."""


@dataclass(frozen=True, eq=False)
class Clip:
    """Mono audio."""

    samples: Samples
    """float32, shape (n,), nominally in [-1, 1]."""
    rate: int
    """Hertz."""

    @property
    def length(self) -> int:
        """Samples."""
        return len(self.samples)

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return len(self.samples) / self.rate

    def read(self, start: int, count: int) -> Samples:
        """Samples `start` to `start + count`, fewer at the end; a view, not a copy."""
        return self.samples[start : start + count]

    def digest(self) -> str:
        """16 hexadecimal digits that name the audio, whatever lossless file it came from.

        SHA-256 of the samples as little-endian float32 and of the rate as an 8-byte integer.
        """
        content = hashlib.sha256(self.samples.astype("<f4").tobytes())
        content.update(self.rate.to_bytes(8, "little"))
        return content.hexdigest()[:16]


def as_clip(samples: NDArray[Any], rate: int) -> Clip:
    """A clip of an array, checked as a decoded file is.

    Args:
        samples: shape (n,), or (n, channels) to be downmixed; floating point in [-1, 1], int8,
            int16 or int32 (full scale is the type's own), or uint8 (silence is 128).
        rate: Hertz.

    Raises:
        AudioError: no sample, a sample that is not finite, or a shape, type, rate or channel count
            that is no audio.
    """
    array = np.asarray(samples)
    if array.ndim not in (1, 2):
        raise AudioError(
            f"samples have shape {array.shape}, expected (n,) or (n, channels): reshape the array"
        )
    rate = _whole(rate)
    check_layout("samples", rate, 1 if array.ndim == 1 else array.shape[1])
    if not array.size:
        raise AudioError("the array holds no samples, expected at least one: check its source")
    scaled = _as_float(array)
    mono = downmix(scaled) if array.ndim == 2 else scaled
    if not np.isfinite(mono).all():
        raise AudioError(
            "a sample is NaN or infinite, expected finite values: repair the recording"
        )
    return Clip(mono, rate)


def downmix(samples: Samples) -> Samples:
    """Mean over channels, (n, channels) -> (n,); all channels count the same, as in librosa."""
    if samples.shape[1] == 1:
        return samples[:, 0]
    # Inputs too large for float32 become infinite here; whoever reads refuses them by name.
    with np.errstate(over="ignore", invalid="ignore"):
        mono: Samples = samples.mean(axis=1)
    return mono


def check_layout(shown: str, rate: int, channels: int) -> None:
    """Refuse a sampling rate or channel count that no recording of speech has."""
    if not MIN_RATE <= rate <= MAX_RATE:
        raise AudioError(
            f"{shown}: the rate is {rate} Hz, expected {MIN_RATE} to {MAX_RATE}: resample it, "
            "or correct its header"
        )
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioError(
            f"{shown}: {channels} channels, expected 1 to {MAX_CHANNELS}: "
            "extract those that hold the voice"
        )


def _whole(rate: object) -> int:
    """The rate as int, also where it is a float or numpy's number of the same value."""
    if isinstance(rate, int | np.integer):
        return int(rate)
    if isinstance(rate, float | np.floating) and float(rate).is_integer():
        return int(rate)
    raise AudioError(f"the rate is {rate!r}, expected whole hertz: round it")


def _as_float(array: NDArray[Any]) -> Samples:
    if np.issubdtype(array.dtype, np.floating):
        with np.errstate(over="ignore"):
            return array.astype(np.float32)
    if array.dtype == np.uint8:
        return ((array - 128.0) / 128).astype(np.float32)
    # int64 is what numpy makes of a list of any integers: its full scale is nobody's.
    if np.issubdtype(array.dtype, np.signedinteger) and array.dtype.itemsize <= 4:
        scale = 2.0 ** (8 * array.dtype.itemsize - 1)
        return (array / scale).astype(np.float32)
    raise AudioError(
        f"samples are {array.dtype}, expected floating point in [-1, 1], int16, int32, int8 or "
        "uint8, which tell the full scale: convert them, as by .astype(np.int16)"
    )
