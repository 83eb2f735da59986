"""Inline SVG: the few shapes that the plots are made of. Colours and type are the page's (CSS)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape

__all__ = [
    "WIDTH",
    "Scale",
    "circle",
    "line",
    "linear",
    "logarithmic",
    "path",
    "rect",
    "svg",
    "text",
]

WIDTH = 440.0
"""Of every picture, in its own units: about the pixels of a column on a desktop."""


class Scale:
    """From values to horizontal or vertical positions, with ticks at round values."""

    def __init__(
        self, low: float, high: float, start: float, end: float, ticks: tuple[float, ...], log: bool
    ) -> None:
        self.low, self.high, self.ticks = low, high, ticks
        self._start, self._end, self._map = start, end, math.log10 if log else float

    def __call__(self, value: float) -> float:
        """Position of a value; those beyond the ends lie at the ends."""
        low, high = self._map(self.low), self._map(self.high)
        share = (self._map(min(max(value, self.low), self.high)) - low) / (high - low)
        return self._start + share * (self._end - self._start)


def linear(low: float, high: float, start: float, end: float, about: int = 5) -> Scale:
    """A scale of `low` to `high`, widened where they are equal, with about so many ticks."""
    if high <= low:
        low, high = low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2
    step = _round_step((high - low) / about)
    first, last = math.ceil(low / step), math.floor(high / step)
    ticks = tuple(n * step for n in range(first, min(last, first + 4 * about) + 1))
    return Scale(low, high, start, end, ticks, log=False)


def logarithmic(low: float, high: float, start: float, end: float) -> Scale:
    """A logarithmic scale that ends at powers of ten, or at 1, 2, 5 of them where it is short."""
    low, high = max(low, 1e-12), max(high, 1e-12)
    steps = (1, 2, 5) if high / low < 30 else (1,)
    decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    marks = [step * 10.0**decade for decade in decades for step in steps]
    bottom = max(mark for mark in marks if mark <= low * (1 + 1e-9))
    top = min(mark for mark in marks if mark >= high * (1 - 1e-9) and mark > bottom)
    ticks = tuple(mark for mark in marks if bottom <= mark <= top)
    return Scale(bottom, top, start, end, ticks, log=True)


def _round_step(step: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * factor for factor in (1, 2, 5, 10) if step <= power * factor * (1 + 1e-9))


def svg(name: str, title: str, description: str, height: float, parts: Iterable[str]) -> str:
    """A picture with a title and a description for those who do not see it.

    Args:
        name: unique in the page.
        title: what it shows.
        description: what a reader would take from it.
        height: in units of which `WIDTH` are the width.
        parts: shapes, those behind first.
    """
    return (
        f'<svg viewBox="0 0 {_at(WIDTH)} {_at(height)}" role="img" '
        f'aria-labelledby="{name}-title {name}-text">'
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-text">{escape(description)}</desc>{"".join(parts)}</svg>'
    )


def text(x: float, y: float, content: str, kind: str = "", anchor: str = "start") -> str:
    """A line of text that starts, ends or has its middle at `x`."""
    place = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{_at(x)}" y="{_at(y)}"{place}{_class(kind)}>{escape(content)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line."""
    ends = f'x1="{_at(x1)}" y1="{_at(y1)}" x2="{_at(x2)}" y2="{_at(y2)}"'
    return f"<line {ends}{_class(kind)}/>"


def rect(x: float, y: float, width: float, height: float, kind: str, radius: float = 2) -> str:
    """A rectangle; one without a width is still to be seen."""
    size = f'width="{_at(max(width, 0.75))}" height="{_at(height)}" rx="{_at(radius)}"'
    return f'<rect x="{_at(x)}" y="{_at(y)}" {size}{_class(kind)}/>'


def circle(x: float, y: float, radius: float, kind: str) -> str:
    """A dot."""
    return f'<circle cx="{_at(x)}" cy="{_at(y)}" r="{_at(radius)}"{_class(kind)}/>'


def path(points: Iterable[tuple[float, float]], kind: str) -> str:
    """A line through points."""
    steps = "L".join(f"{_at(x)} {_at(y)}" for x, y in points)
    return f'<path d="M{steps}"{_class(kind)}/>'


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _at(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
