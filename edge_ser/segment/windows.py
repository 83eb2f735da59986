"""Cutting: stretches longer than a model's clip become overlapping pieces."""

from __future__ import annotations

import math

__all__ = ["CROP_LIMIT", "piece_hop", "split_pieces"]

CROP_LIMIT = 1.25
"""Stretches up to this many clips are centre-cropped as in training; longer ones are cut."""


def split_pieces(
    start: int, end: int, longest: int, overlap: float = 0.25, limit: float = CROP_LIMIT
) -> list[tuple[int, int]]:
    """Pieces of [start, end): of `longest` each, then a last one of up to `limit` times that.

    Where to cut depends only on what came before, so that a stream can be cut as it arrives. The
    last piece is longer than (limit - 1 + overlap) times `longest`, unless it is the only one.

    Args:
        start: first sample.
        end: sample after the last.
        longest: samples in all pieces but the last, at least 1.
        overlap: share of a piece that the next one repeats, in [0, 1).
        limit: how much longer than `longest` the last may be, at least 1.

    >>> split_pieces(0, 100, 40)
    [(0, 40), (30, 70), (60, 100)]
    >>> split_pieces(0, 111, 40)
    [(0, 40), (30, 70), (60, 100), (90, 111)]
    >>> split_pieces(5, 55, 40)
    [(5, 55)]
    """
    hop = piece_hop(longest, overlap)
    pieces = []
    while end - start > limit * longest:
        pieces.append((start, start + longest))
        start += hop
    return [*pieces, (start, end)]


def piece_hop(longest: int, overlap: float) -> int:
    """Samples from one piece's start to the next one's, at least 1."""
    return max(1, math.floor(longest * (1 - overlap)))
