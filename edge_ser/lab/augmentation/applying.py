"""An augmentation at work on one clip. The same seed gives the same result."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_ser.lab.augmentation.masks import FeatureStep
from edge_ser.lab.augmentation.reading import Augmentation
from edge_ser.lab.augmentation.steps import WaveformStep

__all__ = ["augment", "copies", "mask_features"]

Samples = NDArray[np.float32]


def augment(
    augmentation: Augmentation, samples: Samples, rate: int, rng: np.random.Generator
) -> Samples:
    """A clip after the waveform steps of mode online, in order, each with its probability.

    Args:
        augmentation: of mode copies, nothing is done here.
        samples: float32, shape (n,), n at least 1, nominally in [-1, 1].
        rate: Hertz.
        rng: decides on everything; one for each clip and epoch makes a training repeatable.

    Returns:
        float32, finite; of another length where the step is time_stretch. Nothing is clipped:
        float32 holds what lies beyond 1, and clipping would be a distortion nobody asked for.

    Raises:
        DataError, AudioError: real_noise without recordings that can be used.
    """
    if augmentation.mode != "online":
        return samples
    for step in augmentation.steps:
        if isinstance(step, WaveformStep):
            samples = step(samples, rate, rng)
    return samples


def copies(
    augmentation: Augmentation, samples: Samples, rate: int, rng: np.random.Generator
) -> list[Samples]:
    """What each step of mode copies makes of a clip, without the clip; none in mode online.

    Arguments, results and errors are those of `augment`.
    """
    if augmentation.mode != "copies":
        return []
    return [
        step(samples, rate, rng) for step in augmentation.steps if isinstance(step, WaveformStep)
    ]


def mask_features(
    augmentation: Augmentation,
    features: Samples,
    rng: np.random.Generator,
    *,
    time_axis: int = 0,
) -> Samples:
    """Features after the masks of mode online, in order, each with its probability.

    Args:
        augmentation: its waveform steps are passed over.
        features: float32, of one clip, shape (frames, coefficients), the reverse, or (n,).
        rng: decides on everything.
        time_axis: the axis that goes with time.

    Raises:
        DataError: features without the axis that a mask is for.
    """
    for step in augmentation.steps:
        if isinstance(step, FeatureStep):
            features = step(features, rng, time_axis)
    return features
