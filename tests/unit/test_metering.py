"""The judgement of a microphone on signals whose properties are known."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.audio import Clip, read_clip, resample
from edge_ser.listening.metering import Finding, bandwidth, block_levels, judge

RATE = 16_000


def tones(seconds: float, level_dbfs: float = -20.0, rate: int = RATE) -> np.ndarray:
    """What has speech's rhythm: noise that swells four times a second."""
    count = round(seconds * rate)
    noise = np.random.default_rng(1).standard_normal(count)
    swell = 0.5 - 0.5 * np.cos(2 * np.pi * 4 * np.arange(count) / rate)
    signal = noise * swell
    return signal / signal.std() * 10 ** (level_dbfs / 20)


def scene(level_dbfs: float = -20.0, noise_dbfs: float = -65.0, rate: int = RATE) -> np.ndarray:
    """Three utterances of 1 s with pauses of 1.5 s."""
    pause = np.zeros(round(1.5 * rate))
    speech = tones(1.0, level_dbfs, rate)
    signal = np.concatenate([pause, speech, pause, speech, pause, speech, pause])
    noise = np.random.default_rng(2).standard_normal(len(signal))
    return signal + noise * 10 ** (noise_dbfs / 20)


def judged(signal: np.ndarray, rate: int = RATE, **card: float) -> dict[str, Finding]:
    return {f.name: f for f in judge(Clip(signal.astype(np.float32), rate), **card)}


def troubles(found: dict[str, Finding]) -> dict[str, str]:
    return {f.name: f.verdict for f in found.values() if f.verdict != "ok"}


def test_a_good_microphone() -> None:
    found = judged(scene())
    assert troubles(found) == {}
    assert [f.name for f in found.values()] == [
        "muted",
        "speech level",
        "noise floor",
        "speech above noise",
        "peak",
        "clipping",
        "DC offset",
        "bandwidth",
        "gain control",
    ]
    assert found["speech level"].value == pytest.approx(-20, abs=2)
    assert found["noise floor"].value == pytest.approx(-65, abs=1.5)
    assert not any(f.advice for f in found.values())


def test_whatever_is_not_well_says_what_to_do() -> None:
    signals = [
        np.zeros(RATE),
        scene(-55),
        scene(-30, -40),
        np.clip(scene(-3), -1, 1),
        scene() + 0.2,
        scene(-90, -60),
    ]
    bad = [f for signal in signals for f in judged(signal).values() if f.verdict != "ok"]
    assert {f.verdict for f in bad} == {"warn", "bad"}
    assert all(f.advice and "\n" not in f.advice for f in bad)


@pytest.mark.parametrize("value", [0.0, 0.25])
def test_muted(value: float) -> None:
    assert troubles(judged(np.full(RATE, value))) == {"muted": "bad"}


def test_nothing_was_recorded() -> None:
    assert troubles(judged(np.zeros(0))) == {"muted": "bad"}


