"""A listener that is muted, paused, resumed and stopped."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest

from edge_ser.errors import AudioError
from edge_ser.events import Event
from edge_ser.listening.clock import StreamClock
from edge_ser.listening.listener import Listener

from .listener_scripts import (
    GUARD_S,
    RATE,
    Scripted,
    model,
    noise,
    scripted,
    silence,
    speech,
    utterances,
)


def heard(events: Iterable[Event]) -> list[tuple[str, float, float]]:
    return [(event.kind, round(event.start_s, 1), round(event.end_s, 1)) for event in events]


def test_what_is_heard_while_muted_is_no_event() -> None:
    def script(listening: Listener) -> Iterator[Any]:
        yield from utterances(1)
        yield listening.mute
        yield from speech()
        assert listening.status().muted
        yield from silence()
        yield listening.unmute
        yield from speech()
        yield from silence()

    listening, _ = scripted(script)
    first, second = listening
    assert heard([first]) == [("utterance", pytest.approx(2, abs=0.2), pytest.approx(3, abs=0.2))]
    assert second.start_s == pytest.approx(8, abs=0.2)
    assert second.dropped_samples == 0, "what nobody wanted to hear is not lost"


def test_an_utterance_that_muting_breaks_off_has_its_own_time() -> None:
    began: list[float] = []

    def script(listening: Listener) -> Iterator[Any]:
        began.append(listening._intake._clock.time())
        yield from silence()
        yield from speech()
        yield listening.mute
        yield np.zeros(RATE, np.float32)  # a second in one block

    (event,) = scripted(script)[0]
    assert (event.start_s, event.end_s) == (pytest.approx(2, abs=0.2), pytest.approx(3, abs=0.2))
    assert event.time - began[0] == pytest.approx(event.start_s, abs=0.01)
    assert 1000 < event.latency_ms < 1500, "the block came when its second was over"


def test_a_pause_lets_go_of_the_microphone() -> None:
    def script(listening: Listener) -> Iterator[Any]:
        yield from utterances(1)
        yield listening.pause
        threading.Timer(0.1, listening.resume).start()
        yield from utterances(1)

    listening, source = scripted(script)
    assert len(list(listening)) == 2
    assert source.opened == 2


@pytest.mark.parametrize("live", [True, False])
def test_the_state_tells_of_a_pause_and_of_the_end(live: bool) -> None:
    states: list[str] = []

    def script(listening: Listener) -> Iterator[Any]:
        def resume() -> None:
            for _ in range(1000):
                if listening.status().state == "paused":
                    break
                time.sleep(0.01)
            states.append(listening.status().state)
            listening.resume()

        yield from silence()
        yield listening.pause
        threading.Thread(target=resume).start()
        yield from silence(1)
        states.append(listening.status().state)
        yield from silence(1)

    listening, source = scripted(script)
    source.live = source.paced = live
    assert list(listening) == []
    assert states == ["paused", "listening"]
    assert listening.status().state == "ended"


def test_an_utterance_that_a_pause_breaks_off_is_told_at_once() -> None:
    told = threading.Event()
    in_time: list[bool] = []

    def script(listening: Listener) -> Iterator[Any]:
        def resume() -> None:
            in_time.append(told.wait(GUARD_S))
            listening.resume()

        yield from silence()
        yield from speech(0.8)
        yield listening.pause
        threading.Thread(target=resume).start()
        yield from silence()

    listening, _ = scripted(script, subscribers=[lambda event, clip: told.set()])
    (event,) = listening
    assert event.cut
    assert event.start_s == pytest.approx(2, abs=0.2)
    assert in_time == [True]


class Absent(Scripted):
    """Cannot be opened before it is there."""

    there = False

    def __init__(self, clock: StreamClock, at_open: Any) -> None:
        super().__init__(utterances(1), clock)
        self._at_open = at_open

    def open(self) -> None:
        super().open()
        self._at_open(self)
        if not self.there:
            raise AudioError("mic: absent")


def test_a_pause_ends_the_search_for_a_missing_microphone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The clock does not make it wait: without the pause it is opened again without end."""
    seen: list[tuple[int, str]] = []

    def at_open(source: Absent) -> None:
        if source.opened == 3:
            listening.pause()
            threading.Timer(0.2, resume).start()

    def resume() -> None:
        seen.append((source.opened, listening.status().state))
        source.there = True
        listening.resume()

    clock = StreamClock()
    source = Absent(clock, at_open)
    listening = Listener(model(), source, clock=clock)
    with caplog.at_level(logging.INFO, "edge_ser"):
        (event,) = listening
    assert seen == [(3, "paused")], "not degraded either: nobody wants to hear"
    assert source.opened == 4
    assert (event.start_s, event.dropped_samples) == (pytest.approx(2, abs=0.2), 0)
    assert listening.status().state == "ended"
    assert "recovered" not in caplog.text


