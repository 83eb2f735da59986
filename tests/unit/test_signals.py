from __future__ import annotations

import hashlib

import numpy as np
import pytest

from edge_ser import signals
from edge_ser.signals import as_float, demo_clip


@pytest.mark.parametrize(
    ("samples", "rate", "digest"),
    [
        (100_000, 22_050, "eaa8685af1e78c3ae601a676514b384f48599a984818809f8f6fca69fd68b46b"),
        (16_000, 16_000, "fed249cfa67d3fe9520242c2f0c65a3f887f3811ec63007be7a68fe61c703238"),
        (3, 1, "b0f66adc83641586656866813fd9dd0b8ebb63796075661ba45d1aa8089e1d44"),
    ],
)
def test_the_test_signal_is_the_same_everywhere(samples: int, rate: int, digest: str) -> None:
    signal = signals.test_signal(samples, rate)
    assert signal.dtype == np.int16
    assert signal.shape == (samples,)
    assert hashlib.sha256(signal.astype("<i2").tobytes()).hexdigest() == digest


@pytest.mark.parametrize("rate", [100, 8_000, 22_050, 768_000])
def test_a_shorter_test_signal_begins_a_longer_one(rate: int) -> None:
    longer = signals.test_signal(50_000, rate)
    for samples in (0, 1, 777, 49_999):
        assert np.array_equal(signals.test_signal(samples, rate), longer[:samples])


def test_the_test_signal_resembles_speech() -> None:
    rate = 16_000
    signal = as_float(signals.test_signal(2 * rate, rate))
    assert 0.2 < np.abs(signal).max() < 0.5
    level = 10 * np.log10(np.mean(signal**2))
    assert -30 < level < -18
    power = np.abs(np.fft.rfft(signal)) ** 2
    hertz = np.fft.rfftfreq(len(signal), 1 / rate)
    assert power[(hertz > 80) & (hertz < 4_000)].sum() > 0.9 * power.sum()
    assert np.mean(signal == 0) > 0.1  # pauses


def test_as_float_is_exact() -> None:
    samples = np.array([-32_768, -1, 0, 1, 32_767], dtype=np.int16)
    expected = [-1.0, -(2.0**-15), 0.0, 2.0**-15, 1 - 2.0**-15]
    assert as_float(samples).tolist() == expected
    assert as_float(samples).dtype == np.float32


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
def test_the_demo_clip(rate: int) -> None:
    clip = demo_clip(rate)
    assert clip.dtype == np.float32
    assert clip.shape == (int(2.5 * rate),)
    assert np.abs(clip).max() == pytest.approx(0.5)
    assert np.array_equal(clip, demo_clip(rate))


def test_the_demo_clip_is_voiced_by_a_moving_pitch() -> None:
    rate = 16_000
    clip = demo_clip(rate).astype(np.float64)
    pitches = []
    for start in (0.35, 0.6, 1.2, 2.0):
        frame = clip[int(start * rate) : int(start * rate) + 1_024] * np.hanning(1_024)
        correlation = np.correlate(frame, frame, "full")[1_023:]
        lags = slice(rate // 400, rate // 100)
        lag = lags.start + int(correlation[lags].argmax())
        assert correlation[lag] > 0.5 * correlation[0]
        pitches.append(rate / lag)
    assert min(pitches) > 120
    assert max(pitches) > 1.4 * min(pitches)


def test_the_demo_clip_has_syllables() -> None:
    rate = 16_000
    clip = demo_clip(rate)
    frames = clip[: len(clip) // 400 * 400].reshape(-1, 400)
    levels = 10 * np.log10(np.mean(frames**2, axis=1))
    loud = levels > levels.max() - 15
    assert np.count_nonzero(np.diff(loud.astype(int)) == 1) == 3
