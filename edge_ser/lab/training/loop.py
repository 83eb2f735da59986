"""The loop over epochs, for either framework: what is written, measured, kept and resumed."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ser import metrics
from edge_ser.errors import DataError
from edge_ser.lab.datasets import Dataset
from edge_ser.lab.examples import Examples, examples_of
from edge_ser.lab.experiment import Experiment, TrainingOptions
from edge_ser.lab.protocols import Split
from edge_ser.lab.runs import (
    claim,
    read_rows,
    refuse_another,
    save_beside,
    write_predictions,
    write_rows,
)
from edge_ser.lab.training.batches import answers_by_corpus, one_answer, two_answers
from edge_ser.lab.training.schedules import learning_rate
from edge_ser.lab.training.trainers import Trainer, open_trainer

__all__ = ["check", "train"]

Row = dict[str, float]
Floats = NDArray[np.float32]


def train(
    experiment: Experiment,
    data: Dataset,
    split: Split,
    folder: Path,
    report: Callable[[Row], None] = lambda row: None,
) -> Trainer:
    """Train on `split.train`, or go on where a killed run stopped.

    `folder` gets config.toml, split.json, metrics.jsonl (one line an epoch), last.* and best.*
    (checkpoints) and predictions.json (probabilities of the test clips by the weights that the run
    keeps). The same experiment, data and split give the same weights whether or not the run was
    interrupted: bit for bit on a CPU with the same number of threads.

    Raises:
        DataError: the folder holds another run, a class has no training clip, there is no
            validation clip where the experiment needs some, or the loss is not finite.
        StorageError: the disk is full; the last whole checkpoint is still there.
    """
    options = experiment.training
    claimed = check(experiment, data, split, folder)
    trainer = open_trainer(experiment, len(data.classes), data.features.shape[1:])
    claim(folder, experiment, claimed)
    examples = examples_of(experiment, data, split.train)
    last, best = (folder / f"{name}{trainer.suffix}" for name in ("last", "best"))
    if last.exists():
        trainer.load(last)
    else:
        trainer.begin(lambda: examples.of_epoch(0)[0])
    done = trainer.epochs(examples.count * (2 if answers_by_corpus(experiment) else 1))
    rows = read_rows(folder)[:done]
    looks = {"validation": data.index(split.validation), "test": data.index(split.test)}
    for epoch in range(done, options.epochs):
        started = time.perf_counter()
        rate = learning_rate(options, epoch, rows)
        row = {"epoch": epoch, **_run_epoch(trainer, examples, experiment, epoch, rate)}
        row["rate"] = rate
        if not math.isfinite(row["loss"]):
            raise DataError(
                f"{folder}: the loss of epoch {epoch} is {row['loss']}, expected a number: lower "
                "training.learning_rate, or look for clips that are not speech"
            )
        for side, at in looks.items():
            if len(at) and (side == "validation" or _looks_at_test(options, epoch)):
                row |= _measured(side, _scores(trainer, data, at), data.labels[at], options)
        if _is_best(options, row, rows):
            save_beside(best, trainer.save)
        row["seconds"] = round(time.perf_counter() - started, 3)
        rows.append(row)
        write_rows(folder, rows)
        save_beside(last, trainer.save)
        report(row)
    if options.keep == "best_validation":
        trainer.load(best)
    # The last thing, without test clips too: by it a run counts as finished.
    at = looks["test"]
    write_predictions(folder, split.test, _scores(trainer, data, at) if len(at) else ())
    return trainer


def _scores(trainer: Trainer, data: Dataset, at: NDArray[np.int64]) -> Floats:
    """Probabilities of clips among the classes of their own corpus."""
    return metrics.among(trainer.scores(data.features[at]), data.known[at])


def check(experiment: Experiment, data: Dataset, split: Split, folder: Path) -> Split:
    """The split with the digest of its clips, if it suits and the folder is this run's or nobody's.

    Raises:
        DataError: as `train`, but for what the network and the loss say.
    """
    _refuse_misfits(experiment, data, split)
    heard = dataclasses.replace(split, audio=data.digest_of(split.clips))
    refuse_another(folder, experiment, heard)
    return heard


def _refuse_misfits(experiment: Experiment, data: Dataset, split: Split) -> None:
    """What would show only after hours, or never."""
    homes = {utterance.corpus or "" for utterance in data.utterances.values()}
    foreign = sorted(set(experiment.training.corpus_temperature) - homes)
    if foreign:
        raise DataError(
            f"{split.name}: training.corpus_temperature names {', '.join(foreign)}, expected "
            f"corpora of the clips: {', '.join(sorted(homes - {''})) or 'none is known'}"
        )
    trained = {int(label) for label in data.labels[data.index(split.train)]}
    lacking = [name for at, name in enumerate(data.classes) if at not in trained]
    if lacking:
        raise DataError(
            f"{split.name}: no clip of {', '.join(lacking)} to train on, expected some of each "
            "label: leave the label out of data.labels, or choose another protocol"
        )
    if experiment.training.loss == "margin" and not data.known.all():
        raise DataError(
            f"{split.name}: corpora of different labels with loss = margin, which knows no class "
            "that a corpus lacks: take cross_entropy"
        )
    needs = {"schedule": "plateau", "keep": "best_validation"}
    chosen = [f"{k} = {v}" for k, v in needs.items() if getattr(experiment.training, k) == v]
    if chosen and not split.validation:
        raise DataError(
            f"{split.name}: no validation clips, which training.{' and '.join(chosen)} goes by: "
            'set protocol.validation = "clips"'
        )
    if experiment.training.keep == "best_test" and not split.test:
        raise DataError(f"{split.name}: no test clips, which keep = best_test goes by: set another")


def _run_epoch(
    trainer: Trainer, examples: Examples, experiment: Experiment, epoch: int, rate: float
) -> Row:
    """Train on the examples in an order drawn from (seed, epoch)."""
    inner, order = np.random.SeedSequence([experiment.training.seed, epoch]).spawn(2)
    batch_of = two_answers if answers_by_corpus(experiment) else one_answer
    features, targets = batch_of(examples, experiment, epoch, np.random.default_rng(order))
    loss, accuracy = trainer.run_epoch(features, targets, rate, inner)
    return {"loss": loss, "accuracy": accuracy}


def _looks_at_test(options: TrainingOptions, epoch: int) -> bool:
    return epoch + 1 == options.epochs or (epoch + 1) % options.evaluate_every == 0


def _is_best(options: TrainingOptions, row: Row, rows: Sequence[Row]) -> bool:
    if options.keep == "best_validation":
        return row["validation_loss"] < min((r["validation_loss"] for r in rows), default=math.inf)
    if options.keep == "best_test":
        return row.get("test_wa", 0.0) > max((r.get("test_wa", 0.0) for r in rows), default=0.0)
    return False


def _measured(
    side: str, scores: Floats, labels: NDArray[np.int64], options: TrainingOptions
) -> Row:
    """Loss, accuracy and UAR, and the papers' WA: the mean of the accuracies of batches."""
    right = scores.argmax(axis=1) == labels
    batches = [right[i : i + options.batch].mean() for i in range(0, len(right), options.batch)]
    measured = {
        "loss": metrics.negative_log_likelihood(scores, labels),
        "accuracy": float(right.mean()),
        "uar": metrics.uar(labels, scores.argmax(axis=1)),
        "wa": float(np.mean(batches)),
    }
    return {f"{side}_{name}": value for name, value in measured.items()}
