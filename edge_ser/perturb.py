"""What rooms and microphones do to speech: gain, band limits, noise, reverberation, resampling.

A perturbation takes float samples of shape (n,), their rate (Hz) and a seeded generator, and gives
float32 samples of the same length at the same rate. Nothing is clipped here: samples beyond
[-1, 1] stay as they are, so that a row measures one thing alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from edge_ser.errors import DataError, DependencyError

__all__ = [
    "PERTURBATIONS",
    "Noise",
    "Perturbation",
    "add_noise",
    "band_limit",
    "equalise",
    "gain",
    "high_pass",
    "mix",
    "perturbations",
    "reverberate",
    "room_response",
    "round_trip",
    "self_noise",
    "speech_rms",
]

Samples = NDArray[np.float32]
Spectrum = NDArray[np.float64]
Response = Callable[[Spectrum], Spectrum]
Noise = tuple[Samples, int]
"""A recording of noise: samples of shape (m,), and their rate (Hz)."""
Perturbation = Callable[[Samples, int, np.random.Generator], Samples]

FRAME_SECONDS = 0.02
ACTIVE_RANGE_DB = 30.0
PAD_SECONDS = 0.1
FIRST_REFLECTION_SECONDS = 0.003
SELF_NOISE_DBFS = -60.0
ROUND_TRIP_HZ = 48_000
EQUALISER_START_HZ = 62.5


def speech_rms(samples: Samples, rate: int) -> float:
    """RMS (of full scale 1.0) of the 20 ms frames within 30 dB of the loudest; 0 for silence.

    Pauses and padding so do not count, much as in ITU-T P.56, whose margin is 15.9 dB below the
    active level and thereby some 28 dB below the loudest frame of speech.
    """
    size = max(1, min(round(FRAME_SECONDS * rate), len(samples)))
    whole = np.asarray(samples[: len(samples) // size * size], dtype=np.float64)
    powers = np.square(whole).reshape(-1, size).mean(axis=1)
    if not powers.any():
        return 0.0
    active = powers >= powers.max() * _power(-ACTIVE_RANGE_DB)
    return math.sqrt(powers[active].mean())


def gain(samples: Samples, rate: int, rng: np.random.Generator, *, db: float) -> Samples:
    """Louder or softer by `db`."""
    return np.asarray(samples * _amplitude(db), dtype=np.float32)


def band_limit(samples: Samples, rate: int, rng: np.random.Generator, *, hz: float) -> Samples:
    """Low-pass without phase shift: flat to 0.95 hz, half at hz, nothing above 1.05 hz.

    The edge is a raised cosine. A clip whose rate is no more than twice `hz` has nothing up there
    and stays as it is.
    """
    if 2 * hz >= rate:
        return np.array(samples, dtype=np.float32)

    def response(frequencies: Spectrum) -> Spectrum:
        edge = np.clip((frequencies / hz - 0.95) / 0.1, 0.0, 1.0)
        return np.asarray((1 + np.cos(np.pi * edge)) / 2)

    return _filter(samples, rate, response)


def high_pass(samples: Samples, rate: int, rng: np.random.Generator, *, hz: float) -> Samples:
    """High-pass without phase shift, of a second-order Butterworth's magnitude: -3 dB at hz."""

    def response(frequencies: Spectrum) -> Spectrum:
        ratio = np.square(frequencies / hz)
        return np.asarray(ratio / np.sqrt(1 + np.square(ratio)))

    return _filter(samples, rate, response)


