"""Perturbations measured: levels, spectra, decay."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_ser import perturb
from edge_ser.errors import DataError, DependencyError
from edge_ser.perturb import PERTURBATIONS, perturbations, speech_rms

RATE = 22_050
HUM = (np.sin(2 * np.pi * 90 * np.arange(8000) / 8000).astype(np.float32), 8000)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def tone(hz: float, seconds: float = 1.0, rate: int = RATE, amplitude: float = 0.1) -> NDArray:
    samples = amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)
    return samples.astype(np.float32)


def bursts() -> NDArray:
    """Half a second of tone between half seconds of silence."""
    quiet = np.zeros(RATE // 2, dtype=np.float32)
    return np.concatenate([quiet, tone(440, 0.5), quiet])


def rms(samples: NDArray) -> float:
    return math.sqrt(np.square(samples.astype(np.float64)).mean())


def in_db(ratio: float) -> float:
    return 20 * math.log10(ratio)


def middle(samples: NDArray) -> NDArray:
    """Without the ends, where a filter rings."""
    return samples[len(samples) // 4 : -len(samples) // 4]


def test_the_table_is_complete_and_in_order() -> None:
    assert list(perturbations([HUM])) == [
        "gain -12 dB",
        "gain -6 dB",
        "gain +6 dB",
        "gain +12 dB",
        "low-pass 8 kHz",
        "low-pass 4 kHz",
        "high-pass 120 Hz",
        "white noise 30 dB",
        "white noise 20 dB",
        "white noise 10 dB",
        "real noise 30 dB",
        "real noise 20 dB",
        "real noise 10 dB",
        "self-noise -60 dBFS",
        "light reverberation",
        "heavy reverberation",
        "48 kHz round trip",
    ]
    assert list(PERTURBATIONS) == [name for name in perturbations([HUM]) if "real" not in name]


@pytest.mark.parametrize("name", list(perturbations([HUM])))
@pytest.mark.parametrize("length", [1, 7, 4000])
@pytest.mark.parametrize("rate", [8000, 22_050, 48_000])
def test_length_type_and_input_are_kept_and_chance_is_seeded(
    name: str, length: int, rate: int
) -> None:
    samples = (0.1 * generator(5).standard_normal(length)).astype(np.float32)
    before = samples.copy()
    apply = perturbations([HUM])[name]
    changed = apply(samples, rate, generator(3))
    assert changed.shape == samples.shape
    assert changed.dtype == np.float32
    assert np.isfinite(changed).all()
    np.testing.assert_array_equal(samples, before)
    np.testing.assert_array_equal(changed, apply(samples, rate, generator(3)))


@pytest.mark.parametrize("name", [name for name in perturbations([HUM]) if "self" not in name])
def test_silence_stays_silent(name: str) -> None:
    silence = np.zeros(1000, dtype=np.float32)
    assert not perturbations([HUM])[name](silence, RATE, generator()).any()


@pytest.mark.parametrize("name", [n for n in perturbations([HUM]) if "nois" in n or "rev" in n])
def test_another_seed_is_another_chance(name: str) -> None:
    apply = perturbations([HUM])[name]
    assert not np.array_equal(
        apply(bursts(), RATE, generator(1)), apply(bursts(), RATE, generator(2))
    )


@pytest.mark.parametrize("db", [-12, -6, 6, 12])
def test_gain(db: int) -> None:
    loud = tone(440, amplitude=0.9)
    changed = PERTURBATIONS[f"gain {db:+d} dB"](loud, RATE, generator())
    assert in_db(rms(changed) / rms(loud)) == pytest.approx(db, abs=1e-3)


def test_nothing_is_clipped() -> None:
    changed = PERTURBATIONS["gain +12 dB"](tone(440, amplitude=0.9), RATE, generator())
    assert changed.max() > 3.5


@pytest.mark.parametrize(
    ("name", "hz", "db"),
    [
        ("low-pass 8 kHz", 7500, 0),
        ("low-pass 8 kHz", 8000, -6.02),
        ("low-pass 4 kHz", 3700, 0),
        ("low-pass 4 kHz", 4000, -6.02),
        ("high-pass 120 Hz", 120, -3.01),
        ("high-pass 120 Hz", 60, -12.3),
        ("high-pass 120 Hz", 1000, 0),
    ],
)
def test_filters_have_the_response_that_they_say(name: str, hz: float, db: float) -> None:
    samples = tone(hz)
    changed = PERTURBATIONS[name](samples, RATE, generator())
    assert in_db(rms(middle(changed)) / rms(middle(samples))) == pytest.approx(db, abs=0.05)


@pytest.mark.parametrize(("name", "hz"), [("low-pass 8 kHz", 8500), ("low-pass 4 kHz", 4300)])
def test_above_a_low_pass_is_nothing(name: str, hz: float) -> None:
    changed = PERTURBATIONS[name](tone(hz), RATE, generator())
    assert in_db(rms(middle(changed)) / rms(tone(hz))) < -80


def test_filters_do_not_delay() -> None:
    click = np.zeros(2001, dtype=np.float32)
    click[1000] = 1
    changed = PERTURBATIONS["low-pass 4 kHz"](click, RATE, generator())
    assert changed.argmax() == 1000
    np.testing.assert_allclose(changed, changed[::-1], atol=1e-6)


def test_a_clip_without_the_band_stays_as_it_is() -> None:
    samples = (0.1 * generator().standard_normal(1000)).astype(np.float32)
    changed = PERTURBATIONS["low-pass 8 kHz"](samples, 16_000, generator())
    np.testing.assert_array_equal(changed, samples)
    assert changed is not samples


@pytest.mark.parametrize("rate", [1_000, 8_000, RATE, 48_000])
@pytest.mark.parametrize("seed", range(3))
def test_an_equaliser_is_smooth_and_keeps_to_its_gains_and_the_energy(rate: int, seed: int) -> None:
    click = np.zeros(4 * rate, dtype=np.float32)
    click[2 * rate] = 1
    changed = perturb.equalise(click, rate, generator(seed), db=6)
    assert changed.dtype == np.float32
    assert rms(changed) == pytest.approx(rms(click), rel=1e-5)
    assert changed.argmax() == 2 * rate
    response = 20 * np.log10(np.abs(np.fft.rfft(changed)))
    octaves = np.arange(0, math.log2(rate / 2 / 80), 1 / 12)
    gains = np.interp(80 * 2**octaves, np.fft.rfftfreq(4 * rate, 1 / rate), response)
    assert 1 < gains.max() - gains.min() < 12.1
    assert np.abs(np.diff(gains)).max() < 12 * math.pi / 2 / 12 * 1.1


def test_an_equaliser_is_random_and_without_gains_nothing() -> None:
    samples = bursts()
    once, other = (perturb.equalise(samples, RATE, generator(n), db=6) for n in (1, 2))
    assert not np.array_equal(once, other)
    np.testing.assert_allclose(
        perturb.equalise(samples, RATE, generator(), db=0), samples, atol=1e-6
    )


@pytest.mark.parametrize("length", [1, 7, 4000])
def test_an_equaliser_takes_any_length_and_silence(length: int) -> None:
    silence = np.zeros(length, np.float32)
    assert not perturb.equalise(silence, RATE, generator(), db=6).any()
    assert len(perturb.equalise(silence + 0.1, RATE, generator(), db=6)) == length


@pytest.mark.parametrize("db", [-5, 0, 25])
def test_mixing_is_at_the_ratio(db: float) -> None:
    samples = tone(440)
    added = perturb.mix(samples, RATE, tone(90, amplitude=3), snr_db=db) - samples
    assert in_db(rms(samples) / rms(added)) == pytest.approx(db, abs=0.01)
    assert np.corrcoef(added, tone(90))[0, 1] == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("kind", ["white", "real"])
@pytest.mark.parametrize("db", [30, 20, 10])
def test_noise_is_measured_against_the_active_speech(kind: str, db: int) -> None:
    samples = bursts()
    added = perturbations([HUM])[f"{kind} noise {db} dB"](samples, RATE, generator()) - samples
    assert in_db(rms(tone(440)) / rms(added)) == pytest.approx(db, abs=0.05)


def test_white_noise_is_white() -> None:
    added = PERTURBATIONS["white noise 10 dB"](bursts(), RATE, generator()) - bursts()
    power = np.square(np.abs(np.fft.rfft(added)))
    bands = [band.mean() for band in np.array_split(power, 8)]
    assert max(bands) / min(bands) < 1.3


def test_real_noise_is_that_noise() -> None:
    added = perturbations([HUM])["real noise 10 dB"](bursts(), RATE, generator()) - bursts()
    peak = np.abs(np.fft.rfft(added)).argmax() * RATE / len(added)
    assert peak == pytest.approx(90, abs=1)


def test_every_recording_of_noise_is_used() -> None:
    other = (-np.ones(100, dtype=np.float32), RATE)
    apply = perturbations([(np.ones(100, dtype=np.float32), RATE), other])["real noise 10 dB"]
    signs = {
        float(np.sign((apply(bursts(), RATE, generator(seed)) - bursts())[0])) for seed in range(20)
    }
    assert signs == {-1.0, 1.0}


@pytest.mark.parametrize("seed", range(5))
def test_a_silent_stretch_of_noise_is_not_taken(seed: int) -> None:
    recording = np.zeros(100_000, dtype=np.float32)
    recording[70_000] = 0.5
    samples = tone(440, 0.1)
    apply = perturbations([(recording, RATE)])["real noise 10 dB"]
    added = apply(samples, RATE, generator(seed)) - samples
    assert in_db(rms(samples) / rms(added)) == pytest.approx(10, abs=0.05)


@pytest.mark.parametrize("recording", [np.zeros(10, np.float32), np.zeros(0, np.float32)])
def test_silent_noise_is_refused(recording: NDArray) -> None:
    with pytest.raises(DataError, match="silent"):
        perturbations([HUM, (recording, RATE)])


@pytest.mark.parametrize("amplitude", [0.001, 0.5])
def test_self_noise_does_not_depend_on_the_speech(amplitude: float) -> None:
    samples = tone(440, amplitude=amplitude)
    added = PERTURBATIONS["self-noise -60 dBFS"](samples, RATE, generator()) - samples
    assert in_db(rms(added)) == pytest.approx(-60, abs=0.1)


@pytest.mark.parametrize(("rt60", "direct"), [(0.3, 6.0), (0.8, 0.0)])
def test_a_room_decays_and_has_its_direct_path(rt60: float, direct: float) -> None:
    response = perturb.room_response(RATE, generator(), rt60_s=rt60, direct_db=direct)
    tail = response[1:]
    assert response[0] == 1
    assert 10 * math.log10(1 / np.square(tail).sum()) == pytest.approx(direct, abs=1e-6)
    # Schroeder's integral between -5 and -25 dB, as ISO 3382 measures T20
    left = 10 * np.log10(np.square(tail)[::-1].cumsum()[::-1] * 10 ** (direct / 10))
    seconds = (int((left < -25).argmax()) - int((left < -5).argmax())) / RATE
    assert 3 * seconds == pytest.approx(rt60, rel=0.1)


@pytest.mark.parametrize("name", ["light reverberation", "heavy reverberation"])
def test_reverberation_keeps_the_energy_and_fills_the_pauses(name: str) -> None:
    wet = PERTURBATIONS[name](bursts(), RATE, generator())
    assert rms(wet) == pytest.approx(rms(bursts()), rel=1e-4)
    assert not wet[: RATE // 2 - 1].round(5).any()
    assert rms(wet[RATE : RATE + RATE // 10]) > 0.05 * rms(tone(440))


def test_a_round_trip_changes_speech_little() -> None:
    samples = bursts()
    changed = PERTURBATIONS["48 kHz round trip"](samples, RATE, generator())
    assert 0 < rms(changed - samples) < 0.02 * rms(samples)
    same = PERTURBATIONS["48 kHz round trip"](samples, 48_000, generator())
    np.testing.assert_array_equal(same, samples)


def test_without_soxr_the_mend_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(DependencyError, match="pip install soxr"):
        PERTURBATIONS["48 kHz round trip"](bursts(), RATE, generator())


def test_the_speech_rms_leaves_pauses_out() -> None:
    assert speech_rms(bursts(), RATE) == pytest.approx(rms(tone(440)), rel=0.03)
    assert speech_rms(bursts() + np.float32(1e-4), RATE) == pytest.approx(rms(tone(440)), rel=0.03)
    assert speech_rms(np.zeros(100, np.float32), RATE) == 0
    assert speech_rms(np.full(1, 0.5, np.float32), RATE) == 0.5
