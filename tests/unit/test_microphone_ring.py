"""The microphone's ring of blocks, and its measure of overflows."""

from __future__ import annotations

import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.listening.microphone import Timeline
from edge_ser.listening.ring import Ring, Taken


class TestRing:
    def test_in_order(self) -> None:
        ring = Ring(4)
        for number in range(3):
            ring.put(np.full((number + 1, 1), number), 1.0, 0.5, False)
        taken = [ring.get(0) for _ in range(4)]
        assert [len(t.samples) for t in taken if t] == [1, 2, 3]
        assert taken[3] is None
        assert taken[0] is not None
        assert taken[0][1:] == (0, 0, 1.0, 0.5)

    def test_flags_of_blocks_that_were_dropped_are_kept(self) -> None:
        ring = Ring(1)
        for overflow in (True, False, True, False):
            ring.put(np.zeros((5, 1)), 0.0, 0.0, overflow)
        taken = ring.get(0)
        assert taken is not None
        assert (taken.lost, taken.overflows) == (15, 2)

    def test_the_end_comes_after_what_was_put(self) -> None:
        ring = Ring(2)
        ring.put(np.zeros((5, 1)), 0.0, 0.0, False)
        ring.end()
        assert ring.ended
        assert ring.get(60) is not None
        assert ring.get(60) is None

    @given(
        capacity=st.integers(1, 5),
        actions=st.lists(st.one_of(st.just(None), st.integers(1, 7)), max_size=60),
    )
    def test_what_is_read_and_what_is_lost_is_what_was_put(
        self, capacity: int, actions: list[int | None]
    ) -> None:
        ring = Ring(capacity)
        put = seen = 0

        def read() -> int:
            taken = ring.get(0)
            if taken is None:
                return 0
            position = seen + taken.lost
            assert taken.samples[0, 0] == position
            return taken.lost + len(taken.samples)

        for length in actions:
            if length is None:
                seen += read()
            else:
                samples = np.arange(put, put + length).reshape(-1, 1)
                ring.put(samples, 0.0, 0.0, False)
                put += length
        for _ in range(capacity):
            seen += read()
        assert seen == put

    def test_nothing_is_lost_silently_between_threads(self) -> None:
        ring, count = Ring(3), 20_000

        def write() -> None:
            for number in range(count):
                ring.put(np.array([[number]]), 0.0, 0.0, False)
            ring.end()

        writer = threading.Thread(target=write)
        writer.start()
        position = 0
        while True:
            taken = ring.get(60)
            if taken is None:
                break
            position += taken.lost
            assert taken.samples[0, 0] == position
            position += 1
        writer.join()
        assert position <= count  # the end may push out what nobody read


RATE, LENGTH = 16_000, 1600


def placed(timeline: Timeline, at: float, overflow: bool = False, delay: float = 0.1) -> int:
    """Samples that an overflow took from a block of 0.1 s that began at `at` seconds."""
    block = Taken(np.zeros((LENGTH, 1)), 0, int(overflow), at + delay, delay)
    return timeline.place(block)[0]


class TestTimeline:
    def test_less_than_the_jitter_counts_as_a_block(self) -> None:
        timeline = Timeline(RATE)
        jitter = np.random.default_rng(0).uniform(0, 0.05, 31)
        for number, late in enumerate(jitter):
            assert placed(timeline, 0.1 * number + late) == 0
        assert placed(timeline, 0.1 * 31 + 0.03, overflow=True) == LENGTH

    def test_more_than_the_jitter_is_measured(self) -> None:
        timeline = Timeline(RATE)
        jitter = np.random.default_rng(0).uniform(0, 0.02, 30)
        for number, late in enumerate(jitter):
            placed(timeline, 0.1 * number + late)
        lost = placed(timeline, 0.1 * 30 + 1.0 + 0.01, overflow=True)
        assert abs(lost - RATE) < 0.02 * RATE

    def test_before_there_is_a_measure_it_counts_as_a_block(self) -> None:
        timeline = Timeline(RATE)
        for number in range(7):
            placed(timeline, 0.1 * number)
        assert placed(timeline, 2.0, overflow=True) == LENGTH

    def test_a_driver_without_times_is_measured_by_its_callbacks(self) -> None:
        timeline = Timeline(RATE)
        for number in range(10):
            placed(timeline, 0.1 * number + 0.1, delay=0.0)
        assert placed(timeline, 1.0 + 0.1 + 0.5, overflow=True, delay=0.0) == RATE // 2

    def test_a_callback_that_was_held_up_does_not_spoil_the_measure(self) -> None:
        timeline = Timeline(RATE)
        for number in range(20):
            placed(timeline, 0.1 * number)
        placed(timeline, 2.0 + 1.0)  # its thread slept for 1 s
        assert placed(timeline, 2.1 + 1.0, overflow=True) == RATE

    def test_what_the_ring_dropped_is_no_overflow(self) -> None:
        timeline = Timeline(RATE)
        for number in range(10):
            placed(timeline, 0.1 * number)
        block = Taken(np.zeros((LENGTH, 1)), 5 * LENGTH, 1, 1.5 + 0.25 + 0.1, 0.1)
        assert timeline.place(block)[0] == RATE // 4
