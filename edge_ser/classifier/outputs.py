"""Which of a graph's outputs a card means, and what must not come out of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser.card import ModelCard
from edge_ser.errors import ModelError
from edge_ser.runtime import Interpreter

__all__ = ["check_finite", "embedding_output", "scores_output"]


def scores_output(card: ModelCard, interpreter: Interpreter) -> str:
    """Name of the output that holds the scores; the card must fit the graph in all that it says.

    Raises:
        ModelError: it does not.
    """
    outputs = {tensor.name: tensor for tensor in interpreter.outputs}
    name = card.output.scores or next(iter(outputs))
    for wanted in filter(None, (name, card.output.embedding)):
        if wanted not in outputs:
            raise ModelError(
                f"the card names output {wanted!r}, the graph has {', '.join(outputs)}: "
                "export it again"
            )
    size = int(np.prod(outputs[name].shape))
    if size != len(card.labels):
        raise ModelError(
            f"the card has {len(card.labels)} labels, output {name!r} has {size} values: "
            "expected one for each; correct the card"
        )
    if len(interpreter.inputs) != len(card.frontend):
        raise ModelError(
            f"the card has {len(card.frontend)} feature blocks, the graph takes "
            f"{len(interpreter.inputs)} inputs: correct the card"
        )
    return name


def embedding_output(card: ModelCard) -> str:
    """Name of the output that holds the embedding.

    Raises:
        ModelError: the card names none.
    """
    if card.output.embedding is None:
        raise ModelError(
            "the card names no embedding, expected one: give a model exported from a network in "
            "Torch (families tim, waveform-cnn, wav2vec2, spectral); the capsule networks have none"
        )
    return card.output.embedding


def check_finite(values: NDArray[Any], what: str) -> None:
    """Raise ModelError where the graph gave NaN or infinite values; `what` they are, in words."""
    if not np.isfinite(values).all():
        raise ModelError(
            f"the graph gives NaN or infinite {what}, expected finite ones: export it again"
        )
