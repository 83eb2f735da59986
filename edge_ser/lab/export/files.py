"""`export_keras`: write a model file, read it again, compare it with Keras, and then keep it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge_ser.card import ModelCard, ModelFile, read_model, write_model
from edge_ser.errors import DataError, ModelError, StorageError, UsageError
from edge_ser.lab.export.convert import Form, convert, fixed_batch
from edge_ser.lab.export.goldens import golden_blocks, make_goldens
from edge_ser.runtime import Interpreter, open_model

__all__ = ["export_keras"]

Blocks = Sequence[NDArray[np.float32]]

FLOAT32_TOLERANCE = 1e-4
"""Largest difference from Keras of any score of a float32 file."""
LABELS_CHANGED = 0.01
"""Largest share of clips whose label a smaller form may change."""
GOLDEN_TOLERANCES: Mapping[Form, float] = {"float32": 1e-3, "float16": 5e-3, "dynamic": 2e-2}
"""Of golden scores on another machine, beyond this file's own distance from Keras: kernels of
quantised graphs round differently from one CPU to the next."""


def export_keras(
    model: Any,
    card: ModelCard,
    path: str | Path,
    form: Form = "float32",
    clips: Blocks = (),
) -> ModelFile:
    """Convert a Keras model and write it with its card, proved equal to Keras on real clips.

    Args:
        model: Keras model of fixed input shape; its only output has one score a label.
        card: everything but the name of the output, the goldens and the hashes, which are set here.
        path: `.tflite` or `.onnx` file; replaced in one step, or left as it was.
        form: of the weights; `.onnx` is float32.
        clips: features of real clips, one array of shape (n, *block shape) a frontend block.

    Raises:
        ModelError: the graph cannot be converted, or the file's scores are not Keras's: float32
            beyond 1e-4 of any score, other forms more than 1 % of labels.
        UsageError: a name that ends otherwise, or a form that its kind does not have.
        DataError: clips of another shape than the model takes, or none.
        StorageError: the file cannot be written.
    """
    path = Path(path)
    kind = _kind(path)
    _check_clips(model, card, clips)
    static = fixed_batch(model)
    payload = convert(static, kind, form)
    opened = open_model(payload)
    if len(opened.outputs) != 1:
        raise ModelError(f"{model.name} has {len(opened.outputs)} outputs, expected one of scores")
    name = opened.outputs[0].name
    signal = golden_blocks(card.frontend, card.input.clip_samples)
    golden = _keras_scores(static, [block[None] for block in signal])[0]
    distance = float(np.abs(opened.run(signal)[name].reshape(-1) - golden).max())
    card = dataclasses.replace(
        card,
        output=dataclasses.replace(card.output, scores=name),
        goldens=make_goldens(
            card.frontend,
            card.input.clip_samples,
            golden,
            round(GOLDEN_TOLERANCES[form] + distance, 6),
        ),
    )
    part = path.with_name(f".{path.name}.part")
    try:
        write_model(part, payload, card)
        # The batch of the original: this also compares the two Keras models.
        _compare(
            open_model(read_model(part).payload), name, clips, _keras_scores(model, clips), form
        )
        _replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return read_model(path)


def _kind(path: Path) -> Literal["tflite", "onnx"]:
    if path.suffix == ".tflite":
        return "tflite"
    if path.suffix == ".onnx":
        return "onnx"
    raise UsageError(f"{path}: expected a name that ends in .tflite or .onnx")


def _check_clips(model: Any, card: ModelCard, clips: Blocks) -> None:
    """Clips and frontend give what the model takes; the trailing channel axis may be left out."""
    taken = [tuple(tensor.shape[1:]) for tensor in model.inputs]
    made = [spec.shape(card.input.clip_samples) for spec in card.frontend]
    for shape, wanted in zip(made, taken, strict=False):
        if shape not in (wanted, wanted[:-1]):
            raise DataError(
                f"the frontend gives {shape}, {model.name} takes {wanted}: correct the frontend"
            )
    if len(taken) != len(made) or [block.shape[1:] for block in clips] != made:
        raise DataError(
            f"clips of shapes {[block.shape for block in clips]}, expected (n, *shape) with shapes "
            f"{made} for a model of {len(taken)} inputs: give the features of real clips"
        )
    if not all(len(block) for block in clips):
        raise DataError("no clips, expected the features of at least one: give real clips")


def _keras_scores(model: Any, blocks: Blocks, batch: int = 32) -> NDArray[np.float32]:
    """Scores of Keras, called eagerly: `predict` would compile a graph for one use."""
    shaped = [
        block.reshape(len(block), *tensor.shape[1:])
        for block, tensor in zip(blocks, model.inputs, strict=True)
    ]
    scores = []
    for at in range(0, len(shaped[0]), batch):
        rows = [block[at : at + batch] for block in shaped]
        scores.append(np.asarray(model(rows if len(rows) > 1 else rows[0], training=False)))
    return np.concatenate(scores)


def _compare(
    interpreter: Interpreter, name: str, clips: Blocks, wanted: NDArray[np.float32], form: Form
) -> None:
    """Refuse a file whose scores or labels are not those of Keras."""
    got = np.stack(
        [interpreter.run(blocks)[name].reshape(-1) for blocks in zip(*clips, strict=True)]
    )
    worst = float(np.abs(got - wanted).max())
    changed = int((got.argmax(axis=1) != wanted.argmax(axis=1)).sum())
    if not np.isfinite(worst) or (form == "float32" and worst > FLOAT32_TOLERANCE):
        raise ModelError(
            f"a score of the {form} file is {worst:.2g} from Keras's, expected at most "
            f"{FLOAT32_TOLERANCE:g}: the converter changed the graph; try another version of it"
        )
    if form != "float32" and changed > LABELS_CHANGED * len(wanted):
        raise ModelError(
            f"the {form} file changes {changed} of {len(wanted)} labels, expected at most "
            f"{LABELS_CHANGED:.0%}: export a larger form"
        )


def _replace(part: Path, path: Path) -> None:
    try:
        os.replace(part, path)
    except OSError as error:
        raise StorageError(
            f"{path}: {error.strerror}; choose a file that can be written"
        ) from error
