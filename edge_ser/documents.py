"""Documents of text: TOML read within bounds, values as TOML writes them."""

from __future__ import annotations

import json
import math
import os
import reprlib
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from edge_ser.errors import ConfigError

__all__ = [
    "CONTROLS",
    "MAX_BYTES",
    "expected",
    "from_toml",
    "is_table",
    "parted",
    "printable",
    "read_options",
    "read_toml",
    "regular_contents",
    "shown",
    "to_toml",
]

CONTROLS = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}
"""For `str.translate`: control characters that JSON leaves as they are and a terminal obeys."""

MAX_BYTES = 1_000_000
"""Of a configuration file."""
MAX_DOTS = 200
"""In a line: tomllib takes the square of a dotted key's length, which for a megabyte is hours."""


MAX_WHOLE = 2**63 - 1
"""What TOML promises of whole numbers."""

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 60

T = TypeVar("T")


def read_toml(path: str | Path) -> dict[str, Any]:
    """The tables of a TOML file: nothing is interpolated, included or run.

    Raises:
        ConfigError: it is no regular file that can be read, over `MAX_BYTES`, not UTF-8, or not
            TOML.
    """
    try:
        text = regular_contents(path, MAX_BYTES).decode(
            "utf-8-sig"
        )  # some editors begin a file with a mark
        _refuse_endless_keys(text)
        return tomllib.loads(text)
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror or error}, expected a configuration file that can be read"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: byte {error.start} is not UTF-8, expected a TOML file: save it as UTF-8"
        ) from error
    except (ValueError, RecursionError) as error:
        # Python's own advice on a number of thousands of digits is none for a configuration.
        said = str(error).partition("; use sys.")[0]
        raise ConfigError(f"{path}: {said}, expected a TOML file: correct it") from error


def read_options(kind: type[T], table: object, where: str) -> T:
    """A dataclass of options from a table of TOML, checked by its type hints.

    Args:
        kind: the dataclass; fields that the table leaves out have their defaults.
        table: name -> value.
        where: what the table is, for messages, such as `mine.toml: [training]`.

    Raises:
        ConfigError: no table, an unknown name (it tells the nearest), or a value of another type.
    """
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where} is {shown(table)}, expected a section with keys")
    hints = get_type_hints(kind)
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    values = {}
    for name, value in table.items():
        if name not in known:
            near = get_close_matches(str(name), known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise ConfigError(f"{where}: {shown(name)} is unknown: {hint}")
        try:
            values[name] = from_toml(value, hints[name])
        except ValueError:
            raise ConfigError(
                f"{where}: {name} is {shown(value)}, expected {expected(hints[name])}"
            ) from None
    return kind(**values)


def shown(value: object) -> str:
    """The value as it is shown in a message: on one line, shortened."""
    try:
        return _repr.repr(value)
    except ValueError:  # too many digits to be written in decimal
        return "a number of thousands of digits"


def from_toml(value: object, kind: Any) -> object:
    """Check a value of a TOML file: a whole number is also taken where a number is expected.

    kind: the field's type as `typing.get_type_hints` gives it: bool, int, float, str, a Literal, a
        tuple, any of these or None, or a mapping of str. An empty text is None where the field may
        be None, for TOML has no word for it.

    Raises:
        ValueError: it is of another type; `expected(kind)` says what was wanted.
    """
    plain, optional = parted(kind)
    if optional and value == "":
        return None
    if plain is object:
        return value
    if is_table(plain):
        return _table(value, plain)
    if get_origin(plain) is tuple:
        return _list(value, plain)
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
    plain, optional = parted(kind)
    if is_table(plain):
        return "a table of " + ("key = value" if get_args(plain)[1] is object else "label = number")
    if get_origin(plain) is tuple:
        return f"a list, each {expected(get_args(plain)[0])}"
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
    """A value as TOML writes it; None, for which it has no word, as an empty text."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{json.dumps(str(k))} = {to_toml(v)}" for k, v in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(to_toml, value))}]"
    if value is None:
        return '""'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    return json.dumps(str(value), ensure_ascii=False).translate(CONTROLS)


def _refuse_endless_keys(text: str) -> None:
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > MAX_DOTS:
            raise ValueError(f"over {MAX_DOTS} dots (at line {number})")


def regular_contents(path: str | Path, limit: int) -> bytes:
    """The bytes of a file; of a pipe or a device, which may have no end, nothing is read.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no regular file, or has more than `limit` bytes.
    """
    # Without O_NONBLOCK, opening a named pipe would wait for its writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("not a regular file")
        contents = file.read(limit + 1)
    if len(contents) > limit:
        raise ValueError(f"over {limit} bytes")
    return contents


def parted(kind: Any) -> tuple[Any, bool]:
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


def _list(value: object, kind: Any) -> tuple[object, ...]:
    kinds = get_args(kind)
    if not isinstance(value, list | tuple):
        raise ValueError
    if kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(value)
    if len(kinds) != len(value):
        raise ValueError
    return tuple(from_toml(item, inner) for item, inner in zip(value, kinds, strict=True))


def printable(text: object) -> str:
    """The text with control characters spelt out: a file's name or a label must not steer the
    terminal."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode()
        for c in str(text)
    )
