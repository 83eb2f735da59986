"""The jobs of the workshop, from a corpus to model files: what `train` and `export` call."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ser import signals
from edge_ser.audio import fit
from edge_ser.card import ConditionFigures, ModelFile, Provenance
from edge_ser.corpora import Corpus
from edge_ser.errors import DataError, UsageError
from edge_ser.frontend import Frontend
from edge_ser.lab import cards, compute
from edge_ser.lab.calibration import calibrate
from edge_ser.lab.datasets import CLIP_SAMPLES, FRONTEND, names_of, read_dataset
from edge_ser.lab.export import Form, export_keras, load_keras
from edge_ser.lab.features import runs_folder
from edge_ser.lab.protocols import PROTOCOLS, Split
from edge_ser.lab.provenance import provenance_of, read_robustness
from edge_ser.lab.recipe import Recipe
from edge_ser.lab.runs import RECORDS, Run, fold_of, read_run

__all__ = ["export_run", "export_shipped", "export_untrained", "splits", "train_job"]

CHECK_CLIPS = 200
"""Real clips on which every exported file is compared with Keras."""

EpochDone = Callable[[str, Mapping[str, float]], None]
"""Told the run's name and its row of metrics.jsonl after every epoch."""


def splits(corpus: Corpus, protocol: str) -> list[Split]:
    """The folds of a protocol.

    Raises:
        UsageError: no protocol has that name.
        DataError: a clip has no speaker, and the protocol keeps speakers apart; or too few do.
    """
    if protocol not in PROTOCOLS:
        raise UsageError(f"no protocol {protocol!r}, expected one of {', '.join(PROTOCOLS)}")
    speakers = {
        name: utterance.speaker or ""
        for name, utterance in zip(names_of(corpus.utterances), corpus.utterances, strict=True)
    }
    nameless = [name for name, speaker in speakers.items() if not speaker]
    if nameless and protocol not in ("published", "whole"):
        raise DataError(
            f"{corpus.name}: {len(nameless)} clips such as {nameless[0]} have no speaker, which "
            f"{protocol} needs: name speakers in a manifest"
        )
    return PROTOCOLS[protocol](speakers)


def train_job(
    corpus: Corpus,
    recipe: Recipe,
    protocol: str,
    folds: Sequence[int] | None = None,
    progress: EpochDone = lambda run, row: None,
    folder: Path | None = None,
    threads: int = compute.THREADS,
) -> list[Path]:
    """Train the folds of a protocol one after the other; a run that was stopped goes on.

    Args:
        corpus: labelled speech.
        recipe: what is trained.
        protocol: a name of `edge_ser.lab.protocols.PROTOCOLS`.
        folds: numbers from 1; None for all.
        progress: told of every epoch.
        folder: where the run folders go; None for `CORPUS-ARCHITECTURE` in the user's cache.
        threads: within an operator; the weights do not depend on it beyond rounding.

    Returns:
        The run folders.

    Raises:
        UsageError: no such protocol or fold, or TensorFlow is already set up in another way.
        DataError: the corpus or a run folder does not hold together, or the loss is not finite.
        DependencyError: Keras or TensorFlow is not installed.
    """
    planned = splits(corpus, protocol)
    numbers = range(1, len(planned) + 1) if folds is None else folds
    for number in numbers:
        if not 1 <= number <= len(planned):
            raise UsageError(f"fold {number} of {protocol}: expected 1 to {len(planned)}")
    compute.prepare(threads)
    from edge_ser.lab.training import train

    home = folder or runs_folder() / f"{corpus.name}-{recipe.architecture}"
    data = read_dataset(corpus)
    done = []
    for number in numbers:
        split = planned[number - 1]
        train(recipe, data, split, home / split.name, partial(progress, split.name))
        done.append(home / split.name)
    return done


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
    data = read_dataset(corpus)
    others = [fold_of(read_run(fold), data) for fold in folds if fold != run_folder]
    source = cards.SOURCES.get(corpus.name)
    card = cards.card_for(
        name or f"{run.recipe.architecture}-{corpus.name}",
        data.classes,
        provenance_of(run, corpus, data, folds, source, robustness),
        source.bandwidth_hz if source else None,
        calibrate(others) if len(others) > 1 else None,
    )
    spread = np.linspace(0, len(data.names) - 1, min(CHECK_CLIPS, len(data.names)), dtype=int)
    return export_keras(load_keras(run.weights), card, path, form, [data.features[spread]])


def export_untrained(
    architecture: str, classes: int, path: Path, form: Form = "float32", seed: int = 42
) -> ModelFile:
    """A published network with seeded random weights, for latency work; its card says `untrained`.

    Raises:
        DataError: no architecture has that name.
    """
    compute.prepare()
    import keras

    from edge_ser.lab import architectures

    keras.utils.set_random_seed(seed)
    model = architectures.build(architecture, classes)
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
    card = cards.card_for(f"{architecture}-untrained", labels, provenance)
    return export_keras(model, card, path, form, [_synthetic_features()])


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
    name = f"{whole.recipe.architecture}-{corpus.name}"
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
            f"{run.folder}: {len(run.rows)} of {run.recipe.epochs} epochs are done, expected all: "
            "go on with the training first"
        )
    return run


def _synthetic_features() -> NDArray[np.float32]:
    """Features of made-up clips at several levels, shape (12, frames, coefficients)."""
    frontend = Frontend(FRONTEND)
    voice = signals.demo_clip(FRONTEND.rate)
    chirps = signals.as_float(signals.test_signal(CLIP_SAMPLES, FRONTEND.rate))
    gains = 10 ** np.linspace(-2, 0, 6, dtype=np.float32)
    clips = [fit(gain * clip, CLIP_SAMPLES) for clip in (voice, chirps) for gain in gains]
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
