"""What a report needs of a run folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser.errors import DataError
from edge_ser.lab.architectures.networks import Network, networks
from edge_ser.lab.experiment import tables
from edge_ser.lab.runs import CONFIG, Run, fold_of, read_run

__all__ = ["RunRecord", "read_record"]

Row = Mapping[str, float]


@dataclass(frozen=True, eq=False)
class RunRecord:
    """One training as it was asked for and as it went."""

    folder: Path
    settings: Mapping[str, object]
    """All values of the configuration, defaults too, by `section.key`."""
    fold: str
    """Name of the split, such as grouped-01."""
    test: tuple[str, ...]
    """Names of the clips that are tested."""
    speakers: tuple[str, ...]
    """Of the test clips, where none of them trains; empty where that is not so, or not known."""
    rows: tuple[Row, ...]
    """Metrics of the epochs that are done, the first being epoch 0."""
    classes: tuple[str, ...]
    """Labels in the order of the scores."""
    scores: NDArray[np.float64] | None
    """Probabilities of the test clips by the weights that the run keeps, shape (clips, classes);
    None before the end, or without test clips."""
    true: NDArray[np.int64] | None
    """Classes of these clips, shape (clips,); None like the scores, or where they are not known."""
    parameters: int | None
    """Of the network, where it is a published one with that many classes."""

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.folder.absolute().name

    @property
    def epochs(self) -> int:
        """That were asked for."""
        return int(str(self.settings["training.epochs"]))

    @property
    def seed(self) -> object:
        """Of the weights and the order of the clips."""
        return self.settings["training.seed"]

    @property
    def protocol(self) -> str:
        """Who trains and who is tested, in a word."""
        return str(self.settings["protocol.name"])

    @property
    def finished(self) -> bool:
        """All epochs are done, and what they leave behind is there."""
        return len(self.rows) >= self.epochs and (self.scores is not None or not self.test)


def read_record(folder: Path) -> RunRecord:
    """The record of a run, finished or not.

    Raises:
        DataError: the folder holds no run, or one that does not hold together.
    """
    if not (folder / CONFIG).is_file():
        raise DataError(
            f"{folder}: no {CONFIG} in it, expected a run folder: name one that "
            "'edge-ser train' made"
        )
    return _record_of(read_run(folder))


def _record_of(run: Run) -> RunRecord:
    split = run.split
    scores = None
    if split.test and run.predictions is not None:
        scores = np.array([run.predictions[name] for name in split.test], dtype=np.float64)
    return RunRecord(
        run.folder,
        settings=dict(_flat(tables(run.experiment))),
        fold=split.name,
        test=tuple(split.test),
        speakers=tuple(split.speakers),
        rows=tuple(run.rows),
        classes=run.classes,
        scores=scores,
        true=fold_of(run).labels if scores is not None and split.labels else None,
        parameters=_parameters(run.experiment.network, len(run.classes)),
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Values of nested tables by their dotted names."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _parameters(chosen: Network, classes: int) -> int | None:
    """The count of the published network that has these options, whatever it is called."""
    same = (
        each.parameters
        for each in networks().values()
        if each.family == chosen.family and each.options == chosen.options
    )
    return next((counts[classes] for counts in same if classes in counts), None)
