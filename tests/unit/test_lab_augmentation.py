"""Augmentation: what each step does to sound, and what its configuration accepts."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_ser.documents import to_toml
from edge_ser.errors import ConfigError, DataError
from edge_ser.lab.augmentation import (
    STEPS,
    Augmentation,
    FeatureStep,
    OneOf,
    Step,
    WaveformStep,
    as_mapping,
    augment,
    copies,
    mask_features,
    preset,
    presets,
    read_augmentation,
)
from edge_ser.lab.augmentation.draws import plain
from edge_ser.lab.augmentation.recordings import stretch_of_noise
from edge_ser.lab.augmentation.steps import (
    ColouredNoise,
    Gain,
    MicrophoneEq,
    PitchShift,
    RealNoise,
    Reverse,
    Room,
    Shift,
    Speed,
    TimeStretch,
    WhiteNoise,
)
from edge_ser.lab.augmentation.stretching import vocoded
from edge_ser.perturb import speech_rms

RATE = 16_000
DOCS = Path(__file__).resolve().parents[2] / "docs" / "augmentation.md"
WAVEFORM = [name for name, kind in STEPS.items() if issubclass(kind, WaveformStep)]
MASKS = [name for name, kind in STEPS.items() if issubclass(kind, FeatureStep)]

LENGTHS = st.integers(1, 3000)
SEEDS = st.integers(0, 2**32)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def speech(length: int, seed: int = 0, amplitude: float = 0.1) -> NDArray[np.float32]:
    return (amplitude * generator(seed).standard_normal(length)).astype(np.float32)


def tone(hz: float, seconds: float = 1.0) -> NDArray[np.float32]:
    samples = 0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)
    return samples.astype(np.float32)


def peak_hz(samples: NDArray[np.float32]) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax() * RATE / len(samples))


def rms(samples: NDArray[Any]) -> float:
    return math.sqrt(np.square(samples, dtype=np.float64).mean())


@pytest.fixture(scope="module")
def noises(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two recordings: a short one at another rate, and one that is silent at its start."""
    soundfile = pytest.importorskip("soundfile")
    folder = tmp_path_factory.mktemp("noises")
    soundfile.write(folder / "short.wav", speech(400, 1), 8_000)
    long = np.concatenate([np.zeros(20_000, np.float32), speech(20_000, 2)])
    soundfile.write(folder / "long.wav", long, RATE)
    return str(folder)


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


