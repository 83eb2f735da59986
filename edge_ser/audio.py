"""Clips: decoding, downmixing, resampling, conditioning and fitting to length."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_ser.errors import AudioError

__all__ = ["Clip", "fit", "read_clip", "resample"]

Samples = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Clip:
    """Mono audio."""

    samples: Samples
    """float32, shape (n,), nominally in [-1, 1]."""
    rate: int
    """Hertz."""

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return len(self.samples) / self.rate


def read_clip(path: str) -> Clip:
    """Decode a whole file and mix it down to mono."""
    import soundfile

    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise AudioError(f"{path}: {error}") from error
    return Clip(samples.mean(axis=1), rate)


def resample(clip: Clip, rate: int, quality: str = "soxr_hq") -> Clip:
    """The clip at `rate`, one-shot, of ceil(n * ratio) samples as librosa makes it."""
    if clip.rate == rate:
        return clip
    import soxr

    samples = soxr.resample(clip.samples, clip.rate, rate, quality.removeprefix("soxr_").upper())
    wanted = math.ceil(len(clip.samples) * (float(rate) / clip.rate))
    return Clip(fit(samples, wanted, "end"), rate)


def fit(samples: Samples, length: int, side: Literal["both", "end"] = "both") -> Samples:
    """Exactly `length` samples: padded with zeros, or cropped.

    both: the clip is centred, an odd zero goes to the right, a crop starts at (n - length) // 2.
    end: zeros follow the clip, a crop keeps its start.
    """
    excess = len(samples) - length
    if excess >= 0:
        start = excess // 2 if side == "both" else 0
        return samples[start : start + length]
    left = -excess // 2 if side == "both" else 0
    fitted = np.zeros(length, dtype=np.float32)
    fitted[left : left + len(samples)] = samples
    return fitted
