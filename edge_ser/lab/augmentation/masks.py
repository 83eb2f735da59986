"""Masks over features: stretches of time or bands of coefficients without content (SpecAugment)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge_ser.errors import DataError
from edge_ser.lab.augmentation.draws import Draw, draw
from edge_ser.lab.augmentation.steps import Bounds, Step

__all__ = ["FeatureStep", "FrequencyMask", "TimeMask"]

Features = NDArray[np.float32]
Fill = Literal["zero", "mean"]


@dataclass(frozen=True, kw_only=True)
class FeatureStep(Step):
    """A step that masks features (Park et al., 2019)."""

    share: Annotated[Draw, Bounds(0, 1)] = (0.0, 0.1)
    """Of the axis that one mask covers, rounded to whole rows; drawn for each mask."""
    count: Annotated[int, Bounds(1, 100)] = 1
    """Masks, which may overlap."""
    fill: Fill = "mean"
    """Zeros, or each coefficient's mean over the clip."""

    def __call__(self, features: Features, rng: np.random.Generator, time_axis: int) -> Features:
        """The features, with the step's probability with masks in them.

        The input is left as it is; where nothing is done, it is what is returned.

        Args:
            features: of one clip, shape (n,) or two-dimensional.
            rng: decides on widths and places.
            time_axis: 0 or 1, the axis that goes with time.

        Raises:
            DataError: there is no such axis to mask.
        """
        axis = self._axis(features, time_axis)
        if rng.random() >= self.probability:
            return features
        masked = features.copy()
        within = np.moveaxis(masked, axis, 0)
        filling: Any = 0.0
        if self.fill == "mean":
            means = features.mean(axis=time_axis, keepdims=True, dtype=np.float64)
            filling = np.moveaxis(np.broadcast_to(means, features.shape), axis, 0)
        for _ in range(self.count):
            width = round(draw(self.share, rng) * len(within))
            start = int(rng.integers(len(within) - width + 1))
            rows = slice(start, start + width)
            within[rows] = filling[rows] if self.fill == "mean" else 0.0
        return masked

    def _axis(self, features: Features, time_axis: int) -> int:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class TimeMask(FeatureStep):
    """A stretch of time without content; of a waveform, a gap."""

    def _axis(self, features: Features, time_axis: int) -> int:
        if not 0 <= time_axis < features.ndim <= 2:
            raise DataError(
                f"time_mask: features of shape {features.shape} have no time axis {time_axis}, "
                "expected (frames, coefficients), the reverse, or samples"
            )
        return time_axis


@dataclass(frozen=True, kw_only=True)
class FrequencyMask(FeatureStep):
    """A band of coefficients without content."""

    def _axis(self, features: Features, time_axis: int) -> int:
        if features.ndim != 2 or time_axis not in (0, 1):
            raise DataError(
                f"frequency_mask: features of shape {features.shape} have no coefficients beside a "
                f"time axis {time_axis}, expected (frames, coefficients): leave the step out"
            )
        return 1 - time_axis
