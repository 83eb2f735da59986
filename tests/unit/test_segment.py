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
QUIET, LOUD = -70.0, -25.0


def levels(*stretches: tuple[float, int]) -> np.ndarray:
    """Frame levels of stretches of (level in dB, frames)."""
    return np.concatenate([np.full(frames, level) for level, frames in stretches])


def test_an_utterance_is_found_with_equal_padding_and_without_its_closing_silence() -> None:
    found = speech_segments(levels((QUIET, 200), (LOUD, 100), (QUIET, 200)), OPTIONS)
    assert found == [(190, 310)]


def test_a_pause_shorter_than_the_minimum_belongs_to_the_utterance() -> None:
    track = levels((QUIET, 200), (LOUD, 50), (QUIET, 39), (LOUD, 50), (QUIET, 200))
    assert speech_segments(track, OPTIONS) == [(190, 349)]


def test_a_longer_pause_ends_the_utterance() -> None:
    track = levels((QUIET, 200), (LOUD, 50), (QUIET, 60), (LOUD, 50), (QUIET, 200))
    assert speech_segments(track, OPTIONS) == [(190, 260), (300, 370)]


def test_padding_never_makes_utterances_overlap() -> None:
    options = GateOptions(padding_ms=400, min_silence_ms=100)
    track = levels((QUIET, 100), (LOUD, 50), (QUIET, 20), (LOUD, 50), (QUIET, 100))
    assert speech_segments(track, options) == [(60, 190), (190, 260)]


def test_a_click_is_not_speech() -> None:
    assert speech_segments(levels((QUIET, 200), (LOUD, 5), (QUIET, 200)), OPTIONS) == []


def test_a_sound_between_the_thresholds_does_not_open_the_gate() -> None:
    floor = -50.0
    assert speech_segments(levels((floor, 200), (floor + 12, 100), (floor, 100)), OPTIONS) == []


def test_speech_up_to_the_end_is_closed_there() -> None:
    assert speech_segments(levels((QUIET, 200), (LOUD, 100)), OPTIONS) == [(190, 300)]


def test_a_click_at_the_end_is_not_speech() -> None:
    assert speech_segments(levels((QUIET, 200), (LOUD, 5)), OPTIONS) == []


def test_nothing_below_the_absolute_minimum_is_speech() -> None:
    assert speech_segments(levels((-110.0, 200), (-65.0, 100), (-110.0, 100)), OPTIONS) == []


def test_the_floor_follows_a_room_that_becomes_noisy() -> None:
    # A fan at 20 dB above the old floor is taken for speech only until the floor has risen.
    options = GateOptions(floor_rise_db_per_s=10)
    found = speech_segments(levels((-60.0, 200), (-40.0, 1000)), options)
    assert len(found) == 1
    assert found[0][1] < 400


def test_no_frames_hold_no_speech() -> None:
    assert speech_segments(np.empty(0)) == []


@given(st.lists(st.floats(-120, 0), max_size=300))
def test_segments_are_in_order_disjoint_and_inside(track: list[float]) -> None:
    found = speech_segments(np.array(track))
    assert all(0 <= start < end <= len(track) for start, end in found)
    assert all(left[1] <= right[0] for left, right in pairwise(found))


def test_a_dc_offset_is_not_sound() -> None:
    assert frame_levels(np.full(1600, 0.5, dtype=np.float32), 160) == pytest.approx(-120)


def test_level_of_a_full_scale_sine() -> None:
    sine = np.sin(2 * np.pi * np.arange(1600) / 16).astype(np.float32)
    assert frame_levels(sine, 160) == pytest.approx(-3.0103, abs=1e-3)


def test_an_unfinished_frame_is_left_out() -> None:
    assert len(frame_levels(np.zeros(479, dtype=np.float32), 160)) == 2


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
        ({"enter_db": 5.0}, "leave_db 9.0 is above enter_db 5.0"),
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
