"""What every page of HTML is made of: no script, nothing fetched, all in one file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape as escape_markup

from edge_ser.bench.style import CSS
from edge_ser.bench.tables import TOO_SMALL, Row

__all__ = ["escape", "section", "table", "whole"]

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""A document may come from anybody: the page runs and fetches nothing, whatever it says."""
MOST_NOWRAP = 28
"""Characters of a cell that are kept on one line."""
_UNIT = re.compile(r"(?<=\d) (?=(?:ms|s|MB|J|MHz|°C|%)(?!\w))")


def escape(text: str) -> str:
    """Text as markup, a number and its unit kept on one line."""
    return _UNIT.sub("&nbsp;", escape_markup(text))


def whole(title: str, body: str, more_style: str = "") -> str:
    """The page.

    Args:
        title: plain text.
        body: markup.
        more_style: CSS behind that of every page.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<title>{escape(title)}</title>\n<style>{CSS}{more_style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def section(name: str, note: str, content: str) -> str:
    """A part with its title; none where there is no content, which is markup."""
    if not content:
        return ""
    said = f'\n<p class="note">{escape(note)}</p>' if note else ""
    return f"<section>\n<h2>{escape(name)}</h2>{said}\n{content}\n</section>"


def table(head: Sequence[str], rows: Sequence[Row], kind: str = "stack") -> str:
    """A table: one of numbers scrolls where it is too wide, another becomes a list on a phone."""
    if not rows:
        return ""
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    lines = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>{"".join(map(_cell, head[1:], row[1:]))}</tr>'
        for row in rows
    )
    return (
        f'<div class="wide"><table class="{kind}"><thead><tr>{names}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def _cell(name: str, value: str) -> str:
    """A second line is set small; so is what is no number among numbers."""
    first, _, second = value.partition("\n")
    if first == TOO_SMALL:
        first, second = "", first
    kind = ' class="words"' if len(first) > MOST_NOWRAP else ""
    below = f"<small>{escape(second)}</small>" if second else ""
    return f'<td{kind} data-name="{escape(name)}">{escape(first)}{below}</td>'
