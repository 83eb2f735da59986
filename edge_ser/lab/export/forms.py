"""The forms in which weights are written, and what a converter hands over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from edge_ser.container import Kind
from edge_ser.errors import UsageError

__all__ = ["ADVICE", "FORMS", "Candidate", "Form", "Kind", "kind_of_name"]

Form = Literal["float32", "float16", "dynamic", "int8"]
"""Of the weights. dynamic: int8, computed with in float32 or with activations quantised while the
graph runs, whichever is faster; int8: activations too, by ranges that calibration clips gave."""

FORMS: tuple[Form, ...] = get_args(Form)

ADVICE: Mapping[Form, str] = {
    "float32": "the converter changed the graph; try another version of it",
    "float16": "export float32",
    "dynamic": "export float32 or float16",
    "int8": "export dynamic, which needs no ranges of activations, or float32",
}
"""What to do where a form is refused."""


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
