"""Training examples of an epoch: the cached features, or those of augmented waveforms.

Only training clips come here: nothing is augmented before the split, and no test clip ever.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio import fit
from edge_ser.errors import DataError
from edge_ser.frontend import Frontend
from edge_ser.lab.augmentation import (
    Augmentation,
    augment,
    copies,
    mask_features,
    read_augmentation,
)
from edge_ser.lab.augmentation.masks import FeatureStep
from edge_ser.lab.datasets import Dataset
from edge_ser.lab.experiment import DataOptions, Experiment
from edge_ser.lab.features import Version
from edge_ser.lab.nonspeech import cached_nonspeech

__all__ = ["Examples", "examples_of", "versions_of"]

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Examples:
    """Features and labels of each epoch."""

    count: int
    """An epoch, `sounds` and all."""
    classes: int
    of_epoch: Callable[[int], tuple[Floats, Labels]]
    """Shapes (clips, *shape) and (clips,), count less sounds."""
    known: NDArray[np.bool_]
    """Which classes each example's corpus has, shape (clips, classes)."""
    nonspeech: Floats | None = None
    """Features of sounds of which an epoch takes some, with even targets, as `of_epoch` does not
    tell; shape (sounds, *shape)."""
    chances: NDArray[np.float64] | None = None
    """Of each example to be drawn in an epoch, shape (clips,), where corpora are balanced; without,
    each comes once."""
    temperatures: NDArray[np.float64] | None = None
    """By which the loss divides each example's logits, shape (clips,); 1 without."""

    @property
    def sounds(self) -> int:
        """How many of `nonspeech` an epoch takes, within `count`."""
        return self.count - len(self.known)


def examples_of(experiment: Experiment, data: Dataset, names: Sequence[str]) -> Examples:
    """The examples that clips of these names give.

    Raises:
        DataError: the experiment's versions of the clips were not read.
    """
    examples = _with_nonspeech(experiment.data, _examples(experiment, data, names))
    options = experiment.training
    homes = [data.utterances[name].corpus or "" for name in names]
    if options.corpus_temperature:
        warmth = np.array([options.corpus_temperature.get(home, 1.0) for home in homes])
        examples = replace(examples, temperatures=_with_copies(warmth, len(examples.known)))
    if options.balance:
        clips = Counter(homes)
        chances = np.array([clips[home] ** -options.balance for home in homes])
        every = _with_copies(chances, len(examples.known))
        examples = replace(examples, chances=every / every.sum())
    return examples


def _with_copies(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """What holds of each clip, of its copies too, which stand together behind all clips."""
    return np.concatenate([values, np.repeat(values, count // len(values) - 1)])


def _with_nonspeech(options: DataOptions, examples: Examples) -> Examples:
    if not options.nonspeech:
        return examples
    return replace(
        examples,
        count=examples.count + round(options.nonspeech * examples.count),
        nonspeech=cached_nonspeech(options.spec(), options.clip_samples, options.pad_side),
    )


def _examples(experiment: Experiment, data: Dataset, names: Sequence[str]) -> Examples:
    at = data.index(names)
    features, labels = data.features[at], data.labels[at]
    classes, known = len(data.classes), data.known[at]
    if not experiment.augmentation:
        return Examples(len(at), classes, lambda epoch: (features, labels), known)
    chosen = read_augmentation(experiment.augmentation)
    if chosen.versions != len(data.versions):
        raise DataError(
            f"{len(data.versions)} versions of each clip were read, expected {chosen.versions}: "
            "give read_dataset those of versions_of"
        )
    if chosen.versions:
        every = np.stack([features, *(version[at] for version in data.versions)])
        drawn = partial(_drawn, chosen, every, experiment)
        return Examples(len(at), classes, lambda epoch: (drawn(epoch), labels), known)
    waveforms = data.waveforms(names)
    frontend = Frontend(experiment.data.spec())
    make = _Maker(experiment.data, frontend, chosen, experiment.training.seed)
    if chosen.mode == "copies":
        made = [make.copies(number, samples) for number, samples in enumerate(waveforms)]
        each = len(made[0])
        every = np.concatenate([features, *made])
        repeated = np.concatenate([labels, np.repeat(labels, each)])
        known = np.concatenate([known, np.repeat(known, each, axis=0)])
        return Examples(len(every), classes, lambda epoch: (every, repeated), known)
    return Examples(
        len(at),
        classes,
        lambda epoch: (
            np.stack([make.online(epoch, i, samples) for i, samples in enumerate(waveforms)]),
            labels,
        ),
        known,
    )


def versions_of(experiment: Experiment) -> list[Version]:
    """The versions of every clip that the experiment's augmentation makes once."""
    chosen = read_augmentation(experiment.augmentation)
    return [Version(chosen, number) for number in range(chosen.versions)]


def _drawn(chosen: Augmentation, every: Floats, experiment: Experiment, epoch: int) -> Floats:
    """Of each clip one version, masked; `every` has shape (versions, clips, *shape)."""
    rng = np.random.default_rng([experiment.training.seed, epoch])
    features: Floats = every[rng.integers(len(every), size=every.shape[1]), range(every.shape[1])]
    axis = 1 if experiment.data.spec().layout == "time_last" else 0
    if not any(isinstance(step, FeatureStep) for step in chosen.steps):
        return features
    return np.stack([mask_features(chosen, each, rng, time_axis=axis) for each in features])


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
