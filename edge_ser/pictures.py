"""Figures of matplotlib, without its state of windows, and PNG files that are whole or not there.

matplotlib is imported when a figure is made: commands that draw nothing do without it.
"""

from __future__ import annotations

import io
import os
import secrets
import warnings
from pathlib import Path
from typing import Any

from edge_ser.errors import DependencyError, StorageError

__all__ = [
    "ACCENT",
    "FAINT",
    "RULE",
    "need_matplotlib",
    "new_figure",
    "plain_text",
    "write_png",
]

ACCENT = "#0b6a78"
FAINT = "#626a75"
RULE = "#e6e7e9"
DPI = 120
MAX_TEXT = 60


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


def new_figure(width: float, height: float) -> Any:
    """An empty `matplotlib.figure.Figure` of that many inches, which lays itself out.

    Raises:
        DependencyError: matplotlib is not installed.
    """
    need_matplotlib()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def plain_text(text: str) -> str:
    """A name from outside as matplotlib draws it literally: no formulas, one line, not too long."""
    shown = "".join(c if c.isprintable() else "?" for c in text).replace("$", r"\$")
    return shown if len(shown) <= MAX_TEXT else shown[: MAX_TEXT - 1] + "\N{HORIZONTAL ELLIPSIS}"


def write_png(figure: Any, path: Path) -> None:
    """Write a figure beside its place and rename it, so that no reader meets half of one.

    Raises:
        StorageError: the file cannot be written.
    """
    drawn = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a label in a script that the font lacks
        figure.savefig(drawn, format="png", dpi=DPI)
    part = path.with_name(f".edge-ser-{secrets.token_hex(4)}.part")
    try:
        part.write_bytes(drawn.getbuffer())
        os.replace(part, path)
    except OSError as error:
        raise StorageError(
            f"{path}: {error.strerror or error}, expected a file that can be written: "
            "give another name"
        ) from error
    finally:
        part.unlink(missing_ok=True)
