"""Functionals: what becomes of a clip's bands and pitch when time is taken out. Numpy alone.

Statistics over time of low-level descriptors are the classical description of emotional speech
(openSMILE's ComParE set: Schuller et al., Interspeech 2013; eGeMAPS: Eyben et al., IEEE Trans.
Affective Computing 7(2), 2016). These are a set of our own, small enough for a Pi: ten statistics
of each mel band, of each cepstrum and its slope over 64 ms, and of the level; how much of the
cepstra and of the bands moves at the speed of words, syllables and sounds; and the melody.

The clip's level is taken off and silence at its ends cut away, so that neither a gain nor padding
by whole hops changes anything. (Padding by part of a hop cuts other frames.)
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser.frontend.maths import dct_matrix
from edge_ser.frontend.measures import BAND_GROUP, MELODY, MODULATION_HZ, STATISTICS
from edge_ser.frontend.spec import FrontendSpec

__all__ = ["functionals", "heard_frames", "names"]

Array = NDArray[Any]

SHORTEST = 8
"""Frames; a clip that is heard for less is taken with its surroundings."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
MOST_PEAKED = 20.0
"""Of a kurtosis, which one odd frame makes as large as the clip is long."""
SLOPE_REACH = 2
"""Frames on each side that a cepstrum's slope is taken over."""
MODULATION_FRAMES = 256
FAINTEST = 1e-3
"""Added to powers of modulation, which are of decibels: below is nothing to hear."""
VOICED = 0.45
"""Strength from which a frame has a pitch, as Praat's voicing threshold."""
VOICED_RANGE_DB = 35.0
"""A voiced frame lies at most so far below the loudest one."""
FEWEST_VOICED = 5
"""Frames; of less there is no melody, and all heard frames stand for it."""
LARGEST_STEP = 4.0
"""Semitones from one frame to the next; more is an octave error."""
JUMP = 4.0
"""Semitones above the median: an outcry."""


