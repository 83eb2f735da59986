"""The steps of an augmentation: what is done to a clip's waveform or to its features.

Each step is a frozen dataclass of its parameters, checked when it is made. A parameter of type
`Draw` is drawn anew for every clip. Clips are mono float32 with samples in [-1, 1]; nothing is
clipped, so a louder clip may leave that range and still be what it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Annotated, NamedTuple, get_type_hints

import numpy as np
import soxr
from numpy.typing import NDArray

from edge_ser import perturb
from edge_ser.errors import ConfigError
from edge_ser.lab.augmentation.draws import Draw, OneOf, draw, ends
from edge_ser.lab.augmentation.recordings import stretch_of_noise
from edge_ser.lab.augmentation.stretching import pitch_shifted, time_stretched

__all__ = [
    "Bounds",
    "ColouredNoise",
    "Gain",
    "HighPass",
    "LowPass",
    "MicrophoneEq",
    "PitchShift",
    "RealNoise",
    "Reverse",
    "Room",
    "SelfNoise",
    "Shift",
    "Speed",
    "Step",
    "TimeStretch",
    "WaveformStep",
    "WhiteNoise",
    "coloured",
]

Samples = NDArray[np.float32]

LOWEST_COLOUR_HZ = 60.0
"""Below it a noise's colour does not change; microphones hear little there."""


class Bounds(NamedTuple):
    """Between which a parameter lies, both included."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Step:
    """What all steps have.

    Raises:
        ConfigError: a number is out of its bounds.
    """

    probability: Annotated[float, Bounds(0, 1)] = 1.0
    """Of being done to a clip at all."""

    def __post_init__(self) -> None:
        kind: type = type(self)
        for name, (low, high) in _bounds(kind).items():
            for end in ends(getattr(self, name)):
                if not low <= end <= high:
                    raise ConfigError(f"{name} is {end:g}, expected {low:g} to {high:g}")


@cache
def _bounds(kind: type) -> dict[str, Bounds]:
    hints = get_type_hints(kind, include_extras=True)
    marks = {name: getattr(hint, "__metadata__", ()) for name, hint in hints.items()}
    return {name: mark[0] for name, mark in marks.items() if mark}


class WaveformStep(Step):
    """A step that changes samples."""

    def __call__(self, samples: Samples, rate: int, rng: np.random.Generator) -> Samples:
        """Samples (float32, shape (n,), at `rate` Hz), changed with the step's probability.

        The input is left as it is; where nothing is done, it is what is returned.
        """
        return self._changed(samples, rate, rng) if rng.random() < self.probability else samples

    def _changed(self, samples: Samples, rate: int, rng: np.random.Generator) -> Samples:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class WhiteNoise(WaveformStep):
    """White Gaussian noise."""

    snr_db: Annotated[Draw, Bounds(-20, 100)] = (10, 30)
    """Decibels: active speech level over RMS of the noise; silence stays silent."""

    def _changed(self, samples: Samples, rate: int, rng: np.random.Generator) -> Samples:
        return perturb.add_noise(samples, rate, rng, snr_db=draw(self.snr_db, rng))


@dataclass(frozen=True, kw_only=True)
class RealNoise(WaveformStep):
    """A random stretch of a random recording; short ones are repeated."""

    folder: str
    """With the recordings, at any rate; below it all audio files count. One that is not there is
    looked for in the folder EDGE_SER_DATA."""
    snr_db: Annotated[Draw, Bounds(-20, 100)] = (5, 25)
    """Decibels: active speech level over RMS of the stretch."""
    voices: Annotated[Draw, Bounds(1, 32)] = 1
    """Stretches that are added together, each as loud as the others: of recorded speech, several
    make a room full of people."""

    def _changed(self, samples: Samples, rate: int, rng: np.random.Generator) -> Samples:
        added = np.zeros(len(samples), dtype=np.float32)
        for _ in range(round(draw(self.voices, rng))):
            stretch = stretch_of_noise(self.folder, len(samples), rate, rng)
            added += stretch / np.sqrt(np.square(stretch).mean())
        return perturb.mix(samples, rate, added, snr_db=draw(self.snr_db, rng))


def coloured(
    length: int, rate: int, slope_db: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Gaussian noise whose power changes by `slope_db` an octave from 60 Hz on, shape (length,)."""
    hertz = np.fft.rfftfreq(length, 1 / rate)
    octaves = np.log2(np.maximum(hertz, LOWEST_COLOUR_HZ) / LOWEST_COLOUR_HZ)
    spectrum = rng.standard_normal(len(hertz)) + 1j * rng.standard_normal(len(hertz))
    noise: NDArray[np.float64] = np.fft.irfft(spectrum * 10 ** (slope_db * octaves / 20), length)
    return noise


@dataclass(frozen=True, kw_only=True)
class ColouredNoise(WaveformStep):
    """Gaussian noise of a random colour that may swell and fade: wind, engines, fans, rain."""

    snr_db: Annotated[Draw, Bounds(-20, 100)] = (5, 35)
    """Decibels: active speech level over RMS of the noise; silence stays silent."""
    slope_db: Annotated[Draw, Bounds(-24, 24)] = (-9, 3)
    """Decibels an octave, from 60 Hz on."""
    swell_hz: Annotated[Draw, Bounds(0, 50)] = (0, 15)
    """Times a second that it swells and fades, by `swell`."""
    swell: Annotated[Draw, Bounds(0, 1)] = (0, 0.9)
    """Share of the amplitude that comes and goes."""

    def _changed(self, samples: Samples, rate: int, rng: np.random.Generator) -> Samples:
        noise = coloured(len(samples), rate, draw(self.slope_db, rng), rng)
        turns = draw(self.swell_hz, rng) * np.arange(len(samples)) / rate + rng.random()
        noise *= 1 + draw(self.swell, rng) * np.sin(2 * np.pi * turns)
        # A single sample may be exactly nothing.
        return (
            perturb.mix(samples, rate, noise, snr_db=draw(self.snr_db, rng))
            if noise.any()
            else samples
        )


