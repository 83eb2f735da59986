"""Longer, shorter, higher, lower: a phase vocoder in numpy.

librosa has the same two transforms, in its `effects`. Here they are 30 lines, because librosa
brings numba, LLVM and scikit-learn along, needs seconds to load in every training process, and
compiles on its first call; a test holds these to its results.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from edge_ser.audio import fit

__all__ = ["pitch_shifted", "time_stretched"]

Samples = NDArray[np.float32]
Spectra = NDArray[Any]

WINDOW_SECONDS = 0.046
"""About ten periods of the lowest voices; the next power of two in samples is taken."""
OVERLAP = 4
"""Windows that cover each sample."""


def time_stretched(samples: Samples, rate: int, speed: float) -> Samples:
    """The clip at `speed` times its speed and at its pitch; round(n / speed) samples, at least 1.

    Phase vocoder (Flanagan and Golden, 1966; Dolson, 1986): magnitudes are interpolated between
    the nearest two spectra, and every bin's phase goes on as fast as it went there. Neighbouring
    bins lose their phase relation that way, so speech comes out some 3 dB softer.
    """
    return vocoded(samples, _window_size(rate), speed)


def pitch_shifted(samples: Samples, rate: int, semitones: float) -> Samples:
    """The clip `semitones` higher (lower if negative), formants too, of the same length.

    It is stretched, and resampled back to its length by soxr.
    """
    factor = 2 ** (semitones / 12)
    longer = time_stretched(samples, rate, 1 / factor)
    shifted: Samples = soxr.resample(longer, rate * factor, rate, "HQ")
    return fit(shifted, len(samples), "end")


def vocoded(samples: NDArray[Any], size: int, speed: float) -> Samples:
    """`time_stretched` with windows of `size` samples, a multiple of 4."""
    spectra = _spectra(samples, size)
    magnitudes = np.abs(spectra)
    # Directions on the unit circle; silent bins point along the real axis.
    turned = np.divide(spectra, magnitudes, out=np.ones_like(spectra), where=magnitudes > 0)
    # Two spectra of nothing follow, so that the last ones have neighbours.
    magnitudes = np.pad(magnitudes, ((0, 2), (0, 0)))
    turned = np.pad(turned, ((0, 2), (0, 0)), constant_values=1)

    position = np.arange(0, len(spectra), speed)
    before = position.astype(np.intp)
    share = (position - before)[:, np.newaxis]
    turns = turned[before + 1] * turned[before].conj()
    phases = np.cumprod(np.concatenate([turned[:1], turns[:-1]]), axis=0)
    loudness = magnitudes[before] * (1 - share) + magnitudes[before + 1] * share
    return _samples(loudness * phases, size, max(1, round(len(samples) / speed)))


def _spectra(samples: NDArray[Any], size: int) -> Spectra:
    """Centred short-time spectra, shape (1 + n // hop, size // 2 + 1)."""
    padded = np.pad(samples, size // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[:: size // OVERLAP]
    return np.fft.rfft(frames * _hann(size))


def _samples(spectra: Spectra, size: int, length: int) -> Samples:
    """The signal whose short-time spectra come nearest (Griffin and Lim, 1984)."""
    hop = size // OVERLAP
    window = _hann(size)
    frames = (np.fft.irfft(spectra, size) * window).reshape(len(spectra), OVERLAP, hop)
    weights = np.square(window).reshape(OVERLAP, hop)
    total = np.zeros((len(spectra) + OVERLAP - 1, hop))
    weight = np.zeros_like(total)
    for part in range(OVERLAP):
        total[part : part + len(spectra)] += frames[:, part]
        weight[part : part + len(spectra)] += weights[part]
    covered = weight > np.finfo(np.float32).tiny
    signal = np.divide(total, weight, out=total, where=covered).reshape(-1)
    return fit(signal[size // 2 :].astype(np.float32), length, "end")


@cache
def _hann(size: int) -> NDArray[np.float64]:
    """Periodic form."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)


def _window_size(rate: int) -> int:
    return 1 << max(4, round(WINDOW_SECONDS * rate) - 1).bit_length()
