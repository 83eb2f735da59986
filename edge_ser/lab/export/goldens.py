"""Goldens: what frontend and model make of the test signal, as numbers for the card."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser import signals
from edge_ser.card import GoldenFeatures, Goldens
from edge_ser.frontend import Frontend, FrontendSpec
from edge_ser.lab.export.forms import Form

__all__ = ["GOLDEN_TOLERANCES", "golden_blocks", "make_goldens"]

SIGNAL = "test_signal"
POSITIONS = 64
"""Values that a card keeps of each block."""
GOLDEN_TOLERANCES: Mapping[Form, float] = {
    "float32": 1e-3,
    "float16": 5e-3,
    "dynamic": 2e-2,
    "int8": 5e-2,
}
"""Of golden scores on another machine, for scores up to 1, beyond this file's own distance from the
framework: kernels of quantised graphs round differently from one CPU to the next."""
FEATURE_TOLERANCE = 1e-2
"""Float32 arithmetic of another machine moves MFCCs by 1e-3 at most; another resampler by 2."""


def golden_blocks(specs: Sequence[FrontendSpec], samples: int) -> list[NDArray[np.float32]]:
    """Features of the test signal, one array a block of the frontend."""
    return [
        Frontend(spec)(signals.as_float(signals.test_signal(samples, spec.rate))) for spec in specs
    ]


def make_goldens(
    specs: Sequence[FrontendSpec],
    samples: int,
    scores: NDArray[Any],
    scores_tolerance: float,
) -> Goldens:
    """Goldens of a model: features at places spread over each block, and the graph's `scores`."""
    signal = signals.test_signal(samples, specs[0].rate)
    return Goldens(
        signal=SIGNAL,
        signal_sha256=hashlib.sha256(signal.astype("<i2").tobytes()).hexdigest(),
        samples=samples,
        features=tuple(_sampled(block) for block in golden_blocks(specs, samples)),
        scores=tuple(round(float(score), 7) for score in scores),
        scores_tolerance=scores_tolerance,
    )


def _sampled(block: NDArray[np.float32]) -> GoldenFeatures:
    count = min(POSITIONS, block.size)
    # The golden ratio spreads them evenly over both axes.
    positions = sorted(
        {math.floor(block.size * (k * 0.6180339887498949 % 1)) for k in range(count)}
    )
    values = block.reshape(-1)[positions]
    return GoldenFeatures(
        shape=block.shape,
        positions=tuple(positions),
        values=tuple(round(float(value), 5) for value in values),
        tolerance=FEATURE_TOLERANCE,
    )
