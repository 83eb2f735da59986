"""Models of others, `.onnx` and `.tflite`: taken as they are, their own outputs the reference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from edge_ser.container import read_file, unwrap
from edge_ser.container.foreign import describe
from edge_ser.errors import ModelError
from edge_ser.lab.export.reference import Blocks, Floats, Reference, Shapes, Source, counted
from edge_ser.runtime import Interpreter, Tensor, open_model

__all__ = ["foreign_source"]


def foreign_source(path: Path) -> Source:
    """A model file, with the labels that TFLite Metadata names; a card of ours is left behind.

    Raises:
        ModelNotFoundError: no such file.
        ModelError: no model, too large, with weights in other files, or the runtime refuses it.
        ProviderError: it has operators that the runtime does not know.
    """
    contents = read_file(path)
    try:
        found = unwrap(contents)
        interpreter = open_model(found.payload)
    except ModelError as error:
        # Neither knows of a file.
        raise type(error)(f"{path}: {error}") from error

    def bind(shapes: Shapes, labels: int) -> Reference:
        output = _output(interpreter, labels, path.name)
        return Reference(
            found.kind,
            path.name,
            shapes,
            _scores(interpreter, output, labels, path.name),
            found.payload,
        )

    inputs = tuple(tensor.shape[1:] for tensor in interpreter.inputs)
    return Source(found.kind, path.name, inputs, bind, labels=describe(found.payload).labels)


def _output(interpreter: Interpreter, labels: int, name: str) -> Tensor:
    """The output with one value a label."""
    sizes = {tensor.name: int(np.prod(tensor.shape)) for tensor in interpreter.outputs}
    fitting = [tensor for tensor in interpreter.outputs if sizes[tensor.name] == labels]
    if len(fitting) == 1:
        return fitting[0]
    listed = ", ".join(f"{output} with {size} values" for output, size in sizes.items())
    raise ModelError(
        f"{name} has the outputs {listed}; expected one with a value for each of {labels} labels: "
        "correct the labels, or the model"
    )


def _scores(
    interpreter: Interpreter, output: Tensor, labels: int, name: str
) -> Callable[[Blocks], Floats]:
    def scores(blocks: Blocks) -> Floats:
        rows = [interpreter.run(clip)[output.name] for clip in zip(*blocks, strict=True)]
        return counted(np.stack(rows), labels, name)

    return scores