def equalise(samples: Samples, rate: int, rng: np.random.Generator, *, db: float) -> Samples:
    """Colour the sound as a microphone does: a random smooth response, no phase shift.

    Gains at 62.5 Hz and every octave above it are uniform in +-`db` and joined by half cosines over
    the logarithm of frequency. The clip keeps its energy, so that colour is all that changes.
    """
    octaves = max(1, math.ceil(math.log2(max(2.0, rate / 2 / EQUALISER_START_HZ))))
    gains = rng.uniform(-db, db, octaves + 1)

    def response(frequencies: Spectrum) -> Spectrum:
        above = np.log2(np.maximum(frequencies, EQUALISER_START_HZ) / EQUALISER_START_HZ)
        before = np.minimum(above.astype(np.intp), octaves - 1)
        share = (1 - np.cos(np.pi * np.minimum(above - before, 1.0))) / 2
        return np.asarray(10 ** ((gains[before] * (1 - share) + gains[before + 1] * share) / 20))

    return _at_energy(_filter(samples, rate, response), samples)


def add_noise(
    samples: Samples,
    rate: int,
    rng: np.random.Generator,
    *,
    snr_db: float,
    noise: Sequence[Noise] = (),
) -> Samples:
    """Speech in white Gaussian noise, or in a random stretch of one of the recordings `noise`.

    The ratio is of the speech's active level to the RMS of the stretch. Recordings shorter than
    the clip are repeated.
    """
    added: Samples | Spectrum
    if noise:
        recording, noise_rate = noise[int(rng.integers(len(noise)))]
        added = _stretch(_resample(recording, noise_rate, rate), len(samples), rng)
    else:
        added = rng.standard_normal(len(samples))
    return mix(samples, rate, added, snr_db=snr_db)


def mix(samples: Samples, rate: int, added: Samples | Spectrum, *, snr_db: float) -> Samples:
    """Speech with `added`, of the same shape and not all zero, at a signal-to-noise ratio.

    The ratio is of the speech's active level to the RMS of what is added.
    """
    rms = math.sqrt(np.square(added).mean())
    wanted = speech_rms(samples, rate) / _amplitude(snr_db)
    return np.asarray(samples + added * (wanted / rms), dtype=np.float32)


def self_noise(samples: Samples, rate: int, rng: np.random.Generator, *, dbfs: float) -> Samples:
    """White Gaussian noise of RMS `dbfs` relative to full scale 1.0, however loud the clip."""
    added = rng.standard_normal(len(samples)) * _amplitude(dbfs)
    return np.asarray(samples + added, dtype=np.float32)


def reverberate(
    samples: Samples, rate: int, rng: np.random.Generator, *, rt60_s: float, direct_db: float
) -> Samples:
    """Speech in a random room (see `room_response`) at the energy it had; the tail is cut."""
    response = room_response(rate, rng, rt60_s=rt60_s, direct_db=direct_db)
    size = _fft_size(len(samples) + len(response))
    spectrum = np.fft.rfft(samples, size) * np.fft.rfft(response, size)
    return _at_energy(np.fft.irfft(spectrum, size)[: len(samples)], samples)


def room_response(
    rate: int, rng: np.random.Generator, *, rt60_s: float, direct_db: float
) -> Spectrum:
    """Impulse response of a synthetic room, shape (about rt60_s * rate,), direct path 1 first.

    After 3 ms follows Gaussian noise that decays by 60 dB in `rt60_s` seconds (Polack's model of a
    diffuse field); `direct_db` is the energy of the direct path over that of all the rest.
    """
    first = max(1, round(FIRST_REFLECTION_SECONDS * rate))
    seconds = np.arange(max(1, round(rt60_s * rate))) / rate
    tail = rng.standard_normal(len(seconds)) * 10 ** (-3 * seconds / rt60_s)
    tail *= math.sqrt(_power(-direct_db) / np.square(tail).sum())
    return np.concatenate([[1.0], np.zeros(first - 1), tail])


def round_trip(samples: Samples, rate: int, rng: np.random.Generator, *, hz: int) -> Samples:
    """To `hz` and back, as a sound card at that rate does; by soxr's HQ.

    Raises:
        DependencyError: soxr is not installed.
    """
    back = _resample(_resample(samples, rate, hz), hz, rate)[: len(samples)]
    return np.asarray(np.pad(back, (0, len(samples) - len(back))), dtype=np.float32)


