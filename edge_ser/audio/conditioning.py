"""Conditioning: level and length as in the training speech."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from edge_ser.audio.clip import Samples

__all__ = ["active_level", "fit", "level_gain", "set_level"]

LEVEL_FRAME = 512
"""Samples over which `active_level` averages: 23 ms at 22,050 Hz."""
LEVEL_MARGIN = 10 ** (15.9 / 10)
"""Power ratio of ITU-T P.56: speech is what is less than 15.9 dB below its own level."""
SILENCE_DBFS = -100.0
"""Below this, under the noise of any 16-bit recording, there is nothing to set a level by."""


def set_level(samples: Samples, target_dbfs: float) -> tuple[Samples, float]:
    """Samples at an active speech level of `target_dbfs`, and the gain in dB that this took.

    Silence stays as it is, with gain 0. Nothing is clipped: peaks may exceed 1.
    """
    gain_db = level_gain(samples, target_dbfs)
    return (samples * np.float32(10 ** (gain_db / 20)) if gain_db else samples), gain_db


def level_gain(samples: Samples, target_dbfs: float) -> float:
    """Gain in dB that brings the active speech level to `target_dbfs`; 0 for silence."""
    level = active_level(samples)
    return 0.0 if level == -math.inf else target_dbfs - level


def active_level(samples: Samples) -> float:
    """Level of the speech in a clip, in dB relative to a mean square of 1; -inf for silence.

    Method B of ITU-T P.56 on frames of 512 samples instead of an envelope, without its hangover:
    the clip's whole energy over the time during which speech is active, and active is what lies
    less than 15.9 dB below that very level. So pauses around and within the speech do not lower it
    as they lower a plain mean square, and a click does not raise it as it raises a peak. The mean
    (an offset of the converter) does not count.
    """
    if len(samples) == 0:
        return -math.inf
    squares = (samples - samples.mean(dtype=np.float64)) ** 2
    starts = np.arange(0, len(squares), LEVEL_FRAME)
    energies = np.add.reduceat(squares, starts)
    lengths = np.diff(starts, append=len(squares))
    loudest_first = np.argsort(-energies / lengths, kind="stable")
    powers = (energies / lengths)[loudest_first]
    levels = energies.sum() / np.cumsum(lengths[loudest_first])
    # The largest number of frames that are all active. There is one: by the harmonic sum, some
    # k frames have k times their least power >= total / ln(frames), and ln(frames) is under 38.9.
    active = np.flatnonzero(powers * LEVEL_MARGIN >= levels)[-1]
    power = float(levels[active])
    decibels = 10 * math.log10(power) if power > 0 else -math.inf
    return decibels if decibels >= SILENCE_DBFS else -math.inf


def fit(samples: Samples, length: int, side: Literal["both", "end"] = "both") -> Samples:
    """Exactly `length` samples: padded with zeros, or cropped (then a view).

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
