"""Smaller forms of `.tflite` graphs, by LiteRT's quantiser, which comes with litert-torch."""

from __future__ import annotations

from typing import Any

from edge_ser.lab.export.converting import converting
from edge_ser.lab.export.forms import Candidate, Form
from edge_ser.lab.export.reference import Blocks, Floats, Reference

__all__ = ["in_form"]

CALIBRATION_CLIPS = 100


def in_form(payload: bytes, form: Form, reference: Reference, clips: Blocks) -> list[Candidate]:
    """The graph in a smaller form.

    Args:
        payload: a float32 graph with one signature.
        form: not float32.
        reference: what it is of.
        clips: to calibrate int8 with.

    Raises:
        DependencyError: litert-torch is not installed.
        ModelError: the graph cannot be brought into that form.
    """
    with converting(reference.name, f"{form} .tflite", "litert-torch", "export float32"):
        from ai_edge_quantizer import quantizer, recipe

        made = quantizer.Quantizer(payload)
        ranges = None
        if form == "float16":
            _cast(made)
        elif form == "dynamic":
            made.load_quantization_recipe(recipe.dynamic_wi8_afp32())
        else:
            made.load_quantization_recipe(recipe.static_wi8_ai8())
            ranges = made.calibrate(_calibration(payload, reference, clips))
        return [Candidate(bytes(made.quantize(ranges).quantized_model))]


def _cast(made: Any) -> None:
    """Weights in float16, brought back to float32 when the graph is opened."""
    from ai_edge_quantizer import qtyping

    weights = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
    made.update_quantization_recipe(
        regex=".*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        op_config=qtyping.OpQuantizationConfig(
            weight_tensor_config=weights, compute_precision=qtyping.ComputePrecision.FLOAT
        ),
        algorithm_key="float_casting",
    )


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
