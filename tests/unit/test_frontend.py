from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_ser.audio import Clip, resample
from edge_ser.errors import AudioError, CardError
from edge_ser.frontend import PRESETS, Frontend, FrontendSpec, maths

MFCC = PRESETS["librosa"]
LOG_MEL = replace(PRESETS["log-mel"], top_db=None)
SHORT = replace(LOG_MEL, n_fft=256, win_length=256, hop_length=64, n_mels=20)


def noise(samples: int, seed: int = 0) -> NDArray[np.float32]:
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def straightforward(spec: FrontendSpec, samples: NDArray[Any]) -> NDArray[np.float64]:
    """The power spectrogram by its definition: frame by frame, in float64, by a sum."""
    signal = samples.astype(np.float64) * spec.sample_scale
    signal = signal - spec.preemphasis * np.concatenate([[0.0], signal[:-1]])
    if spec.centre:
        signal = np.pad(signal, spec.n_fft // 2, mode=spec.pad_mode)
    signal = np.concatenate([signal, np.zeros(spec.n_fft + spec.hop_length)])
    window = maths.window(spec.window, spec.win_length)
    offset = (spec.n_fft - spec.win_length) // 2 if spec.window_align == "centre" else 0
    n = np.arange(spec.win_length)
    bins = np.arange(spec.n_fft // 2 + 1)
    rows = []
    for frame in range(spec.frames(len(samples))):
        start = frame * spec.hop_length + offset
        cut = signal[start : start + spec.win_length] * window
        spectrum = np.exp(-2j * np.pi * np.outer(bins, n) / spec.n_fft) @ cut
        rows.append(spec.power_scale * np.abs(spectrum) ** 2)
    return np.array(rows)


@given(
    samples=st.integers(1, 900),
    n_fft=st.integers(1, 200),
    window=st.integers(1, 200),
    hop=st.integers(1, 250),
    lead=st.integers(0, 400),
    options=st.fixed_dictionaries(
        {
            "window": st.sampled_from(("hann", "hamming", "rectangular")),
            "window_align": st.sampled_from(("centre", "start")),
            "centre": st.booleans(),
            "pad_mode": st.sampled_from(("constant", "reflect")),
            "tail": st.sampled_from(("drop", "pad")),
            "preemphasis": st.sampled_from((0.0, 0.97)),
            "power_scale": st.sampled_from((1.0, 1 / 512)),
            "sample_scale": st.sampled_from((1.0, 32_768.0)),
            "precision": st.sampled_from(("float32", "float64")),
        }
    ),
)
@settings(max_examples=150)
def test_power_is_that_of_its_definition(
    samples: int, n_fft: int, window: int, hop: int, lead: int, options: dict[str, Any]
) -> None:
    spec = replace(
        SHORT, n_fft=n_fft, win_length=min(window, n_fft), hop_length=hop, n_mels=2, **options
    )
    signal = noise(samples)
    signal[:lead] = 0  # leading silence, that is skipped
    if spec.frames(samples) == 0:
        with pytest.raises(AudioError, match="too few for one frame"):
            Frontend(spec).power(signal)
        return
    power = Frontend(spec).power(signal)
    expected = straightforward(spec, signal)
    assert power.dtype == np.dtype(spec.precision)
    tolerance = 1e-6 if spec.precision == "float32" else 1e-12
    np.testing.assert_allclose(power, expected, rtol=0, atol=tolerance * expected.max() + 1e-300)


@given(length=st.integers(1, 40_000), lead=st.integers(0, 60_000), tail=st.integers(0, 60_000))
@settings(max_examples=25)
def test_leaving_silence_out_changes_no_bit(length: int, lead: int, tail: int) -> None:
    signal = np.concatenate([np.zeros(lead), noise(length), np.zeros(tail)]).astype(np.float32)
    frontend = Frontend(MFCC)
    padded = np.pad(signal, 1024)
    frames = np.lib.stride_tricks.sliding_window_view(padded, 2048)[::512]
    window = maths.window("hann", 2048).astype(np.float32)
    mel = []
    for start in range(0, len(frames), 32):
        spectrum = np.fft.rfft(frames[start : start + 32] * window)
        power = spectrum.real**2
        power += spectrum.imag**2
        mel.append(frontend.mel(power.astype(np.float32)))
    expected = frontend.cepstra(frontend.log(np.concatenate(mel)))
    assert np.array_equal(frontend(signal), expected.astype(np.float32))


def test_stages_make_the_whole() -> None:
    frontend = Frontend(MFCC)
    signal = noise(30_000)
    stages = frontend.cepstra(frontend.log(frontend.mel(frontend.power(signal))))
    np.testing.assert_allclose(frontend(signal), stages, rtol=0, atol=1e-4)


def test_silence() -> None:
    features = Frontend(MFCC)(np.zeros(100_000, dtype=np.float32))
    assert features.shape == (196, 39)
    np.testing.assert_allclose(features[:, 0], np.sqrt(128) * -100, rtol=1e-6)
    np.testing.assert_allclose(features[:, 1:], 0, atol=1e-3)


def test_padding_lies_80_db_below_the_loudest_band() -> None:
    signal = np.concatenate([noise(20_000), np.zeros(20_000, dtype=np.float32)])
    values = Frontend(PRESETS["log-mel"])(signal)
    assert values.min() == values[-1].max() == pytest.approx(values.max() - 80, abs=1e-4)


@pytest.mark.parametrize("samples", [1, 2, 100])
@pytest.mark.parametrize("name", ["librosa", "librosa-0.8", "log-mel", "torchaudio"])
def test_the_shortest_clips(name: str, samples: int) -> None:
    features = Frontend(PRESETS[name])(noise(samples))
    assert features.shape == PRESETS[name].shape(samples)
    assert np.isfinite(features).all()


def test_an_offset_lies_in_the_lowest_bin() -> None:
    power = Frontend(MFCC).power(np.full(20_000, 0.5, dtype=np.float32))
    middle = power[10]
    assert middle[0] == pytest.approx((0.5 * 1_024) ** 2, rel=1e-5)
    assert middle[2:].max() < 1e-6 * middle[0]


def test_a_click_is_flat() -> None:
    signal = np.zeros(20_480, dtype=np.float32)
    signal[10 * 512] = 1.0  # the centre of frame 10, where the window is 1
    power = Frontend(MFCC).power(signal)
    np.testing.assert_allclose(power[10], 1.0, rtol=1e-5)
    assert not power[:8].any()
    assert not power[13:].any()


def test_a_full_scale_square_wave_has_its_odd_harmonics() -> None:
    rate, period = 22_050, 64
    square = np.where(np.arange(rate) % period < period // 2, 1.0, -1.0).astype(np.float32)
    power = Frontend(MFCC).power(square)[20]
    fundamental = 2_048 // period
    assert power.argmax() == fundamental
    assert power[3 * fundamental] == pytest.approx(power[fundamental] / 9, rel=0.02)
    assert power[2 * fundamental] < 1e-6 * power[fundamental]


@pytest.mark.parametrize("rate", [8_000, 48_000])
def test_other_rates_give_the_same_features_where_both_have_content(rate: int) -> None:
    def tones(at: int) -> NDArray[np.float32]:
        t = np.arange(at) / at
        return (0.2 * sum(np.sin(2 * np.pi * hz * t) for hz in (300, 1_100, 2_500))).astype("f4")

    spec = replace(PRESETS["log-mel"], top_db=40.0)
    direct = Frontend(spec)(tones(22_050))
    brought = Frontend(spec)(resample(Clip(tones(rate), rate), 22_050).samples)
    np.testing.assert_allclose(brought[4:-4], direct[4:-4], atol=0.01)


@given(gain=st.floats(-40, 20), seed=st.integers(0, 20))
@settings(max_examples=25)
def test_gain_is_an_offset_of_the_logarithm(gain: float, seed: int) -> None:
    signal = noise(8_000, seed)
    louder = signal * np.float32(10 ** (gain / 20))
    frontend = Frontend(LOG_MEL)
    np.testing.assert_allclose(frontend(louder), frontend(signal) + gain, atol=1e-3)
    cepstra = Frontend(MFCC)
    moved = cepstra(louder) - cepstra(signal)
    np.testing.assert_allclose(moved[:, 0], np.sqrt(128) * gain, atol=5e-3)
    np.testing.assert_allclose(moved[:, 1:], 0, atol=5e-3)


@given(factor=st.floats(-4, 4), seed=st.integers(0, 20))
@settings(max_examples=25)
def test_power_is_quadratic_and_mel_is_linear(factor: float, seed: int) -> None:
    frontend = Frontend(SHORT)
    power = frontend.power(noise(2_000, seed))
    scaled = frontend.power(np.float32(factor) * noise(2_000, seed))
    np.testing.assert_allclose(scaled, factor**2 * power, rtol=0, atol=2e-6 * power.max() * 16)
    other = frontend.power(noise(2_000, seed + 1))
    mixed = frontend.mel(power + 2 * other)
    np.testing.assert_allclose(mixed, frontend.mel(power) + 2 * frontend.mel(other), rtol=1e-5)


@given(hops=st.integers(1, 40), seed=st.integers(0, 20))
@settings(max_examples=25)
def test_a_delay_by_hops_moves_the_frames(hops: int, seed: int) -> None:
    frontend = Frontend(LOG_MEL)
    signal = noise(20_000, seed)
    delayed = np.concatenate([np.zeros(hops * 512, dtype=np.float32), signal])
    now, later = frontend(signal), frontend(delayed)
    np.testing.assert_allclose(later[hops + 2 :], now[2:], atol=1e-4)


@pytest.mark.parametrize("name", PRESETS)
def test_features_are_float32_and_contiguous(name: str) -> None:
    features = Frontend(PRESETS[name])(noise(20_000).astype(np.float64))
    assert features.dtype == np.float32
    assert features.flags["C_CONTIGUOUS"]
    assert features.shape == PRESETS[name].shape(20_000)


def test_calls_keep_no_state() -> None:
    frontend = Frontend(MFCC)
    signal = noise(30_000)
    before = signal.copy()
    first = frontend(signal)
    frontend(noise(10_000, seed=1))
    assert np.array_equal(frontend(signal), first)
    assert np.array_equal(signal, before)


def test_layouts_are_transposes() -> None:
    signal = noise(20_000)
    last = Frontend(replace(MFCC, layout="time_last"))(signal)
    assert np.array_equal(last.T, Frontend(MFCC)(signal))


def test_floors() -> None:
    zeros = np.zeros((1, 20), dtype=np.float32)
    for mode in ("maximum", "if_zero", "add"):
        frontend = Frontend(replace(SHORT, log_floor_mode=mode, log_floor=1e-6))
        np.testing.assert_allclose(frontend.log(zeros), -60, atol=1e-4)
        tiny = frontend.log(zeros + np.float32(1e-7))[0, 0]
        expected = {"maximum": -60.0, "if_zero": -70.0, "add": 10 * np.log10(1.1e-6)}[mode]
        assert tiny == pytest.approx(expected, abs=1e-4)


def test_log_energy_is_the_first_coefficient() -> None:
    spec = replace(MFCC, c0="log_energy", log="natural", top_db=None)
    signal = noise(20_000)
    features = Frontend(spec)(signal)
    energy = np.log(Frontend(spec).power(signal).sum(axis=1))
    np.testing.assert_allclose(features[:, 0], energy, atol=1e-4)
    plain = Frontend(replace(spec, c0="keep"))(signal)
    assert np.array_equal(features[:, 1:], plain[:, 1:])


@given(seed=st.integers(0, 50), length=st.integers(1, 5_000), offset=st.floats(-0.5, 0.5))
@settings(max_examples=25)
def test_waveforms_as_wav2vec2_takes_them(seed: int, length: int, offset: float) -> None:
    signal = noise(length, seed) + np.float32(offset)
    exact = signal.astype(np.float64)
    expected = (exact - exact.mean()) / np.sqrt(exact.var() + 1e-7)
    np.testing.assert_allclose(Frontend(PRESETS["waveform"])(signal), expected, atol=1e-5)
    untouched = replace(PRESETS["waveform"], normalise="none")
    assert np.array_equal(Frontend(untouched)(signal), signal)


def test_normalised_features() -> None:
    features = Frontend(replace(MFCC, normalise="zero_mean_unit_variance"))(noise(20_000))
    assert features.mean() == pytest.approx(0, abs=1e-5)
    assert features.std() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e7, -1e7])
@pytest.mark.parametrize("name", ["librosa", "waveform"])
def test_what_is_no_number_is_refused(name: str, value: float) -> None:
    signal = noise(3_000)
    signal[2_000] = value
    with pytest.raises(AudioError, match=r"NaN, infinite or beyond 1e\+06"):
        Frontend(PRESETS[name])(signal)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((2, 100)), r"shape \(2, 100\), expected \(n,\): downmix"),
        (np.zeros(100, dtype=np.int16), "samples are int16, expected floating point"),
        (np.zeros(0), "there are no samples"),
    ],
)
def test_what_is_no_clip_is_refused(samples: NDArray[Any], message: str) -> None:
    for call in (Frontend(MFCC), Frontend(MFCC).power):
        with pytest.raises(AudioError, match=message):
            call(samples)


