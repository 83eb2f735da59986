"""Temperature, threshold and figures from out-of-fold predictions."""

from __future__ import annotations

import numpy as np
import pytest

from edge_ser import metrics
from edge_ser.errors import DataError
from edge_ser.lab.calibration import Fold, calibrate, measure


def folds(sharpness: float, clips: int = 2000) -> list[Fold]:
    """Labels drawn from probabilities that are then sharpened by a power."""
    made = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        honest = rng.dirichlet(np.full(4, 0.7), clips)
        labels = np.array([rng.choice(4, p=p) for p in honest])
        made.append(Fold(metrics.apply_temperature(honest, 1 / sharpness), labels))
    return made


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 2.5])
def test_the_temperature_takes_sharpening_back(sharpness: float) -> None:
    found = calibrate(folds(sharpness))
    assert found.temperature == pytest.approx(sharpness, rel=0.06)
    assert found.ece < 0.02


def test_a_fifth_of_the_clips_is_uncertain_and_less_accurate() -> None:
    made = folds(2.0)
    found, figures = calibrate(made), measure(made)
    scores = np.concatenate([metrics.apply_temperature(f.scores, found.temperature) for f in made])
    assert (scores.max(axis=1) < found.uncertain_below).mean() == pytest.approx(0.2, abs=0.01)
    assert figures["accuracy_uncertain"] < figures["accuracy_pooled"] < figures["accuracy_certain"]
    curve = [figures[f"accuracy_at_coverage_{share}"] for share in range(10, 100, 10)]
    assert sorted([*curve, figures["accuracy_pooled"]], reverse=True) == [
        *curve,
        figures["accuracy_pooled"],
    ]
    assert curve[7] == pytest.approx(figures["accuracy_certain"], abs=0.002)


def test_figures_are_mean_and_spread_over_folds() -> None:
    sure = np.eye(2) * 0.8 + 0.1
    first = Fold(sure[[0, 1, 1, 0]], np.array([0, 1, 1, 1]))
    second = Fold(sure[[0, 0, 1, 1]], np.array([0, 1, 1, 0]))
    figures = measure([first, second])
    assert (figures["accuracy"], figures["accuracy_pooled"]) == (0.625, 0.625)
    assert figures["accuracy_std"] == pytest.approx(0.1768, abs=1e-4)
    assert figures["uar"] == pytest.approx(((1 + 2 / 3) / 2 + 0.5) / 2, abs=1e-4)
    assert (figures["folds"], figures["clips"]) == (2, 8)


def test_the_error_is_measured_by_the_other_folds_temperature() -> None:
    """Each fold alone could be scaled to perfection; by the other's temperature it is not."""
    cold, hot = folds(0.5)[0], folds(2.0)[1]
    assert calibrate([cold, hot]).ece > 0.1


def test_one_fold_is_too_few() -> None:
    with pytest.raises(DataError, match="1 folds with predictions, expected two or more"):
        calibrate(folds(1.0, 10)[:1])
