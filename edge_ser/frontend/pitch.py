"""Pitch and voicing of each frame, from its power spectrum. Numpy alone.

The method is that of P. Boersma, "Accurate short-term analysis of the fundamental frequency and the
harmonics-to-noise ratio of a sampled sound", IFA Proceedings 17 (1993), for one frame: the
autocorrelation of the windowed frame over that of the window has its highest peak at the period,
and the height of that peak is the share of the power that repeats. His path through all frames is
left out: a frame's values hang on its own samples alone, so that a stream transforms each once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser.frontend.spec import PITCH_VALUES, FrontendSpec

__all__ = ["LOWEST_HZ", "PitchTables", "pitch_of", "pitch_tables"]

Array = NDArray[Any]

LOWEST_HZ = 27.5
"""Semitones are counted from this, the lowest A of a piano, as in eGeMAPS (Eyben 2016)."""


@dataclass(frozen=True)
class PitchTables:
    """What is computed once for a `FrontendSpec`."""

    bins: slice
    """Of the power spectrum that are used."""
    points: int
    """Length of the inverse FFT: fewer than n_fft, since only those bins are used."""
    lags: slice
    """Of the autocorrelation: those that are looked through, and one more at each end."""
    seconds: float
    """From one lag to the next."""
    window: Array
    """Autocorrelation of the window at these lags, 1 at lag 0."""
    cost: Array
    """What a peak at each inner lag loses in strength."""


def pitch_tables(spec: FrontendSpec, window: Array) -> PitchTables:
    """Tables for frames of `spec` that are cut with `window`, of shape (frame length,)."""
    hertz = spec.rate / spec.n_fft
    bins = slice(math.ceil(spec.fmin / hertz), math.floor(spec.fmax / hertz) + 1)
    points = 2 << (bins.stop - 1).bit_length()
    step = spec.n_fft / points
    seconds = step / spec.rate
    first = math.floor(1 / (spec.pitch_ceiling * seconds))
    last = math.ceil(1 / (spec.pitch_floor * seconds))
    lags = slice(max(first - 1, 0), last + 2)
    spectrum = np.abs(np.fft.rfft(window, spec.n_fft)) ** 2
    correlation = np.fft.irfft(spectrum, spec.n_fft)[: spec.n_fft // 2 + 1]
    at = np.arange(lags.start, lags.stop)
    inner = at[1:-1] * seconds
    return PitchTables(
        bins,
        points,
        lags,
        seconds,
        np.interp(at * step, np.arange(len(correlation)), correlation / correlation[0]),
        spec.octave_cost * np.log2(np.maximum(inner * spec.pitch_ceiling, 1)),
    )


def pitch_of(power: Array, tables: PitchTables) -> Array:
    """Pitch and voicing of frames.

    Args:
        power: |STFT|^2, shape (frames, n_fft // 2 + 1).
        tables: of the same spec.

    Returns:
        Shape (frames, 2): semitones above 27.5 Hz, and the strength of the pitch in [0, 1], which
        is 1 for a periodic sound and about 0.2 for noise (harmonics to noise in dB are
        10 log10(s / (1 - s))). The best candidate stands for frames without voice, too; both values
        are 0 where there is none, as in silence.
    """
    band = np.zeros((len(power), tables.points // 2 + 1), power.dtype)
    band[:, tables.bins] = power[:, tables.bins]
    correlation = np.fft.irfft(band, tables.points)
    total = correlation[:, :1]
    r = correlation[:, tables.lags] / (np.where(total > 0, total, 1) * tables.window)
    before, here, after = r[:, :-2], r[:, 1:-1], r[:, 2:]
    peaks = (here > before) & (here >= after) & (here > 0)
    best = np.where(peaks, here - tables.cost, -np.inf).argmax(axis=1)
    row = np.arange(len(r))
    # The vertex of the parabola through the peak and its neighbours.
    left, middle, right = before[row, best], here[row, best], after[row, best]
    bend = left - 2 * middle + right
    shift = 0.5 * (left - right) / np.where(bend < 0, bend, -1)
    period = (best + tables.lags.start + 1 + shift) * tables.seconds
    found = peaks[row, best]
    values = np.zeros((len(power), PITCH_VALUES), power.dtype)
    values[found, 0] = -12 * np.log2(period[found] * LOWEST_HZ)
    values[found, 1] = np.clip(middle - 0.25 * (left - right) * shift, 0, 1)[found]
    return values
