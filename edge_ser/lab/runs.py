"""Run folders: what a training leaves behind, written so that nothing is lost, and read again.

config.toml (the experiment), split.json, metrics.jsonl (a row an epoch), predictions.json, and
checkpoints: last.* and best.*. Needs no framework.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser.card.documents import strict_json
from edge_ser.documents import read_toml, regular_contents, shown, to_toml
from edge_ser.errors import DataError, EdgeSerError, StorageError
from edge_ser.lab.calibration import Fold
from edge_ser.lab.experiment import Experiment, as_toml, from_tables, tables
from edge_ser.lab.protocols import Split

__all__ = [
    "CONFIG",
    "PREDICTIONS",
    "RECORDS",
    "Run",
    "claim",
    "fold_of",
    "held",
    "read_rows",
    "read_run",
    "refuse_another",
    "save_beside",
    "write_predictions",
    "write_rows",
    "write_split",
]

CONFIG = "config.toml"
SPLIT, METRICS, PREDICTIONS = "split.json", "metrics.jsonl", "predictions.json"
RECORDS = (CONFIG, SPLIT, METRICS, PREDICTIONS)
"""The small files of a run, on which its figures rest."""
MOST_BYTES = 256 << 20
"""Of a record; a run of 100,000 test clips and 16 classes has 20 MB of predictions."""
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
        experiment, split = _claimed(folder)
        rows = [_row(row, number) for number, row in enumerate(read_rows(folder))]
        path = folder / PREDICTIONS
        told = strict_json(_bytes(path)) if path.exists() else None
        predictions = None if told is None else _predictions(told, split, experiment)
    except (OSError, ValueError, TypeError, EdgeSerError) as error:
        raise DataError(
            f"{folder}: {error}; expected a whole run folder: copy it again, or train again"
        ) from error
    return Run(folder, experiment, split, rows, predictions)


def _claimed(folder: Path) -> tuple[Experiment, Split]:
    """What this run is."""
    values = read_toml(folder / CONFIG)
    experiment = from_tables(values, "", str(folder / CONFIG))
    return experiment, _split(strict_json(_bytes(folder / SPLIT)))


def read_rows(folder: Path) -> list[Any]:
    """The lines of metrics.jsonl, whatever they hold; none where there is no such file.

    Of a training that was killed they may be more than there are epochs in its checkpoint.

    Raises:
        DataError: a line is no JSON.
    """
    path = folder / METRICS
    if not path.exists():
        return []
    try:
        return [strict_json(line) for line in _bytes(path).splitlines()]
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}; copy it again, or remove the folder") from error


def _bytes(path: Path) -> bytes:
    try:
        return regular_contents(path, MOST_BYTES)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error


def _split(values: object) -> Split:
    if not isinstance(values, dict):
        raise ValueError(f"{SPLIT} is no object")
    for name in ("train", "test", "validation", "speakers"):
        found = values.get(name, [])
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise ValueError(f"{name} of {SPLIT} is no list of names")
        if len(set(found)) < len(found):
            raise ValueError(f"{name} of {SPLIT} has a name twice")
    labels = values.get("labels", {})
    if not isinstance(labels, dict) or not all(isinstance(v, str) for v in labels.values()):
        raise ValueError(f"labels of {SPLIT} is no object of texts")
    if not isinstance(values.get("name"), str):
        raise ValueError(f"{SPLIT} has no name")
    if not isinstance(values.get("audio", ""), str):
        raise ValueError(f"audio of {SPLIT} is no text")
    return Split(**values)


def _row(row: object, number: int) -> dict[str, float]:
    where = f"{METRICS}: line {number + 1}"
    if not isinstance(row, dict) or row.get("epoch") != number:
        raise ValueError(f"{where} is not of epoch {number}")
    if not all(type(v) in (int, float) and math.isfinite(v) for v in row.values()):
        raise ValueError(f"{where} holds something that is no finite number")
    return row


def _predictions(told: object, split: Split, experiment: Experiment) -> dict[str, list[float]]:
    if not isinstance(told, dict) or sorted(told) != sorted(split.test):
        raise ValueError(f"{PREDICTIONS} is not of {SPLIT}'s test clips")
    classes = len(experiment.data.labels)
    for name, row in told.items():
        whole = isinstance(row, list) and len(row) == classes
        if not whole or not all(type(p) in (int, float) and 0 <= p <= 1 for p in row):
            raise ValueError(f"{PREDICTIONS} has not {classes} probabilities of {name}")
    return told


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
    """Write what this run is; `refuse_another` first.

    Raises:
        StorageError: it cannot be written.
    """
    _write_text(folder / CONFIG, as_toml(experiment))
    _write_text(folder / SPLIT, _split_text(split))


def refuse_another(folder: Path, experiment: Experiment, split: Split) -> None:
    """Raise DataError where a folder holds what another run has learnt; it tells what differs.

    A run that has not done an epoch has nothing to lose, and one without `Split.audio` is believed.
    """
    if not all((folder / name).exists() for name in (CONFIG, SPLIT, METRICS)):
        return
    try:
        there, told = _claimed(folder)
    except (OSError, ValueError, TypeError, EdgeSerError) as error:
        raise DataError(f"{folder}: {error}; remove the folder, or copy it again") from error
    if as_toml(there) != as_toml(experiment):
        name, differs = CONFIG, _difference(there, experiment)
    elif replace(told, audio="") != replace(split, audio=""):
        name, differs = SPLIT, "it has other clips, labels or folds"
    elif told.audio not in ("", split.audio):
        name, differs = SPLIT, "its clips are called so, but are other recordings"
    else:
        return
    raise DataError(
        f"{folder / name} is of another run: {differs}; give another folder with --runs, or remove "
        "this one to start afresh"
    )


def _difference(there: Experiment, here: Experiment) -> str:
    """The first value that is another one."""
    mine = tables(here)
    for section, values in tables(there).items():
        for key in dict.fromkeys((*values, *mine[section])):
            was, now = (
                to_toml(of[key]) if key in of else "not set" for of in (values, mine[section])
            )
            if was != now:
                return f"{section}.{key} is {shown(was)} there, {shown(now)} here"
    return f"it is called {shown(there.name)}, here {shown(here.name)}"


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Make the folder, and keep other processes from training in it meanwhile.

    Raises:
        DataError: another one does.
        StorageError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise StorageError(
            f"{folder}: {error.strerror}, expected a folder to write to: name another with --runs"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for half in folder.glob("*.part*"):
            half.unlink(missing_ok=True)  # of one that was killed as it wrote
        yield
    except BlockingIOError as error:
        raise DataError(
            f"{folder}: another process trains this run: wait for it, or give another folder with "
            "--runs"
        ) from error
    finally:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            folder.rmdir()  # if nothing came of it


def write_rows(folder: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """metrics.jsonl as a whole."""
    _write_text(folder / METRICS, "".join(json.dumps(row) + "\n" for row in rows))


def write_split(folder: Path, split: Split) -> None:
    """split.json, a line a name."""
    _write_text(folder / SPLIT, _split_text(split))


def _split_text(split: Split) -> str:
    return json.dumps(asdict(split), indent=0) + "\n"


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
    part = path.with_name(f"{path.stem}.{secrets.token_hex(4)}.part{path.suffix}")
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
