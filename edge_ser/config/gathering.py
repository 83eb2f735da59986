"""`Config`: every room's options, and where each value that was given came from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_ser.config.options import ModelOptions, ReportOptions
from edge_ser.config.sections import CARD_SECTIONS, Key, option_class
from edge_ser.config.sources import Setting, from_environment, from_file, from_flags
from edge_ser.errors import ConfigError

if TYPE_CHECKING:
    from edge_ser.card import ModelCard
    from edge_ser.events import DecideOptions
    from edge_ser.listening.options import SourceOptions
    from edge_ser.segment import GateOptions, SegmentOptions
    from edge_ser.sinks.clips import ClipOptions
    from edge_ser.sinks.json_lines import JsonLinesOptions

__all__ = ["Config", "load_config", "options_of"]

RIVALS = {
    Key("source", "mic"): Key("source", "input"),
    Key("source", "input"): Key("source", "mic"),
}
"""Key -> the one that it takes the place of: `--input` wins over a microphone in the file."""


@dataclass(frozen=True)
class Config:
    """The options of all rooms, as far as they do not hang on the model."""

    model: ModelOptions
    source: SourceOptions
    jsonl: JsonLinesOptions
    clips: ClipOptions
    report: ReportOptions
    settings: Mapping[Key, Setting]
    """Every value that was given, with its origin; all others are the card's or defaults."""

    def for_card(self, card: ModelCard) -> tuple[GateOptions, SegmentOptions, DecideOptions]:
        """Options that hang on the model: what was given, over what its card recommends.

        Raises:
            CardError: the card recommends what cannot be.
            ConfigError: what was given is out of range, or does not go with the rest.
        """
        gate, segment, decide = (options_of(self.settings, name, card) for name in CARD_SECTIONS)
        return gate, segment, decide


def load_config(
    path: str | Path | None, environ: Mapping[str, str], overrides: Mapping[str, str]
) -> Config:
    """Gather a configuration.

    Args:
        path: TOML file; None is none. No other place is looked into.
        environ: variables EDGE_SER_SECTION_KEY, which win over the file.
        overrides: "section.key" -> text, which win over both.

    Raises:
        ConfigError: the file cannot be read, or a section, key or value is not what it should be.
    """
    layers = [from_environment(environ), from_flags(overrides)]
    if path is not None:
        layers.insert(0, from_file(path))
    settings: dict[Key, Setting] = {}
    for layer in layers:
        for key, setting in layer.items():
            rival = RIVALS.get(key)
            if rival and rival not in layer and setting.value is not None:
                settings.pop(rival, None)
        settings |= layer
    return Config(
        model=options_of(settings, "model"),
        source=options_of(settings, "source"),
        jsonl=options_of(settings, "jsonl"),
        clips=options_of(settings, "clips"),
        report=options_of(settings, "report"),
        settings=settings,
    )


def options_of(settings: Mapping[Key, Setting], section: str, card: ModelCard | None = None) -> Any:
    """A section's options: what was given over what the card recommends over the defaults."""
    options = option_class(section)
    if card is not None and section in CARD_SECTIONS:
        base = options.recommended(getattr(card, CARD_SECTIONS[section]))
    else:
        base = options()
    given = {key: setting for key, setting in settings.items() if key.section == section}
    values: dict[str, Any] = {}
    for key, setting in given.items():
        if key.item:
            table = values.setdefault(key.name, dict(getattr(base, key.name)))
            table[key.item] = setting.value
        else:
            values[key.name] = setting.value
    try:
        return replace(base, **values)
    except ConfigError as error:
        raise ConfigError(f"{error}{_origins(str(error), given)}") from error


def _origins(message: str, given: Mapping[Key, Setting]) -> str:
    """Where the values came from that a message speaks of."""
    spoken_of = set(re.findall(r"\w+", message))
    found = {key.name: setting for key, setting in given.items() if key.name in spoken_of}
    if not found:
        return ""
    return " (" + ", ".join(f"{name} from {setting.where}" for name, setting in found.items()) + ")"