@dataclass(frozen=True, kw_only=True)
class SelfNoise(WaveformStep):
    """What a microphone hisses by itself, however loud the speech."""

    dbfs: Annotated[Draw, Bounds(-150, 0)] = (-75, -50)
    """RMS, decibels below full scale."""

    def _changed(self, samples: Samples, rate: int, rng: np.random.Generator) -> Samples:
        return perturb.self_noise(samples, rate, rng, dbfs=draw(self.dbfs, rng))


@dataclass(frozen=True, kw_only=True)
class Gain(WaveformStep):
    """Louder or softer."""

    db: Annotated[Draw, Bounds(-60, 60)] = (-12, 12)
    """Decibels."""

    def _changed(self, samples: Samples, rate: int, rng: np.random.Generator) -> Samples:
        return perturb.gain(samples, rate, rng, db=draw(self.db, rng))


@dataclass(frozen=True, kw_only=True)
class Room(WaveformStep):
    """Reverberation of a random room, at the energy that the clip had."""

    rt60_s: Annotated[Draw, Bounds(0.05, 5)] = (0.2, 0.8)
    """Seconds in which sound decays by 60 dB."""
    direct_db: Annotated[Draw, Bounds(-20, 40)] = (0, 10)
    """Decibels: direct over reflected sound; high is near the microphone."""

    def _changed(self, samples: Samples, rate: int, rng: np.random.Generator) -> Samples:
        rt60_s, direct_db = draw(self.rt60_s, rng), draw(self.direct_db, rng)
        return perturb.reverberate(samples, rate, rng, rt60_s=rt60_s, direct_db=direct_db)


@dataclass(frozen=True, kw_only=True)
class MicrophoneEq(WaveformStep):
    """A microphone's colour: a random smooth response, at the energy that the clip had."""

    db: Annotated[Draw, Bounds(0, 30)] = (0, 6)
    """Decibels: gains at octaves lie within plus and minus this."""

    def _changed(self, samples: Samples, rate: int, rng: np.random.Generator) -> Samples:
        return perturb.equalise(samples, rate, rng, db=draw(self.db, rng))


@dataclass(frozen=True, kw_only=True)
class LowPass(WaveformStep):
    """Nothing above a frequency."""

    hz: Annotated[Draw, Bounds(100, 400_000)] = (3400, 8000)
    """Hertz, of half the amplitude; from half the rate on nothing changes."""

    def _changed(self, samples: Samples, rate: int, rng: np.random.Generator) -> Samples:
        return perturb.band_limit(samples, rate, rng, hz=draw(self.hz, rng))


@dataclass(frozen=True, kw_only=True)
class HighPass(WaveformStep):
    """Little below a frequency."""

    hz: Annotated[Draw, Bounds(10, 4000)] = (60, 200)
    """Hertz, of -3 dB; 12 dB less for every octave below."""

    def _changed(self, samples: Samples, rate: int, rng: np.random.Generator) -> Samples:
        return perturb.high_pass(samples, rate, rng, hz=draw(self.hz, rng))


PUBLISHED_SHIFTS = OneOf((-0.3, -0.2, -0.15, -0.1, -0.05, 0.05, 0.1, 0.15, 0.2, 0.3))


@dataclass(frozen=True, kw_only=True)
class Shift(WaveformStep):
    """Earlier or later, zeros in the gap; what leaves the clip is gone."""

    share: Annotated[Draw, Bounds(-1, 1)] = PUBLISHED_SHIFTS
    """Of the clip's length; positive is later."""

    def _changed(self, samples: Samples, rate: int, rng: np.random.Generator) -> Samples:
        offset = round(draw(self.share, rng) * len(samples))
        shifted = np.zeros_like(samples)
        kept = len(samples) - abs(offset)
        shifted[max(0, offset) :][:kept] = samples[max(0, -offset) :][:kept]
        return shifted


@dataclass(frozen=True, kw_only=True)
class TimeStretch(WaveformStep):
    """Slower or faster at the same pitch; changes the length."""

    speed: Annotated[Draw, Bounds(0.1, 10)] = (0.8, 1.25)
    """Factor: 2 is twice as fast and half as long."""

    def _changed(self, samples: Samples, rate: int, rng: np.random.Generator) -> Samples:
        return time_stretched(samples, rate, draw(self.speed, rng))


@dataclass(frozen=True, kw_only=True)
class Speed(WaveformStep):
    """Faster and higher or slower and lower, as a tape is: another speaker. Changes the length."""

    factor: Annotated[Draw, Bounds(0.5, 2)] = (0.9, 1.1)
    """2 is twice as fast, an octave higher and half as long."""

    def _changed(self, samples: Samples, rate: int, rng: np.random.Generator) -> Samples:
        played: Samples = soxr.resample(samples, rate * draw(self.factor, rng), rate, "HQ")
        return played if len(played) else samples


@dataclass(frozen=True, kw_only=True)
class PitchShift(WaveformStep):
    """Higher or lower at the same length."""

    semitones: Annotated[Draw, Bounds(-24, 24)] = (-2, 2)
    """Twelve are an octave; positive is higher."""

    def _changed(self, samples: Samples, rate: int, rng: np.random.Generator) -> Samples:
        return pitch_shifted(samples, rate, draw(self.semitones, rng))


@dataclass(frozen=True, kw_only=True)
class Reverse(WaveformStep):
    """Backwards."""

    def _changed(self, samples: Samples, rate: int, rng: np.random.Generator) -> Samples:
        return samples[::-1].copy()