def test_more_than_fits_is_refused() -> None:
    with pytest.raises(CardError, match="more than 8388608 values"):
        Frontend(replace(MFCC, hop_length=1))(noise(100_000))


@given(
    seed=st.integers(0, 20),
    loudness=st.sampled_from((0.0, 1e-30, 1e-3, 1.0, 1e6)),
    spec=st.builds(
        FrontendSpec,
        kind=st.sampled_from(("mfcc", "log_mel", "waveform")),
        rate=st.sampled_from((8_000, 1_000_000)),
        sample_scale=st.sampled_from((1e-9, 1.0, 32_768.0)),
        preemphasis=st.floats(0, 1),
        n_fft=st.integers(64, 4_096),
        win_length=st.integers(1, 64),
        hop_length=st.integers(10, 600),
        window=st.sampled_from(("hann", "hamming", "rectangular")),
        fmin=st.sampled_from((0.0, 300.0)),
        fmax=st.sampled_from((301.0, 4_000.0)),
        n_mels=st.integers(40, 200),
        n_mfcc=st.integers(1, 40),
        mel_scale=st.sampled_from(("slaney", "htk")),
        mel_norm=st.sampled_from(("slaney", "none")),
        mel_edges=st.sampled_from(("exact", "fft_bins")),
        log=st.sampled_from(("db", "natural")),
        log_floor=st.sampled_from((1e-36, 1e-10, 1.0)),
        log_floor_mode=st.sampled_from(("maximum", "if_zero", "add")),
        top_db=st.none() | st.floats(1, 200),
        dct_norm=st.sampled_from(("ortho", "none")),
        lifter=st.integers(0, 30),
        lifter_first=st.integers(0, 1),
        c0=st.sampled_from(("keep", "log_energy")),
        normalise=st.sampled_from(("none", "zero_mean_unit_variance")),
        precision=st.sampled_from(("float32", "float64")),
    ),
)
@settings(max_examples=150)
def test_any_spec_gives_finite_features(seed: int, loudness: float, spec: FrontendSpec) -> None:
    rng = np.random.default_rng(seed)
    signal = (loudness * rng.uniform(-1, 1, 2_000)).astype(np.float32)
    features = Frontend(spec)(signal)
    assert features.shape == spec.shape(2_000)
    assert np.isfinite(features).all()


