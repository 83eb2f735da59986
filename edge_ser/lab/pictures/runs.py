"""What a training did, as pictures: curves over the epochs, and the confusion matrix."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge_ser.evaluation.picture import draw_confusion
from edge_ser.lab.report.classification import as_evaluation, classification
from edge_ser.lab.report.records import RunRecord
from edge_ser.lab.runs import save_beside
from edge_ser.pictures import ACCENT, FAINT, RULE, new_figure, plain_text, write_png

__all__ = ["draw_curves", "write_run_report"]

Axes = Any
Points = list[tuple[int, float]]

TEST, VALIDATION = ACCENT, "#c2762b"
SIDES = (
    ("", "training", FAINT),
    ("validation_", "validation", VALIDATION),
    ("test_", "test", TEST),
)
FEW = 30
"""Points of a curve up to which each is marked."""
LEAST_HALF = 4
"""Epochs from which on the last half is worth a panel of its own."""


def write_run_report(run: RunRecord, folder: Path | None = None) -> tuple[Path, ...]:
    """Everything that can be shown of a run, beside its records.

    That is curves.png once two epochs are done, and of a run that is finished and tests labelled
    clips confusion.png, classification.txt and classification.json.

    Args:
        run: finished or not.
        folder: where the files go; None for the run's own.

    Returns:
        The files that were written.

    Raises:
        DependencyError: matplotlib or scikit-learn is not installed.
        StorageError: a file cannot be written.
    """
    into = run.folder if folder is None else folder
    written = []
    if len(run.rows) > 1:
        draw_curves(run, into / "curves.png")
        written.append(into / "curves.png")
    if run.scores is not None and run.true is not None:
        found, evaluated = classification(run), as_evaluation(run)
        values = json.dumps(found.values, indent=1, ensure_ascii=False) + "\n"
        names = [into / f"{name}" for name in FILES]
        save_beside(names[0], lambda part: draw_confusion(evaluated, part))
        save_beside(names[1], lambda part: part.write_text(found.text, encoding="utf-8"))
        save_beside(names[2], lambda part: part.write_text(values, encoding="utf-8"))
        written += names
    return tuple(written)


FILES = ("confusion.png", "classification.txt", "classification.json")


def draw_curves(run: RunRecord, path: Path) -> None:
    """Loss above accuracy over the epochs: all of them, and beside that the last half closer.

    Training as the epochs went, that is with dropout and whatever was augmented; validation and
    test where they were looked at.

    Args:
        run: with at least one epoch done.
        path: PNG file, replaced if it is there.

    Raises:
        DependencyError: matplotlib is not installed.
        StorageError: the file cannot be written.
    """
    starts = [1, len(run.rows) // 2 + 1] if len(run.rows) >= LEAST_HALF else [1]
    figure = new_figure(1.2 + 4.4 * len(starts), 5.6)
    panels = figure.subplots(2, len(starts), squeeze=False)
    for row, (key, factor) in enumerate((("loss", 1.0), ("accuracy", 100.0))):
        for axes, start in zip(panels[row], starts, strict=True):
            most_marked = FEW if start == 1 else FEW // 2
            for name, color, points in _curves(run, key, factor, start):
                axes.plot(
                    *zip(*points, strict=True),
                    color=color,
                    linewidth=1.4,
                    marker="o" if len(points) <= most_marked else None,
                    markersize=3.5,
                    label=name,
                )
            _dress(axes, start, len(run.rows))
        panels[row][0].set_ylabel("loss" if key == "loss" else "accuracy, %")
    for axes, start in zip(panels[0], starts, strict=True):
        said = "all epochs" if start == 1 else f"epochs {start} to {len(run.rows)}"
        axes.set_title(said, fontsize="medium", loc="left", color=FAINT)
    for axes in panels[1]:
        axes.set_xlabel("epoch")
    figure.legend(*panels[1][0].get_legend_handles_labels(), frameon=False, fontsize="small",
                  loc="outside upper right", ncols=3)  # fmt: skip
    state = "" if run.finished else f", {len(run.rows)} of {run.epochs} epochs so far"
    figure.suptitle(plain_text(f"{run.name}{state}"), fontsize="large")
    write_png(figure, path)


def _curves(
    run: RunRecord, key: str, factor: float, start: int
) -> Iterator[tuple[str, str, Points]]:
    """Name, colour and points (epoch from 1, value) of each side that was looked at."""
    for prefix, name, color in SIDES:
        points = [
            (number, factor * row[prefix + key])
            for number, row in enumerate(run.rows, 1)
            if number >= start and prefix + key in row
        ]
        if points:
            yield name, color, points


def _dress(axes: Axes, start: int, end: int) -> None:
    """Few lines: a grid that stays behind, no box, whole epochs."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(start, max(end, start + 1))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, prune=None))
    axes.grid(color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(RULE)
    axes.tick_params(length=0, colors=FAINT, labelsize="small")
