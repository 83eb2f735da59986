"""Blocks that nothing hurries are handed on in one, where they continue each other."""

from __future__ import annotations

import threading
from itertools import islice

import numpy as np
import pytest

from edge_ser.listening.capture import QUIET_S, RECOVERED, Capture
from edge_ser.listening.options import SourceOptions
from edge_ser.listening.source import Block, SourceEnded

from .capture_fakes import (
    BLOCK,
    BLOCK_S,
    RATE,
    FakeClock,
    FakeSource,
    Reports,
    clock_fixture,  # noqa: F401 for pytest to find
    gone,
    reports_fixture,  # noqa: F401 for pytest to find
)


class Ticking(FakeSource):
    """Has a block ready for every `BLOCK_S` of the clock; notes the time of each read."""

    def __init__(self, clock: FakeClock, live: bool = True) -> None:
        super().__init__(clock, live=live)
        self.given = 0
        self.reads: list[float] = []

    def open(self) -> None:
        self.began = self.clock.now

    def read(self, timeout: float) -> Block | None:
        self.reads.append(self.clock.now)
        due = self.began + (self.given + 1) * BLOCK_S
        if due > self.clock.now + timeout + 1e-9:
            self.clock.sleep(timeout)
            return None
        self.clock.now = max(self.clock.now, due)
        self.given += 1
        return Block(np.ones(BLOCK, np.float32), RATE, due)


def test_what_does_not_matter_at_once_is_handed_on_in_one(clock: FakeClock) -> None:
    source, sleeps = Ticking(clock), list[float]()
    clock.on_sleep = sleeps.append
    hurry = threading.Event()
    supervised = Capture(source, clock, threading.Event(), Reports(), hurried=hurry.is_set)
    blocks = iter(supervised)
    quiet = list(islice(blocks, 4))
    assert [len(block.samples) for block in quiet] == [5 * BLOCK] * 4
    assert [sleep for sleep in sleeps if sleep] == [QUIET_S] * 4
    ends = np.cumsum([len(block.samples) / RATE for block in quiet])
    assert [block.captured - source.began for block in quiet] == pytest.approx(list(ends))
    hurry.set()
    for _ in range(5):
        block = next(blocks)
        assert (len(block.samples), block.captured) == (BLOCK, clock.now)


def test_what_does_not_continue_is_not_joined(clock: FakeClock, reports: Reports) -> None:
    lost = Block(np.ones(BLOCK, np.float32), RATE, 1000.0, 7, "overflow")
    slow = Block(np.ones(BLOCK, np.float32), RATE // 2, 1000.0)
    source = FakeSource(clock, (2, lost, 1, slow, 1, SourceEnded(), SourceEnded()))
    supervised = Capture(source, clock, threading.Event(), reports, hurried=lambda: False)
    assert [(len(block.samples), block.rate, block.lost) for block in supervised] == [
        (2 * BLOCK, RATE, 0),
        (2 * BLOCK, RATE, 7),
        (BLOCK, RATE // 2, 0),
        (BLOCK, RATE, 0),
    ]
    assert reports.causes == ["overflow"]


def test_what_came_before_a_break_is_handed_on(clock: FakeClock, reports: Reports) -> None:
    source = FakeSource(clock, (2, gone(), gone()), (1, SourceEnded(), SourceEnded()))
    supervised = Capture(source, clock, threading.Event(), reports, hurried=lambda: False)
    assert [len(block.samples) for block in supervised] == [2 * BLOCK, BLOCK]
    assert reports.causes == ["unplugged", RECOVERED]


def test_a_source_at_its_own_pace_is_not_left_alone(clock: FakeClock) -> None:
    source = Ticking(clock, live=False)
    supervised = Capture(source, clock, threading.Event(), Reports(), hurried=lambda: False)
    for block in islice(supervised, 5):
        assert block.captured == clock.now


def test_a_stall_is_noticed_in_quiet_too(clock: FakeClock, reports: Reports) -> None:
    source = FakeSource(clock, (1,), (1, SourceEnded(), SourceEnded()))
    stalled = Capture(
        source, clock, threading.Event(), reports, SourceOptions(stall_s=2), hurried=lambda: False
    )
    assert [block.cause for block in stalled] == ["", "stall"]
    first, second = source.opened_at
    assert second - first == pytest.approx(2.5 + BLOCK_S, abs=QUIET_S + 0.01)
