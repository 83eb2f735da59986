"""Numbers that may be drawn anew for every clip: one, any between two, or one of several."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["FORMS", "Draw", "OneOf", "as_draw", "draw", "ends", "plain"]

MAX_VALUES = 1000
FORMS = "a number, [lowest, highest] or { one_of = [...] }"


@dataclass(frozen=True)
class OneOf:
    """One of some numbers, all equally likely."""

    values: tuple[float, ...]


Draw = float | tuple[float, float] | OneOf
"""Always that number; any between two, all equally likely; or one of several."""


def draw(value: Draw, rng: np.random.Generator) -> float:
    """The number for one clip."""
    if isinstance(value, OneOf):
        return value.values[int(rng.integers(len(value.values)))]
    return float(rng.uniform(*value)) if isinstance(value, tuple) else value


def ends(value: Draw) -> tuple[float, float]:
    """The lowest and the highest number that can come.

    >>> ends(3.0), ends((0.8, 1.25)), ends(OneOf((2.0, 0.5, 1.0)))
    ((3.0, 3.0), (0.8, 1.25), (0.5, 2.0))
    """
    if isinstance(value, OneOf):
        return min(value.values), max(value.values)
    return value if isinstance(value, tuple) else (value, value)


def as_draw(value: object) -> Draw:
    """What TOML says of a number that may be drawn.

    >>> as_draw(10), as_draw([0.8, 1.25]), as_draw({"one_of": [0.5, 2]})
    (10.0, (0.8, 1.25), OneOf(values=(0.5, 2.0)))

    Raises:
        ValueError: it is none of these; `FORMS` says what was wanted.
    """
    if isinstance(value, dict):
        given = value.get("one_of")
        if len(value) != 1 or not isinstance(given, list) or not 1 <= len(given) <= MAX_VALUES:
            raise ValueError
        return OneOf(tuple(map(_number, given)))
    if isinstance(value, list):
        if len(value) != 2:
            raise ValueError
        low, high = map(_number, value)
        if low > high:
            raise ValueError
        return low, high
    return _number(value)


def plain(value: Draw) -> object:
    """The form in which `as_draw` takes it.

    >>> plain(10.0), plain((0.8, 1.25)), plain(OneOf((0.5, 2.0)))
    (10.0, [0.8, 1.25], {'one_of': [0.5, 2.0]})
    """
    if isinstance(value, OneOf):
        return {"one_of": list(value.values)}
    return list(value) if isinstance(value, tuple) else value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        raise ValueError  # NaN is not below anything
    return float(value)
