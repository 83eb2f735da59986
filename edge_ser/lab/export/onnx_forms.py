"""Smaller forms of ONNX graphs, by ONNX Runtime's own converters."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_ser.errors import ModelError
from edge_ser.lab.export.converting import converting
from edge_ser.lab.export.forms import Candidate, Form
from edge_ser.lab.export.reference import Blocks, Floats, Reference

__all__ = ["in_form"]

CALIBRATION_CLIPS = 100
WEIGHTED = ("MatMul", "Gemm")
"""Operators whose weights the dynamic form quantises; it is no faster for convolutions."""
LAYERS = (*WEIGHTED, "Conv")
PERCENTILE = 99.99
"""Of activations within their range, where the ends stay in float32: a few large ones are cut."""


def in_form(payload: bytes, form: Form, reference: Reference, clips: Blocks) -> list[Candidate]:
    """The graph in a smaller form; int8 in three ways, of which the caller measures the best.

    Args:
        payload: a float32 graph.
        form: not float32.
        reference: what it is of.
        clips: to calibrate int8 with.

    Raises:
        DependencyError: onnx is not installed.
        ModelError: the graph cannot be brought into that form.
    """
    ways: dict[Form, list[tuple[Callable[..., bytes], str]]] = {
        "float16": [(_float16, "")],
        "dynamic": [(_dynamic, "")],
        "int8": [
            (_static, "static"),
            (_static_within, "static, first and last layer in float32"),
            (_dynamic, "dynamic"),
        ],
    }
    made: list[Candidate] = []
    refused: list[ModelError] = []
    for way, note in ways[form]:
        try:
            with converting(reference.name, f"{form} .onnx", "export", "export float32"):
                made.append(Candidate(way(payload, reference, clips), note))
        except ModelError as error:
            refused.append(error)
    if not made:
        raise refused[0]
    return made


def _float16(payload: bytes, reference: Reference, clips: Blocks) -> bytes:
    """Weights and arithmetic in float16; inputs and outputs stay float32."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    half = convert_float_to_float16(onnx.load_from_string(payload), keep_io_types=True)
    found: bytes = half.SerializeToString()
    return found


def _dynamic(payload: bytes, reference: Reference, clips: Blocks) -> bytes:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    return _through_files(
        payload,
        lambda source, target: quantize_dynamic(
            source,
            target,
            op_types_to_quantize=list(WEIGHTED),
            per_channel=_takes_channels(source),
            weight_type=QuantType.QInt8,
        ),
    )


def _static(payload: bytes, reference: Reference, clips: Blocks) -> bytes:
    """Weights and activations, with a pair of operators around each that is quantised (QDQ)."""
    return _through_files(payload, lambda a, b: _calibrated(a, b, reference, clips))


def _static_within(payload: bytes, reference: Reference, clips: Blocks) -> bytes:
    """All but the first and the last layer: quiet features and close scores need more bits."""
    from onnxruntime.quantization import CalibrationMethod

    return _through_files(
        payload,
        lambda source, target: _calibrated(
            source,
            target,
            reference,
            clips,
            nodes_to_exclude=_ends(source),
            calibrate_method=CalibrationMethod.Percentile,
            extra_options={"CalibPercentile": PERCENTILE},
        ),
    )


def _calibrated(
    source: str, target: str, reference: Reference, clips: Blocks, **options: Any
) -> None:
    from onnxruntime.quantization import quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    shaped = f"{source}.shaped"
    quant_pre_process(source, shaped, skip_symbolic_shape=True)
    calibration = _Clips(_input_names(shaped), reference, clips)
    quantize_static(shaped, target, calibration, per_channel=_takes_channels(shaped), **options)


class _Clips:
    """What the calibration reads: clips by input names, one after the other."""

    def __init__(self, names: list[str], reference: Reference, clips: Blocks) -> None:
        count = len(clips[0])
        step = max(1, count // CALIBRATION_CLIPS)
        self._rows = (
            {
                name: block[number].reshape(1, *shape)
                for name, block, shape in zip(names, clips, reference.shapes, strict=True)
            }
            for number in range(0, count, step)
        )

    def get_next(self) -> dict[str, Floats] | None:
        """The next clip; None after the last."""
        return next(self._rows, None)


def _through_files(payload: bytes, convert: Callable[[str, str], Any]) -> bytes:
    """What a converter that only knows files makes of a graph."""
    import onnx

    graph = onnx.load_from_string(payload)
    # Shapes from before weights are transposed would make it fail.
    del graph.graph.value_info[:]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "source.onnx"), Path(folder, "target.onnx")
        onnx.save(graph, str(source))
        convert(str(source), str(target))
        return target.read_bytes()


def _input_names(path: str) -> list[str]:
    import onnx

    graph = onnx.load(path).graph
    weights = {tensor.name for tensor in graph.initializer}
    return [value.name for value in graph.input if value.name not in weights]


def _ends(path: str) -> list[str]:
    """Names of the first and the last node with weights; those without a name get one."""
    import onnx

    graph = onnx.load(path)
    for number, node in enumerate(graph.graph.node):
        node.name = node.name or f"node_{number}"
    onnx.save(graph, path)
    weights = {tensor.name for tensor in graph.graph.initializer}
    nodes = [n.name for n in graph.graph.node if n.op_type in LAYERS and weights & {*n.input}]
    return [*nodes[:1], *nodes[-1:]]


def _takes_channels(path: str) -> bool:
    """Whether the weights of all matrix products can have a scale a channel.

    ONNX Runtime has kernels for that where they are the second factor and have two axes; it
    converts others too, into graphs that do not run.
    """
    import onnx

    graph = onnx.load(path).graph
    axes = {tensor.name: len(tensor.dims) for tensor in graph.initializer}
    products = [node.input for node in graph.node if node.op_type == "MatMul"]
    return all(first not in axes and axes.get(second, 2) == 2 for first, second in products)
