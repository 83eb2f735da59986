"""From run folders to model files with complete cards: what `edge-ser export` does with a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ser import metrics
from edge_ser.bench.conditions import read_commit
from edge_ser.card import ConditionFigures, ModelCard, Population, Provenance
from edge_ser.corpora import Corpus
from edge_ser.errors import DataError
from edge_ser.lab import cards
from edge_ser.lab.architectures.networks import Network, build, network
from edge_ser.lab.calibration import Calibration, Fold, calibrate, calibrate_held_out
from edge_ser.lab.cards import Source
from edge_ser.lab.datasets import Dataset, read_dataset
from edge_ser.lab.experiment import DATA
from edge_ser.lab.export import Exported, Form, Stages, export_model
from edge_ser.lab.export import Source as ExportSource
from edge_ser.lab.export.clips import CHECK_CLIPS, made_up_clips
from edge_ser.lab.export.sources import fresh_source, run_source
from edge_ser.lab.provenance import provenance_of, unheard_folds
from edge_ser.lab.runs import Run, fold_of, read_run

__all__ = ["export_run", "export_untrained", "finished"]

PROBED_CLIPS = 8
FREEDOM = 2
"""So many more speakers than corpora tell how speakers of a corpus differ."""
MOST_DOUBT = 1000.0
"""Clips; a value in which speakers hardly differ is left as it is."""
CAUTION = 4.0
"""Of doubt: a few clips of one person differ by the same mood or sentence in all values at once."""
PREDICTED = 1e-3
"""Largest difference of a probability from the training's own: another machine rounds otherwise."""
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
    source: Source | None = None,
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
        source: what is to be said of the corpus; None for what is known of it.

    Raises:
        DataError: a folder holds no run, an unfinished one, or one of another experiment or corpus.
        ModelError: the file is not what the network computes; none is written.
    """
    run = finished(read_run(run_folder), allow_unfinished)
    total = len(corpus.utterances)
    data = read_dataset(
        corpus, run.experiment.data, lambda done: told("reading clips", done, total)
    )
    others = unheard_folds(run, folds)
    trained = run_source(run)
    _check_predictions(run, trained, data)
    source = source or cards.source_of(corpus.name)
    card = _card(run, trained, data, others, robustness, source, name)
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


def _card(
    run: Run,
    trained: ExportSource,
    data: Dataset,
    others: Sequence[Run],
    robustness: Sequence[ConditionFigures],
    source: Source | None,
    name: str | None,
) -> ModelCard:
    experiment = run.experiment
    network, shape = experiment.network, data.features.shape[1:]
    provenance = dataclasses.replace(
        provenance_of(run, data, others, source, robustness),
        network=network.name,
        parameters=counted(network, len(data.classes), shape),
    )
    calibration = (
        calibrate([fold_of(other) for other in others])
        if len(others) > 1
        else _held_out(run, trained, data)
    )
    card = cards.card_for(
        name or f"{network.name}-{run.experiment.data.corpus}",
        data.classes,
        provenance,
        experiment.data,
        network.kind,
        source,
        calibration,
    )
    return dataclasses.replace(card, population=population_of(run, data))


def export_untrained(
    name: str,
    classes: int,
    path: Path,
    form: Form = "float32",
    seed: int = 42,
    force: bool = False,
    told: Stages = lambda stage, done, of: None,
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
        commit=read_commit() or "",
    )
    labels = [f"class_{index}" for index in range(classes)]
    card = cards.card_for(f"{name}-untrained", labels, provenance, data, chosen.kind)
    clips = made_up_clips(card.frontend, card.input)
    return export_model(
        fresh_source(chosen, classes, clips, seed), card, path, form, clips, force, told
    )


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


def population_of(run: Run, data: Dataset) -> Population | None:
    """How speakers differ in the clips that the run trained on, for profiles.

    Their spread is that about the mean of their own corpus: what tells corpora apart is the room,
    the microphone and the language. None for features over time, for unknown speakers, and where
    there are not two more speakers than corpora.
    """
    at = data.index(run.split.train)
    said = [data.utterances[data.names[place]] for place in at]
    who = np.array([each.speaker or "" for each in said])
    homes = {each.speaker: each.corpus for each in said if each.speaker}
    people = sorted(homes)
    freedom = len(people) - len(set(homes.values()))
    if data.spec.kind != "functionals" or freedom < FREEDOM:
        return None
    features = data.features[at].astype(np.float64)
    means = np.array([features[who == person].mean(axis=0) for person in people])
    within = np.mean([features[who == person].var(axis=0) for person in people], axis=0)
    clips = (who != "").sum() / len(people)
    apart = sum(
        np.square(alike - alike.mean(axis=0)).sum(axis=0)
        for alike in _by(means, [homes[person] for person in people])
    )
    # The variance of means has a share of the clips' own in it.
    between = np.maximum(apart / freedom - within / clips, within / MOST_DOUBT)
    doubt = np.divide(within, between, out=np.full_like(within, MOST_DOUBT), where=between > 0)
    doubt = np.minimum(CAUTION * doubt, MOST_DOUBT)
    return Population.of(means.mean(axis=0).tolist(), doubt.tolist())


def _by(rows: NDArray[np.float64], kinds: Sequence[str | None]) -> list[NDArray[np.float64]]:
    """The rows of each kind."""
    # In the order of the rows, so that a sum over them is the same each time.
    return [
        rows[[at for at, own in enumerate(kinds) if own == kind]] for kind in dict.fromkeys(kinds)
    ]


def _check_predictions(run: Run, trained: ExportSource, data: Dataset) -> None:
    """Refuse weights that do not give the predictions which the training wrote with them.

    Raises:
        DataError: they do not: a backbone in a folder of its own was replaced, say.
    """
    if not (run.predictions and run.finished):
        return
    names = run.split.test[:PROBED_CLIPS]
    written = np.array([run.predictions[name] for name in names])
    scores = metrics.among(_probabilities(run, trained, data, names), data.known[data.index(names)])
    worst = float(np.abs(scores - written).max())
    if not worst <= PREDICTED:
        raise DataError(
            f"{run.folder}: the network gives other scores than predictions.json has ({worst:.2g} "
            "off), expected the same: give the corpus, the backbone and the weights of the training"
        )


def _probabilities(
    run: Run, trained: ExportSource, data: Dataset, names: Sequence[str]
) -> NDArray[np.float64]:
    reference = trained.bind((data.features.shape[1:],), len(data.classes))
    scores = reference.scores([data.features[data.index(names)]]).astype(np.float64)
    return metrics.softmax(scores) if run.experiment.network.kind.output == "logits" else scores


def _spread(data: Dataset, names: Sequence[str], most: int) -> NDArray[np.int64]:
    """Where clips of these names stand: so many, spread over all."""
    at = np.asarray(data.index(names))
    return at[np.linspace(0, len(at) - 1, min(most, len(at)), dtype=int)]


def _held_out(run: Run, trained: ExportSource, data: Dataset) -> Calibration | None:
    """Fitted on the validation clips, its error measured on the test clips; None without both."""
    if not run.predictions or not run.split.validation:
        return None
    names = run.split.validation
    scores = _probabilities(run, trained, data, names)
    return calibrate_held_out(Fold(scores, data.labels[data.index(names)]), fold_of(run))
