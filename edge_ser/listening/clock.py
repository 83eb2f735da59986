"""Clocks: the machine's own, and one that a stream drives so that an hour takes a minute."""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["Clock", "StreamClock", "SystemClock"]


class Clock(Protocol):
    """What the listening loop knows of time."""

    def monotonic(self) -> float:
        """Seconds that only go forward, from an arbitrary start; sleep of the machine left out."""

    def time(self) -> float:
        """Seconds since the epoch; may jump when somebody sets the clock."""

    def suspended(self) -> float:
        """Seconds that the machine has slept since it started."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's clock."""

    def monotonic(self) -> float:
        """Seconds of CLOCK_MONOTONIC."""
        return time.monotonic()

    def time(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def suspended(self) -> float:
        """CLOCK_BOOTTIME counts the time asleep, CLOCK_MONOTONIC does not."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class StreamClock:
    """A clock that stands still until a stream advances it: for files read as fast as possible."""

    def __init__(self, epoch: float | None = None) -> None:
        """Begin at `epoch` seconds since 1970; now, without."""
        self._epoch = time.time() if epoch is None else epoch
        self._seconds = 0.0

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._seconds += seconds

    def monotonic(self) -> float:
        """Seconds that the stream has advanced."""
        return self._seconds

    def time(self) -> float:
        """Seconds since the epoch."""
        return self._epoch + self._seconds

    def suspended(self) -> float:
        """A stream does not sleep."""
        return 0.0

    def sleep(self, seconds: float) -> None:
        """Pass the time at once."""
        self.advance(seconds)
