"""Levels of a recording, frame by frame: of everything in it, and of the bands of speech."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edge_ser.segment.options import GateOptions, frame_samples

__all__ = ["SILENCE_DB", "frame_levels"]

SILENCE_DB = -120.0

BAND_EDGES_HZ = (80, 160, 250, 350, 500, 700, 1000, 1400, 2000, 2800, 4000, 5600, 7600)
"""Half an octave each, about two critical bands of hearing."""


def frame_levels(
    samples: NDArray[np.float32], rate: int, options: GateOptions
) -> NDArray[np.float64]:
    """Levels of each whole frame, in dB re full scale, at least -120; shape (frames, 1 + bands).

    The first is the frame's standard deviation, so a microphone's DC offset is not taken for sound;
    the others are of the half-octave bands from 80 Hz up to 7.6 kHz or half the rate.
    """
    frame = frame_samples(rate, options)
    count = len(samples) // frame
    frames = samples[: count * frame].reshape(count, frame)
    centred = frames - np.add.reduce(frames, axis=1, keepdims=True) / np.float32(frame)
    window, edges, scale = _analysis(rate, frame)
    spectrum = np.fft.rfft(centred * window)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    powers = np.empty((count, 1 + len(edges) // 2))
    powers[:, 0] = np.add.reduce(np.square(centred), axis=1) / frame
    # Not a matrix product: its last bits would depend on how many frames there are.
    powers[:, 1:] = np.add.reduceat(power, edges, axis=1)[:, ::2] * scale
    # Samples that are no numbers count as silence: they would stay in the noise floor for ever.
    levels: NDArray[np.float64] = 10 * np.log10(np.fmax(powers, 10 ** (SILENCE_DB / 10)))
    return levels


@lru_cache(maxsize=16)
def _analysis(rate: int, frame: int) -> tuple[NDArray[np.float32], list[int], float]:
    """A Hann window, the first bin and the one after the last of each band, and what makes a mean
    square of a sum of bins.

    A band between two bins of a short frame takes the next one above. A frame too short for any has
    its highest bin for a band.
    """
    window = np.hanning(frame + 2)[1:-1].astype(np.float32)
    last = frame // 2
    edges: list[int] = []
    for low, high in pairwise(math.ceil(edge * frame / rate) for edge in BAND_EDGES_HZ):
        if low < last:
            edges += [low, min(max(high, low + 1), last)]
    return window, edges or [last, last], 2 / (frame * float(np.square(window).sum()))
