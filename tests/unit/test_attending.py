"""What the main thread does beside a listener."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from edge_ser.audio import Clip
from edge_ser.errors import AudioError, ModelError, StorageError
from edge_ser.events import Event, Status
from edge_ser.listening import attending
from edge_ser.listening.attending import Attendant, sentence
from edge_ser.listening.clock import StreamClock
from edge_ser.listening.health import STALE_S, Health
from edge_ser.sinks import SinkRunner


class Told:
    """A notifier that remembers."""

    def __init__(self, interval_s: float | None = 10.0) -> None:
        self.interval_s = interval_s
        self.words: list[str] = []

    def ready(self) -> None:
        self.words.append("ready")

    def status(self, text: str) -> None:
        self.words.append(text)

    def watchdog(self) -> None:
        self.words.append("fed")

    def stopping(self) -> None:
        self.words.append("stopping")

    def reloading(self) -> None:
        self.words.append("reloading")


class Played:
    """A listener that runs through steps, one a tick, each some seconds long."""

    def __init__(self, clock: StreamClock, *steps: Callable[[], object] | None) -> None:
        self.health = Health(clock)
        self.health.enter("listening")
        self.started = False
        self.stopped = False
        self.forever = False
        self.tick_s = 5.0
        self._clock = clock
        self._steps: Iterator[Any] = iter(steps)

    def start(self) -> None:
        self.started = True

    def stop(self) -> None:
        self.stopped = True

    def join(self, timeout: float) -> bool:
        self._clock.advance(self.tick_s)
        for step in self._steps:
            if step is not None:
                step()
            return False
        return not self.forever

    def status(self) -> Status:
        return Status(self.health.state, self.health.causes, faults=self.health.faults)


class Sink:
    """A sink that fails as it is told to."""

    name = "sink"
    wants_audio = False

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def write(self, event: Event, clip: Clip | None) -> None:
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        pass


def nothing() -> None:
    raise AssertionError("nobody asked to reload")


def attended(
    *steps: Callable[[], object] | None, notifier: Told | None = None, **given: Any
) -> tuple[Attendant, Played, Told]:
    clock = StreamClock()
    played = Played(clock, *steps)
    notifier = notifier or Told()
    sinks = given.pop("sinks", [])
    return Attendant(played, sinks, notifier, clock, **given), played, notifier  # type: ignore[arg-type]


def test_a_service_manager_is_told_that_all_is_well() -> None:
    attendant, played, told = attended(*[None] * 5)
    attendant.run(nothing)
    assert played.started
    assert told.words == ["ready", "listening", "fed", "fed", "stopping"]


def test_a_listener_that_hangs_is_not_fed(caplog: pytest.LogCaptureFixture) -> None:
    attendant, played, told = attended(*[None] * 40)
    played.health.begin("inference")
    attendant.run(nothing)
    assert told.words.count("fed") == STALE_S // 10 - 1
    assert "not fed to the watchdog: listening" in caplog.text


def test_without_a_watchdog_nothing_is_fed() -> None:
    attendant, _, told = attended(*[None] * 5, notifier=Told(interval_s=None))
    attendant.run(nothing)
    assert "fed" not in told.words


def test_a_new_state_is_told_once() -> None:
    attendant, played, told = attended(
        None,
        lambda: played.health.trouble("source", "gone"),
        None,
        lambda: played.health.trouble("source", None),
        None,
    )
    attendant.run(nothing)
    states = [word for word in told.words if word not in ("ready", "fed", "stopping")]
    assert states == ["listening", "degraded, source: gone", "listening"]


def test_a_heartbeat_is_logged_where_it_is_wanted(caplog: pytest.LogCaptureFixture) -> None:
    attendant, _, _ = attended(*[None] * 8, heartbeat_s=10)
    with caplog.at_level(logging.INFO, "edge_ser"):
        attendant.run(nothing)
    assert caplog.text.count("heartbeat: listening; 0 s heard; 0 events; level -120 dBFS") == 4


def test_a_reload_is_done_once_and_told() -> None:
    attendant, _, told = attended(lambda: attendant.reload_asked.set(), None, None)
    done: list[int] = []
    attendant.run(lambda: done.append(1))
    assert done == [1]
    assert [word for word in told.words if word in ("ready", "reloading")] == [
        "ready",
        "reloading",
        "ready",
    ]


def test_a_reload_that_fails_leaves_everything(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> None:
        raise ModelError("plb.tflite: damaged")

    attendant, played, told = attended(lambda: attendant.reload_asked.set(), None)
    attendant.run(broken)
    assert not played.stopped
    assert told.words[-1] == "stopping"
    assert "not reloaded, everything stays as it was: plb.tflite: damaged" in caplog.text


def test_a_listener_that_does_not_stop_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    attendant, played, told = attended(lambda: attendant.stop())
    played.tick_s = 0.5
    played.forever = True
    attendant.run(nothing)
    assert played.stopped
    assert told.words[-1] == "stopping"


def test_who_is_asked_to_stop_is_given_its_time_and_no_tick_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[float] = []
    attendant, played, _ = attended(lambda: attendant.stop(), None, None)
    played.tick_s = 1.0
    played.forever = True
    join = played.join
    monkeypatch.setattr(played, "join", lambda timeout: given.append(timeout) or join(timeout))
    attendant.run(nothing)
    assert given == pytest.approx([attending.TICK_S, 1.0, attending.CLASSIFY_S - 1.0])


def test_a_second_request_to_stop_does_not_win_time() -> None:
    attendant, played, _ = attended(*[lambda: attendant.stop()] * 20)
    played.tick_s = 0.5
    attendant.run(nothing)
    assert len(list(played._steps)) > 10


def test_what_ended_listening_is_raised_and_sinks_are_closed() -> None:
    def end() -> None:
        raise AudioError("a.wav: damaged")

    runner = SinkRunner(Sink())
    attendant, _, told = attended(end, sinks=[runner])
    with pytest.raises(AudioError, match="damaged"):
        attendant.run(nothing)
    assert told.words[-1] == "stopping"
    assert runner.close(0)


def test_a_sink_in_trouble_degrades(event: Event) -> None:
    tried = threading.Event()
    runner = SinkRunner(Sink(StorageError("disk full")), wait=lambda _: tried.set())

    def offer() -> None:
        runner.offer(event)
        assert tried.wait(30)

    attendant, _, told = attended(offer, None, sinks=[runner])
    with pytest.raises(StorageError, match="sink: not all events were written"):
        attendant.run(nothing)
    assert "degraded, sink sink: disk full" in told.words
    assert attendant.status().sink_drops == {"sink": 1}
    assert "sink: 1 events dropped" in sentence(attendant.status())


def test_a_reader_that_went_away_ends_listening(event: Event) -> None:
    runner = SinkRunner(Sink(BrokenPipeError()))

    def offer() -> None:
        runner.offer(event)
        runner._thread.join(30)

    attendant, played, _ = attended(offer, None, sinks=[runner])
    attendant.run(nothing)
    assert played.stopped


def test_a_status_in_one_line() -> None:
    status = Status(
        "degraded",
        ("source: gone",),
        stream_s=61.2,
        events=3,
        level_dbfs=-41.5,
        dropped_samples=7,
        skipped_s=1.25,
        faults={"stall": 2, "overflow": 1},
    )
    assert sentence(status) == (
        "degraded, source: gone; 61 s heard; 3 events; level -42 dBFS; 7 samples lost, "
        "1.2 s skipped; overflow x1; stall x2"
    )


def test_that_it_is_muted_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    attendant, played, told = attended(None, None)
    status = replace(played.status(), muted=True)
    monkeypatch.setattr(played, "status", lambda: status)
    attendant.run(nothing)
    assert "listening, muted" in told.words
    assert sentence(status).startswith("listening, muted; 0 s heard")


@pytest.fixture
def event() -> Event:
    return Event(
        sequence=1,
        kind="utterance",
        label="calm",
        uncertain=False,
        scores={"calm": 1.0},
        start_s=0.0,
        end_s=1.0,
        time=0.0,
        level_dbfs=-20.0,
        latency_ms=1.0,
        dropped_samples=0,
        cut=False,
        model="tiny",
        model_sha256="0" * 64,
        source="test",
    )


def test_the_sinks_share_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []
    monkeypatch.setattr(SinkRunner, "close", lambda self, timeout: given.append(timeout) or True)
    attendant, _, _ = attended(
        lambda: attendant.stop(), sinks=[SinkRunner(Sink()), SinkRunner(Sink())]
    )
    attendant.run(nothing)
    assert given == [attending.FLUSH_S / 2] * 2
