"""Where a run's weights come from, as its card tells it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from edge_ser import metrics as figures
from edge_ser.audio import read_clip
from edge_ser.card import ConditionFigures, Provenance
from edge_ser.errors import DataError
from edge_ser.lab.calibration import measure
from edge_ser.lab.cards import EXCLUDED_USE, Source, commit, tools
from edge_ser.lab.datasets import Dataset
from edge_ser.lab.runs import Run, fold_of, read_run

__all__ = ["provenance_of", "read_robustness"]


def provenance_of(
    run: Run,
    data: Dataset,
    folds: Sequence[Path],
    source: Source | None,
    robustness: Sequence[ConditionFigures] = (),
) -> Provenance:
    """Data, protocol, figures, uses, versions, and the digests of the training clips."""
    # Clips that chose the epoch prove as little as those that trained.
    trained = [data.utterances[name] for name in (*run.split.train, *run.split.validation)]
    metrics: Mapping[str, float] = {}
    if not run.split.test and len(folds) > 1:
        metrics = measure([fold_of(read_run(fold)) for fold in folds])
    elif run.predictions is not None:
        tested = fold_of(run)
        guess = tested.scores.argmax(axis=1)
        metrics = {
            "accuracy": round(figures.accuracy(tested.labels, guess), 4),
            "uar": round(figures.uar(tested.labels, guess), 4),
        }
    return Provenance(
        state="trained",
        data=source.data if source else run.experiment.data.corpus,
        protocol=_protocol(run, len(folds)),
        metrics=metrics,
        robustness=tuple(robustness),
        licence=source.licence if source else "LicenseRef-unknown",
        intended_use=source.intended_use if source else "",
        excluded_use=EXCLUDED_USE,
        tools=tools(),
        commit=commit(),
        training_clips=tuple(sorted(read_clip(u.path).digest() for u in trained)),
        speakers=tuple(sorted({u.speaker for u in trained if u.speaker})),
    )


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


def _protocol(run: Run, folds: int) -> str:
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
            f"Figures: {folds} models of the same recipe by grouped speakers, each on the "
            "speakers it never heard; mean and standard deviation over folds."
            if folds > 1
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
