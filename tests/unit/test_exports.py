"""The public names of the package, and what importing it costs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import edge_ser
from edge_ser import classifier

PUBLIC = ["Classifier", "Clip", "Event", "Prediction", "errors", "listen", "load_model"]
HEAVY = {
    "numpy",
    "ai_edge_litert",
    "tflite_runtime",
    "tensorflow",
    "onnxruntime",
    "soundfile",
    "sounddevice",
    "soxr",
    "click",
    "rich",
}


def test_public_names_are_sorted_and_complete() -> None:
    assert edge_ser.__all__ == sorted(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_each_public_name_loads_and_is_listed(name: str) -> None:
    assert getattr(edge_ser, name).__name__.endswith(name)
    assert name in dir(edge_ser)


def test_a_public_name_is_the_one_of_its_room() -> None:
    assert edge_ser.load_model is classifier.load_model


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'load_modell'"):
        _ = edge_ser.load_modell


@pytest.mark.parametrize("room", ["edge_ser", "edge_ser.errors", "edge_ser.zoo", "edge_ser.card"])
def test_importing_loads_neither_numpy_nor_runtime_nor_audio_library(room: str) -> None:
    loaded = modules_after(f"import {room}")
    assert room in loaded
    assert loaded & HEAVY == set()


def test_the_help_of_the_command_line_loads_click_alone() -> None:
    program = "import contextlib, io, edge_ser.cli as c\n"
    program += "with contextlib.redirect_stdout(io.StringIO()): assert c.main(['--help']) == 0"
    assert modules_after(program) & HEAVY == {"click"}


def modules_after(program: str) -> set[str]:
    """Names of the modules that a fresh process holds after `program`."""
    program += "\nimport json, sys; print(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))
