"""Learning rates: functions of the epoch and of the rows before it, so no state is resumed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from edge_ser.lab.experiment import TrainingOptions

__all__ = ["learning_rate"]

PUBLISHED_EPOCHS = 300
STEPS = range(60, 300, 20)
STEP = math.exp(-0.15)

PLATEAU_FACTOR = 0.25
PLATEAU_PATIENCE = 5
PLATEAU_THRESHOLD = 1e-4
"""Least relative fall of the loss that counts."""


def learning_rate(
    options: TrainingOptions, epoch: int, rows: Sequence[Mapping[str, float]] = ()
) -> float:
    """Rate of a 0-based epoch.

    steps: x exp(-0.15) after epochs 60, 80, ..., 280 of 300, stretched to `epochs`.

    >>> round(learning_rate(TrainingOptions(epochs=300, schedule="steps"), 299), 6)
    0.000165
    """
    if options.schedule == "steps":
        published = epoch * PUBLISHED_EPOCHS / options.epochs
        return options.learning_rate * STEP ** sum(published > after for after in STEPS)
    if options.schedule == "cosine":
        return options.learning_rate * (1 + math.cos(math.pi * epoch / options.epochs)) / 2
    if options.schedule == "plateau":
        return options.learning_rate * PLATEAU_FACTOR ** _reductions(
            [row["validation_loss"] for row in rows]
        )
    return options.learning_rate


def _reductions(losses: Sequence[float]) -> int:
    """How often a plateau was met: as torch's ReduceLROnPlateau with its relative threshold."""
    best, waited, reductions = math.inf, 0, 0
    for loss in losses:
        if loss < best * (1 - PLATEAU_THRESHOLD):
            best, waited = loss, 0
            continue
        waited += 1
        if waited > PLATEAU_PATIENCE:
            reductions, waited = reductions + 1, 0
    return reductions
