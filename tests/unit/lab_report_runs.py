"""Run folders as training leaves them, made and read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ser.lab.experiment import from_tables
from edge_ser.lab.protocols import Split
from edge_ser.lab.report import RunRecord, read_record
from edge_ser.lab.runs import claim, write_predictions, write_rows

CLASSES = ("calm", "cross")
CLIPS = {"a": "calm", "b": "calm", "c": "cross", "d": "cross"}

Maker = Callable[..., RunRecord]


def make_run(
    folder: Path,
    fold: str = "grouped-01",
    right: str | None = "abcd",
    clips: Mapping[str, str] = CLIPS,
    accuracies: Sequence[float | None] = (0.5, 0.75),
    epochs: int | None = None,
    network: Mapping[str, Any] | None = None,
    protocol: str = "grouped",
    augmentation: Mapping[str, Any] | None = None,
    labelled: bool = True,
    **training: Any,
) -> Path:
    """A run folder as training leaves it.

    right: clips that are answered rightly; None before the end.
    accuracies: of the test clips, an epoch each; None where they were not looked at.
    """
    experiment = from_tables(
        {
            "data": {"corpus": "mine", "labels": CLASSES},
            "network": {"name": "tim-tab1", **(network or {})},
            "protocol": {"name": protocol},
            "training": {"epochs": epochs or len(accuracies), "evaluate_every": 1, **training},
            "augmentation": dict(augmentation or {}),
        },
        "made",
        "made.toml",
    )
    split = Split(
        fold, ["t"], sorted(clips), [], ["ann"], {**clips, "t": "calm"} if labelled else {}
    )
    folder.mkdir(parents=True)
    claim(folder, experiment, split)
    rows: list[dict[str, float]] = []
    for epoch, accuracy in enumerate(accuracies):
        row = {"epoch": epoch, "loss": 1.0 / (epoch + 1), "accuracy": 0.25, "rate": 0.001}
        tested = {} if accuracy is None else {"test_accuracy": accuracy, "test_uar": accuracy / 2}
        rows.append({**row, **tested})
    write_rows(folder, rows)
    if right is not None:
        scores = [
            [0.75, 0.25] if (clips[name] == "calm") == (name in right) else [0.25, 0.75]
            for name in split.test
        ]
        write_predictions(folder, split.test, np.array(scores, dtype=np.float32))
    return folder


@pytest.fixture(name="made")
def made_fixture(tmp_path: Path) -> Maker:
    """Makes a run folder of its own and reads it."""

    def make(**chosen: Any) -> RunRecord:
        name = f"run-{len(list(tmp_path.iterdir())):02d}"
        return read_record(make_run(tmp_path / name, **chosen))

    return make
