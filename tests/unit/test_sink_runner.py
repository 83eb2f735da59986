"""A sink behind its queue: nothing stalls the caller, nothing is lost but what is counted."""

from __future__ import annotations

import errno
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ser.audio import Clip
from edge_ser.errors import StorageError
from edge_ser.events import Event
from edge_ser.sinks import SinkRunner

CLIP = Clip(np.zeros(4, np.float32), 16_000)
LONG_S = 30.0
"""Guards against hanging; never waited for when all is well."""


def event(sequence: int) -> Event:
    return Event(
        sequence=sequence,
        kind="utterance",
        label="joy",
        uncertain=False,
        scores={"joy": 1.0},
        start_s=0.0,
        end_s=1.0,
        time=0.0,
        level_dbfs=-20.0,
        latency_ms=40.0,
        dropped_samples=0,
        cut=False,
        model="tiny",
        model_sha256="",
        source="test",
    )


class Recorder:
    """A sink that does what `obey` says with each try, and remembers what it took."""

    name = "recorder"

    def __init__(
        self, obey: Callable[[Event], None] = lambda event: None, wants_audio: bool = False
    ) -> None:
        self.wants_audio = wants_audio
        self.obey = obey
        self.taken: list[int] = []
        self.clips: list[Clip | None] = []
        self.arrived = threading.Semaphore(0)
        self.closed_in: threading.Thread | None = None

    def write(self, event: Event, clip: Clip | None) -> None:
        self.obey(event)
        self.taken.append(event.sequence)
        self.clips.append(clip)
        self.arrived.release()

    def close(self) -> None:
        self.closed_in = threading.current_thread()


