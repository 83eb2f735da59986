"""Calibration from out-of-fold predictions: by models that never heard the speaker.

Everything that a card says of a model's confidence comes from here, and nothing from clips that
the model was trained on: those it scores near 1 whatever it knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_ser import metrics
from edge_ser.errors import DataError
from edge_ser.evaluation import spread

__all__ = [
    "COVERAGES",
    "UNCERTAIN_SHARE",
    "Calibration",
    "Fold",
    "calibrate",
    "calibrate_held_out",
    "measure",
]

UNCERTAIN_SHARE = 0.2
"""Share of out-of-fold clips, the least confident ones, that `uncertain_below` is put above."""

COVERAGES = tuple(tenths / 10 for tenths in range(9, 0, -1))
"""Shares of clips, the most confident ones, of which cards tell the accuracy: with that over all
clips the risk-coverage curve."""


@dataclass(frozen=True, eq=False)
class Fold:
    """Predictions of one fold's test clips."""

    scores: NDArray[np.float64]
    """Probabilities, shape (clips, classes)."""
    labels: NDArray[np.int64]
    """True classes, shape (clips,)."""


@dataclass(frozen=True)
class Calibration:
    """What a card's output needs."""

    temperature: float
    """Fitted on all folds."""
    ece: float
    """Expected calibration error, each fold scaled by the temperature of the others."""
    uncertain_below: float
    """Calibrated highest score."""


def calibrate(folds: Sequence[Fold]) -> Calibration:
    """Temperature, its cross-fitted ECE, and the threshold for `uncertain`.

    The threshold is the 20 % quantile of the calibrated highest scores, cross-fitted: on speech
    like the corpus, by a speaker that was not heard in training, every fifth result is called
    uncertain. It says nothing of a right or wrong answer by itself; `measure` gives the accuracy
    on both sides.

    Raises:
        DataError: fewer than two folds.
    """
    if len(folds) < 2:
        raise DataError(
            f"{len(folds)} folds with predictions, expected two or more: "
            "train the grouped folds to their end first"
        )
    labels = np.concatenate([fold.labels for fold in folds])
    scores = np.concatenate([fold.scores for fold in folds])
    scaled = _cross_fitted(folds)
    return Calibration(
        temperature=round(metrics.fit_temperature(scores, labels), 4),
        ece=round(metrics.expected_calibration_error(scaled, labels), 4),
        uncertain_below=round(float(np.quantile(scaled.max(axis=1), UNCERTAIN_SHARE)), 4),
    )


def calibrate_held_out(validation: Fold, test: Fold) -> Calibration:
    """Temperature by the validation clips, its error and the threshold by the test clips.

    For a split with clips apart for both; none of either was trained on.
    """
    temperature = metrics.fit_temperature(validation.scores, validation.labels)
    scaled = metrics.apply_temperature(test.scores, temperature)
    return Calibration(
        temperature=round(temperature, 4),
        ece=round(metrics.expected_calibration_error(scaled, test.labels), 4),
        uncertain_below=round(float(np.quantile(scaled.max(axis=1), UNCERTAIN_SHARE)), 4),
    )


def measure(folds: Sequence[Fold]) -> Mapping[str, float]:
    """Accuracy and UAR of the folds, for a card: mean, sample standard deviation, pooled.

    With `accuracy_at_coverage_90` to `_10`, the pooled accuracy of that many per cent of the
    clips, the most confident ones (the risk-coverage curve); and `accuracy_certain` and
    `accuracy_uncertain`, that above and below the threshold of `calibrate`, each where clips lie
    on that side.
    """
    found = [
        (metrics.accuracy(fold.labels, guess), metrics.uar(fold.labels, guess))
        for fold in folds
        for guess in [fold.scores.argmax(axis=1)]
    ]
    accuracy, uar = (spread(values) for values in zip(*found, strict=True))
    labels = np.concatenate([fold.labels for fold in folds])
    scaled = _cross_fitted(folds)
    guess = scaled.argmax(axis=1)
    certain = scaled.max(axis=1) >= calibrate(folds).uncertain_below
    figures = {
        "accuracy": accuracy.mean,
        "accuracy_std": accuracy.std,
        "uar": uar.mean,
        "uar_std": uar.std,
        "accuracy_pooled": metrics.accuracy(labels, guess),
        "uar_pooled": metrics.uar(labels, guess),
    }
    for share in COVERAGES:
        name = f"accuracy_at_coverage_{round(100 * share)}"
        figures[name] = metrics.accuracy_at_coverage(scaled, labels, share)
    sides = {"accuracy_certain": certain, "accuracy_uncertain": ~certain}
    figures |= {
        name: metrics.accuracy(labels[side], guess[side])
        for name, side in sides.items()
        if side.any()
    }
    return {
        **{name: round(value, 4) for name, value in figures.items()},
        "folds": len(folds),
        "clips": len(labels),
    }


def _cross_fitted(folds: Sequence[Fold]) -> NDArray[np.float64]:
    """Scores of all folds, each scaled by the temperature that fits the other folds."""
    scaled = []
    for at, fold in enumerate(folds):
        others = [other for k, other in enumerate(folds) if k != at]
        temperature = metrics.fit_temperature(
            np.concatenate([other.scores for other in others]),
            np.concatenate([other.labels for other in others]),
        )
        scaled.append(metrics.apply_temperature(fold.scores, temperature))
    return np.concatenate(scaled)
