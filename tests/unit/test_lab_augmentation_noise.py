"""Augmentation with noise: at its ratio, of its colour, from recordings."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ser.errors import DataError
from edge_ser.lab.augmentation.recordings import stretch_of_noise
from edge_ser.lab.augmentation.steps import ColouredNoise, RealNoise, WhiteNoise
from edge_ser.perturb import speech_rms

from .lab_augmentation_sounds import (
    RATE,
    SEEDS,
    generator,
    noises_fixture,  # noqa: F401 for pytest to find
    rms,
    speech,
    tone,
)


class TestNoise:
    @given(
        seed=SEEDS,
        length=st.integers(200, 5000),
        amplitude=st.floats(1e-3, 1),
        snr_db=st.floats(-10, 40),
    )
    def test_white_noise_is_at_its_ratio(
        self, seed: int, length: int, amplitude: float, snr_db: float
    ) -> None:
        samples = speech(length, 3, amplitude)
        changed = WhiteNoise(snr_db=snr_db)(samples, RATE, generator(seed))
        ratio = speech_rms(samples, RATE) / rms(changed.astype(np.float64) - samples)
        assert 20 * math.log10(ratio) == pytest.approx(snr_db, abs=0.1)

    @given(seed=SEEDS, length=st.integers(200, 5000), snr_db=st.floats(-10, 40))
    @settings(max_examples=50)
    def test_real_noise_is_at_its_ratio(
        self, noises: str, seed: int, length: int, snr_db: float
    ) -> None:
        samples = speech(length, 3)
        changed = RealNoise(folder=noises, snr_db=snr_db)(samples, RATE, generator(seed))
        ratio = speech_rms(samples, RATE) / rms(changed.astype(np.float64) - samples)
        assert 20 * math.log10(ratio) == pytest.approx(snr_db, abs=0.1)

    @given(
        seed=SEEDS,
        length=st.integers(200, 5000),
        snr_db=st.floats(-10, 40),
        slope_db=st.floats(-24, 24),
        swell=st.floats(0, 1),
    )
    @settings(max_examples=50)
    def test_coloured_noise_is_at_its_ratio(
        self, seed: int, length: int, snr_db: float, slope_db: float, swell: float
    ) -> None:
        samples = speech(length, 3)
        made = ColouredNoise(snr_db=snr_db, slope_db=slope_db, swell=swell)
        changed = made(samples, RATE, generator(seed))
        ratio = speech_rms(samples, RATE) / rms(changed.astype(np.float64) - samples)
        assert 20 * math.log10(ratio) == pytest.approx(snr_db, abs=0.1)

    @pytest.mark.parametrize("slope_db", [-9.0, 0.0, 3.0])
    def test_coloured_noise_falls_by_its_slope(self, slope_db: float) -> None:
        samples = speech(10 * RATE)
        made = ColouredNoise(snr_db=0.0, slope_db=slope_db, swell=0.0)
        added = made(samples, RATE, generator()).astype(np.float64) - samples
        power = np.abs(np.fft.rfft(added)) ** 2
        octaves = [power[10 * hz : 20 * hz].mean() for hz in (250, 500, 1000, 2000)]
        steps = np.diff(10 * np.log10(octaves))
        np.testing.assert_allclose(steps, slope_db, atol=0.5)
        # Below 60 Hz it is as at 60 Hz.
        low = 10 * math.log10(power[:300].mean() / power[300:600].mean())
        assert low == pytest.approx(0, abs=0.6)

    def test_coloured_noise_swells(self) -> None:
        samples = speech(4 * RATE)
        made = ColouredNoise(snr_db=0.0, slope_db=0.0, swell_hz=5.0, swell=0.9)
        added = made(samples, RATE, generator()).astype(np.float64) - samples
        loudness = np.square(added).reshape(-1, 160).mean(axis=1)  # every 10 ms, 4 s
        spectrum = np.abs(np.fft.rfft(loudness - loudness.mean()))
        assert spectrum.argmax() == 4 * 5

    @given(seed=SEEDS, voices=st.integers(1, 6), snr_db=st.floats(-10, 40))
    @settings(max_examples=30)
    def test_a_room_full_of_people_is_at_its_ratio(
        self, noises: str, seed: int, voices: int, snr_db: float
    ) -> None:
        samples = speech(3_000, 3)
        made = RealNoise(folder=noises, snr_db=snr_db, voices=voices)
        changed = made(samples, RATE, generator(seed))
        ratio = speech_rms(samples, RATE) / rms(changed.astype(np.float64) - samples)
        assert 20 * math.log10(ratio) == pytest.approx(snr_db, abs=0.1)

    def test_each_voice_is_as_loud_as_the_others(
        self, noises: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        drawn = iter([0.5 * tone(500, 0.1), 1e-3 * tone(1000, 0.1), tone(2000, 0.1)])
        monkeypatch.setattr(
            "edge_ser.lab.augmentation.steps.stretch_of_noise", lambda *_: next(drawn)
        )
        samples = speech(1_600)
        changed = RealNoise(folder=noises, snr_db=0.0, voices=3)(samples, RATE, generator())
        spectrum = np.abs(np.fft.rfft(changed.astype(np.float64) - samples))
        assert next(drawn, None) is None
        np.testing.assert_allclose(spectrum[[50, 100, 200]], spectrum[50], rtol=1e-3)

    def test_noise_is_looked_for_where_the_data_is(
        self, noises: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = Path(noises)
        monkeypatch.setenv("EDGE_SER_DATA", str(folder.parent))
        assert len(stretch_of_noise(folder.name, 100, RATE, generator())) == 100

    def test_a_ratio_is_drawn_within_its_range(self) -> None:
        samples = speech(4000)
        level = speech_rms(samples, RATE)
        ratios = [
            20 * math.log10(level / rms(changed - samples))
            for changed in (
                WhiteNoise(snr_db=(10, 20))(samples, RATE, generator(n)) for n in range(50)
            )
        ]
        assert 9.9 < min(ratios) < 12
        assert 18 < max(ratios) < 20.1

    def test_short_recordings_go_round(self, noises: str) -> None:
        short = Path(noises, "short.wav")
        stretches = [stretch_of_noise(noises, 6_000, RATE, generator(n)) for n in range(10)]
        period = 2 * 400  # at twice its rate
        round_and_round = [s for s in stretches if np.array_equal(s[:period], s[period:][:period])]
        assert short.exists()
        assert 0 < len(round_and_round) < 10

    def test_stretches_are_of_random_places_and_never_silent(self, noises: str) -> None:
        stretches = [stretch_of_noise(noises, 700, RATE, generator(n)) for n in range(40)]
        assert len({stretch.tobytes() for stretch in stretches}) > 20
        assert min(map(rms, stretches)) > 1e-5

    def test_a_folder_without_noise(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="no audio in this folder"):
            stretch_of_noise(str(tmp_path), 10, RATE, generator())
        soundfile = pytest.importorskip("soundfile")
        quiet = tmp_path / "quiet"
        quiet.mkdir()
        soundfile.write(quiet / "a.wav", np.zeros(100), RATE)
        with pytest.raises(DataError, match="were silent"):
            stretch_of_noise(str(quiet), 10, RATE, generator())
