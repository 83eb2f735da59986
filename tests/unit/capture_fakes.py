"""A clock and a source that do as a script says, and what is reported of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edge_ser.errors import AudioError
from edge_ser.listening.capture import Capture
from edge_ser.listening.options import SourceOptions
from edge_ser.listening.source import Block, SourceEnded

RATE = 16_000
BLOCK = 1_600
BLOCK_S = BLOCK / RATE


class FakeClock:
    """Time passes when somebody sleeps or a source is read."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.wall = 5.0e8
        self.asleep = 0.0
        self.on_sleep: Callable[[float], None] = lambda seconds: None

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.wall + self.now

    def suspended(self) -> float:
        return self.asleep

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.on_sleep(seconds)


Act = Any
"""What a source does when it is read: so many good blocks, "silence", an error, a function."""


class FakeSource:
    """Plays a script: for every opening what `open` does and what the reads do in turn."""

    name = "fake"

    def __init__(self, clock: FakeClock, *sessions: tuple[Act, ...], live: bool = True) -> None:
        self.live = self.paced = live
        self.clock = clock
        self.sessions = list(sessions)
        self.opened_at: list[float] = []
        self.closed = 0
        self._acts: list[Act] = []

    def open(self) -> None:
        self.opened_at.append(self.clock.now)
        acts = list(self.sessions.pop(0)) if self.sessions else [SourceEnded()]
        if acts and isinstance(acts[0], Exception) and not isinstance(acts[0], SourceEnded):
            raise acts[0]
        self._acts = acts

    def read(self, timeout: float) -> Block | None:
        act = self._acts.pop(0) if self._acts else "silence"
        if act == "silence":
            self.clock.sleep(timeout)
            return None
        if isinstance(act, int):
            if act > 1:
                self._acts.insert(0, act - 1)
            return self.block()
        if isinstance(act, Block):
            return act
        if isinstance(act, Exception):
            raise act
        act()
        return self.read(timeout)

    def block(self, lost: int = 0, cause: str = "") -> Block:
        self.clock.now += BLOCK_S
        return Block(np.ones(BLOCK, np.float32), RATE, self.clock.now, lost, cause)

    def close(self) -> None:
        self.closed += 1


class Reports(list[tuple[str, str]]):
    def __call__(self, cause: str, message: str) -> None:
        self.append((cause, message))

    @property
    def causes(self) -> list[str]:
        return [cause for cause, _ in self]


@pytest.fixture(name="clock")
def clock_fixture() -> FakeClock:
    return FakeClock()


@pytest.fixture(name="reports")
def reports_fixture() -> Reports:
    return Reports()


def capture(source: FakeSource, reports: Reports, **options: Any) -> Capture:
    stopping = options.pop("stopping", threading.Event())
    return Capture(source, source.clock, stopping, reports, SourceOptions(**options))


def gone() -> AudioError:
    return AudioError("fake: gone, expected a microphone: plug it in")
