"""The field's classification report of one run: precision, recall, F1 and support by label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edge_ser import metrics
from edge_ser.errors import DataError, DependencyError
from edge_ser.evaluation.report import Report
from edge_ser.lab.report.records import RunRecord

__all__ = ["Classification", "as_evaluation", "classification"]

DIGITS = 4


@dataclass(frozen=True)
class Classification:
    """The report twice: to read, and as values."""

    text: str
    values: dict[str, Any]
    """By label `precision`, `recall`, `f1-score` and `support`; `accuracy`, `uar`, `macro avg`,
    `weighted avg`."""


def classification(run: RunRecord) -> Classification:
    """The report on the tested clips of a run, by scikit-learn, with UAR.

    A label that none of the clips has counts with zero in the macro averages, and not at all in
    UAR; one that was never answered has a precision of zero.

    Raises:
        DataError: the run is not finished, tests nothing, or does not say what its clips are.
        DependencyError: scikit-learn is not installed.
    """
    true, guess = _answers(run)
    try:
        from sklearn.metrics import classification_report
    except ImportError as error:
        raise DependencyError(
            "scikit-learn is not installed, expected it for a classification report: "
            "pip install 'edge-ser[train]'"
        ) from error
    chosen = {
        "labels": range(len(run.classes)),
        "target_names": run.classes,
        "digits": DIGITS,
        "zero_division": 0,
    }
    uar = metrics.uar(true, guess)
    values = _plain(classification_report(true, guess, output_dict=True, **chosen))
    text = classification_report(true, guess, **chosen).rstrip()
    return Classification(f"{text}\n\nUAR {uar:.{DIGITS}f}\n", {**values, "uar": uar})


def _plain(value: Any) -> Any:
    """Numbers of numpy as those of Python, for JSON."""
    if isinstance(value, dict):
        return {
            str(key): int(inner) if key == "support" else _plain(inner)
            for key, inner in value.items()
        }
    return float(value)


def as_evaluation(run: RunRecord) -> Report:
    """A run as `edge_ser.evaluation` tells of models: for its pictures.

    Raises:
        DataError: as `classification`.
    """
    true, guess = _answers(run)
    counts = metrics.confusion(true, guess, len(run.classes))
    return Report(
        corpus=run.fold,
        labels=run.classes,
        n=len(true),
        seen_in_training=0,
        unknown_labels={},
        failures=(),
        accuracy=metrics.accuracy(true, guess),
        uar=metrics.uar(true, guess),
        confusion=tuple(tuple(row) for row in counts.tolist()),
    )


def _answers(run: RunRecord) -> tuple[Any, Any]:
    if run.scores is None or run.true is None:
        raise DataError(
            f"{run.folder}: no predictions of labelled test clips, expected a finished run that "
            "tests some: train it to its end"
        )
    return run.true, run.scores.argmax(axis=1)
