"""A comparison as one HTML file: no script, nothing fetched, pictures as inline SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edge_ser.bench.page import escape, section, table, whole
from edge_ser.lab.report import notes, plots, tables
from edge_ser.lab.report.compare import Comparison
from edge_ser.lab.report.plots import CSS

__all__ = ["render"]

MOST_PICTURES = 12
"""Experiments of which curves and answers are drawn."""
MOST_RUNS = 24
"""Runs that are listed openly; more stay folded."""


def render(comparison: Comparison) -> str:
    """The page."""
    body = "\n".join(part for part in _parts(comparison) if part)
    return whole("edge-ser report: training runs compared", body, CSS)


def _parts(comparison: Comparison) -> Iterator[str]:
    yield '<p class="over">edge-ser report</p>\n<h1>Training runs compared</h1>\n'
    yield f'<p class="under">{escape(notes.headline(comparison))}</p>'
    for said in notes.protocols(comparison):
        name, _, meaning = said.partition(":")
        yield f"<p><b>{escape(name)}</b>:{escape(meaning)}.</p>"
    for word, said in notes.warnings(comparison):
        yield f'<p><span class="status bad">{word}</span> {escape(said)}</p>'
    yield _figures(
        (
            (plots.dots(comparison, "accuracy", "Accuracy"), "Accuracy", DOTS),
            (plots.dots(comparison, "uar", "UAR"), "UAR", DOTS),
        )
    )
    reached = _table(tables.figures_table(comparison))
    if comparison.tests:
        yield section("What was reached", notes.figures(comparison), reached)
        told_by = _table(tables.ways_table(comparison))
        yield section("Which epoch is told", notes.ways(comparison), told_by)
    else:
        yield section("Experiments", "", reached)
    groups = comparison.groups[:MOST_PICTURES]
    names = [tables.label(comparison, group) for group in groups]
    drawn = [plots.curves(group, at) for at, group in enumerate(groups)]
    yield section(
        "Over the epochs",
        "Accuracy in percent, mean of the runs: training dashed, test as a line, its range over "
        "the runs shaded." + _left_out(comparison),
        _figures([(picture, name, "") for picture, name in zip(drawn, names, strict=True)]),
    )
    drawn = [plots.confusion(group, at) for at, group in enumerate(groups)]
    yield section(
        "Answers",
        "True labels in rows, answers in columns, at the end of all runs together; recall in "
        "percent.",
        _figures([(picture, name, "") for picture, name in zip(drawn, names, strict=True)]),
    )
    calibration = tables.calibration_table(comparison)
    yield section("Calibration", notes.CALIBRATION, _table(calibration) if calibration else "")
    yield section("Runs", "", _runs(comparison))
    told = "".join(f"<li>{escape(said)}</li>" for said in notes.notes(comparison))
    yield section("Notes", "", f"<ul>{told}</ul>" if told else "")
    rows = "".join(
        f"<div><dt>{escape(name)}</dt><dd class='how'>{escape(values)}</dd></div>"
        for name, values in tables.setting_rows(comparison.common)
    )
    yield section("The same in all runs", "", f'<dl class="facts notes">{rows}</dl>')
    yield "<footer>edge-ser report; --format json has every figure.</footer>"


DOTS = "rings are runs, the dot their mean, the bar the pooled interval"


def _left_out(comparison: Comparison) -> str:
    more = len(comparison.groups) - MOST_PICTURES
    return f" {more} more experiments are not drawn." if more > 0 else ""


def _figures(drawn: Sequence[tuple[str, str, str]]) -> str:
    figures = "\n".join(
        f"<figure><figcaption><b>{escape(name)}</b>"
        + (f"<span>{escape(about)}</span>" if about else "")
        + f"</figcaption>{picture}</figure>"
        for picture, name, about in drawn
        if picture
    )
    return f'<div class="plots">\n{figures}\n</div>' if figures else ""


def _runs(comparison: Comparison) -> str:
    listed = _table(tables.runs_table(comparison))
    if len(comparison.runs) <= MOST_RUNS:
        return listed
    return f"<details><summary>All {len(comparison.runs)} runs</summary>{listed}</details>"


def _table(found: tables.Table) -> str:
    return table(*found)
