"""Speech-like clips made from a seed, for measuring where no recordings are at hand."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from edge_ser.signals import FORMANT_WIDTHS

__all__ = ["synthetic_wav"]

Array = NDArray[np.float64]

# Formants of vowels as grown men and women speak them, Hz, rounded.
VOWELS = (
    (700.0, 1_250.0, 2_600.0),
    (500.0, 1_800.0, 2_500.0),
    (320.0, 2_300.0, 3_000.0),
    (500.0, 900.0, 2_500.0),
    (350.0, 800.0, 2_400.0),
)
SYLLABLE_S = (0.12, 0.3)
PAUSE_S = (0.02, 0.12)
DECAY_S = 0.05
"""After this long even the narrowest formant has died away."""
PEAK = 0.5
BREATH = 0.02
ROOM = 2e-4


def synthetic_wav(seconds: float, rate: int, rng: np.random.Generator) -> bytes:
    """A WAV file, 16 bits, of something that speaks: nobody's voice, and never silent.

    Pulses at a gliding pitch, and a little breath, pass the resonances of a vowel, syllable after
    syllable, above the noise of a room. The same generator gives the same file, but for the
    rounding of a sample that falls between two steps.

    Args:
        seconds: length, 0.5 or more.
        rate: Hertz, 8,000 or more for the formants to fit.
        rng: decides pitch, vowels and pace.
    """
    import soundfile

    n = round(seconds * rate)
    source = _pulses(n, rate, rng) + BREATH * rng.standard_normal(n)
    voice = np.zeros(n)
    start = 0
    while start < n:
        length = round(rng.uniform(*SYLLABLE_S) * rate)
        vowel = VOWELS[rng.integers(len(VOWELS))]
        tract = rng.uniform(0.95, 1.15)
        spoken = source[start : start + length]
        loudness = np.hanning(len(spoken) + 2)[1:-1] * rng.uniform(0.4, 1.0)
        heard = _resonating(spoken * loudness, rate, [tract * hertz for hertz in vowel])
        voice[start : start + len(heard)] += heard[: n - start]
        start += length + round(rng.uniform(*PAUSE_S) * rate)
    mixed = PEAK * voice / np.abs(voice).max() + ROOM * rng.standard_normal(n)
    file = io.BytesIO()
    soundfile.write(file, np.round(mixed * 32_767).astype(np.int16), rate, format="WAV")
    return file.getvalue()


def _pulses(n: int, rate: int, rng: np.random.Generator) -> Array:
    """One pulse a period of a pitch that falls over the clip and is lively on its way."""
    seconds = np.arange(n) / rate
    knots = np.linspace(0.0, n / rate, max(2, round(3 * n / rate)))
    melody = np.linspace(1.15, 0.85, len(knots)) * rng.uniform(0.85, 1.2, len(knots))
    pitch = rng.uniform(95.0, 230.0) * np.interp(seconds, knots, melody)
    periods = np.floor(np.cumsum(pitch) / rate)
    pulses = np.diff(periods, prepend=0.0)
    # The lips radiate the rate of change: no offset is left.
    return np.diff(pulses, prepend=0.0)


def _resonating(signal: Array, rate: int, formants: list[float]) -> Array:
    """The signal after a cascade of resonances F^2 / (F^2 - f^2 + i f B), with its decay."""
    n = len(signal) + round(DECAY_S * rate)
    hertz = np.fft.rfftfreq(n, 1 / rate)
    spectrum = np.fft.rfft(signal, n)
    for formant, width in zip(formants, FORMANT_WIDTHS, strict=True):
        spectrum = spectrum * formant**2 / (formant**2 - hertz**2 + 1j * hertz * width)
    heard: Array = np.fft.irfft(spectrum, n)
    return heard
