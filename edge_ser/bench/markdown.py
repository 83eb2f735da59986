"""A benchmark's document as Markdown, and as plain lines for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edge_ser.bench.document import completed
from edge_ser.bench.facts import facts, headline, status, subtitle, title
from edge_ser.bench.tables import (
    PEERS_HEAD,
    PUBLISHED_HEAD,
    PUBLISHED_OTHERWISE,
    STAGES_HEAD,
    Row,
    conditions,
    peer_rows,
    published_notes,
    published_rows,
    stage_rows,
    stages_note,
)
from edge_ser.bench.wording import clean, plain
from edge_ser.evaluation.report import markdown_table

__all__ = ["lines", "render"]

WIDTH = 100
"""Columns of a terminal that the lines are made for."""
GAP = "  "
NAME, VALUE = 16, 20
"""Columns of a fact's name and value; a longer one pushes the rest on."""


def render(document: Mapping[str, Any]) -> str:
    """The whole document in Markdown.

    Args:
        document: whole or under way; parts that are null or missing are left out.

    Raises:
        DataError: a field is not what it should be.
    """
    document = completed(document)
    parts = [plain(" ".join(headline(document))), f"## {plain(_title(document))}"]
    word, sentence = status(document)
    parts.append(f"**{word.capitalize()}.** {sentence}")
    stages = stage_rows(document)
    if stages:
        parts += [markdown_table(STAGES_HEAD, stages), plain(stages_note(document))]
    found = facts(document)
    if found:
        told = [(fact.name, plain(fact.value), plain(fact.how)) for fact in found]
        parts.append(_left(("figure", "value", "how"), told))
    parts += [*_peers(document), *_published(document)]
    if document["validity"]:
        parts += ["### Notes", "\n".join(f"- {plain(clean(n))}" for n in document["validity"])]
    rows = [(name, plain(value)) for name, value in conditions(document)]
    parts += ["### Conditions", _left(("what", "as found"), rows)]
    return "\n\n".join(parts) + "\n"


def _title(document: Mapping[str, Any]) -> str:
    below = subtitle(document)
    return f"{title(document)} ({below})" if below else title(document)


def _peers(document: Mapping[str, Any]) -> list[str]:
    rows = peer_rows(document)
    if not rows:
        return []
    note = "Clip by clip in turn, each in a process of its own; ratios are of one clip's times."
    return ["### Peers", _left(PEERS_HEAD, [tuple(map(plain, row)) for row in rows]), note]


def _published(document: Mapping[str, Any]) -> list[str]:
    rows = published_rows(document)
    if not rows:
        return []
    notes = "\n".join(f"- {plain(of)}: {plain(note)}" for of, note in published_notes(document))
    table = _left(PUBLISHED_HEAD, [tuple(map(plain, row)) for row in rows])
    return ["### Published, beside this run", table, PUBLISHED_OTHERWISE, notes]


def _left(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts, all columns to the left."""
    table = markdown_table(head, rows).splitlines()
    table[1] = "| " + " | ".join(["---"] * len(head)) + " |"
    return "\n".join(table)


def lines(document: Mapping[str, Any]) -> Iterator[str]:
    """The document for a terminal: tables and figures, without hashes and long notes.

    Raises:
        DataError: a field is not what it should be.
    """
    document = completed(document)
    for sentence in headline(document):
        yield from _wrapped(sentence)
    yield from ("", *_wrapped(_title(document)))
    stages = stage_rows(document)
    if stages:
        yield ""
        yield from _grid(("ms per clip", *STAGES_HEAD[1:]), stages)
    found = facts(document)
    if found:
        yield ""
    for fact in found:
        yield from _wrapped(fact.how, fact.name.ljust(NAME) + GAP + fact.value.ljust(VALUE) + GAP)
    yield from _peer_lines(document)
    yield from _published_lines(document)
    word, sentence = status(document)
    yield ""
    yield from _wrapped(sentence, f"{word}:  ")
    for note in document["validity"]:
        yield from _wrapped(clean(note), "- ")


def _peer_lines(document: Mapping[str, Any]) -> Iterator[str]:
    rows = peer_rows(document)
    if not rows:
        return
    yield ""
    yield from _grid([PEERS_HEAD[0], *PEERS_HEAD[2:]], [(row[0], *row[2:]) for row in rows])
    for peer in document["peers"]:
        if peer["error"]:
            yield from _wrapped(f"{clean(peer['name'])}: {clean(peer['error'])}")


def _published_lines(document: Mapping[str, Any]) -> Iterator[str]:
    rows = published_rows(document)
    if rows:
        yield ""
        short = [
            (*row[:2], textwrap.shorten(row[2], 36, placeholder=" ..."), *row[3:]) for row in rows
        ]
        yield from _grid(PUBLISHED_HEAD, short, texts=3)
        yield from _wrapped(PUBLISHED_OTHERWISE)


def _wrapped(text: str, first: str = "") -> list[str]:
    """Lines of the terminal's width; those behind the first are set in as far as `first`."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_on_hyphens=False,
    ) or [first.rstrip()]


def _grid(head: Sequence[str], rows: Sequence[Row], texts: int = 1) -> Iterator[str]:
    """Aligned columns; the first `texts` of them to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        cells = (
            cell.ljust(width) if at < texts else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield GAP.join(cells).rstrip()
