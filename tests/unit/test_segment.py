"""The speech gate and the cutting of long stretches."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.errors import CardError, ConfigError
from edge_ser.segment import (
    GateOptions,
    frame_levels,
    frame_samples,
    speech_segments,
    split_pieces,
)

OPTIONS = GateOptions()
SHARP = GateOptions(smooth_ms=0)
"""Every frame for itself: where the gate turns is then exact."""
QUIET, LOUD = -70.0, -25.0
RATE = 16_000


def levels(*stretches: tuple[float, int]) -> np.ndarray:
    """Frame levels of stretches of (level in dB, frames)."""
    return np.concatenate([np.full(frames, level) for level, frames in stretches])


def noise(seconds: float, dbfs: float, seed: int = 0) -> np.ndarray:
    """White noise."""
    samples = np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return (10 ** (dbfs / 20) * samples).astype(np.float32)


def test_an_utterance_is_found_with_equal_padding_and_without_its_closing_silence() -> None:
    found = speech_segments(levels((QUIET, 200), (LOUD, 100), (QUIET, 200)), SHARP)
    assert found == [(190, 310)]


def test_smoothing_leaves_the_padding_equal() -> None:
    found = speech_segments(levels((QUIET, 200), (LOUD, 100), (QUIET, 200)), OPTIONS)
    ((start, end),) = found
    assert 190 - start == pytest.approx(end - 310, abs=1)
    assert 186 <= start <= 190


def test_a_pause_shorter_than_the_minimum_belongs_to_the_utterance() -> None:
    track = levels((QUIET, 200), (LOUD, 50), (QUIET, 39), (LOUD, 50), (QUIET, 200))
    assert speech_segments(track, SHARP) == [(190, 349)]


def test_a_longer_pause_ends_the_utterance() -> None:
    track = levels((QUIET, 200), (LOUD, 50), (QUIET, 60), (LOUD, 50), (QUIET, 200))
    assert speech_segments(track, SHARP) == [(190, 260), (300, 370)]


def test_an_utterance_ends_no_later_than_where_that_was_decided() -> None:
    options = GateOptions(smooth_ms=0, padding_ms=400, min_silence_ms=100)
    track = levels((QUIET, 100), (LOUD, 50), (QUIET, 20), (LOUD, 50), (QUIET, 100))
    assert speech_segments(track, options) == [(90, 160), (160, 230)]


def test_an_utterance_reaches_back_no_further_than_its_onset() -> None:
    options = GateOptions(smooth_ms=0, floor_rise_db_per_s=0, floor_ms=60_000, onset_ms=200)
    track = levels((-50, 200), (-43, 300), (LOUD, 100), (-50, 100))
    ((start, _),) = speech_segments(track, options)
    assert start == 500 + 10 - 20 - 10  # 100 ms of speech, onset, padding


def test_scattered_clicks_are_not_speech() -> None:
    track = levels((-50, 200), *[(LOUD, 1), (-50, 19)] * 50)
    assert speech_segments(track, SHARP) == []


def test_a_click_is_not_speech() -> None:
    track = levels((QUIET, 200), (LOUD, 5), (QUIET, 200))
    assert speech_segments(track, SHARP) == []
    assert speech_segments(track, OPTIONS) == []


def test_a_sound_between_the_thresholds_does_not_open_the_gate() -> None:
    floor = -50.0
    track = levels((floor, 200), (floor + 8, 100), (floor, 100))
    assert speech_segments(track, OPTIONS) == []
    assert len(speech_segments(track, GateOptions(enter_db=7))) == 1


def test_a_sound_between_the_thresholds_keeps_the_gate_open() -> None:
    track = levels((-50.0, 200), (LOUD, 50), (-42.0, 50), (-50.0, 100))
    assert speech_segments(track, SHARP) == [(190, 310)]


def test_one_band_above_its_own_noise_is_enough() -> None:
    quiet = np.tile([-20.0, -20.0, -60.0, -60.0], (200, 1))
    voice = np.tile([-20.0, -20.0, -45.0, -60.0], (100, 1))
    track = np.concatenate([quiet, voice, quiet])
    assert speech_segments(track, SHARP) == [(190, 310)]
    assert speech_segments(track[:, 0], SHARP) == []


def test_speech_up_to_the_end_is_closed_there() -> None:
    assert speech_segments(levels((QUIET, 200), (LOUD, 100)), SHARP) == [(190, 300)]


def test_a_click_at_the_end_is_not_speech() -> None:
    assert speech_segments(levels((QUIET, 200), (LOUD, 5)), OPTIONS) == []


def test_nothing_below_the_absolute_minimum_is_speech() -> None:
    assert speech_segments(levels((-110.0, 200), (-62.0, 100), (-110.0, 100)), OPTIONS) == []


def test_the_absolute_minimum_has_two_thresholds_too() -> None:
    track = levels((-110.0, 200), (-58.0, 50), (-62.0, 100), (-66.0, 100))
    assert speech_segments(track, SHARP) == [(190, 360)]


def test_the_floor_follows_a_room_that_becomes_noisy() -> None:
    # A fan at 20 dB above the old floor is taken for speech only until the floor has risen.
    options = GateOptions(floor_rise_db_per_s=10)
    found = speech_segments(levels((-60.0, 200), (-40.0, 1000)), options)
    assert len(found) == 1
    assert found[0][1] < 400


def test_the_floor_follows_a_room_that_becomes_quiet() -> None:
    # Ten seconds after a noise ends, speech 20 dB below it is heard.
    track = levels((-30.0, 300), (-70.0, 1000), (-50.0, 100), (-70.0, 100))
    assert speech_segments(track, SHARP) == [(1290, 1410)]


def test_speech_from_the_first_frame_is_found() -> None:
    track = levels((LOUD, 50), (QUIET, 200), (LOUD, 50), (QUIET, 100))
    assert speech_segments(track, SHARP) == [(0, 60), (240, 310)]


def test_no_frames_hold_no_speech() -> None:
    assert speech_segments(np.empty(0)) == []


@given(st.lists(st.floats(-120, 0), max_size=300), st.integers(0, 100), st.integers(1, 60))
def test_segments_are_in_order_disjoint_and_inside(
    track: list[float], smooth_ms: int, silence: int
) -> None:
    options = GateOptions(smooth_ms=smooth_ms, min_silence_ms=silence, min_speech_ms=20)
    found = speech_segments(np.array(track), options)
    assert all(0 <= start < end <= len(track) for start, end in found)
    assert all(left[1] <= right[0] for left, right in pairwise(found))


def test_a_dc_offset_is_not_sound() -> None:
    offset = np.full(1600, 0.5, dtype=np.float32)
    assert frame_levels(offset, RATE, OPTIONS) == pytest.approx(-120)


@pytest.mark.parametrize("rate", [16_000, 22_050, 48_000])
def test_level_of_a_full_scale_sine_is_that_of_its_band(rate: int) -> None:
    sine = np.sin(2 * np.pi * 1200 * np.arange(rate) / rate).astype(np.float32)
    found = frame_levels(sine, rate, OPTIONS)
    assert found.shape == (100, 13)
    assert found[:, 0] == pytest.approx(-3.01, abs=0.02)
    assert found[:, 7] == pytest.approx(-3.01, abs=0.5)  # 1000 to 1400 Hz
    assert np.delete(found, (0, 7), axis=1).max() < -10


def test_bands_of_white_noise_hold_their_share_of_it() -> None:
    found = frame_levels(noise(20, -20), RATE, OPTIONS)
    power = (10 ** (found / 10)).mean(axis=0)
    widths = np.array([80, 90, 100, 150, 200, 300, 400, 600, 800, 1200, 1600, 2000]) / 8000
    assert power[0] == pytest.approx(0.01, rel=0.01)
    assert power[5:] == pytest.approx(0.01 * widths[4:], rel=0.15)


@pytest.mark.parametrize(("rate", "bands"), [(10, 1), (1000, 4), (8000, 10), (192_000, 12)])
def test_bands_end_at_half_the_rate(rate: int, bands: int) -> None:
    samples = np.random.default_rng(0).standard_normal(rate).astype(np.float32)
    found = frame_levels(samples, rate, OPTIONS)
    assert found.shape[1] == 1 + bands
    assert np.isfinite(found).all()


@given(st.integers(1, 40), st.sampled_from([8000, 16_000, 22_050]))
def test_levels_do_not_depend_on_the_blocks(count: int, rate: int) -> None:
    frame = frame_samples(rate, OPTIONS)
    samples = np.random.default_rng(count).standard_normal(40 * frame).astype(np.float32)
    parts = samples[: count * frame], samples[count * frame :]
    joined = np.concatenate([frame_levels(part, rate, OPTIONS) for part in parts])
    np.testing.assert_array_equal(joined, frame_levels(samples, rate, OPTIONS))


def test_an_unfinished_frame_is_left_out() -> None:
    assert len(frame_levels(np.zeros(479, dtype=np.float32), RATE, OPTIONS)) == 2


def test_frame_length_is_whole_and_never_zero() -> None:
    assert frame_samples(16_000, OPTIONS) == 160
    assert frame_samples(10, OPTIONS) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frame_ms": 0.0}, "frame_ms is 0.0"),
        ({"frame_ms": 1e-9}, "frame_ms is 1e-09, expected 1 to 1000"),
        ({"frame_ms": 1e308}, "frame_ms is 1e\\+308"),
        ({"enter_db": float("nan")}, "enter_db is nan"),
        ({"minimum_dbfs": -1e308}, "minimum_dbfs is -1e\\+308"),
        ({"padding_ms": -1.0}, "padding_ms is -1.0, expected 0 to 60000"),
        ({"min_silence_ms": float("inf")}, "min_silence_ms is inf"),
        ({"floor_rise_db_per_s": 1e9}, "floor_rise_db_per_s is 1000000000.0"),
        ({"enter_db": 5.0}, "leave_db 6.0 is above enter_db 5.0"),
        ({"silero_enter": 1.5}, "silero_enter is 1.5, expected 0 to 1"),
        ({"silero_enter": 0.2}, "silero_leave 0.35 is above silero_enter 0.2"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GateOptions(**options)


@pytest.mark.parametrize(
    "values", [{"frame_ms": 1e-9}, {"enter_db": 5}, {"frame_ms": 10**17}, {"frame_ms": "10"}]
)
def test_what_a_card_recommends_out_of_range_is_an_error_of_the_card(
    values: dict[str, object],
) -> None:
    with pytest.raises(CardError, match=r"segmenting: .*card"):
        GateOptions.recommended(values)


@given(st.integers(0, 50), st.integers(1, 3000), st.integers(1, 400), st.floats(0, 0.9))
def test_pieces_cover_the_stretch_with_the_overlap_asked_for(
    start: int, length: int, longest: int, overlap: float
) -> None:
    pieces = split_pieces(start, start + length, longest, overlap)
    assert pieces[0][0] == start
    assert pieces[-1][1] == start + length
    assert all(end - first == longest for first, end in pieces[:-1])
    assert 0 < pieces[-1][1] - pieces[-1][0] <= 1.25 * longest
    hop = max(1, int(longest * (1 - overlap)))
    assert all(right[0] - left[0] == hop for left, right in pairwise(pieces))


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 400))
def test_where_to_cut_depends_only_on_what_came_before(
    length: int, more: int, longest: int
) -> None:
    pieces = split_pieces(0, length, longest)
    assert split_pieces(0, length + more, longest)[: len(pieces) - 1] == pieces[:-1]
