from __future__ import annotations

import math
import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_ser.audio import (
    Clip,
    RateConverter,
    Resampler,
    active_level,
    as_clip,
    fit,
    resample,
    set_level,
)
from edge_ser.errors import AudioError, DependencyError, UsageError

RATES = (8_000, 16_000, 22_050, 44_100, 48_000, 192_000)


def noise(samples: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, samples).astype(np.float32)


def tone(hz: float, rate: int, samples: int) -> NDArray[np.float32]:
    return np.sin(2 * np.pi * hz * np.arange(samples) / rate).astype(np.float32)


def decibels(ratio: float) -> float:
    return 10 * math.log10(ratio)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (np.array([0.5, -1.0]), [0.5, -1.0]),
        (np.array([0.5, -1.0], dtype=np.float16), [0.5, -1.0]),
        (np.array([16_384, -32_768], dtype=np.int16), [0.5, -1.0]),
        (np.array([2**30, -(2**31)], dtype=np.int32), [0.5, -1.0]),
        (np.array([192, 0], dtype=np.uint8), [0.5, -1.0]),
        (np.array([[0.0, 1.0], [-1.0, 0.0]]), [0.5, -0.5]),
        (np.array([[0.25], [0.5]], dtype=np.float32), [0.25, 0.5]),
    ],
)
def test_arrays_become_clips(samples: NDArray[np.float64], expected: list[float]) -> None:
    clip = as_clip(samples, 16_000)
    assert clip.samples.dtype == np.float32
    assert clip.samples.tolist() == expected
    assert clip.rate == 16_000


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros((1, 2, 3)), 16_000, r"shape \(1, 2, 3\), expected \(n,\)"),
        (np.zeros(()), 16_000, r"shape \(\), expected \(n,\)"),
        (np.zeros((2, 65)), 16_000, "65 channels"),
        (np.zeros((2, 0)), 16_000, "0 channels"),
        (np.zeros(2), 999, "the rate is 999 Hz"),
        (np.zeros(0), 16_000, "no samples"),
        (np.array([0.0, np.nan]), 16_000, "NaN or infinite"),
        (np.array([0.0, 1e300]), 16_000, "NaN or infinite"),
        (np.array([True]), 16_000, "samples are bool"),
        (np.array([1, -1]), 16_000, r"samples are int64, expected .* int16, int32, .*full scale"),
        (np.array([1 + 1j]), 16_000, "samples are complex128"),
        (np.array(["a"]), 16_000, "samples are <U1"),
    ],
)
def test_arrays_that_are_no_clips(samples: NDArray[np.float64], rate: int, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        as_clip(samples, rate)


@pytest.mark.parametrize("rate", RATES)
def test_resampling_keeps_a_tone(rate: int) -> None:
    clip = resample(Clip(tone(1_000, rate, rate), rate), 22_050)
    inner = slice(1_000, -1_000)
    expected = tone(1_000, 22_050, 22_050)
    np.testing.assert_allclose(clip.samples[inner], expected[inner], rtol=0, atol=1e-4)
    assert clip.rate == 22_050


def test_the_same_rate_is_left_alone() -> None:
    clip = Clip(noise(100), 16_000)
    assert resample(clip, 16_000) is clip


@given(
    length=st.integers(0, 3_000),
    rates=st.tuples(st.sampled_from(RATES), st.sampled_from(RATES)),
    cuts=st.lists(st.integers(0, 3_000), max_size=8),
    quality=st.sampled_from(("soxr_vhq", "soxr_hq", "soxr_qq")),
)
@settings(max_examples=150)
def test_blocks_give_the_bits_of_the_whole(
    length: int, rates: tuple[int, int], cuts: list[int], quality: str
) -> None:
    samples = noise(length)
    whole = resample(Clip(samples, rates[0]), rates[1], quality).samples
    assert whole.dtype == np.float32
    assert len(whole) == math.ceil(length * (float(rates[1]) / rates[0]))
    ends = [0, *sorted(min(cut, length) for cut in cuts), length]
    resampler = Resampler(*rates, quality)
    for _ in range(2):  # after its last block a resampler begins anew
        blocks = [resampler.process(samples[start:end]) for start, end in pairwise(ends)]
        blocks.append(resampler.process(samples[:0], last=True))
        assert np.array_equal(np.concatenate(blocks), whole)


def test_a_reset_forgets() -> None:
    samples = noise(1_000)
    resampler = Resampler(48_000, 16_000)
    resampler.process(noise(777, seed=1))
    resampler.reset()
    made = resampler.process(samples, last=True)
    assert np.array_equal(made, resample(Clip(samples, 48_000), 16_000).samples)


@pytest.mark.parametrize("rates", [(999, 16_000), (16_000, 768_001)])
def test_rates_out_of_range_are_refused(rates: tuple[int, int]) -> None:
    with pytest.raises(AudioError, match="expected 1000 to 768000"):
        Resampler(*rates)


def test_unknown_qualities_are_refused() -> None:
    with pytest.raises(UsageError, match="'kaiser_best', expected one of soxr_vhq, "):
        resample(Clip(noise(10), 8_000), 16_000, "kaiser_best")


def test_without_soxr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(DependencyError, match="pip install soxr, or give audio at 16000 Hz"):
        resample(Clip(noise(10), 8_000), 16_000)


def test_bandwidth_is_limited() -> None:
    rate = 48_000
    low, high = tone(3_000, rate, rate), tone(12_000, rate, rate)
    limited = RateConverter(rate, 16_000, 8_000).process(low + high, last=True)
    inner = slice(500, -500)
    np.testing.assert_allclose(
        limited[inner], tone(3_000, 16_000, 16_000)[inner], rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("bandwidth", [8_000, None])
def test_what_needs_no_conversion_is_left_alone(bandwidth: float | None) -> None:
    samples = noise(100)
    assert RateConverter(16_000, 16_000, bandwidth).process(samples) is samples


@pytest.mark.parametrize(
    ("rate", "stages"), [(48_000, [16_000, 22_050]), (44_100, [16_000, 22_050]), (8_000, [22_050])]
)
def test_a_converted_stream_has_the_bits_of_the_whole(rate: int, stages: list[int]) -> None:
    samples = noise(9_999)
    whole = Clip(samples, rate)
    for stage in stages:
        whole = resample(whole, stage)
    converter = RateConverter(rate, 22_050, 8_000)
    converter.process(noise(777, seed=1))
    converter.reset()
    blocks = [converter.process(samples[start : start + 441]) for start in range(0, 9_999, 441)]
    blocks.append(converter.process(samples[:0], last=True))
    assert np.array_equal(np.concatenate(blocks), whole.samples)


def test_the_level_of_steady_sounds_is_their_mean_square() -> None:
    square = np.where(np.arange(22_050) % 2, 0.5, -0.5).astype(np.float32)
    assert active_level(square) == pytest.approx(decibels(0.25))
    hiss = noise(22_050)
    assert active_level(hiss) == pytest.approx(decibels(float(np.mean(hiss**2))), abs=1e-3)


def test_the_level_is_that_of_speech_without_its_pauses() -> None:
    speech = noise(20 * 512)
    alone = active_level(speech)
    pause = np.zeros(40 * 512, dtype=np.float32)
    assert active_level(np.concatenate([pause, speech, pause])) == pytest.approx(alone, abs=0.01)
    room = 1e-3 * noise(40 * 512, seed=1)
    assert active_level(np.concatenate([room, speech, room])) == pytest.approx(alone, abs=0.01)
    plain = decibels(float(np.mean(np.concatenate([pause, speech, pause]) ** 2)))
    assert plain < alone - 6


def test_a_click_does_not_set_the_level() -> None:
    speech = 0.1 * noise(40 * 512)
    clicked = speech.copy()
    clicked[5_000:5_010] = 1.0
    assert active_level(clicked) < active_level(speech) + 7  # its peak rises by 26 dB
    assert active_level(clicked) > active_level(speech)


def test_an_offset_is_no_level() -> None:
    speech = 0.1 * noise(5_000)
    assert active_level(speech + np.float32(0.3)) == pytest.approx(active_level(speech), abs=1e-3)


@pytest.mark.parametrize(
    "samples", [np.zeros(0), np.zeros(1), np.ones(1), np.zeros(5_000), np.full(5_000, 0.7)]
)
def test_silence_has_no_level_and_takes_no_gain(samples: NDArray[np.float64]) -> None:
    silence = samples.astype(np.float32)
    assert active_level(silence) == -math.inf
    levelled, gain = set_level(silence, -26.0)
    assert gain == 0.0
    assert np.array_equal(levelled, silence)


def test_noise_below_any_recording_is_silence() -> None:
    assert active_level(1e-6 * noise(5_000)) == -math.inf
    assert active_level(1e-4 * noise(5_000)) > -100


@given(
    seed=st.integers(0, 99),
    length=st.integers(2, 20_000),
    target=st.floats(-60, 0),
    gain=st.floats(-40, 40),
)
def test_levels_are_set(seed: int, length: int, target: float, gain: float) -> None:
    rng = np.random.default_rng(seed)
    envelope = np.repeat(rng.uniform(0, 1, length // 700 + 1) ** 3 + 1e-3, 700)[:length]
    samples = (noise(length, seed) * envelope).astype(np.float32)
    levelled, taken = set_level(samples, target)
    assert levelled.dtype == np.float32
    assert active_level(levelled) == pytest.approx(target, abs=0.01)
    louder, less = set_level(samples * np.float32(10 ** (gain / 20)), target)
    assert less == pytest.approx(taken - gain, abs=0.01)
    np.testing.assert_allclose(louder, levelled, rtol=1e-3, atol=1e-6)


@given(
    length=st.integers(0, 300),
    wanted=st.integers(0, 300),
    side=st.sampled_from(("both", "end")),
)
def test_fit(length: int, wanted: int, side: str) -> None:
    samples = np.arange(1, length + 1, dtype=np.float32)
    fitted = fit(samples, wanted, side)  # type: ignore[arg-type]
    assert fitted.dtype == np.float32
    assert len(fitted) == wanted
    if wanted >= length:
        left = (wanted - length) // 2 if side == "both" else 0
        assert np.array_equal(fitted[left : left + length], samples)
        assert np.count_nonzero(fitted) == length
    else:
        start = (length - wanted) // 2 if side == "both" else 0
        assert np.array_equal(fitted, samples[start : start + wanted])


def test_an_odd_zero_goes_to_the_right() -> None:
    assert fit(np.ones(2, dtype=np.float32), 5).tolist() == [0, 1, 1, 0, 0]


@pytest.mark.parametrize("rate", [16_000.5, "16000", None, [16_000], math.nan, math.inf])
def test_a_rate_that_is_no_whole_number_is_refused(rate: Any) -> None:
    with pytest.raises(AudioError, match=r"the rate is .*, expected whole hertz"):
        as_clip(noise(10), rate)


@pytest.mark.parametrize("rate", [16_000.0, np.int64(16_000), np.float32(16_000)])
def test_a_whole_rate_of_any_type_is_an_int(rate: Any) -> None:
    clip = as_clip(noise(10), rate)
    assert type(clip.rate) is int
    assert clip.rate == 16_000
