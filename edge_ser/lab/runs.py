"""Run folders: what a training leaves behind, written so that nothing is lost, and read again.

config.toml (the experiment), split.json, metrics.jsonl (a row an epoch), predictions.json, and
checkpoints: last.* and best.*. Needs no framework.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser.documents import read_toml
from edge_ser.errors import DataError, EdgeSerError, StorageError
from edge_ser.lab.calibration import Fold
from edge_ser.lab.experiment import Experiment, as_toml, from_tables
from edge_ser.lab.protocols import Split

__all__ = [
    "CONFIG",
    "RECORDS",
    "Run",
    "claim",
    "fold_of",
    "read_rows",
    "read_run",
    "save_beside",
    "write_predictions",
    "write_rows",
]

CONFIG = "config.toml"
SPLIT, METRICS, PREDICTIONS = "split.json", "metrics.jsonl", "predictions.json"
RECORDS = (CONFIG, SPLIT, METRICS, PREDICTIONS)
"""The small files of a run, on which its figures rest."""
SUFFIXES = {"keras": ".keras", "torch": ".pt"}


@dataclass(frozen=True)
class Run:
    """One training."""

    folder: Path
    experiment: Experiment
    split: Split
    rows: list[dict[str, float]]
    """One an epoch that is done."""
    predictions: dict[str, list[float]] | None
    """Probabilities of the test clips by the kept weights, by name; None before they are known,
    which is the last thing that a training does."""

    @property
    def finished(self) -> bool:
        """All epochs are done, and the weights of the last one are written."""
        return self.predictions is not None and len(self.rows) == self.experiment.training.epochs

    @property
    def classes(self) -> tuple[str, ...]:
        """In the order of the outputs."""
        return self.experiment.data.labels

    @property
    def weights(self) -> Path:
        """The checkpoint that the run keeps."""
        kept = "best" if self.experiment.training.keep == "best_validation" else "last"
        return self.folder / f"{kept}{SUFFIXES[self.experiment.network.kind.framework]}"


def read_run(folder: Path) -> Run:
    """The records of a run.

    Raises:
        DataError: the folder holds no run, or one that does not hold together.
    """
    try:
        values = read_toml(folder / CONFIG)
        experiment = from_tables(values, "", str(folder / CONFIG))
        split = Split(**json.loads((folder / SPLIT).read_text()))
        rows = read_rows(folder)
        path = folder / PREDICTIONS
        predictions = json.loads(path.read_text()) if path.exists() else None
    except (OSError, ValueError, TypeError, EdgeSerError) as error:
        raise DataError(f"{folder}: {error}; expected the folder of a training run") from error
    if predictions is not None and sorted(predictions) != sorted(split.test):
        raise DataError(f"{folder}: {PREDICTIONS} is not of {SPLIT}'s test clips: train again")
    return Run(folder, experiment, split, rows, predictions)


def read_rows(folder: Path) -> list[dict[str, float]]:
    """The rows of metrics.jsonl; none where there is no such file."""
    path = folder / METRICS
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def fold_of(run: Run) -> Fold:
    """Predictions of a run's test clips with their labels.

    Raises:
        DataError: the run is not finished, or has no test clips.
    """
    if not run.predictions:
        raise DataError(
            f"{run.folder}: no predictions of test clips, expected some: train to the end first, "
            "or give runs that test"
        )
    try:
        true = [run.classes.index(run.split.labels[name]) for name in run.split.test]
    except (KeyError, ValueError) as error:
        raise DataError(f"{run.folder}: {SPLIT} lacks a label ({error}): train again") from None
    scores = [run.predictions[name] for name in run.split.test]
    return Fold(np.array(scores, dtype=np.float64), np.array(true, dtype=np.int64))


def claim(folder: Path, experiment: Experiment, split: Split) -> None:
    """Write what this run is; refuse a folder that holds another.

    Raises:
        DataError: it holds another.
        StorageError: it cannot be written.
    """
    for name, text in (
        (CONFIG, as_toml(experiment)),
        (SPLIT, json.dumps(asdict(split), indent=1) + "\n"),
    ):
        path = folder / name
        if path.exists() and path.read_text() != text:
            raise DataError(
                f"{path} is of another run: give another folder with --runs, or remove this one to "
                "start afresh"
            )
        _write_text(path, text)


def write_rows(folder: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """metrics.jsonl as a whole."""
    _write_text(folder / METRICS, "".join(json.dumps(row) + "\n" for row in rows))


def write_predictions(
    folder: Path, names: Sequence[str], scores: Iterable[NDArray[np.float32]]
) -> None:
    """predictions.json: six digits a probability."""
    rows = {
        name: [round(float(p), 6) for p in row] for name, row in zip(names, scores, strict=True)
    }
    _write_text(folder / PREDICTIONS, json.dumps(rows, indent=0) + "\n")


def save_beside(path: Path, save: Callable[[Path], Any]) -> None:
    """Let `save` write beside, then rename: what was there survives a full disk and a kill.

    Raises:
        StorageError: it cannot be written.
    """
    part = path.with_name(f"{path.stem}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save(part)
        os.replace(part, path)
    except (OSError, RuntimeError) as error:
        # torch tells of a full disk with a RuntimeError.
        part.unlink(missing_ok=True)
        lines = str(error).splitlines() or [type(error).__name__]
        raise StorageError(
            f"{path} cannot be written ({lines[0]}); what was there before is kept: free some "
            "space and give the same command again"
        ) from error


def _write_text(path: Path, text: str) -> None:
    save_beside(path, lambda part: part.write_text(text))
