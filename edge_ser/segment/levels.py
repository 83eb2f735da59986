"""Levels of a recording, frame by frame: of everything in it, and of the bands of speech."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edge_ser.segment.options import GateOptions, frame_samples

__all__ = ["SILENCE_DB", "frame_levels"]

SILENCE_DB = -120.0

BAND_EDGES_HZ = (80, 160, 250, 350, 500, 700, 1000, 1400, 2000, 2800, 4000, 5600, 7600)
"""Half an octave each, about two critical bands of hearing."""

Weights = NDArray[np.float32]


def frame_levels(
    samples: NDArray[np.float32], rate: int, options: GateOptions
) -> NDArray[np.float64]:
    """Levels of each whole frame, in dB re full scale, at least -120; shape (frames, 1 + bands).

    The first is the frame's standard deviation, so a microphone's DC offset is not taken for sound;
    the others are of the half-octave bands from 80 Hz up to 7.6 kHz or half the rate.
    """
    frame = frame_samples(rate, options)
    count = len(samples) // frame
    frames = samples[: count * frame].reshape(count, frame).astype(np.float32, copy=False)
    frames = frames - frames.mean(axis=1, keepdims=True)
    window, bands = _analysis(rate, frame)
    spectrum = np.fft.rfft(frames * window)
    powers = np.empty((count, 1 + bands.shape[1]))
    powers[:, 0] = np.einsum("ij,ij->i", frames, frames) / frame
    # A matrix product's last bits depend on the number of rows, and with them what is decided.
    powers[:, 1:] = np.einsum(
        "ij,jk->ik", np.square(spectrum.real) + np.square(spectrum.imag), bands
    )
    levels: NDArray[np.float64] = 10 * np.log10(np.maximum(powers, 10 ** (SILENCE_DB / 10)))
    return levels


@lru_cache(maxsize=16)
def _analysis(rate: int, frame: int) -> tuple[Weights, Weights]:
    """A Hann window, and what sums a frame's power spectrum to mean squares of the bands.

    A band between two bins of a short frame takes the nearer one. A frame too short for any has no
    bands but all of its spectrum.
    """
    window = np.hanning(frame + 2)[1:-1].astype(np.float32)
    frequencies = np.fft.rfftfreq(frame, 1 / rate)
    columns = []
    for low, high in pairwise(BAND_EDGES_HZ):
        inside = (frequencies >= low) & (frequencies < high)
        if not inside.any() and low < rate / 2 and len(frequencies) > 1:
            inside[1 + np.abs(frequencies[1:] - (low + high) / 2).argmin()] = True
        if inside.any():
            columns.append(inside)
    bands = np.stack(columns or [np.ones(len(frequencies), dtype=bool)], axis=1)
    return window, (bands * (2 / (frame * np.square(window).sum()))).astype(np.float32)
