"""The effective configuration as TOML: what each option means, where its value came from."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from edge_ser.config.gathering import Config, options_of
from edge_ser.config.sections import CARD_SECTIONS, SECTIONS, Key, option_class, option_kinds
from edge_ser.documents import is_table, to_toml

if TYPE_CHECKING:
    from edge_ser.card import ModelCard

__all__ = ["as_toml", "documentation"]

BARE = re.compile(r"[A-Za-z0-9_-]+")
WIDTH = 98


def as_toml(config: Config, card: ModelCard | None = None) -> str:
    """A TOML file that gives the same configuration again, explained line by line.

    card: of the model, for what it recommends; without it defaults stand there.
    """
    return "\n\n".join("\n".join(_section(name, config, card)) for name in SECTIONS) + "\n"


def documentation(options: type) -> dict[str, str]:
    """The text under each field of a dataclass, on one line; empty where there is no source."""
    try:
        source = textwrap.dedent(inspect.getsource(options))
    except (OSError, TypeError):  # an installation without .py files
        return {}
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for field, text in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            match text:
                case ast.Expr(value=ast.Constant(value=str(words))):
                    found[field.target.id] = " ".join(words.split())
    return found


def _section(section: str, config: Config, card: ModelCard | None) -> Iterator[str]:
    options = options_of(config.settings, section, card)
    documents = documentation(option_class(section))
    tables = {}
    yield f"[{section}]"
    for name, kind in option_kinds(section).items():
        value = getattr(options, name)
        if is_table(kind):
            tables[name] = value
            continue
        yield from _comment(documents.get(name, ""))
        yield _line(name, value, _origin(Key(section, name), config, card))
    for name, table in tables.items():
        yield ""
        yield from _comment(documents.get(name, ""))
        yield f"[{section}.{name}]"
        for item, value in table.items():
            yield _line(item, value, _origin(Key(section, name, item), config, card))


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ")


def _line(name: str, value: object, origin: str) -> str:
    key = name if BARE.fullmatch(name) else to_toml(name)
    return f"{key} = {to_toml(value)}  # {_harmless(origin)}"


def _origin(key: Key, config: Config, card: ModelCard | None) -> str:
    if key in config.settings:
        return str(config.settings[key])
    recommended: Any = getattr(card, CARD_SECTIONS.get(key.section, ""), {})
    if key.item:
        recommended = recommended.get(key.name, {})
    return "card" if (key.item or key.name) in recommended else "default"


def _harmless(text: str) -> str:
    """Without line breaks and the like: a file's name may hold any."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
