"""`Trainer`: a network with its optimiser, in one framework or the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_ser.lab.experiment import Experiment

__all__ = ["Trainer", "open_trainer"]

Floats = NDArray[np.float32]


class Trainer(Protocol):
    """What the loop asks of a framework."""

    suffix: str
    """Of its checkpoints."""

    def epochs(self, examples: int) -> int:
        """Whole passes over that many examples that were made so far."""
        ...

    def begin(self, hear: Callable[[], Floats]) -> None:
        """Before the first step: layers may hear examples, shape (examples, *shape).

        Making them may take an epoch's augmentation, so they are asked for only where needed.
        """
        ...

    def run_epoch(
        self, features: Floats, targets: Floats, rate: float, seed: np.random.SeedSequence
    ) -> tuple[float, float]:
        """One pass over the examples in their order; mean loss and accuracy.

        features: shape (examples, *shape); targets: probabilities, shape (examples, classes), -1
        for classes that the example's corpus does not have: the others share the loss. Those that
        add up to another sum than 1 are divided by it, and the example's logits multiplied by it,
        in the loss.
        seed: of everything drawn within (dropout).
        """
        ...

    def scores(self, features: Floats) -> Floats:
        """Probabilities, shape (examples, classes), as at inference."""
        ...

    def save(self, path: Path) -> None:
        """Network, optimiser and epochs in one file."""
        ...

    def load(self, path: Path) -> None:
        """What `save` wrote.

        Raises:
            DataError: a file of another network, or a damaged one.
        """
        ...


def open_trainer(experiment: Experiment, classes: int, shape: tuple[int, ...]) -> Trainer:
    """A freshly initialised network and optimiser.

    Raises:
        DataError: the network cannot take features of that shape.
        DependencyError: its framework is not installed.
    """
    if experiment.network.kind.framework == "keras":
        from edge_ser.lab.training.keras_trainer import KerasTrainer

        return KerasTrainer(experiment, classes, shape)
    from edge_ser.lab.training.torch_trainer import TorchTrainer

    return TorchTrainer(experiment, classes, shape)
