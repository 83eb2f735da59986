"""From run folders to model files with complete cards: what `edge-ser export` calls."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ser import signals
from edge_ser.audio import fit
from edge_ser.card import ConditionFigures, ModelFile, Provenance
from edge_ser.corpora import Corpus
from edge_ser.errors import DataError
from edge_ser.frontend import Frontend
from edge_ser.lab import cards, compute
from edge_ser.lab.architectures.networks import build, network
from edge_ser.lab.calibration import calibrate
from edge_ser.lab.datasets import read_dataset
from edge_ser.lab.experiment import DATA, DataOptions
from edge_ser.lab.export import Form, export_keras, load_keras
from edge_ser.lab.provenance import provenance_of, read_robustness
from edge_ser.lab.runs import RECORDS, Run, fold_of, read_run

__all__ = ["export_run", "export_shipped", "export_untrained", "synthetic_features"]

CHECK_CLIPS = 200
"""Real clips on which every exported file is compared with the network."""


def export_run(
    run_folder: Path,
    corpus: Corpus,
    path: Path,
    form: Form = "float32",
    folds: Sequence[Path] = (),
    name: str | None = None,
    allow_unfinished: bool = False,
    robustness: Sequence[ConditionFigures] = (),
) -> ModelFile:
    """Export a run's last weights with a complete card.

    Args:
        run_folder: of `train_job`.
        corpus: the one it was trained on.
        path: `.tflite` or `.onnx` file to write.
        form: of the weights.
        folds: run folders of the same recipe by grouped speakers, finished: calibration and
            figures of the card come from their out-of-fold predictions. With fewer than two the
            card has the run's own test figures and no calibration.
        name: in the card; None for ARCHITECTURE-CORPUS.
        allow_unfinished: take the weights as they are before the last epoch.
        robustness: measured with the fold models, for the card.

    Raises:
        DataError: a folder holds no run, an unfinished one, or one of another corpus.
        ModelError: the file is not what Keras computes; none is written.
    """
    run = _finished(read_run(run_folder), allow_unfinished)
    compute.prepare()
    data = read_dataset(corpus, run.experiment.data)
    others = [fold_of(read_run(fold)) for fold in folds if fold != run_folder]
    source = cards.SOURCES.get(corpus.name)
    card = cards.card_for(
        name or f"{run.experiment.network.name}-{corpus.name}",
        data.classes,
        provenance_of(run, data, folds, source, robustness),
        run.experiment.data,
        run.experiment.network.kind,
        source.bandwidth_hz if source else None,
        calibrate(others) if len(others) > 1 else None,
    )
    spread = np.linspace(0, len(data.names) - 1, min(CHECK_CLIPS, len(data.names)), dtype=int)
    return export_keras(load_keras(run.weights), card, path, form, [data.features[spread]])


def export_untrained(
    name: str, classes: int, path: Path, form: Form = "float32", seed: int = 42
) -> ModelFile:
    """A published network with seeded random weights, for latency work; its card says `untrained`.

    Raises:
        DataError: no network has that name.
    """
    chosen = network(name)
    data = DATA[chosen.family]
    compute.prepare()
    model = build(chosen, classes, data.spec().shape(data.clip_samples), seed)
    provenance = Provenance(
        state="untrained",
        data=f"none: random weights of seed {seed}",
        licence="CC0-1.0",
        intended_use=cards.UNTRAINED_USE,
        excluded_use=cards.EXCLUDED_USE,
        tools=cards.tools(),
        commit=cards.commit(),
    )
    labels = [f"class_{index}" for index in range(classes)]
    card = cards.card_for(f"{name}-untrained", labels, provenance, data, chosen.kind)
    return export_keras(model, card, path, form, [synthetic_features(data)])


def export_shipped(
    runs: Path, corpus: Corpus, models: Path, allow_unfinished: bool = False
) -> list[Path]:
    """All files of a trained network that are committed, from the run folders of one training.

    `models` gets NAME.tflite, NAME-dynamic.tflite and NAME.onnx from the run `whole`; its folder
    folds/NAME gets the model of each grouped fold, whole.keras without the optimizer, and runs/
    with the records on which all figures rest. The robustness table in the cards is that of
    folds/NAME/robustness.json, which `edge-ser evaluate --folds folds/NAME --perturb` writes.

    Args:
        runs: folder with the run folders whole and grouped-01, ... (and published-01, ...).
        corpus: the one they were trained on.
        models: folder to write to.
        allow_unfinished: for a rehearsal while the training goes on.

    Raises:
        DataError: a run is missing or, without `allow_unfinished`, not finished.
        ModelError: a file is not what Keras computes.
    """
    whole = _finished(read_run(runs / "whole"), allow_unfinished)
    name = f"{whole.experiment.network.name}-{corpus.name}"
    found = [read_run(folder) for folder in sorted(runs.glob("grouped-*"))]
    grouped = [_finished(run, allow_unfinished) for run in found]
    folds = [run.folder for run in grouped if run.predictions is not None]
    home = models / "folds" / name
    home.mkdir(parents=True, exist_ok=True)
    robustness = read_robustness(home / "robustness.json")
    forms: list[tuple[str, Form]] = [
        (f"{name}.tflite", "float32"),
        (f"{name}-dynamic.tflite", "dynamic"),
        (f"{name}.onnx", "float32"),
    ]
    written = [
        export_run(
            whole.folder, corpus, models / file, form, folds, name, allow_unfinished, robustness
        ).path
        for file, form in forms
    ]
    written += [
        export_run(
            run.folder,
            corpus,
            home / f"{run.split.name}.tflite",
            "float32",
            folds,
            f"{name}-{run.split.name}",
            allow_unfinished,
        ).path
        for run in grouped
    ]
    written.append(_without_optimizer(whole, home / "whole.keras"))
    ended = [run for run in map(read_run, sorted(runs.glob("published-*"))) if run.finished]
    for run in (whole, *grouped, *ended):
        written += _copied_records(run.folder, home / "runs" / run.split.name)
    return written


def _finished(run: Run, allow_unfinished: bool) -> Run:
    if not run.finished and not allow_unfinished:
        raise DataError(
            f"{run.folder}: {len(run.rows)} of {run.experiment.training.epochs} epochs are done, "
            "expected all: go on with the training first"
        )
    return run


def synthetic_features(data: DataOptions) -> NDArray[np.float32]:
    """Features of made-up clips at several levels, shape (12, *shape of one clip)."""
    frontend = Frontend(data.spec())
    voice = signals.demo_clip(frontend.spec.rate)
    chirps = signals.as_float(signals.test_signal(data.clip_samples, frontend.spec.rate))
    gains = 10 ** np.linspace(-2, 0, 6, dtype=np.float32)
    clips = [
        fit(gain * clip, data.clip_samples, data.pad_side)
        for clip in (voice, chirps)
        for gain in gains
    ]
    return np.stack([frontend(clip) for clip in clips])


def _without_optimizer(run: Run, path: Path) -> Path:
    part = path.with_name(f"{path.stem}.part.keras")
    load_keras(run.weights).save(part)
    os.replace(part, path)
    return path


def _copied_records(run: Path, to: Path) -> list[Path]:
    to.mkdir(parents=True, exist_ok=True)
    there = [run / name for name in RECORDS if (run / name).exists()]
    return [Path(shutil.copyfile(record, to / record.name)) for record in there]
