"""Pitch and voicing: sounds whose pitch is known, silence, and what any frame may give."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_ser.frontend import PRESETS, Frontend
from edge_ser.frontend.pitch import LOWEST_HZ

PITCH = PRESETS["pitch"]
EDGE = 4
"""Frames at each end that reach into what the clip is padded with."""


def voice(hertz: float, samples: int = 16_000, harmonics: int = 8) -> NDArray[np.float32]:
    """Harmonics that fall off by 6 dB an octave, below half of the band that is looked at."""
    t = np.arange(samples) / PITCH.rate
    numbers = [k for k in range(1, harmonics + 1) if k * hertz < PITCH.fmax]
    return sum(0.1 / k * np.sin(2 * np.pi * k * hertz * t + k) for k in numbers).astype(np.float32)


def noise(samples: int = 16_000, seed: int = 0) -> NDArray[np.float32]:
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def pitch(samples: NDArray[Any], **changes: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Hertz and strength of the inner frames."""
    values = Frontend(replace(PITCH, **changes))(samples)[EDGE:-EDGE]
    return LOWEST_HZ * 2 ** (values[:, 0] / 12), values[:, 1]


@given(hertz=st.floats(PITCH.pitch_floor, PITCH.pitch_ceiling), gain=st.sampled_from((1e-4, 1, 8)))
@settings(max_examples=60)
def test_periodic_sounds_have_their_pitch_at_any_level(hertz: float, gain: float) -> None:
    found, strength = pitch(np.float32(gain) * voice(hertz))
    np.testing.assert_allclose(found, hertz, rtol=2e-3)
    assert strength.min() > 0.98


def test_the_fundamental_may_be_missing() -> None:
    t = np.arange(16_000) / PITCH.rate
    found, strength = pitch(sum(np.sin(2 * np.pi * 120 * k * t) for k in (3, 4, 5)) / 3)
    np.testing.assert_allclose(found, 120, rtol=5e-3)
    assert strength.min() > 0.95


def test_noise_is_weak_and_takes_from_the_strength_what_it_takes_of_the_power() -> None:
    assert pitch(noise(160_000))[1].mean() < 0.25
    tone = voice(150)
    mixed = tone + noise() * np.float32(np.sqrt((tone**2).mean() / 0.01) / 2)
    # A quarter as strong, of which half lies in the band of 4 kHz: 1 / (1 + 1/8).
    found, strength = pitch(mixed)
    np.testing.assert_allclose(np.median(found), 150, rtol=5e-3)
    assert np.median(strength) == pytest.approx(8 / 9, abs=0.03)


def test_silence_has_neither() -> None:
    for samples in (np.zeros(8_000, np.float32), np.full(8_000, 1e-30, np.float32)):
        assert not Frontend(PITCH)(samples).any()


def test_an_offset_has_no_pitch() -> None:
    found, _ = pitch(voice(200) + np.float32(0.5))
    np.testing.assert_allclose(found, 200, rtol=2e-3)


def test_without_a_cost_of_octaves_the_lower_ones_win_at_times() -> None:
    """A period and its multiples are equally good in a periodic sound."""
    found, _ = pitch(voice(400), octave_cost=0.0)
    assert (found < 300).any()
    found, _ = pitch(voice(400))
    np.testing.assert_allclose(found, 400, rtol=2e-3)


@given(
    seed=st.integers(0, 20),
    loudness=st.sampled_from((0.0, 1e-30, 1e-19, 1e-3, 1.0, 1e6)),
    changes=st.fixed_dictionaries(
        {},
        optional={
            "rate": st.sampled_from((8_000, 11_025, 16_000)),
            "n_fft": st.integers(1_100, 3_000),
            "window": st.sampled_from(("hann", "hamming", "rectangular")),
            "window_align": st.sampled_from(("centre", "start")),
            "fmin": st.floats(0, 3_998),
            "pitch_floor": st.floats(72, 100),
            "pitch_ceiling": st.floats(101, 4_000),
            "octave_cost": st.floats(0, 1),
            "layout": st.sampled_from(("time_first", "time_last")),
            "precision": st.sampled_from(("float32", "float64")),
            "copies": st.integers(1, 2),
        },
    ),
)
@settings(max_examples=150)
def test_any_frame_gives_a_pitch_within_reach(seed: int, loudness: float, changes: Any) -> None:
    spec = replace(PITCH, **changes)
    rng = np.random.default_rng(seed)
    features = Frontend(spec)((loudness * rng.uniform(-1, 1, 3_000)).astype(np.float32))
    assert features.shape == spec.shape(3_000) and np.isfinite(features).all()
    semitones, strength = features if spec.layout == "time_last" else features.T
    assert strength.min() >= 0 and strength.max() <= 1
    hertz = LOWEST_HZ * 2 ** (semitones[strength > 0] / 12)
    # A peak at an end is found within a lag of it, and a lag is at most a tenth of the period.
    assert (hertz > 0.8 * spec.pitch_floor).all() and np.isfinite(hertz).all()
