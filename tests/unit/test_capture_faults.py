"""A source that is absent, breaks off, stalls or sleeps: what is said, waited for and missed."""

from __future__ import annotations

import threading
from itertools import islice

import numpy as np
import pytest

from edge_ser.errors import DependencyError
from edge_ser.listening.capture import RECOVERED, Capture
from edge_ser.listening.source import Block, SourceEnded

from .capture_fakes import (
    BLOCK,
    BLOCK_S,
    RATE,
    Act,
    FakeClock,
    FakeSource,
    Reports,
    capture,
    clock_fixture,  # noqa: F401 for pytest to find
    gone,
    reports_fixture,  # noqa: F401 for pytest to find
)


def test_a_good_source_is_passed_on_as_it_is(clock: FakeClock, reports: Reports) -> None:
    source = FakeSource(clock, (3, SourceEnded()))
    supervised = capture(source, reports)
    assert supervised.state == "opening"
    states = []
    for block in supervised:
        assert (block.lost, block.cause) == (0, "")
        states.append(supervised.state)
    assert states == ["capturing"] * 3
    assert supervised.state == "ended"
    assert source.closed
    assert reports == []


def test_an_absent_source_is_waited_for_and_said_so(clock: FakeClock, reports: Reports) -> None:
    source = FakeSource(clock, (gone(),), (gone(),), (gone(),), (1, SourceEnded()))
    supervised = capture(source, reports)
    seen = []
    clock.on_sleep = lambda _seconds: seen.append(supervised.state)
    (block,) = supervised
    assert set(seen) == {f"waiting: {gone()}"}
    assert reports.causes == ["absent", "absent", "absent", RECOVERED]
    # Nothing was missed of a stream that had not begun.
    assert block.lost == 0
    waits = np.diff(source.opened_at)
    assert waits == pytest.approx([0.5, 1.0, 2.0])


def test_back_off_doubles_to_half_a_minute(clock: FakeClock, reports: Reports) -> None:
    source = FakeSource(clock, *[(gone(),)] * 10)
    assert list(capture(source, reports)) == []
    expected = [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30]
    assert np.diff(source.opened_at) == pytest.approx(expected)


def test_back_off_begins_anew_after_ten_good_seconds(clock: FakeClock, reports: Reports) -> None:
    source = FakeSource(clock, (gone(),), (gone(),), (98, gone()), (102, gone()), (1,))
    stopping = threading.Event()
    total = 98 + 102 + 1
    list(islice(capture(source, reports, stopping=stopping), total))
    waits = np.diff(source.opened_at) - [0, 0, 9.8, 10.2]
    assert waits == pytest.approx([0.5, 1.0, 2.0, 0.5])


@pytest.mark.parametrize("lost_block", [True, False])
def test_seconds_with_losses_are_not_good(
    clock: FakeClock, reports: Reports, lost_block: bool
) -> None:
    middle = Block(np.ones(BLOCK, np.float32), RATE, 0.0, 7 if lost_block else 0, "overflow")
    source = FakeSource(clock, (gone(),), (60, middle, 60, gone()), (1,))
    list(islice(capture(source, reports), 122))
    waited = source.opened_at[2] - source.opened_at[1] - 12.0
    assert waited == pytest.approx(1.0 if lost_block else 0.5)


def test_an_unplugged_source_leaves_a_gap_of_its_length(clock: FakeClock, reports: Reports) -> None:
    source = FakeSource(clock, (5, gone()), (gone(),), (2, SourceEnded()))
    blocks = list(capture(source, reports))
    assert [block.lost for block in blocks[:5]] == [0] * 5
    # It broke off at once; 0.5 s and 1 s later it was opened again, then a block came.
    assert blocks[5].lost == round(1.5 * RATE)
    assert blocks[5].cause == "unplugged"
    assert blocks[6].lost == 0
    assert reports.causes == ["unplugged", "absent", RECOVERED]
    heard = sum(len(block.samples) + block.lost for block in blocks)
    assert heard == round((clock.now - 1000) * RATE)


def test_no_audio_for_a_while_is_a_stall(clock: FakeClock, reports: Reports) -> None:
    source = FakeSource(clock, (2, *["silence"] * 1000), (1, SourceEnded()))
    blocks = list(capture(source, reports, stall_s=2.0))
    assert reports.causes == ["stall", RECOVERED]
    assert blocks[2].cause == "stall"
    assert blocks[2].lost / RATE == pytest.approx(2.0 + 0.5, abs=0.15)
    assert source.closed == 2


def test_short_silence_of_a_driver_is_none(clock: FakeClock, reports: Reports) -> None:
    source = FakeSource(clock, (1, *["silence"] * 7, 1, *["silence"] * 7, 1, SourceEnded()))
    assert len(list(capture(source, reports, stall_s=2.0))) == 3
    assert reports == []


def test_who_takes_blocks_slowly_makes_no_stall(clock: FakeClock, reports: Reports) -> None:
    source = FakeSource(clock, (1, "silence", 1, SourceEnded()))
    for _block in capture(source, reports, stall_s=2.0):
        clock.now += 60
    assert reports == []


def test_sleep_of_the_machine_is_seen_and_counted(clock: FakeClock, reports: Reports) -> None:
    def sleep() -> None:
        clock.asleep += 3600.0

    source = FakeSource(clock, (3, sleep, 5), (1, SourceEnded()))
    blocks = list(capture(source, reports))
    assert len(blocks) == 4
    assert reports.causes == ["suspend", RECOVERED]
    assert blocks[3].cause == "suspend"
    # The block that came right after the sleep is not trusted, so it counts as missed.
    assert blocks[3].lost == pytest.approx((3600 + 0.5 + BLOCK_S) * RATE, abs=1)


