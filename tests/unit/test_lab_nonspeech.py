"""Sounds that are no speech: what each may be, that they repeat, and that features are kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.audio import fit
from edge_ser.frontend import Frontend, FrontendSpec
from edge_ser.lab import nonspeech
from edge_ser.lab.nonspeech import cached_nonspeech, sound

SPEC = FrontendSpec(kind="log_mel", rate=8_000, n_fft=256, win_length=256, n_mels=8, fmax=4_000)
CLIP = 8_000


@given(st.sampled_from([8_000, 11_025, 16_000, 22_050, 44_100, 48_000]), st.integers(0, 2**32))
def test_a_sound_at_any_rate(rate: int, seed: int) -> None:
    samples = sound(rate, np.random.default_rng(seed))
    assert samples.dtype == np.float32 and samples.ndim == 1
    assert rate // 2 <= len(samples) <= 4 * rate
    assert np.isfinite(samples).all()
    # -50 to -10 dBFS at most, within noise of -90 to -50 dBFS on average.
    assert 1e-3 < np.abs(samples).max() < 10 ** (-10 / 20) + 6 * 10 ** (-50 / 20)


@given(st.integers(8_000, 48_000), st.integers(0, 99))
def test_a_rate_that_nobody_uses(rate: int, seed: int) -> None:
    samples = sound(rate, np.random.default_rng(seed))
    assert np.isfinite(samples).all() and samples.any()


@pytest.mark.parametrize("kind", ["_noise", "_clicks", "_calls", "_hum", "_tones"])
@pytest.mark.parametrize("rate", [8_000, 48_000])
def test_no_kind_is_silent_or_constant(kind: str, rate: int) -> None:
    make = getattr(nonspeech, kind)
    for seed in range(10):
        made = make(rate // 2, rate, np.random.default_rng(seed))
        assert made.shape == (rate // 2,) and np.isfinite(made).all()
        assert made.std() > 1e-6


def test_the_generator_alone_decides() -> None:
    first, again, other = (sound(16_000, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert len(first) != len(other) or (first != other).any()


def test_they_are_of_all_levels_and_lengths() -> None:
    made = [sound(8_000, np.random.default_rng([9, number])) for number in range(150)]
    seconds = np.array([len(each) for each in made]) / 8_000
    loud = 20 * np.log10([np.abs(each).max() for each in made])
    assert seconds.min() < 0.8 and seconds.max() > 3.7
    assert loud.min() < -42 and loud.max() > -13


def test_the_recipe_is_the_one_of_its_version() -> None:
    """Features are cached under VERSION: another recipe needs another one."""
    assert nonspeech.VERSION == 1
    made = [sound(16_000, np.random.default_rng([1, number])) for number in range(4)]
    assert [len(each) for each in made] == [36662, 26584, 33111, 8787]
    peaks = [float(np.abs(each).max()) for each in made]
    assert peaks == pytest.approx([0.1173208, 0.0770091, 0.0260163, 0.0094588], rel=1e-4)
    power = [float(np.sqrt(np.square(each.astype(float)).mean())) for each in made]
    assert power == pytest.approx([0.02785599, 0.00210573, 0.00445455, 0.00228376], rel=1e-4)


def test_features_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_SER_RUNS", str(tmp_path))
    monkeypatch.setattr(nonspeech, "SOUNDS", 5)
    found = cached_nonspeech(SPEC, CLIP, "both")
    assert found.shape == (5, *SPEC.shape(CLIP)) and found.dtype == np.float32
    frontend = Frontend(SPEC)
    for number, features in enumerate(found):
        samples = sound(8_000, np.random.default_rng([nonspeech.VERSION, number]))
        np.testing.assert_array_equal(features, frontend(fit(samples, CLIP, "both")))
    assert len({features.tobytes() for features in found}) == 5
    # Other lengths and sides are others.
    assert not np.array_equal(cached_nonspeech(SPEC, CLIP, "end"), found)
    assert cached_nonspeech(SPEC, 2 * CLIP, "both").shape != found.shape
    monkeypatch.setattr(nonspeech, "sound", None)
    np.testing.assert_array_equal(cached_nonspeech(SPEC, CLIP, "both"), found)
    assert len(list((tmp_path / "features").glob("*.npy"))) == 3
