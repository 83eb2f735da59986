"""What the folds of a training say, as Markdown: honest accuracy, calibration, published optimism.

    python benchmarks/grouped_folds.py RUNS/grouped-01 RUNS/grouped-02 ... RUNS/published-01

Each argument is a run's folder (split.json, recipe.json, metrics.jsonl, predictions.json). Folds by
speaker give accuracy and UAR of the last epoch, and the temperature: fitted on all other folds to
measure the calibration error of one, and on all of them for the model card. Runs of the `published`
protocol, whose test speakers also train, give the accuracy of the best epoch, chosen on the test
clips, beside that of the last. A run that is not finished is named and not counted.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ser import metrics
from edge_ser.corpora import EMODB_LABELS, NAMED, Utterance
from edge_ser.errors import DataError, EdgeSerError
from edge_ser.evaluation import spread
from edge_ser.evaluation.report import markdown_table
from edge_ser.lab.runs import Run, read_run

PUBLISHED_BEST = {
    "emodb": (90.77, 87.64, 87.50, 90.63, 88.35, 85.79, 85.12, 88.17, 89.73, 88.17),
    "ravdess": (86.88, 83.75, 83.75, 85.00, 86.88, 85.63, 87.50, 83.75, 87.50, 85.00),
}
"""Best-epoch WA (percent) of PLB's ten folds in its authors' own logs."""


@dataclass(frozen=True, eq=False)
class Tested:
    """A run with what its test clips are."""

    log: Run
    scores: NDArray[np.float64] | None
    """Of the test clips at the last epoch, shape (clips, classes); None before that."""
    labels: NDArray[np.int64]
    """Of the test clips."""

    @property
    def name(self) -> str:
        """Of the split."""
        return self.log.split.name

    @property
    def published(self) -> bool:
        """Speakers are on both sides."""
        return self.name.startswith("published")


def read_tested(folder: Path, corpus: str, classes: Sequence[str]) -> Tested:
    """Read a run's folder; DataError if it is none, or tests clips of speakers that train."""
    run = read_run(folder)
    test = [_parse(name, corpus) for name in run.split.test]
    heard = {_parse(name, corpus).speaker for name in run.split.train}
    shared = heard & {utterance.speaker for utterance in test}
    labels = np.array([classes.index(utterance.label) for utterance in test], dtype=np.int64)
    scores = None
    if run.predictions is not None:
        scores = np.array([run.predictions[name] for name in run.split.test], dtype=np.float64)
    tested = Tested(run, scores, labels)
    if shared and not tested.published:
        raise DataError(f"{folder}: speakers {shared} train and test, expected them apart")
    return tested


def _parse(name: str, corpus: str) -> Utterance:
    utterance = NAMED[corpus].parse(Path(name))
    if utterance is None:
        raise DataError(f"{name}: no speech of {corpus}, expected only clips that have a label")
    return utterance


def grouped_tables(runs: Sequence[Tested], classes: Sequence[str]) -> list[str]:
    """Accuracy by fold, pooled confusion, calibration."""
    clips = [name for run in runs for name in run.log.split.test]
    if len(set(clips)) < len(clips):
        raise DataError("a clip is tested in two folds: give the folds of one training")
    scores = [run.scores for run in runs if run.scores is not None]
    labels = [run.labels for run in runs]
    pooled, true = np.concatenate(scores), np.concatenate(labels)
    predicted = pooled.argmax(axis=1)
    counts = metrics.confusion(true, predicted, len(classes))
    confusion = [(label, *row) for label, row in zip(classes, counts.tolist(), strict=True)]
    return [
        "## Speakers never heard: last epoch, nothing chosen on test clips",
        _fold_table(runs, true, predicted),
        markdown_table(("true \\ predicted", *classes), confusion),
        "## Calibration",
        *_calibration(runs, scores, labels),
    ]


def _fold_table(
    runs: Sequence[Tested], true: NDArray[np.int64], predicted: NDArray[np.int64]
) -> str:
    figures = []
    for run in runs:
        assert run.scores is not None
        guess = run.scores.argmax(axis=1)
        figures.append((metrics.accuracy(run.labels, guess), metrics.uar(run.labels, guess)))
    rows: list[tuple[object, ...]] = [
        (
            run.name,
            ", ".join(run.log.split.speakers),
            run.log.recipe.epochs,
            len(run.labels),
            *map(_percent, figure),
        )
        for run, figure in zip(runs, figures, strict=True)
    ]
    over = [spread(values) for values in zip(*figures, strict=True)]
    pooled = (metrics.accuracy(true, predicted), metrics.uar(true, predicted))
    rows.append(("mean of folds", "", "", "", *(_percent(s.mean) for s in over)))
    rows.append(("standard deviation", "", "", "", *(_percent(s.std) for s in over)))
    rows.append(("pooled", "", "", len(true), *map(_percent, pooled)))
    return markdown_table(("fold", "speakers", "epochs", "clips", "accuracy", "UAR"), rows)