def perturbations(noise: Sequence[Noise] = ()) -> Mapping[str, Perturbation]:
    """All perturbations by name, in the order of the robustness table.

    Rows with real noise are there if recordings of it are given. The light room has an RT60 of
    0.3 s and 6 dB more direct than reflected sound (a furnished room, near the microphone), the
    heavy one 0.8 s and 0 dB (a bare room, from across it).

    Raises:
        DataError: a recording of noise is silent.
    """
    for recording, _ in noise:
        if not np.any(recording):
            raise DataError("a recording of noise is empty or silent: leave it out")
    rows: dict[str, Perturbation] = {
        f"gain {db:+d} dB": partial(gain, db=db) for db in (-12, -6, 6, 12)
    }
    rows |= {f"low-pass {hz // 1000} kHz": partial(band_limit, hz=hz) for hz in (8000, 4000)}
    rows["high-pass 120 Hz"] = partial(high_pass, hz=120)
    rows |= {f"white noise {db} dB": partial(add_noise, snr_db=db) for db in (30, 20, 10)}
    if noise:
        recordings = tuple(noise)
        rows |= {
            f"real noise {db} dB": partial(add_noise, snr_db=db, noise=recordings)
            for db in (30, 20, 10)
        }
    rows["self-noise -60 dBFS"] = partial(self_noise, dbfs=SELF_NOISE_DBFS)
    rows["light reverberation"] = partial(reverberate, rt60_s=0.3, direct_db=6.0)
    rows["heavy reverberation"] = partial(reverberate, rt60_s=0.8, direct_db=0.0)
    rows["48 kHz round trip"] = partial(round_trip, hz=ROUND_TRIP_HZ)
    return MappingProxyType(rows)


PERTURBATIONS: Mapping[str, Perturbation] = perturbations()
"""Those that need no recordings of noise."""


def _filter(samples: Samples, rate: int, response: Response) -> Samples:
    """Multiply the spectrum by a real response of frequency (Hz): no phase shift, no delay.

    Silence is put after the clip so that what rings past one end does not come in at the other.
    """
    size = _fft_size(len(samples) + 2 * round(PAD_SECONDS * rate))
    spectrum = np.fft.rfft(samples, size) * response(
        np.fft.rfftfreq(size, 1 / rate).astype(np.float64)
    )
    return np.fft.irfft(spectrum, size)[: len(samples)].astype(np.float32)


def _at_energy(changed: Samples | Spectrum, samples: Samples) -> Samples:
    """`changed` with the energy of `samples`; silence stays silence."""
    energy = float(np.square(changed, dtype=np.float64).sum())
    wanted = float(np.square(samples, dtype=np.float64).sum())
    return np.asarray(changed * math.sqrt(wanted / energy) if energy else changed, dtype=np.float32)


def _stretch(recording: Samples, length: int, rng: np.random.Generator) -> Samples:
    """`length` samples from a random start, round and round; never all silent."""
    start = int(rng.integers(len(recording)))
    at = np.arange(start, start + length) % len(recording)
    if not recording[at].any():
        at += int(np.abs(recording).argmax()) - start
    return recording[at % len(recording)]


def _resample(samples: Samples, rate: int, wanted: int) -> Samples:
    if rate == wanted:
        return samples
    try:
        import soxr
    except ImportError as error:
        raise DependencyError(
            "soxr is not installed, expected it for another sample rate: pip install soxr"
        ) from error
    return np.asarray(soxr.resample(samples, rate, wanted, "HQ"), dtype=np.float32)


def _fft_size(length: int) -> int:
    """The next power of two: always fast."""
    return 1 << max(0, length - 1).bit_length()


def _amplitude(db: float) -> float:
    return float(10 ** (db / 20))


def _power(db: float) -> float:
    return float(10 ** (db / 10))
