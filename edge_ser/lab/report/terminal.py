"""A comparison as lines for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence

from edge_ser.lab.report import notes, tables
from edge_ser.lab.report.compare import Comparison

__all__ = ["MOST_RUNS", "lines"]

WIDTH = 100
"""Characters of a line. A table that is wider goes on in a second one, under the same first
columns."""
GAP = 2
MOST_RUNS = 24
"""Runs that are listed one by one."""

Grid = Callable[[Sequence[str], Sequence[Sequence[str]], Sequence[str]], Iterable[str]]


def lines(comparison: Comparison, grid: Grid) -> Iterator[str]:
    """What was compared, the tables, and what is to be known of them.

    grid: aligned lines of heads, rows, and those heads whose columns stand to the right.
    """
    yield from _wrapped(notes.headline(comparison))
    for said in notes.protocols(comparison):
        yield from _wrapped(said)
    for word, said in notes.warnings(comparison):
        yield from _wrapped(f"{word} {said}")
    yield ""
    first = max(1, len(comparison.keys))
    yield from _table(tables.figures_table(comparison), grid, first)
    if comparison.tests:
        yield from _wrapped(notes.figures(comparison))
        yield ""
        yield from _table(tables.ways_table(comparison), grid, first)
        yield from _wrapped(notes.ways(comparison))
    yield ""
    if len(comparison.runs) <= MOST_RUNS:
        yield from _table(tables.runs_table(comparison), grid, min(2, len(comparison.groups)))
    else:
        yield f"{len(comparison.runs)} runs; -o FILE.html or FILE.md lists each"
    for said in notes.notes(comparison):
        yield from _wrapped(said)


def _table(table: tables.Table, grid: Grid, first: int) -> Iterator[str]:
    head, rows = table
    flat = [[cell.replace("\n", " ") for cell in row] for row in rows]
    right = [name for name, is_number in zip(head, tables.numeric(table), strict=True) if is_number]
    for number, part in enumerate(_parts([head, *flat], first)):
        if number:
            yield ""
        names, *cells = ([row[at] for at in part] for row in (head, *flat))
        yield from grid(names, cells, [name for name in names if name in right])


def _parts(rows: Sequence[Sequence[str]], first: int) -> Iterator[list[int]]:
    """Columns of tables that are not too wide: the first ones in each, the others in turn."""
    widths = [max(map(len, column)) + GAP for column in zip(*rows, strict=True)]
    leading = list(range(first))
    part = [*leading]
    for at in range(first, len(widths)):
        if part != leading and sum(widths[i] for i in (*part, at)) - GAP > WIDTH:
            yield part
            part = [*leading]
        part.append(at)
    yield part


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, break_on_hyphens=False, break_long_words=False)
