"""Functionals: statistics beside numpy's, melodies that are known, and what any clip may be."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_ser.errors import CardError
from edge_ser.frontend import PRESETS, Frontend, FrontendSpec
from edge_ser.frontend.functionals import functionals, heard_frames, names
from edge_ser.frontend.measures import MELODY, MODULATION_HZ, STATISTICS
from edge_ser.frontend.pitch import LOWEST_HZ
from edge_ser.frontend.spec import MAX_VALUES

SPEC = PRESETS["functionals"]
NAMES = names(SPEC)
FRONTEND = Frontend(SPEC)
FRAME_S = SPEC.hop_length / SPEC.rate

Array = NDArray[Any]


def noise(samples: int, seed: int = 0) -> NDArray[np.float32]:
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def voice(hertz: Array) -> NDArray[np.float32]:
    """Harmonics of a pitch, one value a sample, that fades in and out beyond `active_db`."""
    phase = 2 * np.pi * np.cumsum(hertz) / SPEC.rate
    fade = np.minimum(1, np.minimum(np.arange(len(hertz)), np.arange(len(hertz))[::-1]) / 2000)
    loudness = 0.1 * 10 ** (3 * (fade - 1))
    sung = [loudness / k * np.sin(k * phase) for k in range(1, 8)]
    return np.sum(sung, axis=0).astype(np.float32)


def of(samples: Array, spec: FrontendSpec = SPEC) -> dict[str, float]:
    """Every functional by its name; nothing that numpy would warn of happens."""
    with warnings.catch_warnings(), np.errstate(all="raise", under="ignore"):
        warnings.simplefilter("error")
        values = Frontend(spec)(samples)
    assert values.dtype == np.float32 and values.shape == spec.shape(len(samples))
    assert np.isfinite(values).all()
    return dict(zip(names(spec), values.tolist(), strict=True))


def of_tracks(
    log_mel: Array, pitch: Array | None = None, level: Array | None = None
) -> dict[str, float]:
    """The functionals of bands, pitch and level that are heard from end to end."""
    frames = len(log_mel)
    pitch = np.zeros((frames, 2)) if pitch is None else pitch
    level = np.zeros(frames) if level is None else level
    values = functionals(log_mel, pitch, level, SPEC)
    return dict(zip(NAMES, values.tolist(), strict=True))


def melody(semitones: Array, strength: Array | float = 0.9, **values: Any) -> dict[str, float]:
    pitch = np.stack([semitones, np.broadcast_to(strength, semitones.shape)], axis=1)
    return of_tracks(np.zeros((len(semitones), SPEC.n_mels)), pitch, **values)


class TestNames:
    @pytest.mark.parametrize("changes", [{}, {"n_mels": 32, "n_mfcc": 13}, {"n_mfcc": 1}])
    def test_one_for_each_value(self, changes: dict[str, int]) -> None:
        spec = replace(SPEC, **changes)  # type: ignore[arg-type]
        found = names(spec)
        assert len(found) == len(set(found)) == spec.width == len(of(noise(9_000), spec))

    def test_of_the_preset(self) -> None:
        assert SPEC.width == 1_437
        assert set(MELODY) < set(NAMES)
        assert {f"cepstrum_25.slope.{statistic}" for statistic in STATISTICS} < set(NAMES)


class TestWhatDoesNotMatter:
    @pytest.mark.parametrize("gain", [1e-4, 0.1, 8.0])
    def test_a_gain(self, gain: float) -> None:
        clip = voice(np.linspace(120, 240, 24_000)) + 0.1 * noise(24_000)
        np.testing.assert_allclose(FRONTEND(np.float32(gain) * clip), FRONTEND(clip), atol=1e-3)

    @given(before=st.integers(0, 100), after=st.integers(0, 100))
    @settings(max_examples=30)
    def test_padding(self, before: int, after: int) -> None:
        clip = np.concatenate([voice(np.linspace(120, 240, 24_000)), np.zeros(512, np.float32)])
        clip = np.concatenate([np.zeros(512, np.float32), clip])
        padded = np.pad(clip, (before * SPEC.hop_length, after * SPEC.hop_length))
        np.testing.assert_allclose(FRONTEND(padded), FRONTEND(clip), atol=1e-3)


class TestAnyClip:
    @given(
        samples=st.integers(1, 6_000),
        seed=st.integers(0, 100),
        loudness=st.sampled_from((0.0, 1e-30, 1e-19, 1e-3, 1.0, 1e6)),
        holes=st.booleans(),
    )
    @settings(max_examples=100)
    def test_gives_numbers(self, samples: int, seed: int, loudness: float, holes: bool) -> None:
        clip = np.random.default_rng(seed).uniform(-1, 1, samples)
        if holes:
            clip *= np.random.default_rng(seed).random(samples) < 0.01
        of((loudness * clip).astype(np.float32))

    @pytest.mark.parametrize("samples", [1, 2, 255, 256, 640, 1_024, 2_048, 48_000])
    @pytest.mark.parametrize("value", [0.0, 1e-7, 0.5, -1.0])
    def test_of_one_value(self, samples: int, value: float) -> None:
        of(np.full(samples, value, np.float32))

    @pytest.mark.parametrize("hop_length", [1, 16, 100, 266])
    def test_however_fast_the_frames(self, hop_length: int) -> None:
        """Between any two edges of modulation lies a point of the spectrum."""
        of(noise(1_500), replace(SPEC, hop_length=hop_length))

    def test_silence_has_nothing_that_changes(self) -> None:
        found = of(np.zeros(16_000, np.float32))
        assert found["level.deviation"] == pytest.approx(1e-3)  # what keeps it from being 0
        assert {found[f"band_{band}.mean"] for band in range(SPEC.n_mels)} == {0.0}
        assert {found[f"pitch.{name}"] for name in ("q05", "q50", "mean", "slope")} == {0.0}


class TestHeard:
    @pytest.mark.parametrize(
        ("level", "first", "last"),
        [
            ([-90] * 5 + [-39] + [-60] * 7 + [0] + [-40] + [-41] * 9, 5, 15),
            ([0] * 20, 0, 20),
            # Less than 8 frames: with its surroundings, as far as there are any.
            ([-90] * 10 + [0] + [-90] * 10, 6, 14),
            ([0] + [-90] * 10, 0, 8),
            ([-90] * 10 + [0], 3, 11),
            ([-90] * 10 + [0] * 7 + [-90] * 10, 9, 17),
            ([0, -1], 0, 2),
        ],
    )
    def test_from_the_first_to_the_last_loud_frame(
        self, level: list[float], first: int, last: int
    ) -> None:
        assert heard_frames(np.array(level, np.float32), SPEC) == slice(first, last)

    def test_at_the_frontends_own_range(self) -> None:
        level = np.array([-90.0] * 5 + [-30.0] * 9 + [0.0] * 9)
        assert heard_frames(level, SPEC) == slice(5, 23)
        assert heard_frames(level, replace(SPEC, active_db=20.0)) == slice(14, 23)


class TestStatistics:
    @given(
        frames=st.integers(2, 400),
        seed=st.integers(0, 100),
        shape=st.sampled_from((0.3, 1.0, 4.0)),
    )
    @settings(max_examples=30)
    def test_are_those_of_the_books(self, frames: int, seed: int, shape: float) -> None:
        bands = 10 * np.random.default_rng(seed).gamma(shape, size=(frames, SPEC.n_mels))
        found = of_tracks(bands)
        shown = bands - bands.mean()
        for band in (0, 1, 40, 63):
            track = shown[:, band]
            deviation = np.sqrt(track.var() + 1e-6)
            scaled = (track - track.mean()) / deviation
            expected = {
                "mean": track.mean(),
                "deviation": deviation,
                "skewness": np.mean(scaled**3),
                "kurtosis": min(20, np.mean(scaled**4)),
                "slope": np.polyfit(np.linspace(-1, 1, frames), track, 1)[0],
            }
            for share in (5, 25, 50, 75, 95):
                expected[f"q{share:02d}"] = np.quantile(track, share / 100)
            got = {name: found[f"band_{band}.{name}"] for name in expected}
            assert tuple(expected) == STATISTICS
            assert got == pytest.approx(expected, rel=1e-6, abs=1e-9)

    def test_cepstra_and_the_level_are_tracks_too(self) -> None:
        bands, level = noise(200 * 64).reshape(200, 64), 100 * noise(200, 1)
        found = of_tracks(100 * bands, level=level)
        angles = np.pi / 64 * np.outer(np.arange(64) + 0.5, np.arange(26))
        cepstra = 100 * (bands - bands.mean()) @ (np.cos(angles) * np.sqrt(2)) / 64
        assert found["cepstrum_3.q75"] == pytest.approx(np.quantile(cepstra[:, 3], 0.75), rel=1e-5)
        padded = np.pad(cepstra[:, 7], 2, "edge")
        rise = (padded[4:] - padded[:-4]) / 4
        assert found["cepstrum_7.slope.deviation"] == pytest.approx(rise.std(), rel=1e-3)
        assert found["level.q25"] == pytest.approx(
            np.quantile(level, 0.25) - level.mean(), rel=1e-5
        )

    def test_one_odd_frame_counts_no_more_than_it_may(self) -> None:
        bands = np.zeros((300, SPEC.n_mels))
        bands[100, 5] = 30
        assert of_tracks(bands)["band_5.kurtosis"] == 20


class TestModulation:
    @pytest.mark.parametrize("speed", range(len(MODULATION_HZ) - 1))
    @pytest.mark.parametrize("frames", [250, 600])
    def test_a_band_that_swells_shows_at_its_speed(self, speed: int, frames: int) -> None:
        hertz = np.sqrt(MODULATION_HZ[speed] * MODULATION_HZ[speed + 1])
        bands = np.zeros((frames, SPEC.n_mels))
        bands[:, 20:24] = 10 * np.sin(2 * np.pi * hertz * FRAME_S * np.arange(frames))[:, None]
        found = of_tracks(bands)
        powers = [found[f"bands_20.at_{low:g}_hz"] for low in MODULATION_HZ[:-1]]
        assert int(np.argmax(powers)) == speed
        assert {found[f"bands_40.at_{low:g}_hz"] < powers[speed] for low in MODULATION_HZ[:-1]} == {
            True
        }

    def test_powers_are_those_of_the_periodogram(self) -> None:
        tracks = 10 * noise(256 * 64).reshape(256, 64)
        found = of_tracks(tracks)
        group = (tracks - tracks.mean())[:, 8:12].mean(axis=1)
        power = np.abs(np.fft.rfft(group - group.mean())) ** 2 / 256
        hertz = np.fft.rfftfreq(256, FRAME_S)
        within = (hertz >= 4.0) & (hertz < 5.6)
        expected = 10 * np.log10(power[within].mean() + 1e-3)
        assert found["bands_8.at_4_hz"] == pytest.approx(expected, rel=1e-6)

    def test_what_does_not_change_is_at_the_floor(self) -> None:
        found = of_tracks(np.full((300, SPEC.n_mels), -40.0))
        assert {value for name, value in found.items() if name.endswith("_hz")} == {-30.0}


class TestMelody:
    def test_a_glide(self) -> None:
        found = of(voice(110 * 2 ** (np.linspace(0, 12, 32_000) / 12)))
        start = 12 * np.log2(110 / LOWEST_HZ)
        assert found["pitch.slope"] == pytest.approx(6, rel=0.03)  # 12 semitones in 2 s
        assert found["pitch.step"] == pytest.approx(6 * FRAME_S, rel=0.05)
        assert found["pitch.step_mean"] == pytest.approx(6 * FRAME_S, rel=0.05)
        assert found["pitch.q50"] == pytest.approx(start + 6, abs=0.2)
        assert found["pitch.last_first_third"] == pytest.approx(8, abs=0.5)
        assert found["voiced.share"] > 0.95 and found["strength.mean"] > 0.9

    def test_statistics_are_those_of_numpy(self) -> None:
        semitones = 24 + 0.5 * np.random.default_rng(0).standard_normal(100)
        level = 5 * np.random.default_rng(1).standard_normal(100)
        found = melody(semitones, 0.8, level=level)
        for name, share in (("q05", 0.05), ("q20", 0.2), ("q50", 0.5), ("q95", 0.95)):
            assert found[f"pitch.{name}"] == pytest.approx(np.quantile(semitones, share))
        assert found["pitch.mean"] == pytest.approx(semitones.mean())
        assert found["pitch.deviation"] == pytest.approx(semitones.std())
        assert found["pitch.step_deviation"] == pytest.approx(np.diff(semitones).std())
        slope = np.polyfit(np.arange(100) * FRAME_S, semitones, 1)[0]
        assert found["pitch.slope"] == pytest.approx(slope)
        assert found["harmonics.mean"] == pytest.approx(10 * np.log10(4))
        assert found["voiced.level_deviation"] == pytest.approx(level.std())
        assert found["level.step"] == pytest.approx(np.abs(np.diff(level)).mean())
        assert found["level.q25_peak"] == pytest.approx(np.quantile(level, 0.25) - level.max())
        assert found["voiced.level"] == pytest.approx(0)

    def test_errors_of_an_octave_are_no_steps(self) -> None:
        semitones = 24 + 0.1 * np.arange(60.0)
        plain = melody(semitones)
        semitones[30] -= 12
        found = melody(semitones)
        for name in ("pitch.step", "pitch.step_mean", "pitch.step_deviation"):
            assert found[name] == pytest.approx(plain[name])

    def test_runs_of_voice(self) -> None:
        strength = np.array([0.1] * 10 + [0.9] * 20 + [0.1] * 10 + [0.9] * 40 + [0.1] * 20)
        found = melody(np.full(100, 24.0), strength)
        assert found["voiced.share"] == pytest.approx(0.6)
        assert found["voiced.seconds"] == pytest.approx(30 * FRAME_S)
        assert found["voiced.seconds_longest"] == pytest.approx(40 * FRAME_S)
        assert found["voiced.seconds_deviation"] == pytest.approx(10 * FRAME_S)
        assert found["voiced.runs_per_second"] == pytest.approx(2 / (100 * FRAME_S))

    def test_weak_and_faint_frames_have_no_pitch(self) -> None:
        semitones, level = np.full(40, 24.0), np.zeros(40)
        strength = np.full(40, 0.9)
        semitones[:10], strength[:10] = 60, 0.45
        semitones[30:], level[30:] = 60, -35
        found = melody(semitones, strength, level=level)
        assert found["pitch.q95"] == pytest.approx(24) and found["voiced.share"] == 0.5

    def test_an_outcry(self) -> None:
        semitones = np.full(100, 24.0)
        semitones[40:60] = 29
        assert melody(semitones)["pitch.outcry"] == pytest.approx(0.2)

    def test_without_enough_voice_all_frames_stand_for_it(self) -> None:
        strength = np.array([0.1] * 46 + [0.9] * 4)
        semitones = np.arange(50.0)
        found = melody(semitones, strength)
        assert found["pitch.mean"] == pytest.approx(semitones.mean())
        assert found["voiced.seconds"] == pytest.approx(4 * FRAME_S)
        assert found["voiced.share"] == pytest.approx(0.08)
        unvoiced = melody(semitones, np.full(50, 0.1))
        assert unvoiced["voiced.share"] == unvoiced["voiced.seconds_longest"] == 0
        strength[45] = 0.9
        assert melody(semitones, strength)["pitch.mean"] == pytest.approx(47)


class TestSpec:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"hop_length": 267}, "59.9 frames a second, expected 60 or more for functionals"),
            ({"n_mels": 62}, "n_mels is 62, expected a multiple of 4 for functionals"),
            ({"n_mfcc": 65}, "n_mfcc is 65, expected 1 to 64"),
            ({"log": "natural"}, "functionals with log natural, copies 1 and normalise none"),
            ({"copies": 2}, "copies 2 and normalise none, expected db, 1 and none"),
            ({"normalise": "zero_mean_unit_variance"}, "normalise zero_mean_unit_variance, expect"),
            ({"active_db": 0.5}, "active_db is 0.5, expected 1 to 200"),
            ({"pool_bands": 0}, "pool_bands is 0, expected 1 to 64"),
            ({"pool_bands": 3}, "pool_bands is 3, expected a divisor of n_mels, 64"),
            ({"active_db": 201}, "active_db is 201.0, expected 1 to 200"),
            ({"win_length": 400}, "expected a window of two periods .427. and an FFT of one"),
            ({"fmax": 400.0}, "pitch from 75.0 to 500.0 Hz in a band up to 400.0"),
        ],
    )
    def test_what_functionals_cannot_be_made_of(
        self, changes: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(CardError, match=message):
            replace(SPEC, **changes)

    def test_the_shape_does_not_hang_on_the_length(self) -> None:
        assert {SPEC.shape(samples) for samples in (1, 48_000, 128_000)} == {(1_437,)}
        assert replace(SPEC, layout="time_last").shape(48_000) == (1_437,)

    def test_clips_are_bounded_by_what_they_come_from(self) -> None:
        """Bands, cepstra, their slopes and the level are held at once."""
        frames = MAX_VALUES // (64 + 2 * 26 + 1)
        assert SPEC.shape((frames - 1) * SPEC.hop_length) == (1_437,)
        with pytest.raises(CardError, match="more than 8388608 values"):
            SPEC.shape(frames * SPEC.hop_length)


@pytest.mark.parametrize("pool", [2, 4, 64])
def test_statistics_of_neighbouring_bands_are_averaged(pool: int) -> None:
    samples = (0.1 * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32)
    pooled = replace(SPEC, pool_bands=pool)
    whole, made = Frontend(SPEC)(samples), Frontend(pooled)(samples)
    assert made.shape == (pooled.width,) == pooled.shape(len(samples))
    found, known = (dict(zip(names(s), v, strict=True)) for s, v in ((pooled, made), (SPEC, whole)))
    assert len(found) == len(made)
    for first in range(0, 64, pool):
        mean = np.mean([known[f"band_{band}.q75"] for band in range(first, first + pool)])
        assert found[f"bands_{first}_to_{first + pool - 1}.q75"] == pytest.approx(mean, abs=1e-4)
    for name in ("cepstrum_3.slope.mean", "level.deviation", "bands_8.at_2.8_hz", "pitch.q50"):
        assert found[name] == known[name]
