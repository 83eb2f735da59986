"""Keras models and SavedModels: read, run, and turned into the bytes of `.tflite` and `.onnx`.

Both are written as a SavedModel with a batch of 1 first, which lets converters drop shape
arithmetic, and converted from there.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edge_ser.errors import ModelError, ModelNotFoundError
from edge_ser.lab import compute
from edge_ser.lab.architectures.keras_files import refuse_large
from edge_ser.lab.export.converting import computing, converting, first_line
from edge_ser.lab.export.forms import Candidate
from edge_ser.lab.export.reference import (
    Blocks,
    Floats,
    Reference,
    Shapes,
    Source,
    counted,
)

__all__ = ["keras_source", "load_keras", "prepare", "saved_model_source", "to_onnx", "to_tflite"]

OPSET = 17
"""Of the ONNX operators: the newest that every ONNX Runtime since 1.12 knows."""
SIGNATURE = "serving_default"
BATCH = 32

EMBEDDING = "embedding"
"""Name of the layer of a Keras model whose output becomes the second one of the file."""

Call = Callable[[list[Any]], Any]
"""Tensors of one batch, one an input, to that of an output."""


def prepare() -> None:
    """Set TensorFlow up, unless whoever calls has done so.

    Raises:
        DependencyError: Keras or TensorFlow is not installed.
    """
    if "tensorflow" not in sys.modules:
        compute.prepare()


def load_keras(path: Path) -> Any:
    """The model of a `.keras` file, read in Keras's safe mode: no code of the file is run.

    Raises:
        ModelNotFoundError: no such file.
        ModelError: not a `.keras` file, damaged, or with layers that are not known here.
        DependencyError: Keras or TensorFlow is not installed.
    """
    prepare()
    import keras

    # The layers of our networks register themselves.
    import edge_ser.lab.architectures.capsules
    import edge_ser.lab.architectures.perceptron  # noqa: F401

    if not path.is_file():
        raise ModelNotFoundError(f"{path}: no such file, expected a .keras model")
    refuse_large(path)
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        # Keras raises whatever its parts raise: ValueError, KeyError, TypeError, BadZipFile.
        raise ModelError(
            f"{path}: Keras cannot load it ({first_line(error)}); expected a .keras file of "
            "built-in layers or of edge_ser's; export others as a SavedModel"
        ) from error


def keras_source(model: Any, name: str | None = None) -> Source:
    """A Keras model with one output: the scores.

    The output of a layer named `embedding`, where it is one vector a clip, becomes the second.

    Args:
        model: a `keras.Model`.
        name: that its user knows it by, such as its file's; None for its own.

    Raises:
        ModelError: it has more outputs, or was never called and so has no inputs yet.
    """
    name = name or model.name
    inputs = getattr(model, "inputs", None)
    if not inputs or len(model.outputs) != 1:
        found = f"{len(model.outputs)} outputs" if inputs else "no inputs"
        raise ModelError(
            f"{name} has {found}, expected inputs and one output of scores: "
            "build a functional model of it"
        )
    whole = _with_embedding(model)

    def calls(tensors: list[Any]) -> list[Any]:
        found = whole(tensors if len(tensors) > 1 else tensors[0], training=False)
        return found if isinstance(found, list) else [found]

    def write(folder: str, signature: list[Any]) -> None:
        import keras

        archive = keras.export.ExportArchive()
        archive.track(whole)
        archive.add_endpoint(SIGNATURE, lambda *xs: calls(list(xs)), input_signature=signature)
        archive.write_out(folder, verbose=False)

    def bind(shapes: Shapes, labels: int) -> Reference:
        scores = _scores(lambda xs: calls(xs)[0], shapes, labels, name)
        named = None if whole is model else _computed(lambda xs: calls(xs)[1], shapes, name)
        return Reference("keras", name, shapes, scores, write, named)

    return Source("keras", name, _free(tensor.shape for tensor in inputs), bind)


def _with_embedding(model: Any) -> Any:
    """The model with the embedding as a second output, or as it is where it has none.

    Keras calls layers that look up words by the same name: they give a matrix a clip.
    """
    import keras

    layer = next((layer for layer in model.layers if layer.name == EMBEDDING), None)
    made = getattr(layer, "output", None)
    if len(getattr(made, "shape", ())) != 2:
        return model
    inputs = model.inputs if len(model.inputs) > 1 else model.inputs[0]
    try:
        return keras.Model(inputs, [model.outputs[0], made], name=model.name)
    except ValueError:  # the layer was called in another graph first, and tells only of that
        return model


def saved_model_source(folder: Path) -> Source:
    """A SavedModel: its signature `serving_default`, or its only one. Loading it runs its program.

    Raises:
        ModelError: it cannot be loaded, or has no signature with one output.
    """
    prepare()
    import tensorflow

    try:
        loaded = tensorflow.saved_model.load(str(folder))
        signatures = loaded.signatures
        name = SIGNATURE if SIGNATURE in signatures else next(iter(signatures))
        signature = signatures[name]
    except StopIteration:
        raise ModelError(
            f"{folder}: the SavedModel has no signature, expected {SIGNATURE}: save it with one"
        ) from None
    except Exception as error:
        raise ModelError(
            f"{folder}: TensorFlow cannot load it ({first_line(error)}); expected a SavedModel "
            "folder: save it again"
        ) from error
    specs = signature.structured_input_signature[1]
    outputs = list(signature.structured_outputs)
    if len(outputs) != 1:
        raise ModelError(
            f"{folder}: the signature {name} has {len(outputs)} outputs, expected one of scores: "
            "save it with a signature that has"
        )

    def call(tensors: list[Any]) -> Any:
        return signature(**dict(zip(specs, tensors, strict=True)))[outputs[0]]

    def write(target: str, fixed: list[Any]) -> None:
        module = tensorflow.Module()
        module.inner = loaded
        module.call = tensorflow.function(lambda *xs: call(list(xs)), input_signature=fixed)
        concrete = module.call.get_concrete_function()
        tensorflow.saved_model.save(module, target, signatures={SIGNATURE: concrete})

    def bind(shapes: Shapes, labels: int) -> Reference:
        scores = _scores(call, shapes, labels, folder.name, _fixed(specs.values()))
        return Reference("saved_model", folder.name, shapes, scores, write)

    inputs = _free(spec.shape for spec in specs.values())
    return Source("saved_model", folder.name, inputs, bind)


def to_tflite(reference: Reference, half: bool = False) -> Candidate:
    """By TensorFlow's converter, in float32 or float16, built-in operators only."""
    with _converting(reference, ".tflite"), _written(reference) as folder:
        import tensorflow

        converter = tensorflow.lite.TFLiteConverter.from_saved_model(folder)
        if half:
            converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tensorflow.float16]
        return Candidate(converter.convert())


