"""Configuration files to load, and cards to load them for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge_ser.config import SECTIONS, Config, Key, load_config
from edge_ser.config.sections import option_kinds
from edge_ser.errors import ConfigError

CHECKOUT = Path(__file__).resolve().parents[2]
KEYS = [Key(section, name) for section in SECTIONS for name in option_kinds(section)]


def card(segmenting: object = None, deciding: object = None) -> Any:
    """As much of a model's card as configuration looks at."""
    return SimpleNamespace(segmenting=segmenting or {}, deciding=deciding or {})


@pytest.fixture(name="file")
def file_fixture(tmp_path: Path) -> Path:
    return tmp_path / "edge-ser.toml"


def loaded(file: Path, text: str, **environ: str) -> Config:
    file.write_text(text)
    return load_config(file, environ, {})


def refused(file: Path, text: str) -> str:
    """What is said about a file, after its name."""
    with pytest.raises(ConfigError) as caught:
        loaded(file, text).for_card(card())
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{file}: ")
