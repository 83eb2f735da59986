"""Windows, mel filters and cosine transforms: pure functions that make the frontend's tables."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "banded",
    "dct_matrix",
    "hz_to_mel",
    "lifter_weights",
    "mel_filters",
    "mel_to_hz",
    "window",
]

Array = NDArray[np.float64]

# Slaney's Auditory Toolbox: linear below 1 kHz with 200/3 Hz a mel, then 27 mels for a factor 6.4.
SLANEY_HZ_PER_MEL = 200.0 / 3
SLANEY_KNEE_HZ = 1000.0
SLANEY_KNEE_MEL = SLANEY_KNEE_HZ / SLANEY_HZ_PER_MEL
SLANEY_LOG_STEP = np.log(6.4) / 27.0


def window(name: Literal["hann", "hamming", "rectangular"], length: int) -> Array:
    """Periodic window of `length` samples, values in [0, 1]."""
    if name == "rectangular":
        return np.ones(length)
    offset = 0.5 if name == "hann" else 0.54
    return offset - (1 - offset) * np.cos(2 * np.pi * np.arange(length) / length)


def hz_to_mel(hz: Array, scale: Literal["slaney", "htk"]) -> Array:
    """Hertz to mel: 2595 log10(1 + f / 700) (HTK), or Slaney's piecewise scale."""
    if scale == "htk":
        return 2595.0 * np.log10(1.0 + hz / 700.0)
    logarithmic = (
        SLANEY_KNEE_MEL + np.log(np.maximum(hz, SLANEY_KNEE_HZ) / SLANEY_KNEE_HZ) / SLANEY_LOG_STEP
    )
    return np.where(hz >= SLANEY_KNEE_HZ, logarithmic, hz / SLANEY_HZ_PER_MEL)


def mel_to_hz(mel: Array, scale: Literal["slaney", "htk"]) -> Array:
    """Inverse of `hz_to_mel`."""
    if scale == "htk":
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    exponential = SLANEY_KNEE_HZ * np.exp(
        SLANEY_LOG_STEP * (np.maximum(mel, SLANEY_KNEE_MEL) - SLANEY_KNEE_MEL)
    )
    return np.where(mel >= SLANEY_KNEE_MEL, exponential, mel * SLANEY_HZ_PER_MEL)


def mel_filters(
    rate: int,
    n_fft: int,
    n_mels: int,
    fmin: float,
    fmax: float,
    scale: Literal["slaney", "htk"],
    norm: Literal["slaney", "none"],
    edges: Literal["exact", "fft_bins"],
) -> Array:
    """Triangular filters, shape (n_fft // 2 + 1, n_mels); a column is one band."""
    ends = hz_to_mel(np.array([fmin, fmax], dtype=np.float64), scale)
    corners = mel_to_hz(np.linspace(ends[0], ends[1], n_mels + 2), scale)
    widths = corners[2:] - corners[:-2]
    bins = np.arange(n_fft // 2 + 1, dtype=np.float64)
    if edges == "fft_bins":
        corners = np.floor((n_fft + 1) * corners / rate)
    else:
        bins *= rate / n_fft
    lower, centre, upper = corners[:-2], corners[1:-1], corners[2:]
    with np.errstate(divide="ignore", invalid="ignore"):
        rising = (bins[:, None] - lower) / (centre - lower)
        falling = (upper - bins[:, None]) / (upper - centre)
    if edges == "fft_bins":
        # Corners may coincide; the half of a triangle that has no width holds no bin.
        rising = np.where((bins[:, None] >= lower) & (bins[:, None] < centre), rising, 0.0)
        falling = np.where((bins[:, None] >= centre) & (bins[:, None] < upper), falling, 0.0)
        filters = rising + falling
    else:
        filters = np.maximum(0.0, np.minimum(rising, falling))
    if norm == "slaney":
        filters = filters * (2.0 / widths)
    return filters


def banded(filters: Array, groups: int) -> list[tuple[slice, slice, Array]]:
    """Filters cut into groups of neighbouring bands: (bins, bands, their weights) each.

    A triangle is 0 outside a few bins, so `power[:, bins] @ weights` for each group is the same
    product with an eighth of the multiplications for 128 mel bands in 8 groups.
    """
    parts = []
    for bands in np.array_split(np.arange(filters.shape[1]), min(groups, filters.shape[1])):
        columns = slice(int(bands[0]), int(bands[-1]) + 1)
        used = np.flatnonzero(filters[:, columns].any(axis=1))
        bins = slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 0)
        parts.append((bins, columns, np.ascontiguousarray(filters[bins, columns])))
    return parts


def dct_matrix(n_in: int, n_out: int, norm: Literal["ortho", "none"]) -> Array:
    """DCT-II as a matrix of shape (n_in, n_out): `x @ matrix` are the first `n_out` coefficients.

    none: 2 sum x[n] cos(pi k (2 n + 1) / 2 N), as in scipy; ortho: scaled to an orthonormal basis.
    """
    angles = np.pi / n_in * np.outer(np.arange(n_in) + 0.5, np.arange(n_out))
    matrix = 2.0 * np.cos(angles)
    if norm == "ortho":
        matrix *= np.sqrt(0.5 / n_in)
        matrix[:, 0] *= np.sqrt(0.5)
    return matrix


def lifter_weights(n_mfcc: int, lifter: int, first: int) -> Array:
    """Sinusoidal lifter 1 + L/2 sin(pi n / L) for n = first, first + 1, ...; ones when L is 0."""
    if lifter == 0:
        return np.ones(n_mfcc)
    return 1.0 + lifter / 2.0 * np.sin(np.pi * (first + np.arange(n_mfcc)) / lifter)