def functionals(log_mel: Array, pitch: Array, level: Array, spec: FrontendSpec) -> Array:
    """Statistics over the heard frames of a clip, see `heard_frames`.

    Args:
        log_mel: decibels, shape (frames, n_mels), limited to `top_db` below their maximum.
        pitch: semitones and strength, shape (frames, 2).
        level: power of each frame in decibels, shape (frames,).
        spec: the frontend.

    Returns:
        float64, shape `(spec.width,)`, in the order of `names(spec)`.
    """
    range_db = 60.0 if spec.top_db is None else spec.top_db
    level = np.maximum(level, level.max() - range_db)
    # A track is a row, whose values lie side by side.
    bands = np.array(log_mel.T, dtype=np.float64, order="C")
    bands -= bands.mean()
    summed = _sums(spec.n_mels, spec.n_mfcc) @ bands
    cepstra, groups = summed[: spec.n_mfcc], summed[spec.n_mfcc :]
    loudness = level - level.mean()
    tracks = np.concatenate([bands, cepstra, _slopes(cepstra), loudness[None]])
    moving = np.concatenate([cepstra[: spec.n_mfcc // 2], groups])
    frame_s = spec.hop_length / spec.rate
    return np.concatenate(
        [
            _pooled(_statistics(tracks), spec).ravel(),
            _modulation(moving, frame_s).ravel(),
            _melody(pitch.astype(np.float64), level, frame_s),
        ]
    )


def names(spec: FrontendSpec) -> list[str]:
    """What each value of `functionals` is, such as `band_12.q75` or `pitch.median`.

    >>> from edge_ser.frontend import PRESETS
    >>> names(PRESETS["functionals"])[0], names(PRESETS["functionals"])[-1]
    ('band_0.mean', 'pitch.outcry')
    """
    pool = spec.pool_bands
    bands = [f"band_{first}" for first in range(0, spec.n_mels, pool)]
    if pool > 1:
        bands = [f"bands_{first}_to_{first + pool - 1}" for first in range(0, spec.n_mels, pool)]
    cepstra = [f"cepstrum_{number}" for number in range(spec.n_mfcc)]
    slopes = [f"{name}.slope" for name in cepstra]
    groups = [f"bands_{first}" for first in range(0, spec.n_mels, BAND_GROUP)]
    tracks = [*bands, *cepstra, *slopes, "level"]
    speeds = [f"at_{low:g}_hz" for low in MODULATION_HZ[:-1]]
    moving = [*cepstra[: spec.n_mfcc // 2], *groups]
    return [
        *(f"{track}.{statistic}" for statistic in STATISTICS for track in tracks),
        *(f"{track}.{speed}" for speed in speeds for track in moving),
        *MELODY,
    ]


def heard_frames(level: Array, spec: FrontendSpec) -> slice:
    """From the first to the last frame within `active_db` of the loudest.

    Args:
        level: power of each frame in decibels, shape (frames,).
        spec: the frontend.
    """
    loud = np.flatnonzero(level >= level.max() - spec.active_db)
    first, last = int(loud[0]), int(loud[-1]) + 1
    missing = max(0, SHORTEST - (last - first))
    last = min(len(level), last + missing // 2)
    return slice(max(0, min(first, last - SHORTEST)), min(len(level), max(last, SHORTEST)))


@lru_cache(maxsize=4)
def _sums(n_mels: int, n_mfcc: int) -> Array:
    """Weights of bands in cepstra and in means of neighbours, shape (n_mfcc + groups, n_mels)."""
    # A coefficient is the mean over bands of what it weighs, whatever their number.
    cosines = dct_matrix(n_mels, n_mfcc, "ortho").T / np.sqrt(n_mels)
    groups = np.repeat(np.eye(n_mels // BAND_GROUP) / BAND_GROUP, BAND_GROUP, axis=1)
    return np.concatenate([cosines, groups])


def _slopes(tracks: Array) -> Array:
    """How fast each track rises, per frame, from 2 frames before to 2 after."""
    padded = np.pad(tracks, ((0, 0), (SLOPE_REACH, SLOPE_REACH)), mode="edge")
    rise: Array = (padded[:, 2 * SLOPE_REACH :] - padded[:, : -2 * SLOPE_REACH]) / (2 * SLOPE_REACH)
    return rise


def _statistics(tracks: Array) -> Array:
    """STATISTICS of tracks of shape (n, frames), shape (len(STATISTICS), n)."""
    frames = tracks.shape[1]
    mean = tracks.mean(axis=1)
    centred = tracks - mean[:, None]
    squared = centred * centred
    deviation = np.sqrt(squared.mean(axis=1) + 1e-6)
    cubes = np.einsum("ij,ij->i", squared, centred) / frames
    fourths = np.einsum("ij,ij->i", squared, squared) / frames
    time = np.linspace(-1, 1, frames) if frames > 1 else np.zeros(1)
    return np.vstack(
        [
            mean,
            deviation,
            cubes / deviation**3,
            np.minimum(fourths / deviation**4, MOST_PEAKED),
            centred @ time / max(time @ time, 1e-9),
            _quantiles(tracks, QUANTILES).T,
        ]
    )


def _pooled(statistics: Array, spec: FrontendSpec) -> Array:
    """Means over neighbouring bands, which come first; the other tracks as they are."""
    if spec.pool_bands == 1:
        return statistics
    bands = statistics[:, : spec.n_mels].reshape(len(statistics), -1, spec.pool_bands).mean(axis=2)
    return np.concatenate([bands, statistics[:, spec.n_mels :]], axis=1)


def _quantiles(values: Array, shares: tuple[float, ...]) -> Array:
    """As numpy's, linear between two values, along the last axis; in a fifth of the time."""
    ordered = np.sort(values)
    place = np.array(shares) * (values.shape[-1] - 1)
    below = place.astype(np.intp)
    above = np.minimum(below + 1, values.shape[-1] - 1)
    weight = place - below
    between: Array = ordered[..., below] * (1 - weight) + ordered[..., above] * weight
    return between


def _spread(values: Array) -> tuple[float, float]:
    """Mean and standard deviation, in a third of the time of numpy's for so few values."""
    mean = values.sum() / len(values)
    centred = values - mean
    return mean, math.sqrt(centred @ centred / len(values))


def _modulation(tracks: Array, frame_s: float) -> Array:
    """Power of each track's changes between the edges MODULATION_HZ, in decibels.

    Tracks of shape (n, frames) give shape (len(MODULATION_HZ) - 1, n).
    """
    frames = tracks.shape[1]
    # As many as the clip has frames, and as leave a point between any two edges.
    fewest = max(MODULATION_FRAMES, frames, math.ceil(2 / (frame_s * MODULATION_HZ[0])))
    points = 1 << (fewest - 1).bit_length()
    edges = np.searchsorted(np.fft.rfftfreq(points, frame_s), MODULATION_HZ)
    spectrum = np.fft.rfft(tracks - tracks.mean(axis=1, keepdims=True), points)
    spectrum = spectrum[:, edges[0] : edges[-1]]
    power = spectrum.real**2
    power += spectrum.imag**2
    sums = np.add.reduceat(power, edges[:-1] - edges[0], axis=1)
    decibels: Array = 10 * np.log10(sums / (frames * np.diff(edges)) + FAINTEST)
    return decibels.T


def _melody(pitch: Array, level: Array, frame_s: float) -> Array:
    """MELODY of a clip: semitones, decibels, seconds, and shares of frames."""
    semitones, strength = pitch.T
    voiced = (strength > VOICED) & (level > level.max() - VOICED_RANGE_DB)
    at = np.flatnonzero(voiced) if voiced.sum() >= FEWEST_VOICED else np.arange(len(voiced))
    sung, loud = semitones[at], level[at]
    steps = np.diff(semitones)[voiced[1:] & voiced[:-1]]
    steps = steps[np.abs(steps) < LARGEST_STEP]
    steps = steps if len(steps) else np.zeros(1)
    middle, spread = _spread(sung)
    time = at - at.mean()
    rise = time @ (sung - middle) / max(time @ time, 1e-9) / frame_s
    third = len(sung) // 3
    sure = np.clip(strength, 0.01, 0.99)
    harmonics = 10 * np.log10(sure / (1 - sure))[at]
    ends = np.flatnonzero(np.diff(np.concatenate([[0], voiced.astype(np.int8), [0]])))
    runs = (ends[1::2] - ends[::2]) * frame_s
    sounded = runs if len(runs) else np.zeros(1)
    swing = np.diff(level) if len(level) > 1 else np.zeros(1)
    q5, q20, q50, q80, q95 = _quantiles(sung, (0.05, 0.2, 0.5, 0.8, 0.95))
    return np.array(
        [
            *(q5, q20, q50, q80, q95, middle, spread, q80 - q20, q95 - q5),
            *(np.abs(steps).mean(), *_spread(steps)[::-1], rise),
            sung[-third or None :].mean() - sung[: third or None].mean(),
            *(*_spread(harmonics), *_quantiles(harmonics, (0.1, 0.5, 0.9))),
            *(*_spread(strength), voiced.mean()),
            *(*_spread(sounded), sounded.max(), len(runs) / (len(level) * frame_s)),
            *(_spread(loud)[1], _spread(swing)[1], np.abs(swing).mean()),
            *(_quantiles(level, (0.1, 0.25, 0.5, 0.75)) - level.max()),
            loud.mean() - level.mean(),
            (sung > q50 + JUMP).mean(),
        ]
    )
