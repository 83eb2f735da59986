"""The segmenter in both modes, with a gate that does as it is told and with the real one."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_ser.errors import CardError, ConfigError
from edge_ser.segment import (
    Boundary,
    EnergyGate,
    GateOptions,
    Piece,
    Segmenter,
    SegmentOptions,
    frame_levels,
    speech_segments,
    split_pieces,
)

Samples = NDArray[np.float32]

RATE = 1000
CLIP = 100
STFT_HOP = 7
HOP = 7 * 6
"""Samples: 40 ms at 1 kHz as whole STFT hops."""
SPEECH = 10.0
UTTERANCES = SegmentOptions()
PARTIALS = SegmentOptions(partial_s=0.1)
WINDOWS = SegmentOptions(mode="window", hop_s=0.04)


class ToldGate:
    """Speech is a frame with a sample above 5: opens after 2 such frames, closes after 4 others.

    An utterance has one frame of padding on both sides. Before a gap one frame of speech is enough,
    and what is told there is dated later, as by a gate that hears late.
    """

    frame = 10
    lookback = 30
    hangover = 30
    level_dbfs = floor_dbfs = 0.0

    def __init__(self) -> None:
        self.position = self.origin = 0
        self.told: list[tuple[int, Boundary]] = []
        """With the number of the run."""
        self.run = -1
        self._begin()

    def _begin(self) -> None:
        self.run += 1
        self.rest: list[float] = []
        self.frames = self.speech = self.silence = 0
        self.is_open = False

    def process(self, samples: Samples) -> list[Boundary]:
        self.position += len(samples)
        self.rest += samples.tolist()
        found = []
        while len(self.rest) >= self.frame:
            frame, self.rest = self.rest[: self.frame], self.rest[self.frame :]
            found += self._step(max(frame) > 5)
        return self._tell(found)

    def _tell(self, found: list[Boundary]) -> list[Boundary]:
        self.told += [(self.run, boundary) for boundary in found]
        return found

    def _step(self, loud: bool) -> list[Boundary]:
        self.frames += 1
        self.speech = self.speech + 1 if loud else 0
        self.silence = 0 if loud else self.silence + 1
        if not self.is_open and self.speech == 2:
            self.is_open = True
            # May lie before the run's start, where there is nothing.
            return [self._boundary(True, self.frames - 3)]
        if self.is_open and self.silence == 4:
            self.is_open = False
            return [self._boundary(False, self.frames - 3)]
        return []

    def skip(self, count: int) -> list[Boundary]:
        end = self.frames - self.silence + min(1, self.silence)
        if not self.is_open and self.speech:
            found = [self._boundary(True, self.frames - 3), self._boundary(False, self.frames)]
        else:
            found = [self._boundary(False, end)] if self.is_open else []
        found = self._tell([replace(found, decided=self.position + 150) for found in found])
        self.position += count
        self.origin = self.position
        self._begin()
        return found

    def finish(self) -> list[Boundary]:
        return self.skip(0)

    def _boundary(self, opens: bool, frame: int) -> Boundary:
        frame_at, decided = self.origin + frame * self.frame, self.origin + self.frames * self.frame
        return Boundary(opens, frame_at, decided)


def made(options: SegmentOptions = UTTERANCES) -> tuple[Segmenter, ToldGate]:
    gate = ToldGate()
    return Segmenter(gate, options, RATE, CLIP, STFT_HOP), gate


def track(*stretches: tuple[bool, int], seed: int = 0) -> Samples:
    """Noise in (-1, 1), lifted by 10 where there is speech; stretches in samples."""
    rng = np.random.default_rng(seed)
    parts = [rng.uniform(-1, 1, count) + SPEECH * speech for speech, count in stretches]
    return np.concatenate([*parts, np.empty(0)]).astype(np.float32)


def listened(
    options: SegmentOptions, runs: list[Samples], gap: int, blocks: list[int]
) -> tuple[list[Piece], ToldGate]:
    """Pieces of runs with gaps between them, given in blocks of those lengths, over and over."""
    segmenter, gate = made(options)
    pieces: list[Piece] = []
    for number, run in enumerate(runs):
        if number:
            pieces += segmenter.skip(gap)
        first, turn = 0, 0
        while first < len(run):
            block = blocks[turn % len(blocks)]
            pieces += segmenter.process(run[first : first + block])
            first, turn = first + block, turn + 1
    return pieces + segmenter.finish(), gate


def described(pieces: list[Piece]) -> list[tuple[object, ...]]:
    return [
        (p.kind, p.start, p.end, p.utterance, p.run, p.last, p.cut, p.samples.tobytes())
        for p in pieces
    ]


def spans(pieces: list[Piece]) -> list[tuple[int, int]]:
    return [(piece.start, piece.end) for piece in pieces]


STRETCHES = st.lists(st.tuples(st.booleans(), st.integers(1, 400)), max_size=8)
RUNS = st.lists(STRETCHES.map(lambda stretches: track(*stretches)), min_size=1, max_size=3)
ANY_OPTIONS = st.sampled_from((UTTERANCES, PARTIALS, WINDOWS))


@given(
    options=ANY_OPTIONS,
    runs=RUNS,
    gap=st.integers(0, 500),
    blocks=st.lists(st.integers(1, 300), min_size=1, max_size=5),
)
def test_pieces_do_not_depend_on_how_the_stream_is_cut(
    options: SegmentOptions, runs: list[Samples], gap: int, blocks: list[int]
) -> None:
    whole, _ = listened(options, runs, gap, [10_000])
    chopped, _ = listened(options, runs, gap, blocks)
    assert described(chopped) == described(whole)


def positions(runs: list[Samples], gap: int) -> list[int]:
    """Where each run begins."""
    starts = [0]
    for run in runs[:-1]:
        starts.append(starts[-1] + len(run) + gap)
    return starts


def check_content(pieces: list[Piece], runs: list[Samples], gap: int) -> None:
    """The samples are those of the stream at the piece's place; zeros before its run."""
    starts = positions(runs, gap)
    for piece in pieces:
        run, start = runs[piece.run], starts[piece.run]
        padded = np.concatenate([np.zeros(CLIP, np.float32), run])
        first = piece.start - start + CLIP
        assert np.array_equal(piece.samples, padded[first : first + len(piece.samples)])


