"""Sounds that are no speech, made up: what a network of emotions has to be unsure of.

A network that only ever heard speech finds an emotion in every rain and every barking dog. These
sounds train beside the clips with even targets: every label is as wrong as the others. They are
synthetic, so that no recording and no licence of one comes in, and so that recorded noise stays
what it is tested on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_ser import perturb
from edge_ser.audio import fit
from edge_ser.frontend import Frontend, FrontendSpec
from edge_ser.lab.augmentation.steps import coloured
from edge_ser.lab.features import keep_array, kept_array, runs_folder

__all__ = ["SOUNDS", "cached_nonspeech", "sound"]

Samples = NDArray[np.float32]
Wave = NDArray[np.float64]

SOUNDS = 1000
"""How many are made; an epoch draws from them."""
VERSION = 1
"""Of the recipe, for the cache."""
SECONDS = (0.5, 4.0)
LOUD_DB = (-50.0, -10.0)


def cached_nonspeech(
    spec: FrontendSpec, clip_samples: int, pad_side: Literal["both", "end"]
) -> NDArray[np.float32]:
    """Features of SOUNDS sounds, shape (SOUNDS, *spec.shape(clip_samples))."""
    said = f"nonspeech {VERSION} {SOUNDS} {spec.digest()} {clip_samples} {pad_side}"
    name = hashlib.sha256(said.encode()).hexdigest()[:32]
    path = runs_folder() / "features" / f"{name}.npy"
    shape = (SOUNDS, *spec.shape(clip_samples))
    kept = kept_array(path, shape)
    if kept is not None:
        return kept
    frontend = Frontend(spec)
    features = np.empty(shape, dtype=np.float32)
    for number in range(SOUNDS):
        samples = sound(spec.rate, np.random.default_rng([VERSION, number]))
        features[number] = frontend(fit(samples, clip_samples, pad_side))
    keep_array(path, features)
    return features


def sound(rate: int, rng: np.random.Generator) -> Samples:
    """One sound of half a second to four, at a random level, colour and at times in a room.

    Args:
        rate: Hertz, 8,000 at least.
        rng: decides on everything.
    """
    length = int(rng.uniform(*SECONDS) * rate)
    made = _one(length, rate, rng)
    if rng.random() < 0.4:
        made = made + rng.uniform(0.05, 1) * _one(length, rate, rng)
    samples = made.astype(np.float32)
    if rng.random() < 0.5:
        samples = perturb.equalise(samples, rate, rng, db=rng.uniform(1, 12))
    if rng.random() < 0.3:
        rt60_s, direct_db = rng.uniform(0.1, 0.8), rng.uniform(-3, 12)
        samples = perturb.reverberate(samples, rate, rng, rt60_s=rt60_s, direct_db=direct_db)
    loud = 10 ** (rng.uniform(*LOUD_DB) / 20)
    samples = samples * np.float32(loud / max(float(np.abs(samples).max()), 1e-9))
    return perturb.self_noise(samples, rate, rng, dbfs=rng.uniform(-90, -50))


def _one(length: int, rate: int, rng: np.random.Generator) -> Wave:
    kinds: tuple[Callable[[int, int, np.random.Generator], Wave], ...] = (
        *(_noise, _noise, _clicks, _clicks, _calls, _calls, _hum, _tones),
    )
    made = kinds[int(rng.integers(len(kinds)))](length, rate, rng)
    return made / max(float(np.sqrt(np.square(made).mean())), 1e-9)


def _noise(length: int, rate: int, rng: np.random.Generator) -> Wave:
    """Wind, rain, waves, water: coloured noise that may swell and fade."""
    made = coloured(length, rate, rng.uniform(-12, 4), rng)
    turns = np.exp(rng.uniform(np.log(0.1), np.log(20))) * np.arange(length) / rate + rng.random()
    return np.asarray(made * (1 + rng.uniform(0, 0.95) * np.sin(2 * np.pi * turns)))


def _clicks(length: int, rate: int, rng: np.random.Generator) -> Wave:
    """Clocks, fires, steps, dishes: short decays, in time or at random."""
    made = np.zeros(length)
    every = rng.uniform(0.03, 1.0)
    if rng.random() < 0.5:
        starts = np.arange(rng.uniform(0, every), length / rate, every)
    else:
        starts = rng.uniform(0, length / rate, max(1, rng.poisson(length / rate / every)))
    hertz, decay = rng.uniform(200, 6000), rng.uniform(0.001, 0.08)
    tonal = rng.random()
    for start in starts:
        at = int(start * rate)
        time = np.arange(min(length - at, int(8 * decay * rate))) / rate
        ring = tonal * np.sin(2 * np.pi * hertz * rng.uniform(0.9, 1.1) * time)
        hiss = (1 - tonal) * rng.standard_normal(len(time))
        made[at : at + len(time)] += rng.uniform(0.2, 1) * (ring + hiss) * np.exp(-time / decay)
    return made if made.any() else _noise(length, rate, rng)


def _calls(length: int, rate: int, rng: np.random.Generator) -> Wave:
    """Barks, crows, cries, sirens, sneezes: bursts of gliding harmonics and noise."""
    made = np.zeros(length)
    rough, steep = rng.uniform(0, 0.8), rng.uniform(0.3, 2)
    lowest = np.exp(rng.uniform(np.log(120), np.log(1500)))
    at = int(rng.uniform(0, 0.3) * rate)
    while at < length:
        burst = min(length - at, int(rng.uniform(0.06, 1.2) * rate))
        time = np.arange(burst) / rate
        share = np.linspace(0, 1, burst)
        bend = rng.uniform(-8, 8) * share + rng.uniform(-6, 6) * np.sin(np.pi * share)
        wobble = rng.uniform(0, 1) * np.sin(2 * np.pi * rng.uniform(3, 30) * time)
        phase = 2 * np.pi * np.cumsum(lowest * 2 ** ((bend + wobble) / 12)) / rate
        top = max(1, min(30, int(0.4 * rate / lowest)))
        order = np.arange(1, top + 1)[:, None]
        voice = (np.sin(order * phase) / order**steep).sum(axis=0)
        hiss = coloured(burst, rate, rng.uniform(-6, 3), rng) if burst > 1 else np.zeros(burst)
        shape = np.sin(np.pi * share) ** rng.uniform(0.2, 2)
        made[at : at + burst] = shape * ((1 - rough) * voice + rough * hiss)
        at += burst + int(rng.uniform(0.03, 1.0) * rate)
    return made if made.any() else _noise(length, rate, rng)


def _hum(length: int, rate: int, rng: np.random.Generator) -> Wave:
    """Engines, fans, saws, mains: a low pitch with many harmonics, in noise."""
    time = np.arange(length) / rate
    drift = rng.uniform(0, 2) * np.sin(2 * np.pi * rng.uniform(0.05, 3) * time + rng.random())
    phase = 2 * np.pi * np.cumsum(rng.uniform(15, 250) * 2 ** (drift / 12)) / rate
    weights = rng.uniform(0, 1, 40) / np.arange(1, 41) ** rng.uniform(0, 1.5)
    order = np.arange(1, 41)[:, None]
    buzz = weights @ np.sin(order * phase + rng.uniform(0, 6, (40, 1)))
    noise = coloured(length, rate, rng.uniform(-9, 3), rng)
    return np.asarray(buzz / np.std(buzz) + rng.uniform(0, 2) * noise / np.std(noise))


def _tones(length: int, rate: int, rng: np.random.Generator) -> Wave:
    """Beeps, bells, chords, a melody: notes of a few partials that may die away."""
    made = np.zeros(length)
    note_s = rng.uniform(0.1, 2)
    decay = rng.uniform(0.05, 3)
    time = np.arange(int(note_s * rate) + 1) / rate
    for start in range(0, length, len(time)):
        room = min(len(time), length - start)
        for hertz in 110 * 2 ** (rng.integers(0, 48, int(rng.integers(1, 5))) / 12):
            for partial in range(1, int(rng.integers(2, 6))):
                wave = np.sin(2 * np.pi * hertz * partial * time[:room] + rng.uniform(0, 6))
                made[start : start + room] += wave / partial * np.exp(-time[:room] / decay)
    return made
