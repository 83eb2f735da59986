"""All tested clips of an experiment together: figures with intervals, confusion, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_ser import metrics
from edge_ser.lab.calibration import Calibration, Fold, calibrate
from edge_ser.lab.report.figures import Interval, wilson, wilson_mean
from edge_ser.lab.report.records import RunRecord

__all__ = ["Pooled", "pooled"]


@dataclass(frozen=True)
class Pooled:
    """Figures over clips. A clip that several seeds were tested on counts once, with their mean.

    Intervals are 95 %, of the clips as if each were drawn by itself: clips of one speaker are
    alike, so other speakers may well lie outside.
    """

    clips: int
    accuracy: float
    accuracy_interval: Interval
    uar: float
    uar_interval: Interval
    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Answers, row the true class, column the predicted one."""
    ece: float
    """Expected calibration error of the scores as they are, 10 bins."""
    calibration: Calibration | None
    """Cross-fitted over folds; None under two folds, or where clips were tested more than once."""


def pooled(runs: Sequence[RunRecord]) -> Pooled | None:
    """Pool finished runs; None where there is none, or one of unknown or of other labels."""
    folds = [Fold(run.scores, run.true) for run in runs if _known(run)]  # type: ignore[arg-type]
    if not folds or len(folds) < len(runs) or len({run.classes for run in runs}) > 1:
        return None
    labels = np.concatenate([fold.labels for fold in folds])
    scores = np.concatenate([fold.scores for fold in folds])
    guess = scores.argmax(axis=1)
    names = np.array([name for run in runs for name in run.test])
    clips, first, at, times = np.unique(
        names, return_index=True, return_inverse=True, return_counts=True
    )
    shares = np.bincount(at, weights=guess == labels) / times
    classes, counts = np.unique(labels[first], return_counts=True)
    recalls = [float(shares[labels[first] == label].mean()) for label in classes]
    accuracy = float(shares.mean())
    confusion = metrics.confusion(labels, guess, len(runs[0].classes))
    once = len(clips) == len(names)
    return Pooled(
        clips=len(clips),
        accuracy=accuracy,
        accuracy_interval=wilson(accuracy, len(clips)),
        uar=float(np.mean(recalls)),
        uar_interval=wilson_mean(recalls, counts.tolist()),
        classes=runs[0].classes,
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        ece=metrics.expected_calibration_error(scores, labels),
        calibration=calibrate(folds) if once and len(folds) > 1 else None,
    )


def _known(run: RunRecord) -> bool:
    return run.scores is not None and run.true is not None
