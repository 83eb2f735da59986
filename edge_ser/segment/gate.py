"""Speech gate for recordings: which stretches hold speech, by adaptive energy. Array form."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edge_ser.segment.decisions import Decisions
from edge_ser.segment.options import GateOptions

__all__ = ["speech_segments"]


def speech_segments(
    levels: NDArray[np.float64], options: GateOptions | None = None
) -> list[tuple[int, int]]:
    """Stretches of speech as (first frame, frame after the last), padded, in order, disjoint.

    Args:
        levels: as `frame_levels` gives them, shape (frames, 1 + bands); or one level for every
            frame in dB re full scale, shape (frames,).
        options: thresholds and durations; the defaults without.
    """
    if levels.ndim == 1:
        levels = np.stack([levels, levels], axis=1)
    decisions = Decisions(options or GateOptions())
    turns = [*decisions.process(levels), *decisions.end_run()]
    return [(left.frame, right.frame) for left, right in pairwise(turns) if left.opens]
