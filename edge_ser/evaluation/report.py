"""What an evaluation found: values for JSON, and Markdown for people."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = [
    "Failure",
    "ModelResult",
    "Report",
    "Robustness",
    "RobustnessRow",
    "Spread",
    "markdown_table",
    "spread",
]


@dataclass(frozen=True)
class Failure:
    """A recording that could not be scored, and why."""

    path: str
    message: str


@dataclass(frozen=True)
class ModelResult:
    """What one of the models (a fold's, say) scored on the clips that fell to it."""

    name: str
    n: int
    accuracy: float
    uar: float


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation."""

    mean: float
    std: float
    """0 for a single value."""


def spread(values: Iterable[float]) -> Spread:
    """Mean and sample standard deviation of at least one value.

    >>> spread([0.25, 0.5, 0.75])
    Spread(mean=0.5, std=0.25)
    """
    known = list(values)
    return Spread(statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else 0.0)


@dataclass(frozen=True)
class Report:
    """Scores of a corpus by models that have not heard its clips."""

    corpus: str
    labels: tuple[str, ...]
    """The models' labels, in their order."""
    n: int
    """Clips that were scored; all figures below are over these."""
    seen_in_training: int
    """Clips that every model was trained on; never scored."""
    unknown_labels: Mapping[str, int]
    """Clips not scored because the models do not know their label, by label."""
    failures: tuple[Failure, ...]
    accuracy: float | None = None
    """Share of right labels; None, like the other figures, where no clip was scored."""
    uar: float | None = None
    """Mean recall of the labels that occur."""
    ece: float | None = None
    """Expected calibration error, 10 bins."""
    chance_ece: float | None = None
    """What a perfectly calibrated model, as confident of as many clips, would show by chance."""
    accuracy_at_80: float | None = None
    """Share of right labels among the four fifths of the clips that the model is surest of."""
    oracle_share_at_80: float | None = None
    """How much of what an oracle would gain by leaving a fifth unanswered that is."""
    calibrated_share_at_80: Spread | None = None
    """The same of a perfectly calibrated model, as sure of as many clips."""
    negative_log_likelihood: float | None = None
    """Nats a clip."""
    confusion: tuple[tuple[int, ...], ...] = ()
    """Row the true label, column the predicted one."""
    models: tuple[ModelResult, ...] = field(default=())

    @property
    def clips(self) -> int:
        """All clips of the corpus, scored or not."""
        return (
            self.n + self.seen_in_training + sum(self.unknown_labels.values()) + len(self.failures)
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        values = {"clips": self.clips, **asdict(self)}
        if self.models:
            values["accuracy_over_models"] = asdict(spread(m.accuracy for m in self.models))
            values["uar_over_models"] = asdict(spread(m.uar for m in self.models))
        return values

    def to_markdown(self) -> str:
        """Tables of the figures, the models, the confusion, and what was not scored."""
        parts = [f"## {self.corpus}: {self.n} of {self.clips} clips scored"]
        if self.seen_in_training:
            parts.append(f"{self.seen_in_training} clips not scored: seen in training.")
        for label, count in self.unknown_labels.items():
            parts.append(f"{count} clips not scored: label `{_cell(label)}` unknown to the model.")
        if self.n:
            parts += [self._figures(), *self._models(), self._confusion()]
        if self.failures:
            rows = [(failure.path, failure.message) for failure in self.failures]
            parts.append(markdown_table(("failed", "why"), rows))
        return "\n\n".join(parts) + "\n"

    def _figures(self) -> str:
        rows = [
            ("accuracy", _percent(self.accuracy)),
            ("UAR", _percent(self.uar)),
            ("calibration error (ECE)", _percent(self.ece)),
            ("ECE by chance alone", _percent(self.chance_ece)),
            ("accuracy at 80 % coverage", _percent(self.accuracy_at_80)),
            ("of an oracle's gain by then", _percent(self.oracle_share_at_80)),
            ("the same of perfect calibration", self._calibrated()),
            ("negative log likelihood", f"{self.negative_log_likelihood:.3f}"),
        ]
        return markdown_table(("figure", "value"), rows)

    def _calibrated(self) -> str:
        share = self.calibrated_share_at_80
        return f"{100 * share.mean:.0f} ± {100 * share.std:.0f} %" if share else ""

    def _models(self) -> list[str]:
        if len(self.models) < 2:
            return []
        rows: list[tuple[object, ...]] = [
            (m.name, m.n, _percent(m.accuracy), _percent(m.uar)) for m in self.models
        ]
        accuracies = spread(m.accuracy for m in self.models)
        uars = spread(m.uar for m in self.models)
        rows.append(("mean", self.n, _percent(accuracies.mean), _percent(uars.mean)))
        rows.append(("standard deviation", "", _percent(accuracies.std), _percent(uars.std)))
        return [markdown_table(("model", "clips", "accuracy", "UAR"), rows)]

    def _confusion(self) -> str:
        rows = [
            (label, *counts, _percent(counts[at] / sum(counts)) if any(counts) else "")
            for at, (label, counts) in enumerate(zip(self.labels, self.confusion, strict=True))
        ]
        return markdown_table(("true \\ predicted", *self.labels, "recall"), rows)


@dataclass(frozen=True)
class RobustnessRow:
    """One perturbation, and what is left of the figures under it."""

    name: str
    accuracy: float
    uar: float
    share_of_clean_uar: float
    """1 is no loss."""
    ece: float | None = None
    chance_ece: float | None = None
    """As in `Report`."""


@dataclass(frozen=True)
class Robustness:
    """The robustness table of a model, or of fold models taken together."""

    clean: Report
    rows: tuple[RobustnessRow, ...]
    """Clean first; none where no clip was scored."""

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {"clean": self.clean.to_dict(), "rows": [asdict(row) for row in self.rows]}

    def to_markdown(self) -> str:
        """One table, UAR beside its share of the clean UAR."""
        rows = [
            [
                *(row.name, _percent(row.accuracy), _percent(row.uar)),
                *(_percent(row.share_of_clean_uar), _percent(row.ece), _percent(row.chance_ece)),
            ]
            for row in self.rows
        ]
        title = f"## {self.clean.corpus}: robustness on {self.clean.n} clips"
        head = ("perturbation", "accuracy", "UAR", "of clean UAR", "ECE", "ECE by chance")
        table = markdown_table(head, rows)
        return f"{title}\n\n{table}\n"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table with the first column to the left and the others to the right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    lines = [head, rule, *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(value: object) -> str:
    """Text that stays within its cell: names of files and labels may hold anything."""
    return " ".join(str(value).split()).replace("|", "\\|")


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"