def test_a_noise_gate_in_the_device() -> None:
    signal = scene()
    signal[: RATE // 2] = 0
    assert troubles(judged(signal))["muted"] == "warn"


@pytest.mark.parametrize(
    ("level", "verdict"), [(-55, "bad"), (-47, "warn"), (-30, "ok"), (-12, "ok"), (-6, "warn")]
)
def test_level(level: float, verdict: str) -> None:
    assert judged(scene(level, -100))["speech level"].verdict == verdict


def test_level_against_that_of_the_training() -> None:
    assert judged(scene(-40, -100), level_dbfs=-20.0)["speech level"].verdict == "ok"
    far = judged(scene(-44, -100), level_dbfs=-15.0)["speech level"]
    assert far.verdict == "warn"
    assert "-15 dBFS" in far.advice


@pytest.mark.parametrize(("noise", "verdict"), [(-60, "ok"), (-45, "warn"), (-31, "bad")])
def test_noise(noise: float, verdict: str) -> None:
    assert judged(scene(-20, noise))["speech above noise"].verdict == verdict


def test_nobody_spoke() -> None:
    quiet = judged(np.random.default_rng(0).standard_normal(5 * RATE) * 1e-4)
    assert troubles(quiet) == {"speech level": "bad"}
    assert "no speech was heard" in quiet["speech level"].advice
    loud = judged(np.random.default_rng(0).standard_normal(5 * RATE) * 1e-2)
    assert troubles(loud) == {"speech level": "bad", "noise floor": "warn"}


def test_clipping_is_two_neighbours_at_full_scale() -> None:
    signal = scene()
    assert judged(signal)["clipping"].value == 0
    signal[30_000] = 1.0
    assert judged(signal)["clipping"].value == 0  # one sample may just touch it
    signal[30_001:30_003] = 32767 / 32768
    found = judged(signal)
    assert found["clipping"].value == pytest.approx(100 * 3 / len(signal))
    assert (found["clipping"].verdict, found["peak"].verdict) == ("warn", "warn")
    assert judged(np.clip(4 * scene(-12), -1, 1))["clipping"].verdict == "bad"


@pytest.mark.parametrize(("offset", "verdict"), [(0.01, "ok"), (-0.05, "warn"), (0.2, "bad")])
def test_offset(offset: float, verdict: str) -> None:
    found = judged(scene() + offset)
    assert found["DC offset"].value == pytest.approx(100 * abs(offset), abs=0.1)
    assert troubles(found) == ({} if verdict == "ok" else {"DC offset": verdict})


def through(signal: np.ndarray, narrow: int, wide: int) -> np.ndarray:
    """What a device of `wide` hertz gives that only samples at `narrow` inside."""
    low = resample(Clip(signal.astype(np.float32), narrow), wide)
    return np.asarray(low.samples)


def test_a_device_of_48_khz_that_only_carries_4() -> None:
    signal = through(scene(rate=8_000), 8_000, 48_000)
    found = judged(signal, 48_000, bandwidth_hz=8_000.0)
    assert found["bandwidth"].value == pytest.approx(4_000, abs=400)
    assert found["bandwidth"].verdict in {"bad", "warn"}
    assert "8 kHz" in found["bandwidth"].advice
    assert judged(signal, 48_000, bandwidth_hz=4_000.0)["bandwidth"].verdict == "ok"


def test_a_whistle_above_speech_is_no_bandwidth() -> None:
    signal = through(scene(rate=8_000), 8_000, 48_000)
    time = np.arange(len(signal)) / 48_000
    whistle = 0.003 * np.sin(2 * np.pi * 15_130 * time) * (1 + np.sin(2 * np.pi * time))
    noisy = signal + 1e-4 * np.random.default_rng(0).standard_normal(len(signal))
    assert bandwidth(Clip((noisy + whistle).astype(np.float32), 48_000)) < 5_000


def test_a_rate_that_is_too_low_for_the_model() -> None:
    found = judged(scene(rate=8_000), 8_000, bandwidth_hz=8_000.0)["bandwidth"]
    assert found.verdict == "warn"
    assert "--rate" in found.advice


@pytest.mark.needs("emodb")
@pytest.mark.parametrize(("rate", "reach"), [(None, 8_000), (8_000, 4_000)])
def test_bandwidth_of_speech(corpus: Callable[[str], Path], rate: int | None, reach: float) -> None:
    for path in sorted(corpus("emodb").rglob("*.flac"))[::100]:
        clip = read_clip(path)
        if rate:
            clip = resample(resample(clip, rate), 48_000)
        noise = 3e-4 * np.random.default_rng(0).standard_normal(2 * clip.length)
        noise[: clip.length] += clip.samples
        found = bandwidth(Clip(noise.astype(np.float32), clip.rate))
        assert found == pytest.approx(reach, rel=0.08)


@pytest.mark.parametrize(("rise", "verdict"), [(0, "ok"), (9, "warn"), (15, "bad")])
def test_automatic_gain_control(rise: float, verdict: str) -> None:
    """In each pause the gain, and with it the noise, grows: by `rise` dB in its inner half."""
    pause = round(1.5 * RATE)
    gain = np.ones(3 * RATE + 4 * pause)
    for number in range(4):
        start = number * (pause + RATE)
        gain[start : start + pause] = 10 ** (np.linspace(0, 2 * rise, pause) / 20)
    found = judged(scene(-15, -75) * gain)["gain control"]
    assert found.verdict == verdict
    assert found.value == pytest.approx(rise, abs=2.5)


def test_without_a_pause_there_is_no_word_on_gain_control() -> None:
    signal = np.concatenate([scene()[:RATE], tones(1.0)])
    assert "gain control" not in judged(signal)


class TestBlockLevels:
    def test_a_sine(self) -> None:
        sine = 0.5 * np.sin(2 * np.pi * np.arange(1600) / 16) + 0.25
        level, peak = block_levels(sine.astype(np.float32))
        assert level == pytest.approx(20 * math.log10(0.5 / math.sqrt(2)), abs=1e-4)
        assert peak == pytest.approx(20 * math.log10(0.75), abs=1e-4)

    @pytest.mark.parametrize("count", [0, 1, 100])
    def test_silence(self, count: int) -> None:
        assert block_levels(np.zeros(count, np.float32)) == (-120.0, -120.0)


@given(
    count=st.integers(0, 4000),
    scale=st.sampled_from([0.0, 1e-6, 0.01, 1.0, 3.0]),
    rate=st.sampled_from([1_000, 8_000, 44_100, 384_000]),
    seed=st.integers(0, 9),
)
def test_any_recording_is_judged(count: int, scale: float, rate: int, seed: int) -> None:
    samples = (scale * np.random.default_rng(seed).standard_normal(count)).astype(np.float32)
    for finding in judge(Clip(samples, rate), -20.0, 8_000.0):
        assert math.isfinite(finding.value)
        assert (finding.verdict == "ok") == (finding.advice == "")
