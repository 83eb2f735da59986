"""Keras graphs to the bytes of `.tflite` and `.onnx` models."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

from edge_ser.errors import DependencyError, ModelError, ModelNotFoundError, UsageError

__all__ = ["FORMS", "Form", "convert", "fixed_batch", "load_keras"]

Form = Literal["float32", "float16", "dynamic"]
"""Of the weights. dynamic: int8, with activations quantised while the graph runs."""

FORMS: tuple[Form, ...] = get_args(Form)

OPSET = 17
"""Of the ONNX operators: the newest that every ONNX Runtime since 1.12 knows."""


def load_keras(path: Path) -> Any:
    """The model of a `.keras` file, read in Keras's safe mode: no code of the file is run.

    Raises:
        ModelNotFoundError: no such file.
        ModelError: not a `.keras` file, damaged, or with layers that are not known here.
    """
    import keras

    # The layers of our networks register themselves.
    import edge_ser.lab.architectures.capsules  # noqa: F401

    if not path.is_file():
        raise ModelNotFoundError(f"{path}: no such file, expected a .keras model")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        # Keras raises whatever its parts raise: ValueError, KeyError, TypeError, BadZipFile.
        raise ModelError(
            f"{path}: Keras cannot load it ({_first_line(error)}); expected a .keras file of "
            "built-in layers or of edge_ser's"
        ) from error


def fixed_batch(model: Any) -> Any:
    """The same network and weights with a batch of 1, which lets converters drop shape arithmetic.

    Raises:
        ModelError: an input's shape is not fixed, or the model cannot be cloned.
    """
    import keras

    shapes = [tuple(tensor.shape[1:]) for tensor in model.inputs]
    if any(size is None for shape in shapes for size in shape):
        raise ModelError(
            f"{model.name} takes inputs of shape {shapes}, expected fixed sizes: "
            "build it for clips of one length"
        )
    inputs = [
        keras.Input(shape, batch_size=1, dtype=tensor.dtype, name=tensor.name)
        for shape, tensor in zip(shapes, model.inputs, strict=True)
    ]
    clone = keras.models.clone_model(model, input_tensors=inputs if len(inputs) > 1 else inputs[0])
    clone.set_weights(model.get_weights())
    return clone


def convert(model: Any, kind: Literal["tflite", "onnx"], form: Form) -> bytes:
    """The bytes of a model with a batch of 1 (see `fixed_batch`), built-in operators only.

    Raises:
        UsageError: a form that the kind does not have; ONNX is float32.
        DependencyError: the converter is not installed.
        ModelError: the converter refuses the graph.
    """
    if kind == "onnx" and form != "float32":
        raise UsageError(f"{form} was asked for with .onnx, expected float32; or write a .tflite")
    try:
        with _quiet():
            return _to_tflite(model, form) if kind == "tflite" else _to_onnx(model)
    except ImportError as error:
        raise DependencyError(
            f"the conversion needs another package ({error}); pip install 'edge-ser[export]'"
        ) from error
    except Exception as error:
        # Converters raise classes of their own, which differ between versions.
        raise ModelError(
            f"{model.name} cannot be converted to .{kind} ({_first_line(error)}); "
            "use layers that the converter knows"
        ) from error


def _to_tflite(model: Any, form: Form) -> bytes:
    import tensorflow

    converter = tensorflow.lite.TFLiteConverter.from_keras_model(model)
    if form != "float32":
        converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
    if form == "float16":
        converter.target_spec.supported_types = [tensorflow.float16]
    payload: bytes = converter.convert()
    return payload


def _to_onnx(model: Any) -> bytes:
    """By tf2onnx itself: `model.export(format="onnx")` calls it too, but frees the batch again."""
    import tensorflow
    import tf2onnx

    signature = [
        tensorflow.TensorSpec(tensor.shape, tensor.dtype, name=tensor.name)
        for tensor in model.inputs
    ]
    proto, _ = tf2onnx.convert.from_keras(model, input_signature=signature, opset=OPSET)
    payload: bytes = proto.SerializeToString()
    return payload


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Converters print and warn of their own internals; what goes wrong they raise."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return (text[0] if text else type(error).__name__)[:200]
