"""States, causes and faults of a listener."""

from __future__ import annotations

import logging

import pytest

from edge_ser.listening.clock import StreamClock
from edge_ser.listening.health import LATE_S, STALE_S, Health


@pytest.fixture
def clock() -> StreamClock:
    return StreamClock()


@pytest.fixture
def health(clock: StreamClock) -> Health:
    return Health(clock)


def test_phases_follow_one_another(health: Health) -> None:
    assert health.state == "starting"
    for phase in ("warming", "listening"):
        health.enter(phase)
        assert health.state == phase


def test_trouble_degrades_until_it_is_over(
    health: Health, caplog: pytest.LogCaptureFixture
) -> None:
    health.enter("listening")
    health.trouble("source", "unplugged")
    health.trouble("sink", "disk full")
    assert health.state == "degraded"
    assert health.causes == ("source: unplugged", "sink: disk full")
    with caplog.at_level(logging.INFO, "edge_ser"):
        health.trouble("source", None)
        health.trouble("sink", None)
        health.trouble("sink", None)
    assert health.state == "listening"
    assert caplog.messages == ["source: recovered", "sink: recovered"]


def test_trouble_of_what_need_not_be_done_is_forgotten_without_a_word(
    health: Health, caplog: pytest.LogCaptureFixture
) -> None:
    health.enter("listening")
    health.trouble("source", "unplugged")
    with caplog.at_level(logging.INFO, "edge_ser"):
        assert health.forget("source")
        assert not health.forget("source")
    assert health.state == "listening"
    assert caplog.messages == []


def test_a_microphone_that_is_absent_at_the_start_is_told_too(health: Health) -> None:
    health.enter("warming")
    health.trouble("source", "absent")
    assert (health.state, health.causes) == ("degraded", ("source: absent",))


def test_what_is_in_hand_for_long_is_told_before_it_is_taken_to_hang(clock: StreamClock) -> None:
    now = 0.0
    health = Health(clock, lambda: now)
    health.enter("listening")
    health.begin("inference")
    clock.advance(LATE_S + 1)
    assert health.state == "listening", "a file that is read fast runs ahead"
    now = LATE_S + 1
    assert health.state == "degraded"
    (cause,) = health.causes
    assert cause.startswith("inference: at one piece for more than 10 s")
    assert health.alive()
    health.end("inference")
    assert (health.state, health.causes) == ("listening", ())


def test_an_end_is_followed_by_a_failure_alone(health: Health) -> None:
    health.enter("ended")
    health.enter("listening")
    health.trouble("source", "gone")
    assert health.state == "ended"
    health.enter("failed")
    assert health.state == "failed"


def test_nothing_follows_a_failure(health: Health) -> None:
    health.enter("failed")
    health.enter("listening")
    assert health.state == "failed"
    assert not health.alive()


def test_a_fault_is_logged_once_then_once_a_minute_with_its_count(
    health: Health, clock: StreamClock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(130):
        health.fault("overflow", "audio was lost")
        health.fault("stall", "no audio") if clock.monotonic() == 0 else None
        clock.advance(1.0)
    assert health.faults == {"overflow": 130, "stall": 1}
    assert caplog.messages == [
        "audio was lost",
        "no audio",
        "audio was lost (60 times since last said)",
        "audio was lost (60 times since last said)",
    ]


def test_alive_while_audio_comes_and_no_inference_hangs(health: Health, clock: StreamClock) -> None:
    health.beat("audio")
    clock.advance(STALE_S - 1)
    assert health.alive()
    health.begin("inference")
    clock.advance(2)
    assert not health.alive(), "no audio"
    health.beat("audio")
    assert health.alive()
    clock.advance(STALE_S - 1)
    health.beat("audio")
    assert not health.alive(), "an inference that does not end"
    health.end("inference")
    assert health.alive()
