"""The forms in which weights are written, and what a converter hands over."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from edge_ser.container import Kind
from edge_ser.errors import UsageError

__all__ = ["FORMS", "Candidate", "Form", "Kind", "kind_of_name"]

Form = Literal["float32", "float16", "dynamic", "int8"]
"""Of the weights. dynamic: int8, with activations quantised while the graph runs; int8: activations
too, by ranges that calibration clips gave."""

FORMS: tuple[Form, ...] = get_args(Form)


@dataclass(frozen=True)
class Candidate:
    """What a converter made of a model."""

    payload: bytes
    note: str = ""
    """How, where there was a choice: a few words."""


def kind_of_name(path: Path) -> Kind:
    """The kind of file that a name asks for.

    Raises:
        UsageError: it ends in something else.
    """
    if path.suffix == ".tflite":
        return "tflite"
    if path.suffix == ".onnx":
        return "onnx"
    raise UsageError(f"{path}: expected a name that ends in .tflite or .onnx")
