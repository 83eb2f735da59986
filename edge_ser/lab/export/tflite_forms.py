"""`.tflite` graphs made smaller: by LiteRT's quantiser, and by short names of tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edge_ser.errors import ModelError
from edge_ser.lab.export.converting import converting
from edge_ser.lab.export.forms import Candidate, Form
from edge_ser.lab.export.reference import Blocks, Floats, Reference

__all__ = ["in_form", "with_short_names"]

CALIBRATION_CLIPS = 100


def in_form(payload: bytes, form: Form, reference: Reference, clips: Blocks) -> list[Candidate]:
    """The graph in a smaller form; dynamic in two ways, of which the caller measures the better.

    Args:
        payload: a float32 graph with one signature.
        form: not float32.
        reference: what it is of.
        clips: to calibrate int8 with.

    Raises:
        DependencyError: ai-edge-quantizer is not installed.
        ModelError: the graph cannot be brought into that form.
    """
    ways: dict[Form, list[tuple[Callable[..., bytes], str]]] = {
        "float16": [(_float16, "")],
        # Weights that are brought back once, when the graph is opened, cost no time; whether
        # integer arithmetic gains any hangs on the processor.
        "dynamic": [(_weights_only, "weights alone"), (_dynamic, "")],
        "int8": [(_static, "")],
    }
    made: list[Candidate] = []
    refused: list[ModelError] = []
    for way, note in ways[form]:
        try:
            with converting(reference.name, f"{form} .tflite", "export", "export float32"):
                made.append(Candidate(way(payload, reference, clips), note))
        except ModelError as error:
            refused.append(error)
    if not made:
        raise refused[0]
    return made


def with_short_names(payload: bytes) -> bytes:
    """The graph with numbers for names of inner tensors.

    litert-torch makes these of the modules' paths, which are a fifth of a small network's file.
    Inputs, outputs and signatures keep theirs.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytearray(payload), 0))
    for graph in model.subgraphs:
        outer = {*graph.inputs, *graph.outputs}
        for number, tensor in enumerate(graph.tensors):
            if number not in outer:
                tensor.name = str(number).encode()
    builder = flatbuffers.Builder(len(payload))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _float16(payload: bytes, reference: Reference, clips: Blocks) -> bytes:
    """Weights in float16, brought back to float32 when the graph is opened."""
    from ai_edge_quantizer import qtyping, quantizer

    made = quantizer.Quantizer(payload)
    weights = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
    made.update_quantization_recipe(
        regex=".*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        op_config=qtyping.OpQuantizationConfig(
            weight_tensor_config=weights, compute_precision=qtyping.ComputePrecision.FLOAT
        ),
        algorithm_key="float_casting",
    )
    return _quantised(made)


def _weights_only(payload: bytes, reference: Reference, clips: Blocks) -> bytes:
    from ai_edge_quantizer import quantizer, recipe

    return _quantised(quantizer.Quantizer(payload, recipe.weight_only_wi8_afp32()))


def _dynamic(payload: bytes, reference: Reference, clips: Blocks) -> bytes:
    from ai_edge_quantizer import quantizer, recipe

    return _quantised(quantizer.Quantizer(payload, recipe.dynamic_wi8_afp32()))


def _static(payload: bytes, reference: Reference, clips: Blocks) -> bytes:
    from ai_edge_quantizer import quantizer, recipe

    made = quantizer.Quantizer(payload, recipe.static_wi8_ai8())
    return _quantised(made, made.calibrate(_calibration(payload, reference, clips)))


def _quantised(made: Any, ranges: Any = None) -> bytes:
    return bytes(made.quantize(ranges).quantized_model)


def _calibration(
    payload: bytes, reference: Reference, clips: Blocks
) -> dict[str, list[dict[str, Floats]]]:
    """Signature -> clips by input names, spread over all."""
    from ai_edge_litert.interpreter import Interpreter

    ((signature, tensors),) = Interpreter(model_content=payload).get_signature_list().items()
    step = max(1, len(clips[0]) // CALIBRATION_CLIPS)
    rows = [
        {
            name: block[number].reshape(1, *shape)
            for name, block, shape in zip(tensors["inputs"], clips, reference.shapes, strict=True)
        }
        for number in range(0, len(clips[0]), step)
    ]
    return {signature: rows}
