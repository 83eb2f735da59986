"""The layout of `--help`."""

from __future__ import annotations

import re
from collections.abc import Iterable

import click

__all__ = ["HelpContext"]

WHOLE = "\ue000"
"""Stands for a hyphen inside a word while lines are broken."""


def _kept_whole(text: str) -> str:
    return re.sub(r"(?<=\w)-(?=\w)", WHOLE, text)


class HelpFormatter(click.HelpFormatter):
    """click's, without breaking lines inside `edge-ser` or a package's name."""

    def write_text(self, text: str) -> None:
        """Wrapped text."""
        super().write_text(_kept_whole(text))

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """Terms with their descriptions."""
        super().write_dl([(term, _kept_whole(text)) for term, text in rows], col_max, col_spacing)

    def getvalue(self) -> str:
        """All that was written."""
        return super().getvalue().replace(WHOLE, "-")


class HelpContext(click.Context):
    """A context whose help has this layout."""

    formatter_class = HelpFormatter
