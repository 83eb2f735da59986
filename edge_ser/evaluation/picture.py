"""The confusion matrix as a picture; needs the extra `[plot]`."""

from __future__ import annotations

from pathlib import Path

from edge_ser.errors import DataError, DependencyError, StorageError
from edge_ser.evaluation.report import Report

__all__ = ["draw_confusion", "need_matplotlib"]


def need_matplotlib() -> None:
    """For whoever will draw after long work.

    Raises:
        DependencyError: matplotlib is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise DependencyError(
            "matplotlib is not installed, expected it for a picture: pip install 'edge-ser[plot]'"
        ) from error


def draw_confusion(report: Report, path: Path) -> None:
    """Write the confusion matrix to a PNG file: counts, shaded by the share of the true label.

    Raises:
        DependencyError: matplotlib is not installed.
        DataError: the report has no scored clip.
        StorageError: the file cannot be written.
    """
    need_matplotlib()
    from matplotlib.figure import Figure

    if not report.n:
        raise DataError(f"{report.corpus}: no clip was scored, expected some to draw")
    shares = [[count / max(1, sum(row)) for count in row] for row in report.confusion]
    size = 2.5 + 0.6 * len(report.labels)
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, counts in enumerate(report.confusion):
        for column, count in enumerate(counts):
            shade = "white" if shares[row][column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=shade)
    ticks = range(len(report.labels))
    names = [label.replace("$", r"\$") for label in report.labels]
    axes.set_xticks(ticks, names, rotation=45, ha="right")
    axes.set_yticks(ticks, names)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_title(f"UAR {100 * (report.uar or 0):.1f} %, {report.n} clips", fontsize="medium")
    try:
        figure.savefig(path, format="png", dpi=150)
    except OSError as error:
        raise StorageError(
            f"{path}: {error.strerror}, expected a file that can be written: give another name"
        ) from error
