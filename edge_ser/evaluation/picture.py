"""The confusion matrix as a picture; needs the extra `[plot]`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_ser.errors import DataError
from edge_ser.evaluation.report import Report
from edge_ser.pictures import new_figure, plain_text, write_png

__all__ = ["draw_confusion"]

MOST_NAMED = 40
"""Labels; of more neither names nor numbers could be read, and laying them out takes their square
in time and memory."""


def draw_confusion(report: Report, path: Path) -> None:
    """Write the confusion matrix to a PNG file: counts, shaded by the share of the true label.

    Of more than 40 labels the shades alone.

    Raises:
        DependencyError: matplotlib is not installed.
        DataError: the report has no scored clip.
        StorageError: the file cannot be written.
    """
    if not report.n:
        raise DataError(f"{report.corpus}: no clip was scored, expected some to draw")
    shares = [[count / max(1, sum(row)) for count in row] for row in report.confusion]
    named = min(len(report.labels), MOST_NAMED)
    figure = new_figure(2.5 + 0.6 * named, 2.5 + 0.6 * named)
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if named == len(report.labels):
        _name(axes, report, shares)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_title(f"UAR {100 * (report.uar or 0):.1f} %, {report.n} clips", fontsize="medium")
    write_png(figure, path)


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
