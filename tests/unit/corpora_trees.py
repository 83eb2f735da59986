"""Trees of empty files, and what readers of corpora say of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edge_ser.corpora import Utterance
from edge_ser.errors import DataError

Plant = Callable[..., Path]


@pytest.fixture(name="plant")
def plant_fixture(tmp_path: Path) -> Plant:
    """Make empty files below a fresh folder, and return that folder."""

    def files(*names: str) -> Path:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path

    return files


def facts(found: list[Utterance]) -> list[tuple[str, str, str | None, str | None]]:
    return [(u.path.name, u.label, u.speaker, u.split) for u in found]


def refusal(read: Callable[[Path], object], path: Path) -> str:
    """The message of the DataError, which must be one line."""
    with pytest.raises(DataError) as caught:
        read(path)
    message = str(caught.value)
    assert "\n" not in message
    return message
