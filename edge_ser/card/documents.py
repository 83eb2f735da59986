"""JSON from strangers: parsed strictly, hashed in one canonical form, turned into typed values."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from edge_ser.card.checks import UNPRINTABLE
from edge_ser.errors import CardError, ModelDamagedError

__all__ = ["HASH", "build", "canonical", "opened", "parse", "sealed", "strict_json"]

HASH = "card_sha256"
MAX_DEPTH = 16
MAX_DIGITS = 18
"""Of a whole number: no field of a card holds more."""

T = TypeVar("T")


def parse(document: bytes) -> dict[str, Any]:
    """The object that a JSON document holds.

    Raises:
        CardError: no UTF-8, no JSON, no object, NaN or infinity, a key twice, a number of more than
            18 digits, nested more than 16 deep, or control characters in a text.
    """
    try:
        values = strict_json(document)
    except ValueError as error:
        raise CardError(
            f"the card is no JSON document ({error}); export the model again"
        ) from error
    _check_tree(values)
    if not isinstance(values, dict):
        raise CardError("the card is no JSON object; export the model again")
    return values


def strict_json(document: bytes) -> object:
    """What a JSON document holds.

    Raises:
        ValueError: no UTF-8, no JSON, NaN or infinity, a key twice, a whole number of more than 18
            digits, or nested deeper than Python goes; one line says which.
    """
    try:
        return json.loads(
            document.decode("utf-8"),
            parse_int=_whole,
            parse_float=_finite,
            parse_constant=_finite,
            object_pairs_hook=_unique,
        )
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    except ValueError as error:
        raise ValueError(str(error).splitlines()[0]) from error


def canonical(values: Mapping[str, Any]) -> bytes:
    """The one JSON form that hashes are taken of: ASCII, sorted keys, no spaces.

    >>> canonical({"b": 1, "a": "\u00e9"})
    b'{"a":"\\\\u00e9","b":1}'
    """
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def sealed(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with `card_sha256`: SHA-256 of the canonical form of all the others."""
    return {**values, HASH: _digest(values)}


def opened(document: bytes) -> dict[str, Any]:
    """What `sealed` made, with its hash checked.

    Raises:
        CardError: as `parse`, or no hash.
        ModelDamagedError: the hash is that of other values.
    """
    values = parse(document)
    if HASH not in values:
        raise CardError(f"the card has no {HASH}; write it with edge-ser, which adds it")
    if values[HASH] != _digest(values):
        raise ModelDamagedError(
            "the card was changed or damaged (its hash does not match); copy or export it again"
        )
    return values


def build(kind: type[T], values: object, where: str = "card") -> T:
    """A dataclass of JSON values, by its type hints; a key that it does not know is left out.

    Raises:
        CardError: a value is missing or of another type.
    """
    if not isinstance(values, dict):
        raise CardError(f"{where}: expected an object, found {_shown(values)}; export it again")
    hints = _hints(kind)  # type: ignore[arg-type]
    arguments: dict[str, Any] = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        name = f"{where}.{field.name}"
        if field.name in values:
            arguments[field.name] = _convert(hints[field.name], values[field.name], name)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise CardError(f"{name} is missing; export the model again")
    return kind(**arguments)


def _convert(hint: Any, value: Any, where: str) -> Any:
    """A JSON value as its hint wants it: lists become tuples and objects dataclasses."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is UnionType:
        (inner,) = (argument for argument in arguments if argument is not NoneType)
        return None if value is None else _convert(inner, value, where)
    if origin is tuple and isinstance(value, list):
        return tuple(_convert(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is Mapping and isinstance(value, dict):
        return {key: _convert(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if origin is Literal and isinstance(value, str) and value in arguments:
        return value
    if hint is float and type(value) in (int, float):
        return float(value)
    if hint is object or (hint in (str, int) and type(value) is hint):
        return value
    if hasattr(hint, "from_dict") and isinstance(value, dict):
        return hint.from_dict(value)
    if dataclasses.is_dataclass(hint):
        return build(hint, value, where)  # type: ignore[arg-type]
    raise CardError(f"{where} is {_shown(value)}, expected {_named(hint)}; export the model again")


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    """Type hints of a dataclass, worked out once: that takes longer than the hashes."""
    return get_type_hints(kind)


def _named(hint: Any) -> str:
    """What a hint wants, in the words of JSON."""
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(get_args(hint))
    if get_origin(hint) is tuple:
        return "a list"
    return {str: "a text", int: "a whole number", float: "a number"}.get(hint, "an object")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(
        canonical({key: value for key, value in values.items() if key != HASH})
    ).hexdigest()


def _whole(text: str) -> int:
    if len(text.lstrip("-")) > MAX_DIGITS:
        raise ValueError(f"a whole number of {len(text)} digits")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:20]} is not finite")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return values


def _check_tree(values: object) -> None:
    """Refuse texts that are not one line of characters, and trees deeper than any reader needs."""
    pending: list[tuple[object, int]] = [(values, 0)]
    while pending:
        value, depth = pending.pop()
        if depth > MAX_DEPTH:
            raise CardError(f"the card nests more than {MAX_DEPTH} deep; export the model again")
        if isinstance(value, str) and UNPRINTABLE.search(value):
            raise CardError(
                f"the card has control characters in {_shown(value)}; export the model again"
            )
        if isinstance(value, dict):
            pending.extend((item, depth + 1) for pair in value.items() for item in pair)
        elif isinstance(value, list):
            pending.extend((item, depth + 1) for item in value)
