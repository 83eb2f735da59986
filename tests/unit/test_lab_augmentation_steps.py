"""Augmentation: what each step does to sound, seeded and harmless to its input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_ser.lab.augmentation import (
    STEPS,
    Augmentation,
    Step,
    WaveformStep,
    augment,
    mask_features,
)
from edge_ser.lab.augmentation.steps import (
    Gain,
    MicrophoneEq,
    PitchShift,
    Reverse,
    Room,
    Shift,
    Speed,
    TimeStretch,
)
from edge_ser.lab.augmentation.stretching import vocoded

from .lab_augmentation_sounds import (
    LENGTHS,
    RATE,
    SEEDS,
    generator,
    noises_fixture,  # noqa: F401 for pytest to find
    rms,
    speech,
    tone,
)

WAVEFORM = [name for name, kind in STEPS.items() if issubclass(kind, WaveformStep)]


def peak_hz(samples: NDArray[np.float32]) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax() * RATE / len(samples))


@pytest.fixture(scope="module")
def step(noises: str) -> Callable[..., Any]:
    def made(name: str, **values: Any) -> Step:
        return STEPS[name](**({"folder": noises} if name == "real_noise" else {}), **values)

    return made


class TestEveryStep:
    @pytest.mark.parametrize("name", WAVEFORM)
    @settings(max_examples=12)
    @given(length=LENGTHS, seed=SEEDS, rate=st.sampled_from([8_000, 22_050, 48_000]))
    def test_seeded_finite_and_harmless_to_its_input(
        self, step: Callable[..., Any], name: str, length: int, seed: int, rate: int
    ) -> None:
        samples = speech(length, 5)
        before = samples.copy()
        chosen = Augmentation("online", (step(name),))
        changed = augment(chosen, samples, rate, generator(seed))
        assert changed.dtype == np.float32
        assert changed.ndim == 1
        assert len(changed) == length or name in ("time_stretch", "speed")
        assert np.isfinite(changed).all()
        assert changed is not samples
        np.testing.assert_array_equal(samples, before)
        np.testing.assert_array_equal(changed, augment(chosen, samples, rate, generator(seed)))

    @pytest.mark.parametrize("name", WAVEFORM)
    @pytest.mark.parametrize("length", [1, 2, 1000])
    def test_silence_stays_silent(self, step: Callable[..., Any], name: str, length: int) -> None:
        silence = np.zeros(length, dtype=np.float32)
        changed = step(name)(silence, RATE, generator())
        assert np.isfinite(changed).all()
        assert changed.any() == (name == "self_noise")

    @pytest.mark.parametrize("name", list(STEPS))
    @given(seed=SEEDS)
    @settings(max_examples=5)
    def test_probability_0_is_identity(
        self, step: Callable[..., Any], name: str, seed: int
    ) -> None:
        chosen = Augmentation("online", (step(name, probability=0.0),))
        samples = speech(500)
        assert augment(chosen, samples, RATE, generator(seed)) is samples
        features = samples.reshape(50, 10)
        assert mask_features(chosen, features, generator(seed)) is features

    @pytest.mark.parametrize("name", list(STEPS))
    def test_probability_is_how_often(self, step: Callable[..., Any], name: str) -> None:
        chosen = Augmentation("online", (step(name, probability=0.3),))
        samples = speech(60)
        features = samples.reshape(10, 6)
        rng = generator(8)
        done = sum(
            augment(chosen, samples, RATE, rng) is not samples
            or mask_features(chosen, features, rng) is not features
            for _ in range(300)
        )
        assert 60 < done < 120


class TestLevel:
    @given(db=st.floats(-60, 60))
    def test_gain_is_exact_and_not_clipped(self, db: float) -> None:
        samples = tone(440, 0.1)
        changed = Gain(db=db)(samples, RATE, generator())
        np.testing.assert_allclose(changed, samples * 10 ** (db / 20), rtol=1e-5)

    @pytest.mark.parametrize("colour", [Room(), MicrophoneEq()])
    @given(seed=SEEDS, length=LENGTHS)
    @settings(max_examples=20)
    def test_colour_keeps_the_energy(self, colour: WaveformStep, seed: int, length: int) -> None:
        samples = speech(length)
        assert rms(colour(samples, RATE, generator(seed))) == pytest.approx(rms(samples), rel=1e-4)


class TestTime:
    @given(share=st.floats(-1, 1), length=LENGTHS)
    def test_shift(self, share: float, length: int) -> None:
        samples = speech(length)
        shifted = Shift(share=share)(samples, RATE, generator())
        offset = round(share * length)
        expected = np.concatenate([np.zeros(length), samples, np.zeros(length)])
        np.testing.assert_array_equal(shifted, expected[length - offset :][:length])

    def test_a_shift_is_a_published_one(self) -> None:
        click = np.zeros(1000, dtype=np.float32)
        click[500] = 1
        places = {int(Shift()(click, RATE, generator(n)).argmax()) - 500 for n in range(100)}
        assert places == {s * n for n in (50, 100, 150, 200, 300) for s in (1, -1)}

    def test_reverse(self) -> None:
        np.testing.assert_array_equal(
            Reverse()(np.array([1, 2, 3], np.float32), RATE, generator()), [3, 2, 1]
        )

    @given(length=LENGTHS, speed=st.floats(0.1, 10))
    @settings(max_examples=50)
    def test_a_stretched_clip_is_as_long_as_its_speed_says(self, length: int, speed: float) -> None:
        stretched = TimeStretch(speed=speed)(speech(length), RATE, generator())
        assert len(stretched) == max(1, round(length / speed))
        assert np.isfinite(stretched).all()

    @pytest.mark.parametrize("speed", [0.25, 0.5, 1.5, 2.0, 1.1])
    def test_a_stretched_tone_keeps_its_pitch(self, speed: float) -> None:
        stretched = TimeStretch(speed=speed)(tone(440), RATE, generator())
        assert peak_hz(stretched) == pytest.approx(440, abs=3)

    @given(length=st.integers(1, 20_000), factor=st.floats(0.5, 2))
    @settings(max_examples=40)
    def test_a_tape_is_as_long_as_its_speed_says(self, length: int, factor: float) -> None:
        played = Speed(factor=factor)(speech(length), RATE, generator())
        assert played.dtype == np.float32
        assert len(played) == pytest.approx(length / factor, abs=1)

    @pytest.mark.parametrize("factor", [0.5, 0.9, 1.0, 1.1, 2.0])
    def test_a_tape_is_higher_as_it_is_faster(self, factor: float) -> None:
        played = Speed(factor=factor)(tone(1000), RATE, generator())
        assert peak_hz(played) == pytest.approx(1000 * factor, abs=3)

    def test_speed_1_changes_nothing_that_is_heard(self) -> None:
        samples = speech(5000)
        stretched = TimeStretch(speed=1)(samples, RATE, generator())
        np.testing.assert_allclose(stretched, samples, atol=1e-6)

    @pytest.mark.parametrize("semitones", [-12, -3, 2, 7])
    def test_a_shifted_tone(self, semitones: float) -> None:
        shifted = PitchShift(semitones=semitones)(tone(440), RATE, generator())
        assert len(shifted) == RATE
        assert peak_hz(shifted) == pytest.approx(440 * 2 ** (semitones / 12), abs=3)

    @pytest.mark.needs("librosa")
    @pytest.mark.parametrize("speed", [0.25, 0.5, 1.1, 1.5, 2.0])
    def test_stretching_is_that_of_librosa(self, speed: float) -> None:
        import librosa

        samples = speech(8000).astype(np.float64)
        theirs = librosa.effects.time_stretch(samples, rate=speed, n_fft=1024, hop_length=256)
        ours = vocoded(samples, 1024, speed)
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