@given(options=st.sampled_from((UTTERANCES, PARTIALS)), runs=RUNS, gap=st.integers(0, 500))
def test_utterances_are_split_as_a_file_is(
    options: SegmentOptions, runs: list[Samples], gap: int
) -> None:
    pieces, gate = listened(options, runs, gap, [37])
    utterances = [piece for piece in pieces if piece.kind == "utterance"]
    starts = positions(runs, gap)
    stretches = [
        (max(opening.position, starts[run]), closing.position)
        for (run, opening), (_, closing) in zip(gate.told[::2], gate.told[1::2], strict=True)
    ]
    expected = [split_pieces(start, end, CLIP) for start, end in stretches]
    assert spans(utterances) == [piece for part in expected for piece in part]
    numbers = [number for number, part in enumerate(expected, 1) for _ in part]
    assert [piece.utterance for piece in utterances] == numbers
    lasts = [piece == part[-1] for part in expected for piece in part]
    assert [piece.last for piece in utterances] == lasts
    check_content(pieces, runs, gap)


@given(runs=RUNS, gap=st.integers(0, 500))
def test_windows_end_at_whole_hops_where_the_gate_is_open(runs: list[Samples], gap: int) -> None:
    pieces, gate = listened(WINDOWS, runs, gap, [53])
    expected = []
    for number, start in enumerate(positions(runs, gap)):
        for end in range(start + HOP, start + len(runs[number]) + 1, HOP):
            changes = [b.opens for run, b in gate.told if run == number and b.decided <= end]
            if changes and changes[-1]:
                expected.append((end - CLIP, end, number))
    assert [(piece.start, piece.end, piece.run) for piece in pieces] == expected
    assert all(piece.kind == "window" and not piece.cut for piece in pieces)
    check_content(pieces, runs, gap)


