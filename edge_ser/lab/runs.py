"""Run folders: what a training left behind, read again. Needs no Keras."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_ser.errors import DataError
from edge_ser.lab.calibration import Fold
from edge_ser.lab.datasets import Dataset
from edge_ser.lab.protocols import Split
from edge_ser.lab.recipe import Recipe

__all__ = ["RECORDS", "Run", "fold_of", "read_run"]

RECORDS = ("recipe.json", "split.json", "metrics.jsonl", "predictions.json")
"""The small files of a run, on which its figures rest."""


@dataclass(frozen=True)
class Run:
    """One training."""

    folder: Path
    recipe: Recipe
    split: Split
    rows: list[dict[str, float]]
    """One an epoch that is done."""
    predictions: dict[str, list[float]] | None
    """Scores of the test clips at the last epoch, by name; None before that, or without tests."""

    @property
    def finished(self) -> bool:
        """All epochs are done."""
        return len(self.rows) == self.recipe.epochs

    @property
    def weights(self) -> Path:
        """Model and optimizer of the last whole epoch."""
        return self.folder / "last.keras"


def read_run(folder: Path) -> Run:
    """The records of a run.

    Raises:
        DataError: the folder holds no run, or one that does not hold together.
    """
    try:
        recipe, split, rows, predictions = (_read(folder / name) for name in RECORDS)
        run = Run(folder, Recipe(**recipe), Split(**split), rows or [], predictions)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{folder}: {error}; expected the folder of a training run") from error
    if predictions is not None and sorted(predictions) != sorted(run.split.test):
        raise DataError(
            f"{folder}: predictions.json is not of split.json's test clips: train again"
        )
    return run


def fold_of(run: Run, data: Dataset) -> Fold:
    """Predictions of a run's test clips with their labels.

    Raises:
        DataError: the run is not finished, has no test clips, or is of another corpus.
    """
    if run.predictions is None:
        raise DataError(f"{run.folder}: no predictions yet: train to the end first")
    labels = dict(zip(data.names, data.labels.tolist(), strict=True))
    try:
        true = [labels[name] for name in run.split.test]
    except KeyError as error:
        raise DataError(f"{run.folder}: clip {error} is not in this corpus: give its own") from None
    scores = [run.predictions[name] for name in run.split.test]
    return Fold(np.array(scores, dtype=np.float64), np.array(true, dtype=np.int64))


def _read(path: Path) -> Any:
    """A JSON document, a list of them by line, or None of a file that comes last or late."""
    if path.suffix == ".jsonl":
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]
    if path.name == "predictions.json" and not path.exists():
        return None
    return json.loads(path.read_text())
