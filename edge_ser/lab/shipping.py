"""From run folders to model files with complete cards: what `edge-ser export` does with a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ser import metrics
from edge_ser.card import ConditionFigures, Provenance
from edge_ser.corpora import Corpus
from edge_ser.errors import DataError
from edge_ser.lab import cards
from edge_ser.lab.architectures.networks import Network, build, network
from edge_ser.lab.calibration import Calibration, Fold, calibrate, calibrate_held_out
from edge_ser.lab.datasets import Dataset, read_dataset
from edge_ser.lab.experiment import DATA
from edge_ser.lab.export import Exported, Form, Source, Stages, export_model
from edge_ser.lab.export.clips import CHECK_CLIPS, made_up_clips
from edge_ser.lab.export.sources import fresh_source, run_source
from edge_ser.lab.provenance import provenance_of
from edge_ser.lab.runs import Run, fold_of, read_run

__all__ = ["export_run", "export_untrained", "finished"]

JUDGED_CLIPS = 500
"""Most clips on which a file is compared with its network, and what a smaller form loses is found:
those that the run tests, all if it tests none."""


def export_run(
    run_folder: Path,
    corpus: Corpus,
    path: Path,
    form: Form = "float32",
    folds: Sequence[Path] = (),
    name: str | None = None,
    allow_unfinished: bool = False,
    robustness: Sequence[ConditionFigures] = (),
    force: bool = False,
    told: Stages = lambda stage, done, of: None,
) -> Exported:
    """Export the weights that a run keeps, with a complete card.

    Args:
        run_folder: of `train_job`.
        corpus: the one it was trained on.
        path: `.tflite` or `.onnx` file to write.
        form: of the weights.
        folds: run folders of the same experiment on other speakers, finished: calibration and
            figures of the card come from their out-of-fold predictions. With fewer than two the
            card has the run's own test figures, and is calibrated on its validation clips, if it
            has both.
        name: in the card; None for NETWORK-CORPUS.
        allow_unfinished: take the weights as they are before the last epoch.
        robustness: measured with the fold models, for the card.
        force: keep a quantised file that is slower than float32 or not half as large.
        told: of progress.

    Raises:
        DataError: a folder holds no run, an unfinished one, or one of another corpus.
        ModelError: the file is not what the network computes; none is written.
    """
    run = finished(read_run(run_folder), allow_unfinished)
    experiment = run.experiment
    data = read_dataset(corpus, experiment.data)
    others = [fold_of(read_run(fold)) for fold in folds if fold != run_folder]
    source = cards.SOURCES.get(corpus.name)
    trained = run_source(run)
    card = cards.card_for(
        name or f"{experiment.network.name}-{corpus.name}",
        data.classes,
        dataclasses.replace(
            provenance_of(run, data, folds, source, robustness),
            network=experiment.network.name,
            parameters=counted(experiment.network, len(data.classes), data.features.shape[1:]),
        ),
        experiment.data,
        experiment.network.kind,
        source.bandwidth_hz if source else None,
        calibrate(others) if len(others) > 1 else _held_out(run, trained, data),
    )
    judged = _spread(data, run.split.test or data.names, JUDGED_CLIPS)
    heard = _spread(data, run.split.train, CHECK_CLIPS)
    return export_model(
        trained,
        card,
        path,
        form,
        [data.features[judged]],
        force,
        told,
        data.labels[judged],
        [data.features[heard]],
    )


def export_untrained(
    name: str, classes: int, path: Path, form: Form = "float32", seed: int = 42
) -> Exported:
    """A published network with seeded random weights, for latency work; its card says `untrained`.

    Raises:
        DataError: no network has that name.
    """
    chosen = network(name)
    data = DATA[chosen.family]
    provenance = Provenance(
        state="untrained",
        network=name,
        data=f"none: random weights of seed {seed}",
        licence="CC0-1.0",
        intended_use=cards.UNTRAINED_USE,
        excluded_use=cards.EXCLUDED_USE,
        tools=cards.tools(),
        commit=cards.commit(),
    )
    labels = [f"class_{index}" for index in range(classes)]
    card = cards.card_for(f"{name}-untrained", labels, provenance, data, chosen.kind)
    clips = made_up_clips(card.frontend, card.input)
    return export_model(fresh_source(chosen, classes, clips, seed), card, path, form, clips)


def counted(chosen: Network, classes: int, shape: tuple[int, ...]) -> int | None:
    """Parameters as the framework counts them: the published row's, or of a fresh network."""
    if classes in chosen.parameters:
        return chosen.parameters[classes]
    built = build(chosen, classes, shape)
    if chosen.kind.framework == "keras":
        return int(built.count_params())
    return int(sum(weight.numel() for weight in built.parameters() if weight.requires_grad))


def finished(run: Run, allow_unfinished: bool = False) -> Run:
    """The run, if all its epochs are done.

    Raises:
        DataError: they are not, and that is not allowed.
    """
    if not run.finished and not allow_unfinished:
        raise DataError(
            f"{run.folder}: {len(run.rows)} of {run.experiment.training.epochs} epochs are done, "
            "expected all: go on with the training first"
        )
    return run


def _spread(data: Dataset, names: Sequence[str], most: int) -> NDArray[np.int64]:
    """Where clips of these names stand: so many, spread over all."""
    at = np.asarray(data.index(names))
    return at[np.linspace(0, len(at) - 1, min(most, len(at)), dtype=int)]


def _held_out(run: Run, trained: Source, data: Dataset) -> Calibration | None:
    """Fitted on the validation clips, its error measured on the test clips; None without both."""
    if run.predictions is None or not run.split.validation:
        return None
    at = data.index(run.split.validation)
    reference = trained.bind((data.features.shape[1:],), len(data.classes))
    scores = reference.scores([data.features[at]]).astype(np.float64)
    if run.experiment.network.kind.output == "logits":
        scores = metrics.softmax(scores)
    return calibrate_held_out(Fold(scores, data.labels[at]), fold_of(run))
