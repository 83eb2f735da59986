"""A comparison as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from edge_ser.bench.wording import plain
from edge_ser.evaluation.report import markdown_table
from edge_ser.lab.report import notes, tables
from edge_ser.lab.report.compare import Comparison

__all__ = ["render"]


def render(comparison: Comparison) -> str:
    """The whole report."""
    return "\n\n".join(_parts(comparison)) + "\n"


def _parts(comparison: Comparison) -> Iterator[str]:
    yield "# Training runs compared"
    yield plain(notes.headline(comparison))
    yield "\n".join(f"- {plain(said)}" for said in notes.protocols(comparison))
    for word, said in notes.warnings(comparison):
        yield f"**{word}** {plain(said)}"
    yield _table(tables.figures_table(comparison))
    if comparison.tests:
        yield plain(notes.figures(comparison))
        yield "## Which epoch is told"
        yield _table(tables.ways_table(comparison))
        yield plain(notes.ways(comparison))
    yield "## Runs"
    yield _table(tables.runs_table(comparison))
    told = [f"- {plain(said)}" for said in notes.notes(comparison)]
    if told:
        yield "\n".join(told)
    for group in comparison.groups:
        found = tables.confusion_table(group)
        if found:
            yield f"## Answers: {plain(tables.label(comparison, group))}"
            yield _table(found)
    calibration = tables.calibration_table(comparison)
    if calibration:
        yield "## Calibration"
        yield _table(calibration)
        yield plain(notes.CALIBRATION)
    yield "## The same in all runs"
    rows = tables.setting_rows(comparison.common)
    yield "\n".join(f"- {plain(section)}: {plain(values)}" for section, values in rows)


def _table(table: tables.Table) -> str:
    head, rows = table
    lines = markdown_table(tuple(map(plain, head)), [tuple(map(plain, row)) for row in rows])
    first, _, *others = lines.splitlines()
    rule = " | ".join("---:" if right else "---" for right in tables.numeric(table))
    return "\n".join((first, f"| {rule} |", *others))
