"""The examples in docstrings print what they say."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


def module_parameters() -> list[object]:
    """Every module of the package; the workshop's need TensorFlow."""
    paths = sorted((CHECKOUT / "edge_ser").rglob("*.py"))
    names = [
        ".".join(path.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__")
        for path in paths
        if path.name != "__main__.py"
    ]
    needs = pytest.mark.needs("tensorflow")
    return [
        pytest.param(name, marks=needs if name.startswith("edge_ser.lab") else ()) for name in names
    ]


@pytest.mark.parametrize("name", module_parameters())
def test_examples_print_what_they_say(name: str) -> None:
    assert doctest.testmod(import_module(name)).failed == 0