class TestMasks:
    @given(
        frames=st.integers(1, 60),
        coefficients=st.integers(1, 20),
        share=st.floats(0, 1),
        fill=st.sampled_from(["zero", "mean"]),
        name=st.sampled_from(MASKS),
        time_axis=st.sampled_from([0, 1]),
        seed=SEEDS,
    )
    def test_one_block_is_filled_and_the_rest_is_as_it_was(
        self,
        frames: int,
        coefficients: int,
        share: float,
        fill: str,
        name: str,
        time_axis: int,
        seed: int,
    ) -> None:
        shape = (frames, coefficients) if time_axis == 0 else (coefficients, frames)
        features = 5 + generator(9).standard_normal(shape).astype(np.float32)
        before = features.copy()
        table = {"step": [{"name": name, "share": share, "fill": fill}]}
        masked = mask_features(
            read_augmentation(table), features, generator(seed), time_axis=time_axis
        )
        np.testing.assert_array_equal(features, before)
        axis = time_axis if name == "time_mask" else 1 - time_axis
        means = np.broadcast_to(features.mean(axis=time_axis, keepdims=True), shape)
        filled = np.moveaxis(means if fill == "mean" else np.zeros(shape), axis, 0)
        within, was = np.moveaxis(masked, axis, 0), np.moveaxis(features, axis, 0)
        width = round(share * shape[axis])
        assert any(
            np.array_equal(np.delete(within, rows, 0), np.delete(was, rows, 0))
            and np.allclose(within[rows], filled[rows], rtol=1e-5)
            for rows in (slice(at, at + width) for at in range(shape[axis] - width + 1))
        )

    def test_several_masks(self) -> None:
        table = {"step": [{"name": "time_mask", "share": 0.1, "count": 3, "fill": "zero"}]}
        masked = mask_features(read_augmentation(table), np.ones((100, 2), np.float32), generator())
        assert 10 < (masked[:, 0] == 0).sum() <= 30

    def test_places_and_widths_are_random(self) -> None:
        table = {"step": [{"name": "time_mask", "share": [0, 0.5], "fill": "zero"}]}
        found = {
            mask_features(read_augmentation(table), np.ones(40, np.float32), generator(n)).tobytes()
            for n in range(30)
        }
        assert len(found) > 20

    def test_a_waveform_gets_a_gap(self) -> None:
        table = {"step": [{"name": "time_mask", "share": 0.25, "fill": "zero"}]}
        masked = mask_features(read_augmentation(table), np.ones(80, np.float32), generator())
        assert (masked == 0).sum() == 20

    @pytest.mark.parametrize(
        ("name", "shape", "time_axis"),
        [
            ("frequency_mask", (80,), 0),
            ("frequency_mask", (8, 5, 2), 0),
            ("frequency_mask", (8, 5), 2),
            ("time_mask", (80,), 1),
            ("time_mask", (8, 5, 2), 0),
            ("time_mask", (8, 5), -1),
        ],
    )
    def test_features_without_the_axis(
        self, name: str, shape: tuple[int, ...], time_axis: int
    ) -> None:
        chosen = read_augmentation({"step": [{"name": name}]})
        with pytest.raises(DataError, match=f"{name}: features of shape"):
            mask_features(chosen, np.zeros(shape, np.float32), generator(), time_axis=time_axis)

    def test_waveform_steps_leave_features_alone(self) -> None:
        features = np.ones((4, 4), np.float32)
        assert mask_features(preset("microphone"), features, generator()) is features


class TestModes:
    def test_no_augmentation(self) -> None:
        nothing = read_augmentation({})
        samples = speech(10)
        assert nothing == Augmentation("online", ())
        assert augment(nothing, samples, RATE, generator()) is samples
        assert copies(nothing, samples, RATE, generator()) == []

    def test_steps_come_in_order(self) -> None:
        samples = speech(100)
        steps = [{"name": "shift", "share": 0.5}, {"name": "reverse"}]
        first = augment(read_augmentation({"step": steps}), samples, RATE, generator())
        second = augment(read_augmentation({"step": steps[::-1]}), samples, RATE, generator())
        np.testing.assert_array_equal(first, np.append(samples[:50][::-1], np.zeros(50)))
        np.testing.assert_array_equal(second, np.append(np.zeros(50), samples[50:][::-1]))

    def test_cktim_makes_its_four_files_of_each_clip(self) -> None:
        samples = speech(2000)
        cktim = preset("cktim")
        assert augment(cktim, samples, RATE, generator()) is samples
        noisy, shifted, stretched, reversed_ = copies(cktim, samples, RATE, generator(1))
        ratio = speech_rms(samples, RATE) / rms(noisy - samples)
        assert 20 * math.log10(ratio) == pytest.approx(10, abs=0.1)
        assert (shifted == 0).sum() in {
            round(share * 2000) for share in (0.05, 0.1, 0.15, 0.2, 0.3)
        }
        assert len(stretched) in {8000, 4000, 1333, 1000}
        np.testing.assert_array_equal(reversed_, samples[::-1])
        assert 406 * (1 + len(cktim.steps)) == 2030

    def test_copies_are_seeded(self) -> None:
        once, again, other = (
            copies(preset("cktim"), speech(500), RATE, generator(seed)) for seed in (1, 1, 2)
        )
        for one, same in zip(once, again, strict=True):
            np.testing.assert_array_equal(one, same)
        assert not np.array_equal(once[0], other[0])

    @pytest.mark.parametrize("name", ["wav2vec2", "microphone", "anywhere"])
    def test_presets_online(self, name: str) -> None:
        samples = speech(3000)
        chosen = preset(name)
        changed = [augment(chosen, samples, RATE, generator(n)) for n in range(4)]
        assert all(np.isfinite(each).all() for each in changed)
        assert len({each.tobytes() for each in changed}) > 1
        assert copies(chosen, samples, RATE, generator()) == []

    def test_a_preset_by_name(self) -> None:
        assert read_augmentation({"preset": "wav2vec2"}) is presets()["wav2vec2"]

    def test_a_preset_says_how_many_versions_unless_told(self) -> None:
        assert read_augmentation({"preset": "anywhere"}).versions == 6
        told = read_augmentation({"preset": "anywhere", "versions": 0})
        assert (told.versions, told.steps) == (0, preset("anywhere").steps)
        assert read_augmentation({"preset": "microphone", "versions": 3}).versions == 3