def test_sleep_while_nothing_was_open_is_only_time(clock: FakeClock, reports: Reports) -> None:
    source = FakeSource(clock, (1, gone()), (1, SourceEnded()))

    def sleep(_seconds: float) -> None:
        clock.asleep = 60.0

    clock.on_sleep = sleep
    blocks = list(capture(source, reports))
    assert reports.causes == ["unplugged", RECOVERED]
    assert blocks[1].lost == pytest.approx((60 + 0.5) * RATE, abs=1)


def test_a_jitter_between_two_clocks_is_no_sleep(clock: FakeClock, reports: Reports) -> None:
    def jitter() -> None:
        clock.asleep += 0.02

    source = FakeSource(clock, (1, jitter, 1, jitter, 1, SourceEnded()))
    assert len(list(capture(source, reports))) == 3
    assert reports == []


def test_a_clock_that_is_set_does_not_matter(clock: FakeClock, reports: Reports) -> None:
    def set_clock() -> None:
        clock.wall -= 3600

    source = FakeSource(clock, (2, set_clock, 2, SourceEnded()))
    assert [block.lost for block in capture(source, reports)] == [0] * 4
    assert reports == []


def test_losses_of_the_source_itself_pass_through(clock: FakeClock, reports: Reports) -> None:
    lossy = Block(np.ones(BLOCK, np.float32), RATE, 1000.3, 77, "overflow")
    source = FakeSource(clock, (1, lossy, 1, SourceEnded()))
    blocks = list(capture(source, reports))
    assert [(block.lost, block.cause) for block in blocks] == [(0, ""), (77, "overflow"), (0, "")]
    assert reports == [("overflow", "fake: 0.005 s of audio lost (overflow)")]


@pytest.mark.parametrize("error", [RuntimeError("a\nb"), OSError(5, "I/O"), ValueError()])
@pytest.mark.parametrize("at_open", [True, False])
def test_a_bug_of_a_driver_is_a_fault_of_the_source(
    clock: FakeClock, reports: Reports, error: Exception, at_open: bool
) -> None:
    source = FakeSource(clock, (1, gone()), (error,) if at_open else (1, error), (1,))
    blocks = list(islice(capture(source, reports), 2 if at_open else 3))
    assert len(blocks) == (2 if at_open else 3)
    (message,) = [message for cause, message in reports if cause == "error"]
    assert message.startswith(f"fake: {type(error).__name__}")
    assert "\n" not in message


def test_what_no_waiting_mends_is_raised(clock: FakeClock, reports: Reports) -> None:
    source = FakeSource(clock, (DependencyError("sounddevice: pip install sounddevice"),))
    with pytest.raises(DependencyError):
        list(capture(source, reports))
    assert source.closed
    assert reports == []


@pytest.mark.parametrize("script", [(gone(),), (1, gone())])
@pytest.mark.parametrize("error", [gone(), RuntimeError("bug")])
def test_a_source_that_can_wait_is_not_opened_again(
    clock: FakeClock, reports: Reports, script: tuple[Act, ...], error: Exception
) -> None:
    source = FakeSource(clock, (*script[:-1], error), (1,), live=False)
    with pytest.raises(type(error)):
        list(capture(source, reports))
    assert len(source.opened_at) == 1
    assert source.closed


def test_a_silent_pipe_is_neither_a_stall_nor_asleep(clock: FakeClock, reports: Reports) -> None:
    def sleep() -> None:
        clock.asleep += 60

    script = (1, *["silence"] * 1000, sleep, 1, SourceEnded())
    source = FakeSource(clock, script, live=False)
    assert [block.lost for block in capture(source, reports)] == [0, 0]
    assert reports == []


class Leaping:
    """A clock whose waits take none of the time in which a source captures."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._ahead = 0.0

    def monotonic(self) -> float:
        return self._clock.now + self._ahead

    def time(self) -> float:
        return 0.0

    def suspended(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        self._ahead += seconds


def test_a_gap_too_short_to_measure_is_still_a_break(clock: FakeClock, reports: Reports) -> None:
    source = FakeSource(clock, (1, gone()), (1, SourceEnded()))
    blocks = list(Capture(source, Leaping(clock), threading.Event(), reports))
    assert [block.lost for block in blocks] == [0, 1]


def test_a_source_that_fails_to_close_is_let_go(clock: FakeClock, reports: Reports) -> None:
    class Stubborn(FakeSource):
        def close(self) -> None:
            super().close()
            raise RuntimeError("abort failed")

    source = Stubborn(clock, (1, gone()), (1, SourceEnded()))
    assert len(list(capture(source, reports))) == 2


def test_the_beat_goes_on_as_long_as_no_call_hangs(clock: FakeClock, reports: Reports) -> None:
    beats: list[float] = []
    source = FakeSource(clock, *[(gone(),)] * 8, (3, *["silence"] * 8, 1, SourceEnded()))
    supervised = Capture(
        source, clock, threading.Event(), reports, beat=lambda: beats.append(clock.now)
    )
    assert len(list(supervised)) == 4
    assert np.diff([1000.0, *beats, clock.now]).max() < 0.6
