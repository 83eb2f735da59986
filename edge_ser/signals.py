"""Signals that need no recording: the test signal of the goldens, and a clip to show with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["as_float", "demo_clip", "test_signal"]

Integers = NDArray[np.int64]

# One period of the test signal: its parts, each (kind, hundredths of a second, Hz at its start and
# end, amplitude of 16-bit full scale). Chirps in the range of the voice and its formants at the
# levels of speech, noise like fricatives, and silence.
PARTS = (
    ("chirp", 30, 110, 240, 9_000),
    ("silence", 8, 0, 0, 0),
    ("noise", 12, 0, 0, 2_500),
    ("chirp", 35, 1_800, 420, 5_000),
    ("noise", 6, 0, 0, 900),
    ("chirp", 24, 300, 3_400, 3_000),
    ("silence", 15, 0, 0, 0),
)

# The demo clip's voice. Times in seconds and the values there, joined by straight lines.
PITCH = ([0.0, 0.4, 0.8, 1.3, 1.7, 2.5], [180.0, 260.0, 210.0, 280.0, 190.0, 140.0])
LOUDNESS = (
    [0.0, 0.15, 0.22, 0.6, 0.75, 0.85, 1.3, 1.42, 1.5, 2.1, 2.35, 2.5],
    [0.0, 0.0, 0.9, 0.7, 0.05, 0.9, 0.8, 0.03, 1.0, 0.6, 0.0, 0.0],
)
FORMANT_TIMES = [0.0, 0.5, 0.8, 1.3, 1.5, 2.5]
FORMANTS = (
    [700.0, 700.0, 320.0, 320.0, 500.0, 380.0],
    [1_250.0, 1_300.0, 2_200.0, 2_300.0, 1_000.0, 800.0],
    [2_600.0, 2_600.0, 3_000.0, 3_000.0, 2_500.0, 2_400.0],
)
FORMANT_WIDTHS = (80.0, 100.0, 140.0)


def test_signal(samples: int, rate: int) -> NDArray[np.int16]:
    """The signal of the goldens: the same integers on every machine.

    Triangle-wave chirps, noise bursts and silences at speech-like pitch, level and pace, computed
    by additions, multiplications, shifts and floor divisions of 64-bit integers alone, so that its
    hash can be compared exactly where floating-point results cannot.

    Args:
        samples: length, at least 0.
        rate: Hertz, at least 1.

    Returns:
        int16, shape (samples,); a shorter signal is the beginning of a longer one.
    """
    made = np.zeros(samples, dtype=np.int64)
    start = part = 0
    while start < samples:
        kind, hundredths, first_hz, last_hz, amplitude = PARTS[part % len(PARTS)]
        length = max(1, hundredths * rate // 100)
        chirp = kind == "chirp"
        wave = _chirp(length, rate, first_hz, last_hz) if chirp else _noise(start, length)
        wave = wave * amplitude * _swell(length) >> 30
        made[start : start + length] = wave[: samples - start]
        start += length
        part += 1
    return made.astype(np.int16)


# pytest takes any function of this name for a test.
test_signal.__test__ = False  # type: ignore[attr-defined]


def as_float(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """16-bit samples as float32 in [-1, 1), exactly."""
    return samples.astype(np.float32) / np.float32(32_768)


def demo_clip(rate: int = 16_000) -> NDArray[np.float32]:
    """About 2.5 s of a synthetic voice: three vowels on a lively falling pitch, in a quiet room.

    Nobody's voice, so it may be copied freely. Harmonics of a gliding pitch are weighed by a
    cascade of three resonances, formants that glide from vowel to vowel, and shaped into syllables;
    breath and room noise lie below. The same rate gives the same clip, but for the last bits.

    Args:
        rate: Hertz, 8,000 or more for the formants to fit.

    Returns:
        float32 in [-1, 1], shape (n,), peak 0.5.
    """
    seconds = np.arange(int(2.5 * rate)) / rate
    pitch = np.interp(seconds, *PITCH) * (1 + 0.01 * np.sin(2 * np.pi * 5.5 * seconds))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    formants = [np.interp(seconds, FORMANT_TIMES, track) for track in FORMANTS]
    voice = np.zeros(len(seconds))
    power = np.zeros(len(seconds))
    for harmonic in range(1, 41):
        hz = harmonic * pitch
        # A loud voice: its source falls no faster than the lips' radiation rises.
        strength = (hz < 0.45 * rate).astype(np.float64)
        for formant, width in zip(formants, FORMANT_WIDTHS, strict=True):
            detuning = formant**2 - hz**2
            strength = strength * formant**2 / np.sqrt(detuning**2 + (hz * width) ** 2)
        voice += strength * np.sin(harmonic * phase)
        power += strength**2 / 2
    loudness = np.interp(seconds, *LOUDNESS)
    noise = np.random.default_rng(0).standard_normal(len(seconds))
    mixed = loudness * (voice / np.sqrt(power) + 0.01 * noise)
    mixed = 0.5 * mixed / np.abs(mixed).max() + 2e-4 * noise
    limited: NDArray[np.float32] = np.clip(mixed, -0.5, 0.5).astype(np.float32)
    return limited


def _chirp(length: int, rate: int, first_hz: int, last_hz: int) -> Integers:
    """Triangle wave of +-2^15 whose frequency goes from `first_hz` to `last_hz` in a line."""
    n = np.arange(length, dtype=np.int64)
    # Cycles times 2^16 up to sample n: first n + (last - first) n^2 / (2 length), over the rate.
    cycles = (first_hz * n + (last_hz - first_hz) * n * n // (2 * length)) * 65_536 // rate
    wave: Integers = np.abs((cycles & 65_535) - 32_768) * 2 - 32_768
    return wave


def _noise(start: int, length: int) -> Integers:
    """White noise of +-2^15: the upper bits of a multiplicative hash of the sample's number."""
    state = np.arange(start, start + length, dtype=np.uint64)
    for multiplier in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB):
        state = (state ^ (state >> np.uint64(30))) * np.uint64(multiplier)
    return (state >> np.uint64(48)).astype(np.int64) - 32_768


def _swell(length: int) -> Integers:
    """Envelope of 0 to 2^15: up and down in a parabola over a part."""
    n = np.arange(length, dtype=np.int64)
    return 4 * n * (length - n) * 32_768 // (length * length)