def test_a_piece_of_a_monologue_comes_as_soon_as_it_is_certain() -> None:
    segmenter, gate = made()
    stream = track((False, 100), (True, 1000))
    seen = []
    for position in range(len(stream)):
        seen += [(piece, position + 1) for piece in segmenter.process(stream[position:][:1])]
    assert spans([piece for piece, _ in seen])[:3] == [(90, 190), (165, 265), (240, 340)]
    assert not any(piece.last for piece, _ in seen)
    for piece, position in seen:
        assert position - piece.start == 125 + gate.hangover + gate.frame
    assert segmenter.is_open
    end = segmenter.finish()
    assert spans(end)[-1][1] == 1100
    assert [piece.last for piece in end] == [False] * (len(end) - 1) + [True]


def test_partial_results_come_at_whole_intervals_of_what_there_is_so_far() -> None:
    segmenter, _ = made(PARTIALS)
    pieces = segmenter.process(track((False, 100), (True, 400), (False, 200)))
    assert [(piece.kind, piece.start, piece.end) for piece in pieces] == [
        ("partial", 90, 190),
        ("utterance", 90, 190),  # certain at 90 + 125 + 40
        ("partial", 165, 290),
        ("utterance", 165, 265),
        ("partial", 240, 390),
        ("utterance", 240, 340),
        ("utterance", 315, 415),
        ("partial", 390, 490),
        ("utterance", 390, 510),
    ]
    assert [piece.last for piece in pieces] == [False] * 8 + [True]


def test_no_partial_result_is_older_than_the_opening_of_the_gate() -> None:
    segmenter = Segmenter(ToldGate(), PARTIALS, 200, 1000, STFT_HOP)
    pieces = segmenter.process(track((False, 100), (True, 50)))
    # Every 20 samples after 90; the gate opened at 120.
    assert spans(pieces) == [(90, 130), (90, 150)]


def test_what_is_open_at_a_gap_is_cut_and_a_new_run_follows() -> None:
    segmenter, _ = made()
    assert segmenter.process(track((False, 100), (True, 80))) == []
    (piece,) = segmenter.skip(1000)
    assert (piece.start, piece.end, piece.run, piece.cut, piece.last) == (90, 180, 0, True, True)
    assert segmenter.position == 1180
    assert not segmenter.is_open
    # The gate's padding would reach into what was lost.
    segmenter.process(track((True, 60)))
    (piece,) = segmenter.finish()
    assert (piece.start, piece.end, piece.run, piece.cut) == (1180, 1240, 1, False)
    assert piece.utterance == 2


def test_a_gap_in_silence_only_begins_a_new_run() -> None:
    segmenter, _ = made()
    segmenter.process(track((False, 55)))
    assert segmenter.skip(5) == []
    (piece,) = segmenter.process(track((False, 40), (True, 60), (False, 60)))
    assert (piece.start, piece.end, piece.run, piece.cut, piece.last) == (90, 170, 1, False, True)


def test_a_window_before_enough_audio_has_come_begins_with_zeros() -> None:
    segmenter, _ = made(WINDOWS)
    segmenter.skip(5000)
    stream = track((True, HOP))
    (piece,) = segmenter.process(stream)
    assert (piece.start, piece.end, piece.run) == (5000 + HOP - CLIP, 5000 + HOP, 1)
    assert not piece.samples[: CLIP - HOP].any()
    assert np.array_equal(piece.samples[CLIP - HOP :], stream)


def test_no_window_while_the_gate_is_closed() -> None:
    segmenter, _ = made(WINDOWS)
    assert segmenter.process(track((False, 5000))) == []
    assert segmenter.finish() == []


