"""Speech gate: which stretches of a recording hold speech, by adaptive energy. Array form."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edge_ser.segment.decisions import Decisions
from edge_ser.segment.options import GateOptions

__all__ = ["frame_levels", "speech_segments"]

SILENCE_DB = -120.0


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
    decisions = Decisions(options or GateOptions())
    turns = [*decisions.process(map(float, levels)), *decisions.end_run()]
    return [(left.frame, right.frame) for left, right in pairwise(turns) if left.opens]
