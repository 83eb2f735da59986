"""What a graph's outputs are by its card, and what must not come out of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser.card import ModelCard
from edge_ser.errors import ModelError
from edge_ser.metrics import SMALLEST_SCORE, apply_temperature, softmax
from edge_ser.runtime import Interpreter

__all__ = ["Outputs"]

Arrays = Mapping[str, NDArray[Any]]
"""What an interpreter gives: arrays by the outputs' names."""


class Outputs:
    """Reads the outputs of a graph as its card says, the head of an adapted model included."""

    def __init__(self, card: ModelCard, interpreter: Interpreter) -> None:
        """For the outputs of an interpreter; the card must fit the graph in all that it says.

        Raises:
            ModelError: it does not.
        """
        outputs = {tensor.name: tensor for tensor in interpreter.outputs}
        self._card = card
        self._scores = card.output.scores or next(iter(outputs))
        for wanted in filter(None, (self._scores, card.output.embedding)):
            if wanted not in outputs:
                raise ModelError(
                    f"the card names output {wanted!r}, the graph has {', '.join(outputs)}: "
                    "export it again"
                )
        size = int(np.prod(outputs[self._scores].shape))
        if card.head is None and size != len(card.labels):
            raise ModelError(
                f"the card has {len(card.labels)} labels, output {self._scores!r} has {size} "
                "values: expected one for each; correct the card"
            )
        if len(interpreter.inputs) != len(card.frontend):
            raise ModelError(
                f"the card has {len(card.frontend)} feature blocks, the graph takes "
                f"{len(interpreter.inputs)} inputs: correct the card"
            )
        if card.head is not None:
            taken = size + int(np.prod(outputs[str(card.output.embedding)].shape))
            if card.head.values != taken:
                raise ModelError(
                    f"the card's head takes {card.head.values} values, the graph gives {taken}: "
                    "adapt the model again"
                )
            self._weights = np.array(card.head.rows(), dtype=np.float64)
            self._bias = np.array(card.head.biases(), dtype=np.float64)

    def scores(self, outputs: Arrays) -> NDArray[np.float64]:
        """Scores before calibration, of the card's kind, shape (labels,).

        They are the graph's, or, in an adapted model, its head's.

        Raises:
            ModelError: they are NaN or infinite.
        """
        if self._card.head is None:
            scores = outputs[self._scores].reshape(-1).astype(np.float64)
            _check_finite(scores, "scores")
            return scores
        logits: NDArray[np.float64] = self._weights @ self.head_values(outputs) + self._bias
        return logits if self._card.output.kind == "logits" else softmax(logits)

    def calibrated(self, outputs: Arrays) -> NDArray[np.float64]:
        """Probabilities after the card's temperature, shape (labels,).

        Raises:
            ModelError: as `scores`.
        """
        scores, temperature = self.scores(outputs), self._card.output.temperature
        if self._card.output.kind == "logits":
            return softmax(scores / temperature)
        return apply_temperature(scores, temperature)

    def embedding(self, outputs: Arrays) -> NDArray[np.float32]:
        """What the network knows before it decides, shape (values,).

        Raises:
            ModelError: the card names no embedding, or it holds NaN or infinite values.
        """
        name = self._card.output.embedding
        if name is None:
            raise ModelError(
                "the card names no embedding, expected one: give a model exported from a network "
                "that has one (families functionals, tim, waveform-cnn, wav2vec2, spectral; in "
                "Keras a layer named embedding); the capsule networks have none"
            )
        values = outputs[name].reshape(-1).astype(np.float32)
        _check_finite(values, "values of its embedding")
        return values

    def head_values(self, outputs: Arrays) -> NDArray[np.float64]:
        """What a head takes, shape (values,): the embedding, then ln of each score of the graph.

        Raises:
            ModelError: as `embedding`, or scores that are NaN or infinite.
        """
        scores = outputs[self._scores].reshape(-1).astype(np.float64)
        _check_finite(scores, "scores")
        if self._card.output.kind == "logits":
            scores = softmax(scores)
        logarithms = np.log(np.maximum(scores, SMALLEST_SCORE))
        return np.concatenate([self.embedding(outputs), logarithms])


def _check_finite(values: NDArray[Any], what: str) -> None:
    """Raise ModelError where the graph gave NaN or infinite values; `what` they are, in words."""
    if not np.isfinite(values).all():
        raise ModelError(
            f"the graph gives NaN or infinite {what}, expected finite ones: export it again"
        )
