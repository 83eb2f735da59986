"""Values of options: from text and from TOML into the type of the field, and back to TOML."""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from edge_ser.sinks.lines import CONTROLS

__all__ = ["expected", "from_text", "from_toml", "is_table", "shown", "to_toml"]

WORDS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
MAX_WHOLE = 2**63 - 1
"""What TOML promises of whole numbers."""

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 60


def shown(value: object) -> str:
    """The value as it is shown in a message: on one line, shortened."""
    try:
        return _repr.repr(value)
    except ValueError:  # too many digits to be written in decimal
        return "a number of thousands of digits"


def from_text(text: str, kind: Any) -> object:
    """Read a value of an environment variable or of the command line.

    kind: the field's type as `typing.get_type_hints` gives it: bool, int, float, str, a Literal of
        str, any of these or None, or a mapping of str to float, written `anger=0.6,fear=0.5`.
        Nothing (an empty text) is None where the field may be None.

    Raises:
        ValueError: it is of another type; `expected(kind)` says what was wanted.
    """
    plain, _ = _parted(kind)
    if not text:
        return {} if is_table(kind) else from_toml(text, kind)
    if is_table(kind):
        pairs = [part.rpartition("=") for part in text.split(",")]
        return from_toml({label.strip(): float(score) for label, _, score in pairs}, kind)
    if plain is bool:
        return from_toml(WORDS.get(text.strip().lower(), text), kind)
    return from_toml(plain(text) if plain in (int, float) else text, kind)


def from_toml(value: object, kind: Any) -> object:
    """Check a value of a TOML file: a whole number is also taken where a number is expected.

    kind: as for `from_text`. An empty text is None where the field may be None, for TOML has no
        word for it.

    Raises:
        ValueError: it is of another type; `expected(kind)` says what was wanted.
    """
    plain, optional = _parted(kind)
    if optional and value == "":
        return None
    if is_table(plain):
        return _table(value, plain)
    if get_origin(plain) is Literal:
        if value in get_args(plain):
            return value
    elif isinstance(value, bool):
        if plain is bool:
            return value
    elif isinstance(value, int):
        if plain in (int, float) and abs(value) <= MAX_WHOLE:
            return plain(value)
    elif isinstance(value, float):
        if plain is float and math.isfinite(value):
            return value
    elif isinstance(value, str) and plain is str and "\0" not in value:
        return value
    raise ValueError


def expected(kind: Any) -> str:
    """What a value should have been, for a message."""
    plain, optional = _parted(kind)
    if is_table(plain):
        return "a table of label = number"
    if get_origin(plain) is Literal:
        words = " or ".join(map(str, get_args(plain)))
    else:
        words = {
            bool: "true or false",
            int: "a whole number",
            float: "a number",
            str: "text",
        }[plain]
    return words + (' or "" for none' if optional else "")


def is_table(kind: Any) -> bool:
    """Whether a value of this type holds values by name."""
    return isinstance(origin := get_origin(kind), type) and issubclass(origin, Mapping)


def to_toml(value: object) -> str:
    """A value of `from_toml` as TOML writes it."""
    if value is None:
        return '""'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    return json.dumps(str(value), ensure_ascii=False).translate(CONTROLS)


def _parted(kind: Any) -> tuple[Any, bool]:
    """The type without None, and whether None was part of it."""
    if get_origin(kind) in (Union, UnionType):
        (plain,) = (part for part in get_args(kind) if part is not NoneType)
        return plain, True
    return kind, False


def _table(value: object, kind: Any) -> dict[str, object]:
    if not isinstance(value, dict) or not all(value):
        raise ValueError
    inner = get_args(kind)[1]
    return {name: from_toml(item, inner) for name, item in value.items()}
