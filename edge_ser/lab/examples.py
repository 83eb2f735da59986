"""Training examples of an epoch: the cached features, or those of augmented waveforms.

Only training clips come here: nothing is augmented before the split, and no test clip ever.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio import fit
from edge_ser.frontend import Frontend
from edge_ser.lab.augmentation import (
    Augmentation,
    augment,
    copies,
    mask_features,
    read_augmentation,
)
from edge_ser.lab.datasets import Dataset
from edge_ser.lab.experiment import DataOptions, Experiment

__all__ = ["Examples", "examples_of"]

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Examples:
    """Features and labels of each epoch."""

    count: int
    """An epoch."""
    classes: int
    of_epoch: Callable[[int], tuple[Floats, Labels]]
    """Shapes (count, *shape) and (count,)."""


def examples_of(experiment: Experiment, data: Dataset, names: Sequence[str]) -> Examples:
    """The examples that clips of these names give."""
    at = data.index(names)
    features, labels = data.features[at], data.labels[at]
    classes = len(data.classes)
    if not experiment.augmentation:
        return Examples(len(at), classes, lambda epoch: (features, labels))
    chosen = read_augmentation(experiment.augmentation)
    waveforms = data.waveforms(names)
    frontend = Frontend(experiment.data.spec())
    make = _Maker(experiment.data, frontend, chosen, experiment.training.seed)
    if chosen.mode == "copies":
        made = [make.copies(number, samples) for number, samples in enumerate(waveforms)]
        each = len(made[0])
        every = np.concatenate([features, *made])
        repeated = np.concatenate([labels, np.repeat(labels, each)])
        return Examples(len(every), classes, lambda epoch: (every, repeated))
    return Examples(
        len(at),
        classes,
        lambda epoch: (
            np.stack([make.online(epoch, i, samples) for i, samples in enumerate(waveforms)]),
            labels,
        ),
    )


@dataclass(frozen=True)
class _Maker:
    """Augmented clips as features; each draws from (seed, epoch, number of the clip) alone."""

    data: DataOptions
    frontend: Frontend
    augmentation: Augmentation
    seed: int

    def online(self, epoch: int, number: int, samples: Floats) -> Floats:
        rng = np.random.default_rng([self.seed, epoch, number])
        changed = augment(self.augmentation, samples, self.frontend.spec.rate, rng)
        time_axis = 1 if self.frontend.spec.layout == "time_last" else 0
        return mask_features(self.augmentation, self._features(changed), rng, time_axis=time_axis)

    def copies(self, number: int, samples: Floats) -> Floats:
        rng = np.random.default_rng([self.seed, number])
        made = copies(self.augmentation, samples, self.frontend.spec.rate, rng)
        return np.stack([self._features(changed) for changed in made])

    def _features(self, samples: Floats) -> Floats:
        return self.frontend(fit(samples, self.data.clip_samples, self.data.pad_side))
