"""Numbers and strangers' texts as every form of a report shows them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

__all__ = [
    "clean",
    "figure",
    "fold",
    "large",
    "milliseconds",
    "number_of",
    "percent",
    "plain",
    "range_of",
    "times",
    "without_folders",
]

MOST_TEXT = 600
_FOLDERS = re.compile(r"(?<![^\s'\"(=:])/(?:[^/\s]+/)+(?=[^/\s])")
"""Of absolute paths in a sentence; those of addresses, `https://...`, are none."""


def clean(value: object) -> str:
    """One line of printable characters: a document may come from anybody.

    >>> clean("two\\nlines \\x1b[31m")
    'two lines [31m'
    """
    text = "".join(c if c.isprintable() else " " for c in str(value)[: 2 * MOST_TEXT])
    line = " ".join(text.split())
    return line if len(line) <= MOST_TEXT else line[: MOST_TEXT - 1] + "…"


def without_folders(text: str) -> str:
    """A sentence that names files without their folders: those tell of people, not of speed.

    >>> without_folders("/home/ann/clips/a.wav: no such file, see https://example.org/a/b")
    'a.wav: no such file, see https://example.org/a/b'
    """
    return _FOLDERS.sub("", text)


def plain(text: str) -> str:
    """Text that Markdown shows as it is: no link, picture, tag or emphasis comes of it.

    >>> print(plain("<b> and *c*"))
    \\<b\\> and \\*c\\*
    """
    return "".join(f"\\{c}" if c in "\\`*_[]<>&#" else c for c in text)


def figure(value: float) -> str:
    """Three digits that count, and all before the point.

    >>> figure(4.8213), figure(12.345), figure(1424.43), figure(0.00018), figure(0)
    ('4.82', '12.3', '1,424', '0.00018', '0')
    """
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 1e9:
        return f"{value:.2g}"
    return f"{value:,.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def milliseconds(value: float) -> str:
    """Milliseconds with their unit; seconds from ten of them on.

    >>> milliseconds(4.8213), milliseconds(1424.43), milliseconds(15_200)
    ('4.82 ms', '1,424 ms', '15.2 s')
    """
    return f"{figure(value)} ms" if value < 10_000 else f"{figure(value / 1000)} s"


def range_of(pair: list[float] | None) -> str:
    """An interval without its unit; empty where there is none.

    >>> range_of([4.791, 4.86])
    '4.79 to 4.86'
    """
    return "" if pair is None else f"{figure(pair[0])} to {figure(pair[1])}"


def times(ratio: Mapping[str, Any]) -> str:
    """A ratio with its interval.

    >>> times({"value": 7.4213, "low": 7.31, "high": 7.553})
    '7.42x (7.31 to 7.55)'
    """
    return f"{fold(ratio['value'])} ({range_of([ratio['low'], ratio['high']])})"


def fold(value: float) -> str:
    """A factor.

    >>> fold(2.5)
    '2.50x'
    """
    return figure(value) + "x"


def percent(share: float) -> str:
    """A share as a percentage, one digit behind the point."""
    return f"{100 * share:.1f} %"


def large(value: float) -> str:
    """A count with its thousands, millions or billions in a word.

    >>> large(95_093), large(166_200_000), large(97e9)
    ('95,093', '166 million', '97.0 billion')
    """
    for size, word in ((1e9, "billion"), (1e6, "million")):
        if value >= size:
            return f"{figure(value / size)} {word}"
    return f"{value:,.0f}"


def number_of(count: int, what: str) -> str:
    """A count with its noun.

    >>> number_of(1, "clip"), number_of(2, "clip")
    ('1 clip', '2 clips')
    """
    return f"{count:,} {what}{'' if count == 1 else 's'}"
