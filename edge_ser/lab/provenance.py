"""Where a run's weights come from, as its card tells it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edge_ser import metrics as figures
from edge_ser.bench.conditions import read_commit
from edge_ser.card import ConditionFigures, Provenance
from edge_ser.errors import DataError
from edge_ser.lab.calibration import measure
from edge_ser.lab.cards import EXCLUDED_USE, Source, tools
from edge_ser.lab.datasets import Dataset
from edge_ser.lab.runs import Run, fold_of, read_run

__all__ = ["provenance_of", "read_robustness", "unheard_folds"]

FOLDS = {
    "grouped": "groups of speakers",
    "loso": "one speaker left out at a time",
    "loco": "one corpus left out at a time",
}


def provenance_of(
    run: Run,
    data: Dataset,
    folds: Sequence[Run],
    source: Source | None,
    robustness: Sequence[ConditionFigures] = (),
) -> Provenance:
    """Data, protocol, figures, uses, versions, and the digests of the training clips.

    Args:
        run: whose weights are shipped.
        data: of its corpus.
        folds: by `unheard_folds`.
        source: what is to be said of the corpus.
        robustness: measured with the folds' models.

    Raises:
        DataError: the clips are not those that it was trained on.
    """
    # Clips that chose the epoch prove as little as those that trained.
    heard = (*run.split.train, *run.split.validation)
    _refuse_other_audio(run, data)
    metrics: Mapping[str, float] = {}
    if not run.split.test and len(folds) > 1:
        metrics = {**measure([fold_of(fold) for fold in folds]), **_by_corpus(data, folds)}
    elif run.predictions:
        tested = fold_of(run)
        guess = tested.scores.argmax(axis=1)
        metrics = {
            "accuracy": round(figures.accuracy(tested.labels, guess), 4),
            "uar": round(figures.uar(tested.labels, guess), 4),
        }
    return Provenance(
        state="trained",
        data=f"{source.data if source else run.experiment.data.corpus}; {_amount(data)}",
        protocol=_protocol(run, folds),
        metrics=metrics,
        robustness=tuple(robustness),
        licence=source.licence if source else "LicenseRef-unknown",
        intended_use=source.intended_use if source else "",
        excluded_use=EXCLUDED_USE,
        tools=tools(),
        commit=read_commit() or "",
        training_clips=tuple(sorted(data.digests[name] for name in heard)),
        speakers=tuple(sorted({u.speaker for n in heard if (u := data.utterances[n]).speaker})),
    )


def _refuse_other_audio(run: Run, data: Dataset) -> None:
    """By the digests in its card a model's own training clips are never taken for a test."""
    if run.split.audio and run.split.audio != data.digest_of(run.split.clips):
        raise DataError(
            f"{run.folder}: not the recordings that it was trained on, though they are called so: "
            "give those with --corpus"
        )


def _by_corpus(data: Dataset, folds: Sequence[Run]) -> dict[str, float]:
    """Accuracy and UAR over all clips of each corpus, where several are joined."""
    found: dict[str, float] = {}
    homes = {name: utterance.corpus for name, utterance in data.utterances.items()}
    for corpus in sorted({home for home in homes.values() if home}):
        scored = [
            (run.classes.index(run.split.labels[name]), int(np.argmax(scores)))
            for run in folds
            for name, scores in (run.predictions or {}).items()
            if homes.get(name) == corpus
        ]
        if not scored:
            continue
        true, guess = np.array(scored).T
        found[f"accuracy_{corpus}"] = round(figures.accuracy(true, guess), 4)
        found[f"uar_{corpus}"] = round(figures.uar(true, guess), 4)
    return found


def unheard_folds(run: Run, folders: Sequence[Path]) -> list[Run]:
    """Finished runs of the same experiment, each tested on speakers that it never heard.

    Args:
        run: whose weights are shipped; left out of them.
        folders: of the runs.

    Raises:
        DataError: one is of another experiment, unfinished or tested on speakers that it heard, or
            two of them test the same clip.
    """
    others = [read_run(folder) for folder in folders if folder.resolve() != run.folder.resolve()]
    tested: set[str] = set()
    for other in others:
        if _recipe(other) != _recipe(run):
            raise DataError(
                f"{other.folder}: another experiment than {run.folder}'s, expected a fold of the "
                "same data, network and training"
            )
        if not (other.finished and other.split.test):
            raise DataError(f"{other.folder}: expected a finished run with test clips")
        if not other.split.speakers:
            raise DataError(
                f"{other.folder}: its test speakers were heard in training, expected folds by "
                "speaker: protocol grouped, loso or loco"
            )
        if tested & {*other.split.test}:
            raise DataError(f"{other.folder}: tests clips that another fold tests, too")
        tested |= {*other.split.test}
    return others


def _recipe(run: Run) -> tuple[object, ...]:
    """All that has to be the same in folds of one experiment."""
    experiment = run.experiment
    training = dataclasses.replace(experiment.training, seed=0)
    return experiment.data, experiment.network, training, experiment.augmentation


def _amount(data: Dataset) -> str:
    speakers = {utterance.speaker for utterance in data.utterances.values()}
    who = "" if None in speakers or "" in speakers else f" of {len(speakers)} speakers"
    return f"{len(data.names)} clips{who}, {len(data.classes)} labels"


def read_robustness(path: Path) -> list[ConditionFigures]:
    """The rows of `edge-ser evaluate --perturb --format json`; none where there is no such file.

    Raises:
        DataError: the file is something else.
    """
    if not path.exists():
        return []
    try:
        rows = json.loads(path.read_text())["rows"]
        return [ConditionFigures(row["name"], row["accuracy"], row["uar"]) for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: {error!r}; expected what 'edge-ser evaluate --perturb --format json' writes"
        ) from error


def _protocol(run: Run, folds: Sequence[Run]) -> str:
    """How the weights were trained and where the figures come from, in a sentence or two."""
    training, split = run.experiment.training, run.split
    kept = (
        f"epoch of the lowest loss on {len(split.validation)} validation clips"
        if training.keep == "best_validation"
        else "last epoch"
    )
    trained = (
        f"{len(split.train)} clips, {len(run.rows)} epochs of {training.epochs} set beforehand, "
        f"{kept}, batch {training.batch}, seed {training.seed}."
    )
    if not split.test:
        figures = (
            f"Figures: {len(folds)} models of the same recipe "
            f"({FOLDS.get(folds[0].experiment.protocol.name, 'by speaker')}), each on the "
            "speakers it never heard; mean and standard deviation over folds."
            if len(folds) > 1
            else "No figures: all clips were seen in training."
        )
        return f"{split.name}: trained on all speakers, {trained} {figures}"
    tested = f"Figures: {len(split.test)} clips of {_tested_speakers(run)}"
    return f"{split.name}: {trained} {tested}."


def _tested_speakers(run: Run) -> str:
    if run.split.speakers:
        return ", ".join(run.split.speakers)
    return (
        "speakers of the corpus's own test split"
        if run.split.name == "official"
        else "the same speakers"
    )