def _calibration(
    runs: Sequence[Tested],
    scores: Sequence[NDArray[np.float64]],
    labels: Sequence[NDArray[np.int64]],
) -> list[str]:
    """ECE before and after temperature scaling that never saw the fold it is measured on."""
    pooled, true = np.concatenate(scores), np.concatenate(labels)
    final = metrics.fit_temperature(pooled, true)
    if len(runs) < 2:
        return [f"Temperature of one fold alone: {final:.4f} (no other fold to measure it on)."]
    rows: list[tuple[object, ...]] = []
    mended = []
    for at, run in enumerate(runs):
        others = [k for k in range(len(runs)) if k != at]
        temperature = metrics.fit_temperature(
            np.concatenate([scores[k] for k in others]), np.concatenate([labels[k] for k in others])
        )
        mended.append(metrics.apply_temperature(scores[at], temperature))
        rows.append(
            _calibration_row(run.name, f"{temperature:.4f}", scores[at], mended[at], labels[at])
        )
    rows.append(_calibration_row("pooled", "", pooled, np.concatenate(mended), true))
    head = ("fold", "T (other folds)", "ECE", "ECE scaled", "NLL", "NLL scaled")
    return [
        markdown_table(head, rows),
        f"Temperature for the card, fitted on all {len(true)} out-of-fold predictions: {final:.4f}",
    ]


def _calibration_row(
    name: str,
    temperature: str,
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    true: NDArray[np.int64],
) -> tuple[object, ...]:
    return (
        name,
        temperature,
        *(_percent(metrics.expected_calibration_error(s, true)) for s in (before, after)),
        *(f"{metrics.negative_log_likelihood(s, true):.3f}" for s in (before, after)),
    )


def published_tables(runs: Sequence[Tested], corpus: str) -> list[str]:
    """Best epoch on the test clips beside the last: WA, the mean accuracy of batches of 32."""
    rows: list[tuple[object, ...]] = []
    found = []
    for run in runs:
        looked = [(row["test_wa"], int(row["epoch"])) for row in run.log.rows if "test_wa" in row]
        best, epoch = max(looked, key=lambda pair: (pair[0], -pair[1]))
        last = looked[-1][0]
        late = statistics.fmean(wa for wa, _ in looked[-20:])
        found.append((best, last, late))
        wa = map(_percent, (best, last, late))
        rows.append(
            (run.name, run.log.recipe.epochs, len(looked), epoch, *wa, _published_best(run, corpus))
        )
    means = [spread(values).mean for values in zip(*found, strict=True)]
    rows.append(("mean", "", "", "", *map(_percent, means), ""))
    head = ("fold", "epochs", "looked at", "best epoch (from 0)", "best WA (leaky)", "last WA")
    return [
        "## Published protocol: speakers train and test, best epoch chosen on the test clips",
        markdown_table((*head, "mean of last 20 looks", "authors' best WA"), rows),
    ]


def _published_best(run: Tested, corpus: str) -> str:
    """What the authors' log has for the fold of this number."""
    number = run.name.rpartition("-")[2]
    known = PUBLISHED_BEST.get(corpus, ())
    if number.isdecimal() and 1 <= int(number) <= len(known):
        return f"{known[int(number) - 1]:.2f} %"
    return ""


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"


def report(folders: Sequence[Path], corpus: str, classes: Sequence[str]) -> str:
    """The whole report on the runs' folders."""
    runs = [read_tested(folder, corpus, classes) for folder in folders]
    done = [run for run in runs if run.scores is not None]
    parts = [
        f"{run.name}: not finished ({len(run.log.rows)} of {run.log.recipe.epochs} epochs), "
        "not counted."
        for run in runs
        if run.scores is None
    ]
    grouped = [run for run in done if not run.published]
    published = [run for run in done if run.published]
    if grouped:
        parts += grouped_tables(grouped, classes)
    if published:
        parts += published_tables(published, corpus)
    return "\n\n".join(parts) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report; an error that the user can mend is one line and its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument("--corpus", choices=sorted(NAMED), default="emodb")
    parser.add_argument(
        "--labels",
        default=",".join(EMODB_LABELS.values()),
        help="the models' labels in the order of their outputs (default: %(default)s)",
    )
    given = parser.parse_args(arguments)
    try:
        print(report(given.runs, given.corpus, given.labels.split(",")), end="")
    except EdgeSerError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
