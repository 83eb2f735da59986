"""Pitch of real speech beside Praat's, on the frames that Praat calls voiced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_ser.audio import read_clip, resample
from edge_ser.corpora import read_corpus
from edge_ser.frontend import PRESETS, Frontend
from edge_ser.frontend.pitch import LOWEST_HZ

PITCH = PRESETS["pitch"]
CLIPS = 40
STEP = 0.002
"""Seconds between Praat's frames: ours are compared with the nearest."""
GROSS = 0.05
"""Relative error from which a pitch is another one, an octave away for the most part."""


def praat(samples: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Hertz (0 where unvoiced) and strength at the middles of our frames."""
    import parselmouth

    found = parselmouth.Sound(samples.astype(np.float64), PITCH.rate).to_pitch_ac(
        time_step=STEP, pitch_floor=PITCH.pitch_floor, pitch_ceiling=PITCH.pitch_ceiling
    )
    seconds = np.arange(PITCH.frames(len(samples))) * PITCH.hop_length / PITCH.rate
    nearest = np.rint((seconds - found.t1) / STEP).astype(int)
    inside = (nearest >= 0) & (nearest < found.n_frames)
    both = found.selected_array[nearest.clip(0, found.n_frames - 1)]
    return np.where(inside, both["frequency"], 0), both["strength"]


@pytest.mark.needs("parselmouth")
@pytest.mark.parametrize("name", ["emodb", "ravdess", "emovo"])
def test_real_speech_against_praat(name: str, corpus: Callable[[str], Path]) -> None:
    utterances = read_corpus(corpus(name)).utterances
    frontend = Frontend(PITCH)
    errors: list[NDArray[np.float64]] = []
    strengths: list[NDArray[np.float64]] = []
    for number in np.linspace(0, len(utterances) - 1, CLIPS, dtype=int):
        samples = resample(read_clip(utterances[number].path), PITCH.rate, PITCH.resampler).samples
        semitones, strength = frontend(samples).T
        hertz, theirs = praat(samples)
        voiced = hertz > 0
        errors.append(LOWEST_HZ * 2 ** (semitones[voiced] / 12) / hertz[voiced] - 1)
        strengths.append(strength[voiced] - theirs[voiced])
    error, off = np.abs(np.concatenate(errors)), np.abs(np.concatenate(strengths))
    gross, fine = float((error > GROSS).mean()), float(np.median(error))
    print(
        f"{name}: {len(error)} voiced frames, {gross:.1%} more than {GROSS:.0%} off, median "
        f"{fine:.2%}; strength {np.median(off):.3f} off in the median"
    )
    assert len(error) > 1_000
    assert gross <= 0.06 and fine <= 0.004
    assert np.median(off) <= 0.05
