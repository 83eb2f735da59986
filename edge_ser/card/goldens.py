"""Goldens: numbers with tolerances that any machine can compute again and compare."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge_ser.card.checks import MAX_CLIP_SAMPLES, check_hash, require, within

__all__ = ["GoldenFeatures", "Goldens"]

MAX_AXIS = 1 << 24
MAX_GOLDEN_VALUES = 4096


@dataclass(frozen=True)
class GoldenFeatures:
    """Features of the test signal at some places of one block."""

    shape: tuple[int, ...]
    """Of the whole block, without batch and channel."""
    positions: tuple[int, ...]
    """Places in the flattened block, row by row."""
    values: tuple[float, ...]
    tolerance: float
    """Largest difference allowed, in the unit of the features."""

    def __post_init__(self) -> None:
        require(
            1 <= len(self.shape) <= 4 and all(1 <= n <= MAX_AXIS for n in self.shape),
            f"goldens: a block of shape {self.shape[:5]}, expected 1 to 4 axes of 1 or more",
        )
        size = math.prod(self.shape)
        require(
            len(self.positions) == len(self.values) and len(self.values) <= MAX_GOLDEN_VALUES,
            f"goldens: {len(self.positions)} positions and {len(self.values)} values, expected "
            f"as many of each and at most {MAX_GOLDEN_VALUES}",
        )
        require(
            all(0 <= position < size for position in self.positions),
            f"goldens: a position outside a block of {size} values",
        )
        within("goldens: tolerance of features", self.tolerance, 0, 1e6)


@dataclass(frozen=True)
class Goldens:
    """Expected results for a signal made by integer arithmetic, so that any machine can check."""

    signal: str
    """Name of the signal in `edge_ser.signals`."""
    signal_sha256: str
    """Of its little-endian int16 samples."""
    samples: int
    features: tuple[GoldenFeatures, ...]
    scores: tuple[float, ...]
    """Of the graph, or of the card's head, before calibration, one value a label."""
    scores_tolerance: float

    def __post_init__(self) -> None:
        within("goldens.samples", self.samples, 1, MAX_CLIP_SAMPLES)
        check_hash("goldens.signal_sha256", self.signal_sha256)
        within("goldens.scores_tolerance", self.scores_tolerance, 0, 1e6)
