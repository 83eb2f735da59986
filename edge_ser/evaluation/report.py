"""What an evaluation found."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = [
    "CoveragePoint",
    "Failure",
    "ModelResult",
    "ReliabilityBin",
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
class ReliabilityBin:
    """Clips of about the same confidence: a bar of the reliability diagram."""

    n: int
    confidence: float
    """Their mean."""
    accuracy: float


@dataclass(frozen=True)
class CoveragePoint:
    """The clips that the model is surest of: a point of the risk-coverage curve."""

    coverage: float
    """Their share of all, above 0 to 1."""
    accuracy: float
    """1 - risk."""
    confidence: float
    """Their mean confidence: what a perfectly calibrated model's accuracy would come to."""


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
    """How much of what an oracle would gain by leaving a fifth unanswered that is; None where there
    is nothing to gain."""
    calibrated_share_at_80: Spread | None = None
    """The same of a perfectly calibrated model, as sure of as many clips."""
    negative_log_likelihood: float | None = None
    """Nats a clip."""
    reliability: tuple[ReliabilityBin, ...] = ()
    """The tenths of confidence that hold clips, the least confident first."""
    risk_coverage: tuple[CoveragePoint, ...] = ()
    """In twentieths of the clips, the surest first."""
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


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table with the first column to the left and the others to the right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    lines = [head, rule, *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(value: object) -> str:
    """Text that stays within its cell: names of files and labels may hold anything."""
    return " ".join(str(value).split()).replace("|", "\\|")
