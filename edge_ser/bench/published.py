"""Published figures to set beside a measurement: they never change one.

All of them are data, in `benchmarks/published.toml`, each with what is known of how it came about.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Literal

from edge_ser.errors import UsageError
from edge_ser.zoo import GPU_PROVIDERS

__all__ = [
    "CORPORA",
    "Device",
    "Row",
    "advice",
    "beside",
    "device",
    "devices",
    "host_is",
    "rows_for",
]

CORPORA = ("emodb", "ravdess", "iemocap")
"""Corpora of the published tables."""


@dataclass(frozen=True)
class Device:
    """A machine of which there are published figures."""

    name: str
    title: str
    kind: Literal["board", "cpu", "gpu"]
    host: str
    """Regular expression that finds it in the name of a board, processor or GPU."""
    provider: str
    """What a run beside its figures would use; empty where edge-ser has no such provider."""
    aliases: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class Row:
    """One figure: `seconds` per clip or `megabytes` (10^6 bytes), the other is None."""

    kind: Literal["published", "prediction"]
    paper: str
    model: str
    corpus: str | None
    """None for a figure that belongs to no corpus."""
    what: str
    source: str
    """Where it stands."""
    note: str
    """What is known of how it was measured."""
    seconds: float | None = None
    megabytes: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON values, without the quantity that it does not have."""
        return {
            key: value
            for key, value in asdict(self).items()
            if value is not None or key not in ("seconds", "megabytes")
        }


@dataclass(frozen=True)
class Published:
    """All that was published, by device."""

    devices: tuple[Device, ...]
    rows: Mapping[str, tuple[Row, ...]]


def devices() -> tuple[Device, ...]:
    """The published machines, in the file's order."""
    return _published().devices


def device(name: str) -> Device:
    """The machine of that name or alias; case, spaces and punctuation do not count.

    >>> device("Raspberry Pi 4").name
    'rpi'

    Raises:
        UsageError: there is none.
    """
    known = {_plain(n): each for each in devices() for n in (each.name, *each.aliases)}
    found = known.get(_plain(name))
    if found is not None:
        return found
    near = difflib.get_close_matches(_plain(name), known, n=1)
    hint = f"did you mean {known[near[0]].name}?" if near else "leave it out for a run of its own"
    names = ", ".join(each.name for each in devices())
    raise UsageError(f"no published figures of {name[:60]!r}, expected one of {names}: {hint}")


def rows_for(which: Device, dataset: str | None = None) -> tuple[Row, ...]:
    """Figures of a machine: those of one corpus and of none, or all of them.

    Args:
        which: from `device`.
        dataset: the name of a workload. One of a corpus without published figures, such as
            synthetic speech, is set beside all of them: the clips are as long to the model.
    """
    rows = _published().rows.get(which.name, ())
    if dataset is None or dataset not in {row.corpus for row in rows}:
        return rows
    return tuple(row for row in rows if row.corpus in (dataset, None))


def host_is(which: Device, conditions: Mapping[str, Any]) -> bool:
    """Whether the machine of these conditions is that device, by the name that it gives itself.

    Args:
        which: from `device`.
        conditions: `board`, `cpu` and, where there is one, `gpu`: names or None.
    """
    said = str(conditions.get(which.kind) or "")
    return re.search(which.host, said, re.IGNORECASE) is not None


def advice(which: Device, conditions: Mapping[str, Any], provider: str) -> str | None:
    """What a reader must know before the figures: one line each; None if there is nothing.

    First that this host is another machine, if it is; then, for a GPU's figures beside a run
    elsewhere, the command that would use one.
    """
    lines = []
    on_gpu = provider in GPU_PROVIDERS
    if not host_is(which, conditions):
        lines.append(_other_host(which, conditions))
    if which.kind == "gpu" and not on_gpu:
        there = f": on one, edge-ser bench --device {which.name} --provider {which.provider}"
        there += " (an alias then means the .onnx)"
        lines.append(
            f"the published figures are a GPU's, and this run used {provider}"
            + (there if which.provider else "")
        )
    if which.kind != "gpu" and on_gpu:
        lines.append(f"the published figures are a processor's, and this run used {provider}")
    return "\n".join(lines) or None


def beside(
    name: str | None, dataset: str | None, conditions: Mapping[str, Any], provider: str
) -> dict[str, Any] | None:
    """What a benchmark's document says of a published machine; None where none is named.

    Raises:
        UsageError: there is no such machine.
    """
    if name is None:
        return None
    which = device(name)
    return {
        "device": which.name,
        "title": which.title,
        "note": which.note,
        "host_is_device": host_is(which, conditions),
        "rows": [row.to_dict() for row in rows_for(which, dataset)],
        "advice": advice(which, conditions, provider),
    }


@cache
def _published() -> Published:
    file = resources.files("edge_ser.benchmarks") / "published.toml"
    document = tomllib.loads(file.read_text(encoding="utf-8"))
    found = tuple(
        Device(**{**each, "aliases": tuple(each["aliases"])}) for each in document["devices"]
    )
    rows: dict[str, list[Row]] = {each.name: [] for each in found}
    for name, row in _rows(document):
        rows[name].append(row)
    return Published(found, MappingProxyType({name: tuple(row) for name, row in rows.items()}))


def _rows(document: dict[str, Any]) -> Iterator[tuple[str, Row]]:
    """(device, row) of everything in the file, in its order."""
    for table in document["tables"]:
        common = {key: table[key] for key in ("paper", "what", "source", "note")}
        for model, by_device in table["models"].items():
            for name, by_corpus in by_device.items():
                for corpus, seconds in by_corpus.items():
                    yield (
                        name,
                        Row("published", model=model, corpus=corpus, seconds=seconds, **common),
                    )
    for size in document["sizes"]:
        common = {key: value for key, value in size.items() if key != "devices"}
        for name in size["devices"]:
            yield name, Row(kind="published", corpus=None, **common)
    for guess in document["predictions"]:
        common = {key: value for key, value in guess.items() if key != "device"}
        yield guess["device"], Row(kind="prediction", paper="edge-ser", corpus=None, **common)


def _plain(name: str) -> str:
    """Letters and digits only, in lower case."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _other_host(which: Device, conditions: Mapping[str, Any]) -> str:
    """One sentence: which machine this is instead."""
    names = ("gpu", "cpu") if which.kind == "gpu" else ("board", "cpu")
    host = next((conditions[name] for name in names if conditions.get(name)), "of no known name")
    article = "an" if which.title[0] in "AEIOU" else "a"
    lacks = f"shows no {which.title}" if which.kind == "gpu" else f"is not {article} {which.title}"
    return f"this host {lacks}: it is {host}; the published figures stand beside and change nothing"
