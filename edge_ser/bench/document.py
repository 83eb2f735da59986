"""The document of a benchmark: one JSON object with all that was measured, and on what.

`new_document` makes one without measurements, `document_text` is what is kept of it, and
`read_document` reads one that anybody may have written. `docs/benchmark-format.md` tells people
what each field means.

A part that was not measured is null. A document whose `complete` is false is as valid as any: the
measurement was interrupted, and what it holds was measured until then.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge_ser.bench.fields import record
from edge_ser.bench.schema import MAJOR, SCHEMA, SHAPE, STAGES
from edge_ser.card.documents import strict_json
from edge_ser.errors import DataError, UsageError

__all__ = [
    "UPGRADES",
    "checked",
    "completed",
    "document_text",
    "new_document",
    "read_document",
]

MOST_BYTES = 64 << 20
MOST_DEPTH = 16

UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""By major version: what makes a document of the next one out of it. There is only one so far."""

_SCHEMA = re.compile(r"edge-ser-bench/(\d{1,4})\.(\d{1,4})")
_ABSOLUTE = re.compile(r"^(--[\w-]+=|-\w)?/(?:.*/)?(?=[^/])", re.DOTALL)
"""The folders of a word of the command line, `--name=` or `-o` before them or not."""


def new_document(command: Iterable[str], config: Mapping[str, Any]) -> dict[str, Any]:
    """A document of now, without measurements: neither complete nor valid yet.

    Args:
        command: the words of the command line, program first; folders of absolute paths are left
            out of the document.
        config: what was asked for.
    """
    return dict.fromkeys(SHAPE) | {
        "schema": SCHEMA,
        "complete": False,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": [_ABSOLUTE.sub(r"\1", word) for word in command],
        "config": dict(config),
        "peers": [],
        "validity": [],
        "valid": False,
    }


def checked(values: object) -> dict[str, Any]:
    """A document whose fields are all there, in order, of their types and within their ranges.

    Raises:
        DataError: a field is not what it should be, or the schema is of a newer major version.
    """
    if not isinstance(values, dict):
        raise DataError(f"no JSON object, expected {SCHEMA}: name a file of edge-ser bench")
    document: dict[str, Any] = record(**SHAPE)(_upgraded(values), "")
    for name in ("complete", "valid"):
        document[name] = bool(document[name])
    for name in ("command", "peers", "validity"):
        document[name] = document[name] or []
    samples = document["samples_ms"]
    if samples is not None and len({len(samples[stage]) for stage in STAGES}) > 1:
        raise DataError(
            "samples_ms has stages of different lengths, expected a sample of each for every clip: "
            "measure again with edge-ser bench"
        )
    return document


def completed(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document under way as `read_document` would give it back: what is missing is null.

    Raises:
        DataError: as `checked`.
    """
    return checked(_plain(document))


def document_text(document: Mapping[str, Any]) -> str:
    """The document as JSON: known fields in their order, lists of numbers on one line.

    Never refuses what was measured: a number that is not finite becomes null.
    """
    order = (*SHAPE, *(name for name in document if name not in SHAPE))
    return _json(_plain({name: document[name] for name in order if name in document})) + "\n"


def read_document(path: str | Path) -> dict[str, Any]:
    """A document that anybody may have written.

    Raises:
        UsageError: there is no such file, or it cannot be read.
        DataError: it is no such document, over 64 MiB, or of a newer major version.
    """
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{path}: {error.strerror or error}, expected a JSON document of edge-ser bench: "
            "name another file"
        ) from error
    if len(data) > MOST_BYTES:
        raise DataError(
            f"{path}: over {MOST_BYTES >> 20} MiB, expected a JSON document of edge-ser bench: "
            "name another file"
        )
    try:
        return checked(_parsed(data))
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _upgraded(values: dict[str, Any]) -> dict[str, Any]:
    """The same in the schema of this version."""
    name = values.get("schema")
    found = _SCHEMA.fullmatch(name) if isinstance(name, str) else None
    if found is None:
        raise DataError(
            f"its schema is {ascii(name)[:40]}, expected {SCHEMA}: name a file of edge-ser bench"
        )
    major = int(found[1])
    if major > MAJOR:
        raise DataError(
            f"its schema {name} is newer than {SCHEMA}, which this edge-ser reads: upgrade edge-ser"
        )
    while major < MAJOR:
        if major not in UPGRADES:
            raise DataError(f"its schema {name} is unknown, expected {SCHEMA}: measure again")
        values, major = UPGRADES[major](values), major + 1
    return values


def _parsed(data: bytes) -> object:
    """Strict JSON: no NaN, no key twice, no endless digits, no depths."""
    try:
        values = strict_json(data)
    except ValueError as error:
        reason = str(error)[:100]
        raise DataError(
            f"no JSON document ({reason}), expected {SCHEMA}: name a file of edge-ser bench"
        ) from error
    _check_depth(values)
    return values


def _check_depth(values: object) -> None:
    level = [values]
    for _ in range(MOST_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    if level:
        raise DataError(f"it nests {MOST_DEPTH} deep or more, expected {SCHEMA}: measure again")


def _plain(value: Any) -> Any:
    """JSON values alone: numpy's scalars and paths are what they stand for."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _json(value: Any, indent: str = "") -> str:
    inner = indent + "  "
    if isinstance(value, dict) and value:
        fields = (f"{inner}{json.dumps(name)}: {_json(v, inner)}" for name, v in value.items())
        return "{\n" + ",\n".join(fields) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(v, dict | list) for v in value):
        return "[\n" + ",\n".join(inner + _json(v, inner) for v in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)