def test_a_pause_takes_effect_while_nothing_comes() -> None:
    reads = []
    resumed = threading.Event()

    def script(listening: Listener) -> Iterator[Any]:
        def resume() -> None:
            resumed.set()
            listening.resume()

        yield from utterances(1)
        yield listening.pause
        threading.Timer(0.2, resume).start()
        while not resumed.is_set():
            reads.append(None)
            yield None
        yield from utterances(1)

    listening, source = scripted(script)
    assert len(list(listening)) == 2
    assert len(reads) <= 1
    assert source.opened == 2
    assert listening.status().faults == {}


def test_what_is_missed_before_a_pause_is_lost_and_the_pause_is_not() -> None:
    """Three seconds of stall, three of waiting, ten of pause: the stream goes on after them."""
    clock = StreamClock()

    def script(listening: Listener) -> Iterator[Any]:
        yield from utterances(1)
        gone = clock.monotonic()
        while clock.monotonic() < gone + 6:
            yield None
        yield listening.pause
        at_pause.append(clock.monotonic() - gone)
        threading.Timer(0.1, back).start()
        yield None
        yield from utterances(1)

    def back() -> None:
        clock.advance(10)
        listening.resume()

    at_pause: list[float] = []
    source = Scripted([], clock)
    listening = Listener(model(), source, clock=clock)
    source._script = iter(script(listening))
    first, second = listening
    assert second.start_s - first.start_s == pytest.approx(5 + at_pause[0] + 10, abs=0.6)
    assert second.dropped_samples == pytest.approx(at_pause[0] * RATE, abs=0.6 * RATE)


def test_a_pause_counts_once_also_where_nothing_was_heard_in_between() -> None:
    clock = StreamClock()

    def later(listening: Listener) -> None:
        clock.advance(10)
        listening.resume()

    def script(listening: Listener) -> Iterator[Any]:
        yield from utterances(1)
        yield listening.mute
        yield from silence(5)
        yield listening.unmute
        for _ in range(2):
            yield listening.pause
            threading.Timer(0.1, later, [listening]).start()
            yield None
        yield from utterances(1)

    source = Scripted([], clock)
    listening = Listener(model(), source, clock=clock)
    source._script = iter(script(listening))
    first, second = listening
    assert second.start_s - first.start_s == pytest.approx(
        3 + 5 + 20 + 2, abs=1.1
    )  # two looks of half a second
    assert second.dropped_samples == 0


def test_pausing_and_resuming_at_any_moment_ends_nothing() -> None:
    done = threading.Event()

    def script(listening: Listener) -> Iterator[Any]:
        def toggle() -> None:
            for _ in range(2000):
                listening.pause()
                listening.resume()
            done.set()

        thread = threading.Thread(target=toggle)
        thread.start()
        while not done.is_set():
            yield from noise(0.1, -75)
            yield None
        thread.join()
        yield from utterances(1)

    listening, source = scripted(script)
    assert len(list(listening)) == 1
    assert source.opened > 1


def test_stopping_at_any_moment_of_a_pause_stops() -> None:
    for _ in range(20):

        def script(listening: Listener) -> Iterator[Any]:
            yield from silence()
            threads = [threading.Thread(target=w) for w in (listening.pause, listening.stop)]
            for thread in threads:
                thread.start()
            while True:
                yield None

        listening, _ = scripted(script)
        listening.start()
        assert listening.join(GUARD_S)


def test_a_recording_is_gone_on_with_where_it_was_paused() -> None:
    def script() -> Iterator[Any]:
        yield from silence()
        yield from speech(0.5)
        yield listening.pause
        threading.Timer(0.1, listening.resume).start()
        yield from speech(0.5)
        yield from silence()

    clock = StreamClock()
    source = Scripted([], clock, live=False)
    listening = Listener(model(), source, clock=clock)
    source._script = script()
    (event,) = listening
    assert not event.cut
    assert event.end_s - event.start_s == pytest.approx(1.2, abs=0.2)
    assert source.opened == 1


def test_stopping_in_an_utterance_finishes_it() -> None:
    def script(listening: Listener) -> Iterator[Any]:
        yield from silence()
        yield from speech()
        yield listening.stop
        yield from speech(60)

    listening, source = scripted(script)
    (event,) = listening
    assert event.cut
    assert event.start_s == pytest.approx(2, abs=0.2)
    assert event.end_s < 4
    assert source.closed


def test_a_listener_can_be_stopped_while_it_is_paused() -> None:
    def script(listening: Listener) -> Iterator[Any]:
        yield from silence()
        yield listening.pause
        threading.Timer(0.1, listening.stop).start()
        yield from silence()

    listening, _ = scripted(script)
    assert list(listening) == []
