"""The committed model files, made of the run folders of their trainings by `models/zoo.toml`."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge_ser.card import ConditionFigures
from edge_ser.corpora import Corpus
from edge_ser.documents import read_options, read_toml
from edge_ser.errors import ConfigError, DataError
from edge_ser.lab.export import Form
from edge_ser.lab.provenance import read_robustness
from edge_ser.lab.runs import (
    CONFIG,
    PREDICTIONS,
    RECORDS,
    Run,
    read_run,
    save_beside,
    write_rows,
    write_split,
)
from edge_ser.lab.shipping import export_run, finished

__all__ = ["Shipped", "export_shipped", "read_zoo"]


@dataclass(frozen=True)
class Shipped:
    """One trained network that is shipped."""

    name: str
    """Of the files, and in their cards."""
    corpus: str
    runs: str
    """Folder that holds its run folders."""
    shipped: str
    """The run whose weights are shipped."""
    files: Mapping[str, Form]
    """Suffix of a file's name -> form of the weights."""
    folds: str = ""
    """Pattern of the runs by speaker: figures, calibration and fold models come from them."""
    records: str = ""
    """Pattern of other runs whose records are kept."""
    fold_suffix: Literal[".tflite", ".onnx"] = ".tflite"
    """Of the fold models."""
    fold_form: Form = "float32"
    """Of their weights."""
    checkpoint: bool = False
    """Keep the framework's own weights of the shipped run beside the fold models; the float32 file
    has the same ones."""
    nc: bool = False
    """Goes into edge-ser-models-nc."""


def read_zoo(path: Path) -> list[Shipped]:
    """The models of a zoo file.

    Raises:
        ConfigError: it is no such file.
    """
    rows = read_toml(path).get("model", [])
    if not isinstance(rows, list):
        raise ConfigError(f"{path}: model is no list, expected tables [[model]]")
    return [read_options(Shipped, row, f"{path}: model {n}") for n, row in enumerate(rows, 1)]


def export_shipped(
    chosen: Shipped, runs: Path, corpus: Corpus, models: Path, allow_unfinished: bool = False
) -> Iterator[Path]:
    """All files of one network; yields each as it is written.

    `models`, or models/nc/edge_ser_models_nc, gets the files of the run that is shipped; the folder
    folds/NAME the model of each fold, the shipped run's checkpoint where `checkpoint` says so, and
    runs/ with the records on which all figures rest. The robustness table in the cards is that of
    folds/NAME/robustness.json, which `edge-ser evaluate --folds folds/NAME --perturb` writes.

    Args:
        chosen: which.
        runs: folder of the folders of run folders.
        corpus: the one that they were trained on.
        models: folder to write to.
        allow_unfinished: for a rehearsal while the training goes on.

    Raises:
        DataError: a run is missing or, without `allow_unfinished`, not finished.
        ModelError: a file is not what the network computes.
    """
    source = runs / chosen.runs
    kept = finished(read_run(source / chosen.shipped), allow_unfinished)
    folds = _finished(source, chosen.folds, allow_unfinished)
    if chosen.folds and len(folds) < 2:
        raise DataError(f"{source}: {len(folds)} runs {chosen.folds}, expected two or more")
    home = models / "folds" / chosen.name
    robustness = read_robustness(home / "robustness.json")
    folders = [run.folder for run in folds if run.predictions]
    place = models / "nc" / "edge_ser_models_nc" if chosen.nc else models
    for suffix, form in chosen.files.items():
        yield _exported(
            kept, corpus, place / f"{chosen.name}{suffix}", form, folders, chosen.name, robustness
        )
    for run in folds:
        file = home / f"{run.folder.name}{chosen.fold_suffix}"
        name = f"{chosen.name}-{run.folder.name}"
        yield _exported(run, corpus, file, chosen.fold_form, folders, name, ())
    for run in (kept, *folds, *_finished(source, chosen.records, True)):
        yield from _kept_records(run, home / "runs" / run.folder.name)
    if chosen.checkpoint:
        yield _weights(kept, home / f"{kept.folder.name}{kept.weights.suffix}")


def _finished(folder: Path, pattern: str, allow_unfinished: bool) -> list[Run]:
    """Runs of a pattern; those that are not finished are refused or, if allowed, left out."""
    found = [read_run(path) for path in sorted(folder.glob(pattern))] if pattern else []
    if allow_unfinished:
        return [run for run in found if run.finished]
    return [finished(run) for run in found]


def _exported(
    run: Run,
    corpus: Corpus,
    path: Path,
    form: Form,
    folds: Sequence[Path],
    name: str,
    robustness: Sequence[ConditionFigures],
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return export_run(
        run.folder,
        corpus,
        path,
        form,
        folds,
        name,
        allow_unfinished=True,
        robustness=robustness,
    ).model.path


def _weights(run: Run, path: Path) -> Path:
    """The trained network without its optimiser."""
    if run.weights.suffix == ".keras":
        from edge_ser.lab.export import load_keras

        save_beside(path, load_keras(run.weights).save)
        return path
    import torch

    state = torch.load(run.weights, map_location="cpu", weights_only=True)["model"]
    save_beside(path, lambda part: torch.save(state, part))
    return path


def _kept_records(run: Run, to: Path) -> list[Path]:
    """What figures need: of the split not the labels of clips that train, of rows six digits."""
    to.mkdir(parents=True, exist_ok=True)
    for name in (CONFIG, PREDICTIONS):
        if (run.folder / name).exists():
            shutil.copyfile(run.folder / name, to / name)
    read = {*run.split.test, *run.split.validation}
    labels = {name: label for name, label in run.split.labels.items() if name in read}
    write_split(to, dataclasses.replace(run.split, labels=labels))
    write_rows(to, [{key: _short(value) for key, value in row.items()} for row in run.rows])
    return [to / name for name in RECORDS if (to / name).exists()]


def _short(value: float) -> float:
    return value if isinstance(value, int) else float(f"{value:.6g}")