@pytest.mark.parametrize(
    ("hop_s", "stft_hop", "rate", "expected"),
    [(1.0, 512, 22_050, 43 * 512), (0.001, 512, 22_050, 512), (0.5, 200, 16_000, 8000)],
)
def test_hops_are_whole_stft_hops(hop_s: float, stft_hop: int, rate: int, expected: int) -> None:
    options = SegmentOptions(mode="window", hop_s=hop_s, window_s=0.1)
    segmenter = Segmenter(ToldGate(), options, rate, 4 * rate, stft_hop)
    pieces = segmenter.process(track((True, 3 * rate)))
    assert {right.end - left.end for left, right in pairwise(pieces)} == {expected}
    assert {len(piece.samples) for piece in pieces} == {rate // 10}


@pytest.mark.parametrize(
    ("options", "needed"), [(UTTERANCES, 125 + 30 + 10), (PARTIALS, 125 + 30 + 10), (WINDOWS, CLIP)]
)
def test_memory_is_bounded_whatever_the_stream_and_the_block(
    options: SegmentOptions, needed: int
) -> None:
    rate = 20_000  # a second is what is taken at once
    segmenter = Segmenter(ToldGate(), options, rate, CLIP, STFT_HOP)
    stream = track((True, 50_000), (False, 50_000))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for block in (1, 10, 777, len(stream)):
            for first in range(0, min(len(stream), 60 * block), block):
                segmenter.process(stream[first : first + block])
            held = tracemalloc.get_traced_memory()[0] - before
            segmenter.gate.told.clear()  # type: ignore[attr-defined]
            assert held < 4 * 2 * (needed + rate) + 30_000
    finally:
        tracemalloc.stop()


def test_pieces_keep_their_samples_when_the_stream_goes_on() -> None:
    segmenter, _ = made()
    stream = track((True, 60), (False, 60))
    (piece,) = segmenter.process(stream)
    segmenter.process(track((True, 5000), seed=1))
    assert np.array_equal(piece.samples, stream[: piece.end])


@given(
    stretches=st.lists(st.tuples(st.booleans(), st.integers(1, 3000)), min_size=1, max_size=6),
    padding=st.sampled_from((0.0, 100.0, 400.0)),
    silence=st.sampled_from((100.0, 400.0)),
    blocks=st.lists(st.integers(1, 900), min_size=1, max_size=4),
)
def test_with_the_real_gate_listening_cuts_as_classifying_does(
    stretches: list[tuple[bool, int]], padding: float, silence: float, blocks: list[int]
) -> None:
    gate_options = GateOptions(padding_ms=padding, min_silence_ms=silence)
    loud = track(*stretches) > 5
    noise = track((False, len(loud)), seed=1)
    stream = np.where(loud, 0.03, 0.001).astype(np.float32) * noise
    gate = EnergyGate(RATE, gate_options)
    segmenter = Segmenter(gate, UTTERANCES, RATE, CLIP, STFT_HOP)
    pieces, first, turn = [], 0, 0
    while first < len(stream):
        block = blocks[turn % len(blocks)]
        pieces += segmenter.process(stream[first : first + block])
        first, turn = first + block, turn + 1
    pieces += segmenter.finish()
    offline = speech_segments(frame_levels(stream, RATE, gate_options), gate_options)
    expected = [
        piece
        for start, end in offline
        for piece in split_pieces(start * gate.frame, end * gate.frame, CLIP)
    ]
    assert spans(pieces) == expected
    assert all(np.array_equal(p.samples, stream[p.start : p.end]) for p in pieces)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "words"}, "mode is 'words', expected utterance or window"),
        ({"gate": "ears"}, "gate is 'ears', expected energy or silero"),
        ({"window_s": 0.0}, r"window_s is 0.0, expected 0.05 to 60"),
        ({"hop_s": 0.0}, "hop_s is 0.0"),
        ({"hop_s": float("nan")}, "hop_s is nan"),
        ({"hop_s": None}, "hop_s is None"),
        ({"overlap": 0.95}, "overlap is 0.95, expected 0 to 0.9"),
        ({"partial_s": -1.0}, "partial_s is -1.0"),
        ({"partial_s": 1e-6}, "partial_s is 1e-06, expected at least 0.1, or 0 for none"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SegmentOptions(**options)  # type: ignore[arg-type]


def test_options_that_a_card_recommends() -> None:
    values = {"mode": "window", "window_s": None, "hop_s": 2, "enter_db": 12, "note": [1]}
    assert SegmentOptions.recommended(values) == SegmentOptions(mode="window", hop_s=2.0)
    assert SegmentOptions.recommended({}) == SegmentOptions()


@pytest.mark.parametrize(
    "values",
    [
        {"mode": 3},
        {"mode": ["utterance"]},
        {"mode": "words"},
        {"gate": None},
        {"hop_s": "1"},
        {"hop_s": None},
        {"overlap": True},
        {"partial_s": 10**400},
        {"window_s": [4]},
    ],
)
def test_what_a_card_recommends_wrongly_is_an_error_of_the_card(values: dict[str, object]) -> None:
    with pytest.raises(CardError, match=r"segmenting: .*card"):
        SegmentOptions.recommended(values)