@st.composite
def steps_of_any_kind(draw: st.DrawFn) -> Step:
    kind = STEPS[draw(st.sampled_from(sorted(STEPS)))]
    values: dict[str, Any] = {"probability": draw(st.floats(0, 1))}
    for each in fields(kind):
        if isinstance(each.default, tuple | OneOf):
            low = 0.5
            number = st.floats(low, 2.0) if each.name == "speed" else st.just(1.0)
            if each.name in ("snr_db", "db", "semitones"):
                number = st.floats(0, 20)
            if each.name == "hz":
                number = st.floats(100, 4000)
            if each.name == "dbfs":
                number = st.floats(-100, -1)
            if each.name == "swell":
                number = st.floats(0, 1)
            values[each.name] = draw(
                number
                | st.tuples(number, number).map(lambda pair: (min(pair), max(pair)))
                | st.lists(number, min_size=1, max_size=4).map(lambda v: OneOf(tuple(v)))
            )
        elif each.default is MISSING:
            values[each.name] = draw(st.text(max_size=5).filter(lambda t: "\0" not in t))
    return kind(**values)


class TestReading:
    @given(steps=st.lists(steps_of_any_kind(), max_size=4), versions=st.integers(0, 100))
    def test_plain_values_give_the_same_again(self, steps: list[Step], versions: int) -> None:
        chosen = Augmentation("online", tuple(steps), versions)
        assert read_augmentation(as_mapping(chosen)) == chosen

    @pytest.mark.parametrize("name", ["cktim", "wav2vec2", "microphone", "anywhere"])
    def test_so_do_presets(self, name: str) -> None:
        assert read_augmentation(as_mapping(preset(name))) == preset(name)

    @pytest.mark.parametrize(
        ("table", "words"),
        [
            (3, "is 3, expected a section with keys"),
            ({"mod": "online"}, "'mod' is unknown: did you mean mode?"),
            ({"mode": "onlin"}, "mode is 'onlin', expected online or copies"),
            ({"mode": ["online"]}, "expected online or copies"),
            ({"step": 3}, "step is 3, expected at most 100 tables"),
            ({"step": [{"name": "reverse"}] * 101}, "expected at most 100 tables"),
            ({"step": [3]}, "step 1 is 3, expected a table with a name"),
            ({"step": [{}]}, "step 1 has no name, expected one of white_noise,"),
            ({"step": [{"name": "revers"}]}, "no step is called 'revers': did you mean reverse?"),
            ({"step": [{"name": "echo"}]}, "no step is called 'echo': there are white_noise,"),
            ({"step": [{"name": "gain", "dbs": 3}]}, "'dbs' is unknown: did you mean db?"),
            ({"step": [{"name": "gain", "db": 61}]}, "gain: db is 61, expected -60 to 60"),
            ({"step": [{"name": "gain", "db": [-70, 3]}]}, "db is -70, expected -60 to 60"),
            ({"step": [{"name": "gain", "db": [6, 3]}]}, "expected a number, [lowest, highest]"),
            ({"step": [{"name": "gain", "db": [1, 2, 3]}]}, "expected a number"),
            ({"step": [{"name": "gain", "db": "loud"}]}, "db is 'loud', expected a number"),
            ({"step": [{"name": "gain", "db": True}]}, "db is True, expected a number"),
            ({"step": [{"name": "gain", "db": math.nan}]}, "db is nan, expected a number"),
            ({"step": [{"name": "gain", "db": 10**400}]}, "expected a number"),
            ({"step": [{"name": "gain", "db": {"one_of": []}}]}, "expected a number"),
            ({"step": [{"name": "gain", "db": {"any": [1]}}]}, "expected a number"),
            ({"step": [{"name": "gain", "probability": 1.5}]}, "probability is 1.5, expected 0 to"),
            ({"step": [{"name": "gain", "probability": [0, 1]}]}, "expected a number"),
            ({"step": [{"name": "time_mask", "count": 0}]}, "count is 0, expected 1 to 100"),
            ({"step": [{"name": "time_mask", "count": 1.5}]}, "expected a whole number"),
            ({"step": [{"name": "time_mask", "fill": "max"}]}, "expected zero or mean"),
            ({"step": [{"name": "real_noise"}]}, "real_noise has no folder"),
            ({"mode": "copies"}, "mode copies without a step"),
            (
                {"mode": "copies", "step": [{"name": "gain", "probability": 0.5}]},
                "gain has probability 0.5, expected 1 in mode copies",
            ),
            (
                {"mode": "copies", "step": [{"name": "time_mask"}]},
                "time_mask changes features",
            ),
            ({"preset": "microfone"}, "no augmentation is called 'microfone': did you mean micro"),
            ({"preset": ["cktim"]}, "no augmentation is called"),
            ({"preset": "cktim", "mode": "copies"}, "preset stands beside other keys"),
            ({"preset": "cktim", "versions": 2}, "[augmentation]: versions is 2 in mode copies"),
            ({"preset": "anywhere", "versions": 101}, "versions is 101, expected 0 to 100"),
            ({"versions": -1}, "[augmentation]: versions is -1, expected 0 to 100"),
            ({"versions": True}, "versions is True, expected a whole number"),
            ({"versions": 1.5}, "versions is 1.5, expected a whole number"),
            ({"step": [{"name": "speed", "factor": 3}]}, "factor is 3, expected 0.5 to 2"),
            ({"step": [{"name": "coloured_noise", "swell": 2}]}, "swell is 2, expected 0 to 1"),
            (
                {"step": [{"name": "real_noise", "folder": "x", "voices": 0}]},
                "voices is 0, expected 1 to 32",
            ),
        ],
    )
    def test_what_cannot_be(self, table: Any, words: str) -> None:
        with pytest.raises(ConfigError, match=re.escape(words)) as caught:
            read_augmentation(table)
        assert "\n" not in str(caught.value)

    def test_steps_made_in_python_are_checked_too(self) -> None:
        with pytest.raises(ConfigError, match=r"speed is 0\.01, expected 0\.1 to 10"):
            TimeStretch(speed=OneOf((1.0, 0.01)))

    def test_published_values_of_cktim(self) -> None:
        noise, shift, stretch, _ = preset("cktim").steps
        assert noise == WhiteNoise(snr_db=10.0)
        assert shift == Shift()
        assert stretch == TimeStretch(speed=OneOf((0.25, 0.5, 1.5, 2.0)))


def test_the_docs_list_every_step_with_its_defaults() -> None:
    step, documented = "", []
    for row in re.findall(r"^\|(.*)\|$", DOCS.read_text().split("## Steps")[1], re.M):
        cells = [cell.strip().strip("`") for cell in row.split("|")]
        if len(cells) < 4 or cells[0] in ("step", "---"):
            continue
        step = cells[0] or step
        documented.append((step, cells[1], cells[3]))
    assert documented
    expected = []
    for name, kind in STEPS.items():
        own = [each for each in fields(kind) if each.name != "probability"]
        for each in own:
            given_ = each.default is not MISSING
            shown = to_toml(plain(each.default)) if given_ else "none: must be given"
            expected.append((name, each.name, shown.replace('"one_of"', "one_of")))
        if not own:
            expected.append((name, "", ""))
    assert [(s, p, d.replace(".0", "")) for s, p, d in documented] == [
        (s, p, d.replace(".0", "")) for s, p, d in expected
    ]
