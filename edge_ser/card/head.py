"""`Head`: a last layer in the card, fitted after the export. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_ser.card.checks import require, within
from edge_ser.card.numbers import encoded, floats

__all__ = ["HEAD", "Head"]

HEAD = "head"
"""What a card with one requires of its reader: without it the graph's scores are of other labels.
"""

MAX_VALUES = 65_536
MAX_TEXT = 4_000_000
"""Characters of weights and bias together; a card as a whole has room for 4 MiB."""


@dataclass(frozen=True)
class Head:
    """A linear layer: weights times what it takes, plus bias, are the logits of the card's labels.

    It takes the embedding of the graph and, behind it, the logarithms of the graph's scores.
    """

    values: int
    """How many it takes: those of the embedding and one for each score of the graph."""
    weights: str
    """Base64 of little-endian float32, row by row: one row of `values` a label."""
    bias: str
    """Base64 of little-endian float32, one a label."""

    def __post_init__(self) -> None:
        within("head.values", self.values, 1, MAX_VALUES)
        size = len(self.weights) + len(self.bias)
        require(size <= MAX_TEXT, f"head has {size} characters, expected at most {MAX_TEXT}")
        labels, rest = divmod(len(floats("head.weights", self.weights)), self.values)
        found = len(floats("head.bias", self.bias))
        require(
            rest == 0 and labels == found,
            f"head.weights has {labels * self.values + rest} numbers, expected {self.values} for "
            f"each of the {found} of head.bias",
        )

    @property
    def labels(self) -> int:
        """How many logits it gives."""
        return len(floats("head.bias", self.bias))

    def rows(self) -> list[Sequence[float]]:
        """The weights, one row a label."""
        numbers = floats("head.weights", self.weights)
        return [numbers[at : at + self.values] for at in range(0, len(numbers), self.values)]

    def biases(self) -> Sequence[float]:
        """The bias, one a label."""
        return floats("head.bias", self.bias)

    @classmethod
    def of(cls, weights: Sequence[Sequence[float]], bias: Sequence[float]) -> Head:
        """The head of these numbers, rounded to float32.

        Args:
            weights: one row a label, all of one length.
            bias: one number a label.

        Raises:
            CardError: too many, not as many as there have to be, or not finite.
        """
        values = len(weights[0]) if len(weights) else 0
        return cls(values, encoded([w for row in weights for w in row]), encoded(bias))
