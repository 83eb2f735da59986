"""What a listener makes of slow and broken models, gaps, stalls, clock steps and bugs."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge_ser.errors import AudioError, ModelError, UsageError
from edge_ser.events import DecideOptions
from edge_ser.listening.clock import StreamClock
from edge_ser.listening.listener import PIECES_WAITING, Listener
from edge_ser.listening.pipeline import Listening
from edge_ser.listening.source import Block

from .listener_scripts import (
    GUARD_S,
    RATE,
    Scripted,
    listener,
    model,
    scripted,
    silence,
    speech,
    utterances,
)


def waiting_for(go_on: threading.Event) -> Callable[[Sequence[np.ndarray]], Mapping[str, Any]]:
    """A model that warms up at once and then waits."""
    calls = itertools.count()

    def answer(_: Sequence[np.ndarray]) -> Mapping[str, Any]:
        assert next(calls) == 0 or go_on.wait(GUARD_S)
        return {"scores": [[0.2, 0.8]]}

    return answer


def test_a_model_that_is_too_slow_drops_the_oldest_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    go_on = threading.Event()
    count = 40

    def script() -> Iterator[Any]:
        yield from utterances(count)
        yield go_on.set

    listening = listener(script(), classifier=model(waiting_for(go_on)))
    events = list(listening)
    status = listening.status()
    assert len(events) <= PIECES_WAITING + 1
    assert events[-1].end_s == pytest.approx(3 * count, abs=0.2), "the newest speech wins"
    assert status.skipped_s == pytest.approx((count - len(events)) * 1.2, abs=5)
    assert status.faults["slow"] == count - len(events)
    warnings = [r.message for r in caplog.records if "slower than the speech" in r.message]
    assert len(warnings) == 2, "at once, and a minute later; not for each of them"


def test_a_gap_ends_the_utterance_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    script = [*silence(), *speech(), AudioError("mic: gone"), *speech(), *silence()]
    with caplog.at_level(logging.INFO, "edge_ser"):
        listening = listener(script)
        first, second = listening
    assert first.cut
    assert not second.cut
    assert first.end_s == pytest.approx(3.0, abs=0.1)
    assert second.start_s == pytest.approx(3.5, abs=0.2), "half a second until it is tried again"
    assert second.dropped_samples == pytest.approx(0.5 * RATE, abs=0.1 * RATE)
    status = listening.status()
    assert status.faults == {"unplugged": 1}
    assert status.dropped_samples == second.dropped_samples
    assert status.stream_s == pytest.approx(2 + 1 + 0.5 + 1 + 2, abs=0.1)
    assert "mic: gone" in caplog.text


def test_ten_seconds_without_a_block_are_a_stall_that_is_recovered() -> None:
    script = [*silence(), *speech(0.5), *([None] * 100), *speech(), *silence()]
    clock = StreamClock()
    source = Scripted(script, clock)
    first, second = Listener(model(), source, clock=clock)
    assert first.cut
    assert second.start_s > 12
    assert source.opened > 1
    assert source.closed >= source.opened


def test_a_clock_that_is_set_moves_the_times_of_later_events(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Settable(StreamClock):
        def set(self) -> None:
            self._epoch += 3600

    clock = Settable(1_000_000.0)
    script = [*silence(), *speech(), *silence(), clock.set, *speech(), *silence()]
    listening = listener(script, clock=clock)
    first, second = listening
    assert second.start_s - first.start_s == pytest.approx(3.0, abs=0.1), "the stream goes on"
    assert second.time - first.time == pytest.approx(3603.0, abs=0.1)
    assert listening.status().faults == {"clock_step": 1}
    assert "the clock was set by +3600.0 s" in caplog.text


def test_a_model_that_does_not_run_replaces_nothing() -> None:
    broken = model({"scores": [[np.nan, 0.1]]})

    def script(listening: Listener) -> Iterator[Any]:
        yield from silence()

        def replace() -> None:
            with pytest.raises(ModelError, match="NaN"):
                listening.replace(broken)

        yield replace
        yield from speech()
        yield from silence()

    listening, _ = scripted(script)
    (event,) = listening
    assert event.label == "angry"


def test_a_piece_that_cannot_be_classified_is_a_fault_and_no_end() -> None:
    def answer(features: Sequence[np.ndarray]) -> Mapping[str, Any]:
        answer.calls += 1  # type: ignore[attr-defined]
        good = answer.calls != 2  # type: ignore[attr-defined]
        return {"scores": [[0.2, 0.8 if good else np.nan]]}

    answer.calls = 0  # type: ignore[attr-defined]
    listening = listener(utterances(2), classifier=model(answer))
    (event,) = listening
    assert event.start_s == pytest.approx(5, abs=0.2)
    assert listening.status().faults == {"inference": 1}


def test_a_bug_in_a_thread_ends_listening_and_is_raised() -> None:
    def answer(features: Sequence[np.ndarray]) -> Mapping[str, Any]:
        raise ZeroDivisionError("a bug")

    listening = listener(utterances(2), classifier=model(answer))
    with pytest.raises(ZeroDivisionError):
        list(listening)
    assert listening.status().state == "failed"
    assert not listening.health.alive()


def test_a_bug_of_a_subscriber_ends_a_file_that_waits_for_room() -> None:
    go_on = threading.Event()

    def script() -> Iterator[Any]:
        for number, block in enumerate(utterances(3 * PIECES_WAITING)):
            if number == 20 * 30:  # long after the queue was full of utterances
                go_on.set()
            yield block

    def subscriber(event: object, clip: object) -> None:
        go_on.wait(0.5)
        raise ZeroDivisionError("a bug")

    listening = listener(script(), live=False, subscribers=[subscriber])
    listening.start()
    with pytest.raises(ZeroDivisionError):
        listening.join(GUARD_S)
    assert not any(thread.is_alive() for thread in listening._threads)


@pytest.mark.parametrize("error", [ZeroDivisionError("a bug"), AudioError("its own clip")])
def test_a_subscriber_that_raises_ends_listening_and_that_is_seen(
    caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def subscriber(event: object, clip: object) -> None:
        raise error

    listening = listener(utterances(3), subscribers=[subscriber])
    listening.start()
    with pytest.raises(type(error)):
        listening.join(GUARD_S)
    status = listening.status()
    assert (status.state, status.faults) == ("failed", {}), "the piece was classified"
    (cause,) = status.causes
    assert cause.startswith("listening: ")
    assert str(error) in cause
    logged = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert [r.exc_info[1] for r in logged if r.exc_info] == (
        [] if isinstance(error, AudioError) else [error]
    )


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"samples": np.zeros(800, np.int16)}, r"of int16, shape \(800,\), expected float32 in"),
        ({"samples": np.zeros((800, 2), np.float32)}, r"float32, shape \(800, 2\), .* mean of"),
        ({"samples": [0.0] * 800}, r"a block of list, expected float32"),
        ({"lost": -16_000}, r"lost=-16000, expected .* 0 or more"),
        ({"rate": 0}, r"rate=0, expected 1000 to 768000 Hz"),
    ],
)
def test_a_block_that_is_no_audio_ends_listening_with_what_was_expected(
    live: bool, change: dict[str, Any], said: str
) -> None:
    class Wrong(Scripted):
        def read(self, timeout: float) -> Block | None:
            block = super().read(timeout)
            return block and replace(block, **change)

    clock = StreamClock()
    source = Wrong(utterances(1), clock, live)
    with pytest.raises(UsageError, match="source 'scripted' gave .*" + said):
        list(Listener(model(), source, clock=clock))
    assert source.opened == 1, "that is not mended by opening it again"


def test_what_is_no_block_is_refused() -> None:
    class Wrong(Scripted):
        def read(self, timeout: float) -> Any:
            return next(speech()), RATE

    clock = StreamClock()
    with pytest.raises(UsageError, match="gave a tuple, expected a Block, or None"):
        list(Listener(model(), Wrong([], clock), clock=clock))


def test_blocks_of_float64_are_heard() -> None:
    script = [block.astype(np.float64) for block in utterances(2)]
    assert len(list(listener(script))) == 2


def test_words_of_silence_push_no_speech_out_of_the_queue() -> None:
    go_on = threading.Event()

    def script() -> Iterator[Any]:
        yield from utterances(4)
        yield from silence(60)
        yield go_on.set

    options = Listening(decide=DecideOptions(no_speech_after_s=5))
    listening = listener(script(), classifier=model(waiting_for(go_on)), options=options)
    kinds = [event.label for event in listening]
    assert kinds == ["angry"] * 4 + ["no_speech"]
    assert listening.status().skipped_s == 0


def test_a_file_that_breaks_off_is_an_error_after_what_was_heard() -> None:
    listening = listener([*utterances(1), AudioError("cut.wav: damaged")], live=False)
    events = []
    with pytest.raises(AudioError, match="damaged"):
        for event in listening:
            events.append(event)
    assert len(events) == 1
