"""The loop from a source to events, with scripted sources, clocks and models."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ser.card import ModelFile
from edge_ser.classifier import Classifier
from edge_ser.errors import AudioError, CardError, ConfigError, ModelError
from edge_ser.events import DecideOptions, Event
from edge_ser.listening.clock import StreamClock
from edge_ser.listening.listener import EVENTS_WAITING, PIECES_WAITING, Listener
from edge_ser.listening.pipeline import Listening
from edge_ser.listening.source import Block, SourceEnded
from edge_ser.runtime import Tensor
from edge_ser.segment import SegmentOptions
from edge_ser.testing import FakeInterpreter, tiny_card

RATE = 16_000
BLOCK = RATE // 10
LABELS = ("calm", "angry")
GUARD_S = 30.0
"""Only keeps a test that hangs from hanging for ever."""


class Scripted:
    """A source that plays a script: samples, faults, and things to do between blocks."""

    name = "scripted"

    def __init__(self, script: Iterable[Any], clock: StreamClock, live: bool = True) -> None:
        self.live = self.paced = live
        self.opened = 0
        self.closed = 0
        self._script = iter(script)
        self._clock = clock
        self._until = clock.monotonic()

    def open(self) -> None:
        self.opened += 1
        self._until = self._clock.monotonic()

    def read(self, timeout: float) -> Block | None:
        for step in self._script:
            if isinstance(step, Exception):
                raise step
            if step is None:
                self._clock.advance(timeout)
                self._until = self._clock.monotonic()
                return None
            if callable(step):
                step()
                continue
            due, now = self._until + len(step) / RATE, self._clock.monotonic()
            if due > now + timeout + 1e-9:
                self._script = chain([step], self._script)
                self._clock.advance(timeout)
                return None
            self._until = due
            self._clock.advance(max(0.0, due - now))
            return Block(step, RATE, due)
        raise SourceEnded("the script")

    def close(self) -> None:
        self.closed += 1


def noise(seconds: float, dbfs: float, seed: int = 0) -> Iterator[np.ndarray]:
    """Blocks of steady noise."""
    rng = np.random.default_rng(seed)
    for _ in range(round(seconds * RATE / BLOCK)):
        yield (rng.standard_normal(BLOCK) * 10 ** (dbfs / 20)).astype(np.float32)


def speech(seconds: float = 1.0) -> Iterator[np.ndarray]:
    return noise(seconds, -20.0, seed=1)


def silence(seconds: float = 2.0) -> Iterator[np.ndarray]:
    return noise(seconds, -75.0)


def utterances(count: int) -> Iterator[np.ndarray]:
    yield from silence()
    for _ in range(count):
        yield from speech()
        yield from silence()


def model(answer: Any = None, **changes: Any) -> Classifier:
    """A classifier that always says the same, or what `answer` makes of the features."""
    card = tiny_card(LABELS, **changes)
    (spec,) = card.frontend
    shape = (1, *spec.shape(card.input.clip_samples), 1)
    interpreter = FakeInterpreter(
        answer or {"scores": [[0.2, 0.8]]},
        inputs=(Tensor("features", shape, "float32"),),
        output_tensors=(Tensor("scores", (1, 2), "float32"),),
    )
    return Classifier(ModelFile(Path("tiny.onnx"), "onnx", b"", card), interpreter)


def listener(
    script: Iterable[Any], live: bool = True, classifier: Classifier | None = None, **given: Any
) -> Listener:
    clock = given.pop("clock", None) or StreamClock(1_000_000.0)
    return Listener(classifier or model(), Scripted(script, clock, live), clock=clock, **given)


def heard(events: Iterable[Event]) -> list[tuple[str, float, float]]:
    return [(event.kind, round(event.start_s, 1), round(event.end_s, 1)) for event in events]


def test_each_utterance_is_an_event() -> None:
    events = list(listener(utterances(3)))
    assert [event.sequence for event in events] == [1, 2, 3]
    assert [event.label for event in events] == ["angry"] * 3
    for number, event in enumerate(events):
        assert event.start_s == pytest.approx(2 + 3 * number, abs=0.2)
        assert event.end_s == pytest.approx(3 + 3 * number, abs=0.2)
        assert event.level_dbfs == pytest.approx(-20, abs=1.5)
        assert event.scores == pytest.approx({"calm": 0.2, "angry": 0.8}, abs=1e-6)
        assert event.time == pytest.approx(1_000_000 + event.start_s, abs=0.01)
        assert event.latency_ms > 0
        assert (event.dropped_samples, event.cut, event.source) == (0, False, "scripted")
        assert event.model == "tiny"


def test_windows_slide_while_somebody_speaks() -> None:
    script = [*silence(), *speech(4), *silence(3)]
    options = Listening(
        segment=SegmentOptions(mode="window", hop_s=0.5), decide=DecideOptions(smoothing_s=0)
    )
    (event,) = listener(script, options=options)
    assert event.kind == "window"
    assert event.end_s == pytest.approx(2.5, abs=0.5)


def test_partial_results_come_before_the_utterance_has_ended() -> None:
    script = [*silence(), *speech(0.9), *silence()]
    events = list(listener(script, options=Listening(segment=SegmentOptions(partial_s=0.3))))
    *partial, whole = events
    assert len(partial) >= 2
    assert {event.kind for event in partial} == {"partial"}
    assert whole.kind == "utterance"
    assert {event.start_s for event in partial} == {whole.start_s}
    assert [event.end_s for event in partial] == sorted(event.end_s for event in partial)


def test_silence_is_reported_where_it_is_asked_for() -> None:
    script = [*silence(5), *speech(), *silence(6)]
    options = Listening(decide=DecideOptions(no_speech_after_s=2))
    events = list(listener(script, options=options))
    assert [event.label for event in events] == ["no_speech", "angry", "no_speech"]
    assert events[2].level_dbfs == -120


def test_options_of_the_card_are_taken_and_checked() -> None:
    card = {"segmenting": {"mode": "window", "hop_s": 0.5}, "deciding": {"smoothing_s": 0.0}}
    (event,) = listener([*silence(), *speech(3), *silence()], classifier=model(**card))
    assert event.kind == "window"
    with pytest.raises(CardError, match="hop_s"):
        listener([], classifier=model(segmenting={"hop_s": "often"}))
    with pytest.raises(CardError, match=r"^\S+: deciding: decide: smoothing_s is -1.0"):
        listener([], classifier=model(deciding={"smoothing_s": -1.0}))
    with pytest.raises(ConfigError, match="joy"):
        listener([], options=Listening(decide=DecideOptions(thresholds={"joy": 0.5})))


def test_a_model_that_is_too_slow_drops_the_oldest_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    go_on = threading.Event()
    count = 40

    def slow(_: Sequence[np.ndarray]) -> Mapping[str, Any]:
        if slow.calls > 0:  # type: ignore[attr-defined]  # the first warms up
            assert go_on.wait(GUARD_S)
        slow.calls += 1  # type: ignore[attr-defined]
        return {"scores": [[0.2, 0.8]]}

    slow.calls = 0  # type: ignore[attr-defined]

    def script() -> Iterator[Any]:
        yield from utterances(count)
        yield go_on.set

    listening = listener(script(), classifier=model(slow))
    events = list(listening)
    status = listening.status()
    assert len(events) <= PIECES_WAITING + 1
    assert events[-1].end_s == pytest.approx(3 * count, abs=0.2), "the newest speech wins"
    assert status.skipped_s == pytest.approx((count - len(events)) * 1.2, abs=5)
    assert status.faults["slow"] == count - len(events)
    warnings = [r.message for r in caplog.records if "slower than the speech" in r.message]
    assert len(warnings) == 2, "at once, and a minute later; not for each of them"


def test_a_file_waits_for_a_slow_model() -> None:
    events = list(listener(utterances(20), live=False))
    assert len(events) == 20


def test_events_that_nobody_takes_are_dropped_not_heaped_up() -> None:
    count = EVENTS_WAITING // 200
    taken = listener(utterances(count))
    with taken:
        assert taken.join(GUARD_S)
    assert taken.status().events == count


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


def scripted(make: Any, **given: Any) -> tuple[Listener, Scripted]:
    """A listener whose script is made of steps that control it."""
    clock = StreamClock()
    source = Scripted([], clock)
    listening = Listener(given.pop("classifier", None) or model(), source, clock=clock, **given)
    source._script = iter(make(listening))
    return listening, source


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


def test_a_pause_lets_go_of_the_microphone() -> None:
    def script(listening: Listener) -> Iterator[Any]:
        yield from utterances(1)
        yield listening.pause
        threading.Timer(0.1, listening.resume).start()
        yield from utterances(1)

    listening, source = scripted(script)
    assert len(list(listening)) == 2
    assert source.opened == 2


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
    assert seen == [(3, "warming")], "not degraded either: nobody wants to hear"
    assert source.opened == 4
    assert (event.start_s, event.dropped_samples) == (pytest.approx(2, abs=0.2), 0)
    assert listening.status().state == "listening"
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


def test_another_model_takes_over_without_a_gap() -> None:
    calm = model({"scores": [[0.9, 0.1]]})

    def script(listening: Listener) -> Iterator[Any]:
        yield from utterances(1)
        yield from speech(0.5)
        yield lambda: listening.replace(calm)
        yield from speech(0.5)
        yield from silence()

    listening, _ = scripted(script)
    first, second = listening
    assert (first.label, second.label) == ("angry", "calm")
    assert not second.cut
    assert second.end_s - second.start_s == pytest.approx(1.2, abs=0.2)


def test_a_model_that_hears_otherwise_ends_the_utterance_in_hand() -> None:
    from edge_ser.card import InputSpec

    other = model({"scores": [[0.9, 0.1]]}, input=InputSpec(rate=RATE, clip_samples=RATE // 2))

    def script(listening: Listener) -> Iterator[Any]:
        yield from silence()
        yield from speech(0.8)
        yield lambda: listening.replace(other)
        yield from silence(3)
        yield from speech(0.3)
        yield from silence()

    listening, _ = scripted(script)
    first, second = listening
    assert (first.label, first.cut) == ("angry", True)
    assert second.label == "calm"
    assert second.start_s == pytest.approx(5.8, abs=0.2), "the stream's time goes on"


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


def test_a_file_that_breaks_off_is_an_error_after_what_was_heard() -> None:
    listening = listener([*utterances(1), AudioError("cut.wav: damaged")], live=False)
    events = []
    with pytest.raises(AudioError, match="damaged"):
        for event in listening:
            events.append(event)
    assert len(events) == 1


def test_a_listener_is_left_like_a_file() -> None:
    with listener(utterances(5)) as listening:
        for event in listening:
            assert event.sequence == 1
            break
    assert listening.join(GUARD_S)


def test_subscribers_get_the_audio_with_the_event() -> None:
    got: list[tuple[int, float]] = []
    listening = listener(
        utterances(2), subscribers=[lambda event, clip: got.append((event.sequence, clip.seconds))]
    )
    listening.start()
    listening.start()
    assert listening.join(GUARD_S)
    assert [number for number, _ in got] == [1, 2]
    assert got[0][1] == pytest.approx(1.2, abs=0.1)