class Gate:
    """Holds whoever passes until it is opened; `reached` says that somebody stands before it."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def __call__(self, event: Event) -> None:
        self.reached.set()
        assert self.opened.wait(LONG_S)


class Failing:
    """Raises the errors, one a try, then nothing."""

    def __init__(self, *errors: Exception) -> None:
        self.errors: Iterator[Exception] = iter(errors)

    def __call__(self, event: Event) -> None:
        for error in self.errors:
            raise error


@contextmanager
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    with caplog.at_level(logging.INFO, "edge_ser.sinks"):
        messages: list[str] = []
        yield messages
    messages += [record.getMessage() for record in caplog.records]


def test_events_arrive_in_order_and_closing_writes_what_waits() -> None:
    sink = Recorder()
    runner = SinkRunner(sink)
    for n in range(100):
        runner.offer(event(n), CLIP)
    assert runner.close(LONG_S) is True
    assert sink.taken == list(range(100))
    assert (runner.name, runner.dropped, runner.errors, runner.fault) == ("recorder", 0, 0, None)
    assert sink.closed_in is not None and sink.closed_in is not threading.current_thread()


@pytest.mark.parametrize("wants_audio", [True, False])
def test_only_a_sink_that_wants_audio_is_given_the_clip(wants_audio: bool) -> None:
    sink = Recorder(wants_audio=wants_audio)
    runner = SinkRunner(sink)
    runner.offer(event(1), CLIP)
    runner.offer(event(2))
    assert runner.close(LONG_S)
    assert sink.clips == [CLIP if wants_audio else None, None]


@pytest.mark.parametrize(("wants_audio", "capacity"), [(False, 256), (True, 16)])
def test_a_sink_that_hangs_costs_its_oldest_waiting_events(
    wants_audio: bool, capacity: int
) -> None:
    gate = Gate()
    sink = Recorder(gate, wants_audio)
    runner = SinkRunner(sink)
    runner.offer(event(0))
    assert gate.reached.wait(LONG_S)
    for n in range(1, capacity + 1):
        runner.offer(event(n))
    assert (runner.dropped, runner.fault) == (0, None)
    for n in range(capacity + 1, capacity + 4):
        runner.offer(event(n))
    assert runner.dropped == 3
    assert runner.fault == "recorder does not keep up: the oldest events are dropped"
    gate.opened.set()
    assert runner.close(LONG_S)
    assert sink.taken == [0, *range(4, capacity + 4)]
    assert runner.fault is None


def test_a_source_that_can_wait_waits_for_room() -> None:
    gate = Gate()
    sink = Recorder(gate)
    runner = SinkRunner(sink, capacity=1)
    assert runner.put(event(1))
    assert gate.reached.wait(LONG_S)
    assert runner.put(event(2), timeout_s=0)
    assert not runner.put(event(3), timeout_s=0)
    opener = threading.Timer(0.01, gate.opened.set)
    opener.start()
    assert all(runner.put(event(n), timeout_s=LONG_S) for n in range(3, 50))
    assert runner.close(LONG_S)
    assert (sink.taken, runner.dropped) == (list(range(1, 50)), 0)
    opener.join()


def test_whoever_waits_for_room_is_let_go_when_the_runner_closes() -> None:
    gate = Gate()
    runner = SinkRunner(Recorder(gate), capacity=1)
    runner.offer(event(1))
    assert gate.reached.wait(LONG_S)
    runner.offer(event(2))
    waiting = threading.Thread(target=runner.put, args=(event(3),))
    waiting.start()
    assert runner.close(0) is False
    waiting.join(LONG_S)
    assert not waiting.is_alive()
    assert runner.dropped == 1
    gate.opened.set()
    assert runner.close(LONG_S)


def test_what_cannot_be_written_is_kept_and_tried_again_ever_more_slowly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    full = StorageError("events.jsonl: no space: free some")
    sink = Recorder(Failing(full, *[OSError(errno.ENOSPC, "No space left on device")] * 6))
    waits: list[float] = []
    faults: list[str | None] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        faults.append(runner.fault)

    seconds = iter(range(0, 1000, 25))
    with logged(caplog) as messages:
        runner = SinkRunner(sink, wait=wait, monotonic=lambda: float(next(seconds)))
        runner.offer(event(1))
        runner.offer(event(2))
        assert all(sink.arrived.acquire(timeout=LONG_S) for _ in range(2))
        assert runner.close(LONG_S)
    assert sink.taken == [1, 2]
    assert waits == [1, 2, 4, 8, 16, 30, 30]
    assert faults == [str(full), *["recorder: No space left on device"] * 6]
    assert (runner.fault, runner.dropped) == (None, 0)
    assert messages == [
        "events.jsonl: no space: free some",
        "recorder: No space left on device (3 times since last said)",
        "recorder: No space left on device (3 times since last said)",
        "recorder: takes events again; 0 were dropped so far",
    ]


def test_the_event_in_hand_outlives_those_that_overflow() -> None:
    gate = threading.Event()
    tried = threading.Event()

    def wait(seconds: float) -> None:
        tried.set()
        assert gate.wait(LONG_S)

    sink = Recorder(Failing(StorageError("full")))
    runner = SinkRunner(sink, capacity=2, wait=wait)
    runner.offer(event(1))
    assert tried.wait(LONG_S)
    for n in range(2, 7):
        runner.offer(event(n))
    gate.set()
    assert runner.close(LONG_S)
    assert (sink.taken, runner.dropped) == ([1, 5, 6], 3)


def test_closing_tries_a_failing_sink_once_more_without_waiting() -> None:
    failed = threading.Event()
    tries: list[int] = []

    def fail(event: Event) -> None:
        tries.append(event.sequence)
        failed.set()
        raise StorageError("full")

    sink = Recorder(fail)
    runner = SinkRunner(sink)
    runner.offer(event(1))
    runner.offer(event(2))
    assert failed.wait(LONG_S)
    assert runner.close(LONG_S) is False
    assert len(tries) in (2, 3) and set(tries) == {1}
    assert (runner.dropped, runner.fault, sink.taken) == (2, "full", [])
    assert sink.closed_in is not None


def test_a_bug_of_a_sink_costs_that_event_alone_and_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(event: Event) -> None:
        if event.sequence % 2:
            raise KeyError("joy")

    sink = Recorder(fail)
    with logged(caplog) as messages:
        runner = SinkRunner(sink, monotonic=lambda: 0.0)
        for n in range(6):
            runner.offer(event(n))
        assert not runner.close(LONG_S), "half of them were not written"
    assert (sink.taken, runner.errors, runner.dropped) == ([0, 2, 4], 3, 3)
    assert messages == [
        "recorder: an event is lost to an unexpected KeyError: 'joy'; please report it"
    ]


def test_a_reader_that_has_gone_ends_the_sink_quietly(caplog: pytest.LogCaptureFixture) -> None:
    sink = Recorder(Failing(BrokenPipeError()))
    with logged(caplog) as messages:
        runner = SinkRunner(sink, capacity=1)
        assert not runner.broken
        for n in range(5):
            assert runner.put(event(n), timeout_s=LONG_S)
        assert runner.close(LONG_S) is False
    assert runner.broken
    assert (sink.taken, runner.dropped, runner.fault) == ([], 5, None)
    assert messages == []


@pytest.mark.parametrize(
    ("error", "broken", "messages"),
    [
        (BrokenPipeError(), True, []),
        (StorageError("full"), False, ["recorder: closing: full"]),
        (KeyError("x"), False, ["recorder: closing: 'x'"]),
    ],
)
def test_a_sink_that_cannot_be_closed_has_not_flushed(
    error: Exception, broken: bool, messages: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    class Stubborn(Recorder):
        def close(self) -> None:
            raise error

    with logged(caplog) as said:
        runner = SinkRunner(Stubborn())
        assert runner.close(LONG_S) is False
    assert (said, runner.broken) == (messages, broken)


def test_what_is_offered_after_closing_is_counted() -> None:
    sink = Recorder()
    runner = SinkRunner(sink)
    assert runner.close(LONG_S)
    runner.offer(event(1))
    assert runner.put(event(2))
    assert runner.close(LONG_S)
    assert (sink.taken, runner.dropped) == ([], 2)


def test_a_sink_that_hangs_for_ever_does_not_keep_the_process_alive() -> None:
    program = """
import threading
from edge_ser.sinks import SinkRunner
from types import SimpleNamespace
reached = threading.Event()
def write(event, clip):
    reached.set()
    threading.Event().wait()
sink = SimpleNamespace(name="stuck", wants_audio=False, write=write, close=lambda: None)
runner = SinkRunner(sink)
runner.offer(object())
assert reached.wait(30)
print(runner.close(0.01))
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=LONG_S, check=True
    )
    assert (ended.stdout, ended.stderr) == ("False\n", "")


@settings(max_examples=50)
@given(
    st.lists(st.lists(st.sampled_from(["ok", "full", "bug"]), max_size=3), max_size=12),
    st.integers(1, 4),
)
def test_every_event_is_written_or_counted(fates: list[list[str]], capacity: int) -> None:
    """`fates`: what befalls the tries of each event, which then succeed."""
    tries = {n: iter(fate) for n, fate in enumerate(fates)}

    def obey(event: Event) -> None:
        fate = next(tries[event.sequence], "ok")
        if fate == "full":
            raise StorageError("full")
        if fate == "bug":
            raise ValueError

    sink = Recorder(obey)
    runner = SinkRunner(sink, capacity, wait=lambda seconds: None)
    for n in range(len(fates)):
        runner.offer(event(n))
    flushed = runner.close(LONG_S)
    assert sink.taken == sorted(set(sink.taken))
    assert len(sink.taken) + runner.dropped == len(fates)
    assert runner.errors <= runner.dropped
    assert flushed or runner.dropped
