"""The energy gate on streams: the array form's utterances, whatever the blocks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_ser.errors import ConfigError
from edge_ser.segment import (
    Boundary,
    EnergyGate,
    GateOptions,
    frame_levels,
    frame_samples,
    make_gate,
    speech_segments,
)

RATE = 1000
FRAME = 10
OPTIONS = GateOptions(
    smooth_ms=30,
    min_speech_ms=30,
    min_silence_ms=60,
    padding_ms=30,
    onset_ms=50,
    floor_ms=200,
    floor_start_ms=100,
)
SHARP = GateOptions(smooth_ms=0)

Samples = NDArray[np.float32]
LEVELS = st.lists(st.tuples(st.floats(-90, -10), st.integers(1, 40)), max_size=12)


def sound(*stretches: tuple[float, int]) -> Samples:
    """White noise in stretches of (level in dBFS, frames), and half a frame that is left over."""
    rng = np.random.default_rng(0)
    parts = [
        10 ** (level / 20) * rng.standard_normal(frames * FRAME) for level, frames in stretches
    ]
    return np.concatenate([*parts, np.zeros(FRAME // 2)]).astype(np.float32)


def fed(gate: EnergyGate, samples: Samples, sizes: list[int]) -> list[Boundary]:
    """What comes of samples in blocks of the sizes, round and round."""
    boundaries, start, turn = [], 0, 0
    while start < len(samples):
        size = sizes[turn % len(sizes)]
        boundaries += gate.process(samples[start : start + size])
        start, turn = start + size, turn + 1
    return boundaries


def spans(boundaries: list[Boundary]) -> list[tuple[int, int]]:
    """Utterances in samples; openings and closings alternate."""
    assert [b.opens for b in boundaries] == [True, False] * (len(boundaries) // 2)
    return [(a.position, b.position) for a, b in pairwise(boundaries) if a.opens]


@given(LEVELS, st.lists(st.integers(1, 700), min_size=1, max_size=5))
def test_the_stream_gives_the_utterances_of_the_array_form(
    stretches: list[tuple[float, int]], sizes: list[int]
) -> None:
    samples = sound(*stretches)
    gate = EnergyGate(RATE, OPTIONS)
    found = [*fed(gate, samples, sizes), *gate.finish()]
    whole = speech_segments(frame_levels(samples, RATE, OPTIONS), OPTIONS)
    assert spans(found) == [(first * FRAME, last * FRAME) for first, last in whole]


@given(LEVELS, LEVELS, st.integers(0, 500), st.lists(st.integers(1, 700), min_size=1, max_size=3))
def test_blocks_do_not_matter_nor_do_promises_break(
    before: list[tuple[float, int]], after: list[tuple[float, int]], gap: int, sizes: list[int]
) -> None:
    runs = sound(*before), sound(*after)
    told = []
    for blocks in ([10**6], sizes):
        gate = EnergyGate(RATE, OPTIONS)
        boundaries = fed(gate, runs[0], blocks)
        is_open = gate.is_open
        closing = gate.skip(gap)
        assert is_open == (len(boundaries) % 2 == 1)
        boundaries += [*closing, *fed(gate, runs[1], blocks), *gate.finish()]
        assert gate.position == len(runs[0]) + gap + len(runs[1])
        told.append(boundaries)
    assert told[0] == told[1]
    spans(told[0])
    for boundary in told[0]:
        assert 0 <= boundary.position <= boundary.decided <= gate.position
        if boundary.opens:
            assert boundary.decided - boundary.position <= gate.lookback
    for opening, closing_ in pairwise(told[0]):
        assert opening.position <= closing_.position
        assert opening.decided <= closing_.decided
        if opening.opens and closing_.decided > opening.decided:
            assert closing_.decided - closing_.position <= gate.hangover


def test_an_utterance_is_told_as_soon_as_it_is_certain() -> None:
    gate = EnergyGate(RATE, SHARP)
    found = gate.process(sound((-70, 200), (-25, 100), (-70, 100)))
    assert found == [Boundary(True, 1900, 2100), Boundary(False, 3100, 3400)]


def test_the_first_second_is_held_back_and_then_judged() -> None:
    gate = EnergyGate(RATE, SHARP)
    samples = sound((-25, 50), (-70, 150))
    assert gate.process(samples[:999]) == []
    assert gate.floor_dbfs == pytest.approx(gate.level_dbfs)
    found = gate.process(samples[999:])
    assert found == [Boundary(True, 0, 1000), Boundary(False, 600, 1000)]
    assert gate.floor_dbfs == pytest.approx(-70, abs=8)


def test_a_stream_that_ends_before_the_first_floor_is_judged_all_the_same() -> None:
    gate = EnergyGate(RATE, SHARP)
    gate.process(sound((-70, 30), (-25, 30)))
    assert spans(gate.finish()) == [(200, 600)]


def test_a_gap_closes_the_utterance_counts_on_and_keeps_the_floor() -> None:
    gate = EnergyGate(RATE, SHARP)
    found = gate.process(sound((-70, 200), (-25, 50)))
    assert gate.is_open
    floor = gate.floor_dbfs
    found += gate.skip(500)
    assert not gate.is_open
    assert (gate.position, gate.floor_dbfs) == (3005, floor)
    found += gate.process(sound((-25, 30)))  # no second of warming: the noise is known
    assert gate.is_open
    found += gate.finish()
    assert spans(found) == [(1900, 2500), (3005, 3305)]


def test_a_gap_before_the_first_floor_begins_the_warming_anew() -> None:
    gate = EnergyGate(RATE, SHARP)
    gate.process(sound((-25, 50)))
    gate.skip(0)
    assert gate.process(sound((-70, 90))) == []
    assert len(gate.process(sound((-25, 50)))) == 1


def test_nothing_is_taken_across_a_gap() -> None:
    # Speech on both sides, each shorter than the least, does not add up.
    gate = EnergyGate(RATE, SHARP)
    found = gate.process(sound((-70, 200), (-25, 8)))
    found += gate.skip(10)
    found += gate.process(sound((-25, 8), (-70, 100)))
    assert found == []


def test_samples_that_are_no_numbers_do_not_stay() -> None:
    gate = EnergyGate(RATE, SHARP)
    found = gate.process(sound((-70, 200)))
    found += gate.process(np.full(200, np.nan, np.float32))
    found += gate.process(sound((-70, 200), (-25, 50), (-70, 50)))
    assert len(spans(found)) == 1
    assert np.isfinite(gate.floor_dbfs)


def test_a_gate_is_made_by_name() -> None:
    gate = make_gate("energy", 22_050, GateOptions(frame_ms=20))
    assert gate.frame == frame_samples(22_050, GateOptions(frame_ms=20)) == 441
    with pytest.raises(ConfigError, match="gate 'loud', expected energy or silero"):
        make_gate("loud", RATE)
