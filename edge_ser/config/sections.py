"""The sections of a configuration and the keys in each, as the rooms' dataclasses have them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple, get_args, get_type_hints

from edge_ser.documents import is_table, shown
from edge_ser.errors import ConfigError

__all__ = ["CARD_SECTIONS", "MOVED", "SECTIONS", "Key", "kind_of", "option_class", "option_kinds"]

SECTIONS = {
    "model": ("edge_ser.config.options", "ModelOptions"),
    "source": ("edge_ser.listening.options", "SourceOptions"),
    "gate": ("edge_ser.segment", "GateOptions"),
    "segment": ("edge_ser.segment", "SegmentOptions"),
    "decide": ("edge_ser.events", "DecideOptions"),
    "jsonl": ("edge_ser.sinks.json_lines", "JsonLinesOptions"),
    "clips": ("edge_ser.sinks.clips", "ClipOptions"),
    "report": ("edge_ser.config.options", "ReportOptions"),
}
"""Section -> module and dataclass, in the order in which they are shown. Imported when needed:
some of these rooms import numpy."""

CARD_SECTIONS = {"gate": "segmenting", "segment": "segmenting", "decide": "deciding"}
"""Section -> the mapping of a model's card that recommends values for it."""

MOVED: dict[str, str] = {}
"""Key of an earlier version -> its place now, as "section.key" both."""


class Key(NamedTuple):
    """The place of one value."""

    section: str
    name: str
    item: str = ""
    """Key within the value, where that is a table (`thresholds.anger`)."""

    def __str__(self) -> str:
        return f"[{self.section}] {shown_name(self.name)}" + (
            f".{shown_name(self.item)}" if self.item else ""
        )


def shown_name(name: str) -> str:
    """A key as messages show it: in quotes where it is not plain."""
    return name if name.isidentifier() and len(name) <= 60 else shown(name)


@cache
def option_class(section: str) -> Any:
    """The dataclass behind a section of `SECTIONS`."""
    module, name = SECTIONS[section]
    return getattr(import_module(module), name)


@cache
def option_kinds(section: str) -> dict[str, Any]:
    """Key -> type, in the order of the dataclass."""
    options = option_class(section)
    hints = get_type_hints(options)
    return {field.name: hints[field.name] for field in fields(options)}


def kind_of(key: Key, where: str) -> Any:
    """The type of a key's value: of one entry, where the key is that of an entry of a table.

    where: what named the key, for the message.

    Raises:
        ConfigError: no such section or key; it names the nearest, or where an older key went.
    """
    old = f"{key.section}.{key.name}"
    if old in MOVED:
        section, name = MOVED[old].split(".")
        raise ConfigError(f"{where}: {key} moved to {Key(section, name)}: rename it")
    check_section(key.section, where)
    kinds = option_kinds(key.section)
    if key.name not in kinds:
        raise ConfigError(f"{where}: {key} is unknown: {_near_key(key)}")
    kind = kinds[key.name]
    if not key.item:
        return kind
    if not is_table(kind):
        raise ConfigError(f"{where}: {key} is unknown: [{key.section}] {key.name} is no table")
    return get_args(kind)[1]


def check_section(section: str, where: str) -> None:
    """Raise ConfigError, naming the nearest, where there is no such section."""
    if section not in SECTIONS:
        near = _near(section, SECTIONS)
        advice = f"did you mean [{near}]?" if near else f"there are {', '.join(SECTIONS)}"
        raise ConfigError(f"{where}: [{shown_name(section)}] is unknown: {advice}")


def _near_key(key: Key) -> str:
    kinds = option_kinds(key.section)
    if near := _near(key.name, kinds):
        return f"did you mean {near}?"
    for section in SECTIONS:
        if key.name in option_kinds(section):
            return f"did you mean {Key(section, key.name)}?"
    return f"there are {', '.join(kinds)}"


def _near(name: str, known: Collection[str]) -> str | None:
    return next(iter(get_close_matches(name, known, n=1)), None)
