"""Cutting: stretches longer than a model's clip become overlapping pieces."""

from __future__ import annotations

import math

__all__ = ["split_evenly"]


def split_evenly(
    start: int, end: int, longest: int, overlap: float = 0.25
) -> list[tuple[int, int]]:
    """Pieces of [start, end) of at most `longest`, evenly spaced, overlapping by `overlap` or more.

    Args:
        start: first sample.
        end: sample after the last.
        longest: most samples in a piece, at least 1.
        overlap: least share of a piece that the next one repeats, in [0, 1).

    >>> split_evenly(0, 100, 40, 0.25)
    [(0, 40), (30, 70), (60, 100)]
    >>> split_evenly(5, 30, 40)
    [(5, 30)]
    """
    length = end - start
    if length <= longest:
        return [(start, end)]
    hop = max(1, math.floor(longest * (1 - overlap)))
    steps = math.ceil((length - longest) / hop)
    starts = [start + round(i * (length - longest) / steps) for i in range(steps + 1)]
    return [(first, first + longest) for first in starts]