@pytest.mark.parametrize("scale", ["slaney", "htk"])
def test_mel_scales_invert(scale: Any) -> None:
    hz = np.linspace(0, 20_000, 999)
    np.testing.assert_allclose(maths.mel_to_hz(maths.hz_to_mel(hz, scale), scale), hz, atol=1e-8)
    assert np.all(np.diff(maths.hz_to_mel(hz, scale)) > 0)
    # Both scales were made to have 1000 Hz at a known mel: 1000 (HTK) and 15 (Slaney).
    at_1000 = maths.hz_to_mel(np.array([1_000.0]), scale)[0]
    assert at_1000 == pytest.approx({"slaney": 15, "htk": 1_000}[scale], abs=0.02)


def test_slaney_filters_have_unit_area() -> None:
    filters = maths.mel_filters(22_050, 8_192, 40, 0.0, 11_025.0, "slaney", "slaney", "exact")
    np.testing.assert_allclose(filters.sum(axis=0) * 22_050 / 8_192, 1, rtol=0.01)


@given(bands=st.integers(1, 60), groups=st.integers(1, 12), n_fft=st.sampled_from((32, 512, 2_048)))
@settings(max_examples=50)
def test_banded_filters_are_the_filters(bands: int, groups: int, n_fft: int) -> None:
    filters = maths.mel_filters(16_000, n_fft, bands, 20.0, 8_000.0, "htk", "none", "fft_bins")
    again = np.zeros_like(filters)
    for bins, columns, weights in maths.banded(filters, groups):
        again[bins, columns] = weights
    assert np.array_equal(again, filters)


