"""Shapes of JSON values, put together from small checks: `document.py` says which are where.

A check takes a value and the name of its place, and gives the value back as it is to be used. What
a stranger wrote is believed only so: types exact (true is no number), numbers finite and within
their range, lists and texts bounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from edge_ser.errors import DataError

__all__ = [
    "Check",
    "interval",
    "items",
    "mapping",
    "number",
    "one_of",
    "optional",
    "record",
    "text",
    "truth",
    "whole",
]

Check = Callable[[Any, str], Any]

MOST_WHOLE = 10**15
MOST_TEXT = 8000
MOST_ITEMS = 256
"""Of lists and mappings that are not samples."""


def number(low: float, high: float) -> Check:
    """A number of `low` to `high`, both included."""

    def check(value: Any, where: str) -> Any:
        if type(value) not in (int, float) or not low <= value <= high:  # NaN is in no range
            raise _wrong(where, value, f"a number of {low:g} to {high:g}")
        return value

    return check


def whole(low: int = 0, high: int = MOST_WHOLE) -> Check:
    """A whole number of `low` to `high`, both included."""

    def check(value: Any, where: str) -> Any:
        if type(value) is not int or not low <= value <= high:
            raise _wrong(where, value, f"a whole number of {low} to {high:g}")
        return value

    return check


def text(value: Any, where: str) -> Any:
    """A text of at most 8,000 characters; whoever shows it takes care of control characters."""
    if type(value) is not str or len(value) > MOST_TEXT:
        raise _wrong(where, value, f"a text of at most {MOST_TEXT} characters")
    return value


def truth(value: Any, where: str) -> Any:
    """True or false."""
    if type(value) is not bool:
        raise _wrong(where, value, "true or false")
    return value


def one_of(*known: str) -> Check:
    """One of these texts."""

    def check(value: Any, where: str) -> Any:
        if type(value) is not str or value not in known:
            raise _wrong(where, value, f"one of {', '.join(known)}")
        return value

    return check


def optional(check: Check) -> Check:
    """The same, or null."""
    return lambda value, where: None if value is None else check(value, where)


def items(check: Check, most: int = MOST_ITEMS) -> Check:
    """A list of at most `most` of these."""

    def check_all(value: Any, where: str) -> Any:
        if not isinstance(value, list | tuple) or len(value) > most:
            raise _wrong(where, value, f"a list of at most {most}")
        return [check(item, f"{where}[{at}]") for at, item in enumerate(value)]

    return check_all


def mapping(check: Check, most: int = MOST_ITEMS) -> Check:
    """An object of at most `most` of these, under names of its own."""

    def check_all(value: Any, where: str) -> Any:
        if not isinstance(value, Mapping) or len(value) > most:
            raise _wrong(where, value, f"an object of at most {most} fields")
        return {text(key, where): check(item, f"{where}.{key}") for key, item in value.items()}

    return check_all


def record(**fields: Check) -> Check:
    """An object of these fields, in this order; one that is missing counts as null.

    Fields that are not known are kept behind the others, unread: a newer minor version has some.
    """

    def check_all(value: Any, where: str) -> Any:
        if not isinstance(value, Mapping):
            raise _wrong(where, value, "an object")
        prefix = f"{where}." if where else ""
        known = {name: check(value.get(name), prefix + name) for name, check in fields.items()}
        return known | {name: item for name, item in value.items() if name not in fields}

    return check_all


def interval(low: float, high: float) -> Check:
    """Two numbers of `low` to `high`, the smaller first."""
    bound = number(low, high)

    def check(value: Any, where: str) -> Any:
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise _wrong(where, value, "a list of two numbers")
        pair = [bound(item, f"{where}[{at}]") for at, item in enumerate(value)]
        if pair[0] > pair[1]:
            raise _wrong(where, value, "the smaller number first")
        return pair

    return check


def _wrong(where: str, value: Any, expected: str) -> DataError:
    found = "missing or null" if value is None else _shown(value)
    return DataError(f"{where} is {found}, expected {expected}: measure again with edge-ser bench")


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple | Mapping):
        kind = "an object" if isinstance(value, Mapping) else "a list"
        return f"{kind} of {len(value)}"
    if isinstance(value, float) and not math.isfinite(value):
        return "not finite"
    shown = ascii(value) if not isinstance(value, int) or abs(value) < 10**30 else "a huge number"
    return shown if len(shown) <= 40 else shown[:37] + "..."
