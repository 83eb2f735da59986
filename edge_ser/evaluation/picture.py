"""What an evaluation found, as a picture; needs the extra `[plot]`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_ser.errors import DataError
from edge_ser.evaluation.report import Report
from edge_ser.pictures import ACCENT, FAINT, RULE, new_figure, plain_text, write_png

__all__ = ["draw_confusion", "draw_report"]

MOST_NAMED = 40
"""Labels; of more neither names nor numbers could be read, and laying them out takes their square
in time and memory."""

CURVES_WIDTH, CURVES_HEIGHT = 4.5, 7.0
"""Inches of the two panels beside the matrix."""


def draw_confusion(report: Report, path: Path) -> None:
    """Write the confusion matrix to a PNG file: counts, shaded by the share of the true label.

    Of more than 40 labels the shades alone.

    Raises:
        DependencyError: matplotlib is not installed.
        DataError: the report has no scored clip.
        StorageError: the file cannot be written.
    """
    side = _side(report)
    figure = new_figure(side, side)
    _confusion(figure.add_subplot(), report)
    write_png(figure, path)


def draw_report(report: Report, path: Path) -> None:
    """Write a PNG file of three panels: confusion, reliability, and accuracy over coverage.

    Raises:
        DependencyError, DataError, StorageError: as `draw_confusion`.
    """
    side = _side(report)
    figure = new_figure(side + CURVES_WIDTH, max(side, CURVES_HEIGHT))
    panels = figure.add_gridspec(2, 2, width_ratios=(side, CURVES_WIDTH))
    _confusion(figure.add_subplot(panels[:, 0]), report)
    _reliability(figure.add_subplot(panels[0, 1]), report)
    _risk_coverage(figure.add_subplot(panels[1, 1]), report)
    write_png(figure, path)


def _side(report: Report) -> float:
    """Inches that the confusion matrix takes."""
    if not report.n:
        raise DataError(f"{report.corpus}: no clip was scored, expected some to draw")
    return 2.5 + 0.6 * min(len(report.labels), MOST_NAMED)


def _confusion(axes: Any, report: Report) -> None:
    shares = [[count / max(1, sum(row)) for count in row] for row in report.confusion]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(report.labels) <= MOST_NAMED:
        _name(axes, report, shares)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_title(f"UAR {100 * (report.uar or 0):.1f} %, {report.n} clips", fontsize="medium")


def _name(axes: Any, report: Report, shares: Sequence[Sequence[float]]) -> None:
    for row, counts in enumerate(report.confusion):
        for column, count in enumerate(counts):
            shade = "white" if shares[row][column] > 0.5 else "black"
            # Outside of the layout, which a text for each cell makes slow.
            number = axes.text(column, row, str(count), ha="center", va="center", color=shade)
            number.set_in_layout(False)
    ticks = range(len(report.labels))
    names = [plain_text(label) for label in report.labels]
    axes.set_xticks(ticks, names, rotation=45, ha="right")
    axes.set_yticks(ticks, names)


def _reliability(axes: Any, report: Report) -> None:
    """Accuracy over confidence, dots as large as they have clips; on the diagonal none misleads."""
    bins = report.reliability
    axes.plot((0, 1), (0, 1), color=FAINT, linestyle=":", label="perfectly calibrated")
    sizes = [200 * bin_.n / report.n for bin_ in bins]
    at = [bin_.confidence for bin_ in bins]
    axes.plot(at, [bin_.accuracy for bin_ in bins], color=ACCENT, linewidth=1)
    axes.scatter(
        at, [bin_.accuracy for bin_ in bins], s=sizes, color=ACCENT, label="tenths, by clips"
    )
    axes.set_title(f"calibration error {100 * (report.ece or 0):.1f} %", fontsize="medium")
    _frame(axes, "confidence", "share that is right")


def _risk_coverage(axes: Any, report: Report) -> None:
    """What is right of the clips that it is surest of, beside what it claims and an oracle."""
    points = report.risk_coverage
    at = [point.coverage for point in points]
    best = [min(1.0, (report.accuracy or 0) / coverage) for coverage in at]
    axes.plot(at, best, color=FAINT, linestyle="--", linewidth=1, label="an oracle")
    claimed = [point.confidence for point in points]
    axes.plot(at, claimed, color=FAINT, linestyle=":", label="what it claims")
    axes.plot(at, [point.accuracy for point in points], color=ACCENT, label="what is right")
    title = f"{100 * (report.accuracy_at_80 or 0):.1f} % of the surest four fifths are right"
    axes.set_title(title, fontsize="medium")
    _frame(axes, "coverage: share that is answered, the surest first", "share that is right")


def _frame(axes: Any, across: str, up: str) -> None:
    axes.set(xlabel=across, ylabel=up, xlim=(0, 1.02), ylim=(0, 1.02))
    axes.grid(color=RULE)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", fontsize="small", frameon=False)
