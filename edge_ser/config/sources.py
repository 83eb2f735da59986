"""Where values come from: a TOML file, the environment, the command line. One layer each."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from edge_ser.config.sections import MOVED, SECTIONS, Key, check_section, kind_of, option_kinds
from edge_ser.config.values import expected, from_text, from_toml, shown
from edge_ser.errors import ConfigError

__all__ = ["MAX_BYTES", "OTHER_VARIABLES", "Setting", "from_environment", "from_file", "from_flags"]

MAX_BYTES = 1_000_000
"""Of a configuration file."""
MAX_DOTS = 200
"""In a line: tomllib takes the square of a dotted key's length, which for a megabyte is hours."""

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
        ConfigError: it is no regular file that can be read, over `MAX_BYTES`, not UTF-8, not TOML,
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
    for section, table in _document(path).items():
        check_section(section, str(path))
        if not isinstance(table, dict):
            raise ConfigError(
                f"{path}: {section} is {shown(table)}, expected a section [{section}] with keys"
            )
        for name, value in table.items():
            yield Key(section, name), value, str(path)


def _document(path: str | Path) -> dict[str, Any]:
    try:
        text = _contents(path).decode("utf-8-sig")  # some editors begin a file with a mark
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
        raise ConfigError(f"{path}: {error}, expected a TOML file: correct it") from error


def _refuse_endless_keys(text: str) -> None:
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > MAX_DOTS:
            raise ValueError(f"over {MAX_DOTS} dots (at line {number})")


def _contents(path: str | Path) -> bytes:
    # Without O_NONBLOCK, opening a named pipe would wait for its writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ConfigError(f"{path}: not a regular file, expected a configuration file")
        contents = file.read(MAX_BYTES + 1)
    if len(contents) > MAX_BYTES:
        raise ConfigError(f"{path}: over {MAX_BYTES} bytes, expected a configuration file")
    return contents


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
