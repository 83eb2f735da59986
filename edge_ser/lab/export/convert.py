"""Which converter turns which model into which file."""

from __future__ import annotations

from edge_ser.errors import UsageError
from edge_ser.lab.export import onnx_forms, tflite_forms
from edge_ser.lab.export.forms import Candidate, Form, Kind
from edge_ser.lab.export.reference import Blocks, Reference

__all__ = ["convert", "refuse_other_kind"]


def refuse_other_kind(reference: Reference, kind: Kind) -> None:
    """Refuse to turn a `.tflite` into an `.onnx`, or the other way round.

    Raises:
        UsageError: that is asked for.
    """
    if reference.framework in ("onnx", "tflite") and reference.framework != kind:
        raise UsageError(
            f"{reference.name} is a .{reference.framework}, expected a name that ends in "
            f".{reference.framework}: models of others keep their kind"
        )


def convert(
    reference: Reference, kind: Kind, form: Form, clips: Blocks, calibration: Blocks
) -> tuple[Candidate, list[Candidate]]:
    """The bytes of a model with a batch of 1, built-in operators only.

    Args:
        reference: the model.
        kind: of file.
        form: of the weights.
        clips: features of real clips, which CkTIM is folded by.
        calibration: features of real clips, whose ranges become part of int8.

    Returns:
        In float32, to compare with; and in the form: one candidate or, where no rule tells which
        is better, more.

    Raises:
        DependencyError: the converter is not installed.
        ModelError: the converter refuses the graph.
    """
    if reference.framework in ("keras", "saved_model"):
        from edge_ser.lab.export import tensorflow_files

        write = tensorflow_files.to_tflite if kind == "tflite" else tensorflow_files.to_onnx
        plain = write(reference)
        if (kind, form) == ("tflite", "float16"):
            # LiteRT's quantiser leaves weights of products of a batch as they are.
            return plain, [tensorflow_files.to_tflite(reference, half=True)]
    elif reference.framework == "torch":
        from edge_ser.lab.export import torch_files

        to = torch_files.to_tflite if kind == "tflite" else torch_files.to_onnx
        plain = to(reference, clips)
    else:
        plain = Candidate(reference.graph)
    if form == "float32":
        return plain, [plain]
    in_form = tflite_forms.in_form if kind == "tflite" else onnx_forms.in_form
    return plain, [
        Candidate(smaller.payload, ", ".join(filter(None, (plain.note, smaller.note))))
        for smaller in in_form(plain.payload, form, reference, calibration)
    ]
