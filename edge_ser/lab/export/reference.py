"""What every model is to the exporter, whichever framework it comes from.

A `Source` is a model as it was found. Bound to the features that it will run on it becomes a
`Reference`: what the written file has to compute, and what converters take.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge_ser.card import ModelCard
from edge_ser.errors import DataError, ModelError

__all__ = [
    "FRAMEWORKS",
    "Blocks",
    "Floats",
    "Framework",
    "Output",
    "Reference",
    "Shapes",
    "Source",
    "counted",
    "fitted",
]

Floats = NDArray[np.float32]
Blocks = Sequence[Floats]
"""Features of clips: one array of shape (clips, *shape of one clip) a block of the frontend."""
Shapes = tuple[tuple[int, ...], ...]
"""Of the inputs, without the batch; -1 is an axis of any length."""
Output = Literal["probabilities", "logits"]
Framework = Literal["keras", "saved_model", "torch", "onnx", "tflite"]

FRAMEWORKS: Mapping[Framework, str] = {
    "keras": "Keras",
    "saved_model": "TensorFlow",
    "torch": "Torch",
    "onnx": "the original",
    "tflite": "the original",
}
"""For messages: what a file is compared with."""


@dataclass(frozen=True, eq=False)
class Reference:
    """A model that can be run on clips and converted."""

    framework: Framework
    name: str
    """For messages: the model's, or its file's."""
    shapes: Shapes
    """Of the inputs; no axis is free."""
    scores: Callable[[Blocks], Floats]
    """Shape (clips, labels), as the graph gives them; takes blocks of shape (clips, *shape)."""
    graph: Any
    """What the converters of this framework take."""
    embedding: Callable[[Blocks], Floats] | None = None
    """Shape (clips, values): what a second output is to give."""


@dataclass(frozen=True, eq=False)
class Source:
    """A model as it was found."""

    framework: Framework
    name: str
    inputs: Shapes | None
    """None for a network that is built for whatever features are chosen."""
    bind: Callable[[Shapes, int], Reference]
    """Given the shapes of the inputs and the number of labels; raises ModelError where the model
    gives another number of scores."""
    output: Output | None = None
    """None where nothing tells but the scores themselves."""
    labels: tuple[str, ...] = ()
    """As far as the file names them."""

    def bound(self, card: ModelCard) -> Reference:
        """The model on the features and labels of a card.

        Raises:
            DataError: the model takes other features, or another number of blocks.
            ModelError: it gives another number of scores than there are labels.
        """
        made = [spec.shape(card.input.clip_samples) for spec in card.frontend]
        if self.inputs is None:
            words = card.input.layout.split(",")
            return self.bind(tuple(map(_with_channel, made, words)), len(card.labels))
        if len(self.inputs) != len(made):
            raise DataError(
                f"{self.name} takes {len(self.inputs)} inputs, the card has {len(made)} frontends: "
                "give one for each, in the order of the inputs"
            )
        shapes = [
            fitted(shape, wanted, self.name)
            for shape, wanted in zip(made, self.inputs, strict=True)
        ]
        return self.bind(tuple(shapes), len(card.labels))


def fitted(made: tuple[int, ...], taken: tuple[int, ...], name: str) -> tuple[int, ...]:
    """The shape in which an input takes features: axes of 1 in front or behind are added.

    >>> fitted((196, 39), (-1, 39, 1), "m")
    (196, 39, 1)

    Raises:
        DataError: the input takes another one.
    """
    for shape in ((*made,), (*made, 1), (1, *made)):
        if len(shape) == len(taken) and all(
            n == m or m == -1 for n, m in zip(shape, taken, strict=True)
        ):
            return shape
    wanted = "(" + ", ".join("any" if n == -1 else str(n) for n in taken) + ")"
    raise DataError(
        f"the frontend gives {made}, {name} takes {wanted}: correct the frontend or the clip length"
    )


def _with_channel(shape: tuple[int, ...], layout: str) -> tuple[int, ...]:
    """The shape with an axis of 1 in front where the layout, such as NCT, has a channel there."""
    return (1, *shape) if layout.startswith("NC") else shape


def counted(scores: Floats, labels: int, name: str) -> Floats:
    """The scores as (clips, labels).

    Raises:
        ModelError: another number, or something that is no number.
    """
    flat = scores.reshape(len(scores), -1).astype(np.float32, copy=False)
    if flat.shape[1] != labels:
        raise ModelError(
            f"{name} gives {flat.shape[1]} scores, expected one for each of {labels} labels: "
            "correct the labels"
        )
    if not np.isfinite(flat).all():
        raise ModelError(
            f"{name} gives scores that are NaN or infinite, expected finite ones: train it again"
        )
    return flat
