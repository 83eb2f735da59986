"""A converted graph in the runtime, and the card completed with what it and the framework tell."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import numpy as np

from edge_ser.card import ModelCard
from edge_ser.errors import ModelError
from edge_ser.lab.export.forms import ADVICE, Candidate, Form
from edge_ser.lab.export.goldens import GOLDEN_TOLERANCES, golden_blocks, make_goldens
from edge_ser.lab.export.reference import FRAMEWORKS, Floats, Reference
from edge_ser.runtime import Interpreter, open_model

__all__ = ["completed", "not_run", "opened"]

EMBEDDING_TOLERANCE = 1e-3
"""Of its largest value, or of 1 if that is less."""


def opened(candidate: Candidate, form: Form) -> Interpreter:
    """The runtime's own view of a candidate.

    Raises:
        ModelError: it does not take it; for int8 it says what to do.
    """
    try:
        return open_model(candidate.payload)
    except ModelError as error:
        raise not_run(error, form) from error


def not_run(error: ModelError, form: Form) -> ModelError:
    """What to say of a file that the runtime refuses, or fails in."""
    said = str(error).partition(";")[0][:160]
    return ModelError(f"the {form} file does not run ({said}); {ADVICE[form]}")


def completed(
    card: ModelCard, interpreter: Interpreter, reference: Reference, form: Form
) -> ModelCard:
    """The card with what the graph and the framework tell: outputs, dtype, goldens."""
    signal = golden_blocks(card.frontend, card.input.clip_samples)
    batch = [block[None] for block in signal]
    golden = reference.scores(batch)[0]
    try:
        outputs = interpreter.run(signal)
    except ModelError as error:
        raise not_run(error, form) from error
    scores = _nearest(outputs, golden, reference.name)
    distance = float(np.abs(outputs.pop(scores).reshape(-1) - golden).max())
    embedding = None
    if reference.embedding is not None:
        wanted = reference.embedding(batch)[0].reshape(-1)
        embedding = _nearest(outputs, wanted, reference.name)
        if form == "float32":
            _check_embedding(outputs[embedding].reshape(-1), wanted, reference)
    scale = max(1.0, float(np.abs(golden).max()))
    return dataclasses.replace(
        card,
        input=dataclasses.replace(card.input, dtype=cast(Any, interpreter.inputs[0].dtype)),
        output=dataclasses.replace(card.output, scores=scores, embedding=embedding),
        goldens=make_goldens(
            card.frontend,
            card.input.clip_samples,
            golden,
            round(GOLDEN_TOLERANCES[form] * scale + distance, 6),
        ),
    )


def _check_embedding(found: Floats, wanted: Floats, reference: Reference) -> None:
    allowed = EMBEDDING_TOLERANCE * max(1.0, float(np.abs(wanted).max()))
    distance = float(np.abs(found - wanted).max())
    if not distance <= allowed:
        raise ModelError(
            f"a value of the embedding is {distance:.2g} from {FRAMEWORKS[reference.framework]}'s, "
            f"expected at most {allowed:.2g}: {ADVICE['float32']}"
        )


def _nearest(outputs: dict[str, Floats], wanted: Floats, name: str) -> str:
    """The output of as many values that comes nearest: converters rename and reorder them.

    Raises:
        ModelError: none has as many.
    """
    distances = {
        output: float(np.nan_to_num(np.abs(values.reshape(-1) - wanted), nan=np.inf).max())
        for output, values in outputs.items()
        if values.size == wanted.size
    }
    if not distances:
        sizes = {output: values.size for output, values in outputs.items()}
        raise ModelError(
            f"the file of {name} has outputs of {sizes} values, expected one of {wanted.size}: "
            "the converter changed the graph; try another version of it"
        )
    return min(distances, key=lambda output: distances[output])
