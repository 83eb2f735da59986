"""A capture that is stopped, and one that is iterated anew."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from edge_ser.listening.capture import RECOVERED, TICK_S
from edge_ser.listening.source import Block, SourceEnded

from .capture_fakes import (
    FakeClock,
    FakeSource,
    Reports,
    capture,
    clock_fixture,  # noqa: F401 for pytest to find
    gone,
    reports_fixture,  # noqa: F401 for pytest to find
)


def test_stopping_ends_a_wait_at_once(clock: FakeClock, reports: Reports) -> None:
    source = FakeSource(clock, *[(gone(),)] * 100)
    stopping = threading.Event()

    def stop_later(_seconds: float) -> None:
        if clock.now > 1100:
            stopping.set()

    clock.on_sleep = stop_later
    assert list(capture(source, reports, stopping=stopping)) == []
    assert clock.now == pytest.approx(1100, abs=2 * TICK_S)
    assert source.closed


def test_stopping_ends_a_silent_read(clock: FakeClock, reports: Reports) -> None:
    source = FakeSource(clock, (1, *["silence"] * 1000), live=False)
    stopping = threading.Event()
    blocks = capture(source, reports, stopping=stopping)
    for _block in blocks:
        clock.on_sleep = lambda _seconds: stopping.set()
    assert blocks.state == "ended"
    assert clock.now < 1001


def test_a_stopped_capture_opens_nothing(clock: FakeClock, reports: Reports) -> None:
    source = FakeSource(clock, (1,))
    stopping = threading.Event()
    stopping.set()
    assert list(capture(source, reports, stopping=stopping)) == []
    assert source.opened_at == []


def test_iterated_anew_it_opens_anew_and_the_pause_is_no_gap(
    clock: FakeClock, reports: Reports
) -> None:
    source = FakeSource(clock, (1, gone()), (5,), (2, SourceEnded()))
    supervised = capture(source, reports)

    def first(count: int) -> Iterator[Block]:
        for number, block in enumerate(supervised, 1):
            yield block
            if number == count:
                break

    assert [block.lost > 0 for block in first(3)] == [False, True, False]
    before = source.closed
    assert before >= 2
    clock.now += 600
    assert [block.lost for block in supervised] == [0, 0]
    assert reports.causes == ["unplugged", RECOVERED]