@pytest.mark.parametrize("size", [1, 2, 40, 128])
def test_the_dct_is_orthonormal(size: int) -> None:
    matrix = maths.dct_matrix(size, size, "ortho")
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(size), atol=1e-12)
    plain = maths.dct_matrix(size, size, "none")
    assert plain[:, 0].tolist() == [2.0] * size


def test_lifter() -> None:
    assert maths.lifter_weights(5, 0, 1).tolist() == [1.0] * 5
    weights = maths.lifter_weights(23, 22, 0)
    assert weights[0] == 1.0
    assert weights[11] == 12.0
    assert np.array_equal(maths.lifter_weights(22, 22, 1), weights[1:])


def test_copies_are_laid_end_to_end() -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 9000).astype(np.float32)
    once = Frontend(PRESETS["librosa"])(samples)
    for layout, axis in (("time_first", 0), ("time_last", 1)):
        spec = replace(PRESETS["librosa"], copies=2, layout=layout)  # type: ignore[arg-type]
        twice = Frontend(spec)(samples)
        assert twice.shape == spec.shape(9000)
        wanted = once if axis == 0 else once.T
        np.testing.assert_array_equal(twice, np.concatenate([wanted, wanted], axis=axis))


def test_bands_for_another_rate_are_those_of_samples_at_that_rate() -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 9000).astype(np.float32)
    told = replace(PRESETS["librosa"], rate=48_000, bands_rate=22_050)
    np.testing.assert_array_equal(Frontend(told)(samples), Frontend(PRESETS["librosa"])(samples))
    with pytest.raises(CardError, match="up to 8000 Hz, half of bands_rate"):
        replace(PRESETS["librosa"], rate=48_000, bands_rate=16_000)


def test_the_stereo_features_of_cktim_have_700_frames() -> None:
    assert PRESETS["cktim-stereo"].shape(96_000) == (39, 700)
