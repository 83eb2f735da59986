"""What is trained and how: `Recipe`, and its learning-rate schedule. Needs no Keras."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

__all__ = ["Recipe", "learning_rate", "recipe_for"]

PUBLISHED_EPOCHS = 300
DECAY_EPOCHS = range(60, 300, 20)
DECAY = math.exp(-0.15)


@dataclass(frozen=True)
class Recipe:
    """What is trained, and how. The defaults are the published recipe but for the epochs."""

    architecture: str = "plb"
    epochs: int = 60
    """Passes over the training clips; the learning-rate schedule is stretched to them."""
    batch: int = 32
    """Clips a step; the last step of an epoch takes what is left."""
    learning_rate: float = 1e-3
    label_smoothing: float = 0.1
    seed: int = 42
    evaluate_every: int = 10
    """Epochs between looks at the test clips; nothing is chosen by them."""
    keep_best: bool = False
    """Keep the weights of the best test epoch too: the published, leaky way."""


def recipe_for(protocol: str, epochs: int | None = None, **chosen: Any) -> Recipe:
    """The recipe of a protocol with `chosen` fields; for `published` as in the papers, in full.

    That is 300 epochs, each tested, and the best test epoch kept. `epochs` overrides the number.

    >>> recipe_for("published", seed=7).epochs
    300
    """
    if protocol == "published":
        chosen = {"epochs": PUBLISHED_EPOCHS, "evaluate_every": 1, "keep_best": True, **chosen}
    return Recipe(**(chosen if epochs is None else {**chosen, "epochs": epochs}))


def learning_rate(recipe: Recipe, epoch: int) -> float:
    """Rate of a 0-based epoch: x exp(-0.15) after epochs 60, 80, ..., 280 of 300, stretched.

    >>> round(learning_rate(Recipe(epochs=300), 299), 6)
    0.000165
    """
    published = epoch * PUBLISHED_EPOCHS / recipe.epochs
    return recipe.learning_rate * DECAY ** sum(published > after for after in DECAY_EPOCHS)