def to_onnx(reference: Reference) -> Candidate:
    """By tf2onnx; Keras's own export calls it too, but frees the batch again."""
    with _converting(reference, ".onnx"), _written(reference) as folder:
        import tensorflow
        import tf2onnx

        loaded = tensorflow.saved_model.load(folder)
        signature = loaded.signatures[SIGNATURE]
        by_name = signature.structured_input_signature[1]
        # A signature has no order, but the names that were given.
        specs = [by_name[spec.name] for spec in _signature(reference.shapes)]

        def call(*tensors: Any) -> Any:
            named = {spec.name: tensor for spec, tensor in zip(specs, tensors, strict=True)}
            return list(signature(**named).values())

        called = tensorflow.function(call, input_signature=specs)
        proto, _ = tf2onnx.convert.from_function(called, input_signature=specs, opset=OPSET)
        _hold_captured(proto.graph, called.get_concrete_function().graph.captures)
        return Candidate(proto.SerializeToString())


def _hold_captured(graph: Any, captures: Any) -> None:
    """Put tensors that layers hold beside their weights, as Normalization does, into the graph.

    tf2onnx leaves them as inputs.
    """
    from onnx import numpy_helper

    held = {inner.name: outer for outer, inner in captures}
    for value in [value for value in graph.input if value.name in held]:
        tensor = held[value.name].numpy()
        graph.initializer.append(numpy_helper.from_array(tensor, value.name))
        graph.input.remove(value)


def _converting(reference: Reference, to: str) -> contextlib.AbstractContextManager[None]:
    advice = "use layers that the converter knows"
    if reference.framework == "saved_model":
        # Loops keep the free axes that they were saved with, and then have no fixed shapes.
        advice = "save it with a batch of 1 and no free axes, or as .keras, or write .onnx"
    return converting(reference.name, to, "train,export", advice)


def _signature(shapes: Shapes) -> list[Any]:
    import tensorflow

    return [
        tensorflow.TensorSpec((1, *shape), tensorflow.float32, name=f"features_{number}")
        for number, shape in enumerate(shapes)
    ]


@contextlib.contextmanager
def _written(reference: Reference) -> Iterator[str]:
    """The model as a SavedModel with a batch of 1, in a folder for a while."""
    with tempfile.TemporaryDirectory() as folder:
        reference.graph(folder, _signature(reference.shapes))
        yield folder


def _scores(
    call: Call, shapes: Shapes, labels: int, name: str, batch: int | None = None
) -> Callable[[Blocks], Floats]:
    computed = _computed(call, shapes, name, batch)
    return lambda blocks: counted(computed(blocks), labels, name)


def _computed(
    call: Call, shapes: Shapes, name: str, batch: int | None = None
) -> Callable[[Blocks], Floats]:
    """An output of the framework, called eagerly: `predict` would compile a graph for one use."""

    def computed(blocks: Blocks) -> Floats:
        import tensorflow

        at_once = batch or BATCH
        found = []
        for at in range(0, len(blocks[0]), at_once):
            rows = [
                tensorflow.constant(block[at : at + at_once].reshape(-1, *shape), "float32")
                for block, shape in zip(blocks, shapes, strict=True)
            ]
            with computing(name):
                found.append(np.asarray(call(rows)))
        return np.concatenate(found)

    return computed


def _fixed(specs: Any) -> int | None:
    """The batch that a signature insists on; None where it takes any."""
    batches = {spec.shape[0] for spec in specs} - {None}
    return int(batches.pop()) if batches else None


def _free(shapes: Any) -> Shapes:
    return tuple(tuple(-1 if size is None else int(size) for size in shape[1:]) for shape in shapes)
