"""Where values come from: a TOML file, the environment, the command line. One layer each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from edge_ser.config.sections import MOVED, SECTIONS, Key, check_section, kind_of, option_kinds
from edge_ser.config.values import from_text
from edge_ser.documents import expected, from_toml, read_toml, shown
from edge_ser.errors import ConfigError

__all__ = ["OTHER_VARIABLES", "Setting", "from_environment", "from_file", "from_flags"]

PREFIX = "EDGE_SER_"
OTHER_VARIABLES = ("DATA", "REQUIRE", "RUNS", "TFLITE_RUNTIME_PYTHON")
"""What follows the prefix in variables that the project uses for other things."""
ALIKE = 0.8
"""Of difflib: from here on a name is taken for a misspelt one."""


@dataclass(frozen=True)
class Setting:
    """A value that was given, and where."""

    value: object
    layer: Literal["file", "environment", "flag"]
    where: str
    """The file's path or the variable's name."""

    def __str__(self) -> str:
        """Such as `file /etc/edge-ser.toml`; `flag` alone for the command line."""
        return self.layer if self.layer == "flag" else f"{self.layer} {self.where}"


Layer = dict[Key, Setting]


def from_file(path: str | Path) -> Layer:
    """The values of a TOML file: nothing is interpolated, included or run.

    Raises:
        ConfigError: it is no regular file that can be read, over a megabyte, not UTF-8, not TOML,
            or holds an unknown section or key or a value of another type.
    """
    return _checked(_in_file(path), from_toml, "file")


def from_environment(environ: Mapping[str, str]) -> Layer:
    """The values of the variables EDGE_SER_SECTION_KEY; an empty one counts as not set.

    Raises:
        ConfigError: a value of another type, or a misspelt name: one with a section of ours, or
            much like one of ours. Other variables that happen to begin with EDGE_SER_ are left
            alone: containers are given such for the services beside them.
    """
    return _checked(_in_environment(environ), from_text, "environment")


def from_flags(overrides: Mapping[str, str]) -> Layer:
    """The values of `--set section.key=value` and of the direct flags that stand for such.

    overrides: "section.key", or "section.key.label" for one entry of a table, -> text.

    Raises:
        ConfigError: an unknown section or key, or a value of another type.
    """
    return _checked(_on_the_command_line(overrides), from_text, "flag")


Given = tuple[Key, Any, str]
"""Key, value as it was given, and what gave it."""


def _checked(
    given: Iterable[Given],
    read: Callable[[Any, Any], object],
    layer: Literal["file", "environment", "flag"],
) -> Layer:
    settings: Layer = {}
    for key, raw, where in given:
        kind = kind_of(key, where)
        try:
            value = read(raw, kind)
        except ValueError:
            raise ConfigError(
                f"{where}: {key} is {shown(raw)}, expected {expected(kind)}"
            ) from None
        if isinstance(value, dict):
            items = {Key(key.section, key.name, item): inner for item, inner in value.items()}
        else:
            items = {key: value}
        settings |= {place: Setting(inner, layer, where) for place, inner in items.items()}
    return settings


def _in_file(path: str | Path) -> Iterator[Given]:
    for section, table in read_toml(path).items():
        check_section(section, str(path))
        if not isinstance(table, dict):
            raise ConfigError(
                f"{path}: {section} is {shown(table)}, expected a section [{section}] with keys"
            )
        for name, value in table.items():
            yield Key(section, name), value, str(path)


def _in_environment(environ: Mapping[str, str]) -> Iterator[Given]:
    known = _variables()
    for variable, text in sorted(environ.items()):
        rest = variable.removeprefix(PREFIX)
        if rest == variable or not text or rest in OTHER_VARIABLES:
            continue
        if rest in known:
            yield known[rest], text, variable
        else:
            _refuse_misspelt(rest, known)


def _variables() -> dict[str, Key]:
    """What follows the prefix in the name of each variable -> its key."""
    keys = [Key(section, name) for section in SECTIONS for name in option_kinds(section)]
    keys += [Key(*old.split(".")) for old in MOVED]
    return {f"{key.section}_{key.name}".upper(): key for key in keys}


def _refuse_misspelt(rest: str, known: Mapping[str, Key]) -> None:
    section, _, name = rest.partition("_")
    if section.lower() not in SECTIONS:
        if near := get_close_matches(rest, known, n=1, cutoff=ALIKE):
            raise ConfigError(f"{PREFIX}{rest}: unknown: did you mean {PREFIX}{near[0]}?")
        return
    names = [key.upper() for key in option_kinds(section.lower())]
    if near := get_close_matches(name, names, n=1):
        raise ConfigError(f"{PREFIX}{rest}: unknown: did you mean {PREFIX}{section}_{near[0]}?")
    raise ConfigError(
        f"{PREFIX}{rest}: unknown: after {PREFIX}{section}_ comes {' or '.join(names)}"
    )


def _on_the_command_line(overrides: Mapping[str, str]) -> Iterator[Given]:
    for path, text in overrides.items():
        parts = path.split(".", 2)
        if len(parts) < 2 or not all(parts):
            raise ConfigError(f"--set {shown(path)}: expected section.key=value")
        yield Key(*parts), text, "command line"
