"""What still listens when the process ends is ended first.

A daemon thread that comes back from C++ (soxr, a runtime) into an interpreter that is being taken
down aborts the process, or leaves objects behind that their library complains of.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from typing import Protocol
from weakref import WeakSet

__all__ = ["EXIT_S", "Endable", "come_first", "end_at_exit"]

EXIT_S = 3.0
"""Seconds that the end of the process waits for all listeners together."""


class Endable(Protocol):
    """A listener, as the end of the process sees it."""

    def stop(self) -> None:
        """Ask it to end."""

    def close(self, timeout: float) -> bool:
        """Wait at most so many seconds for its end."""


_running: WeakSet[Endable] = WeakSet()
_changing = threading.Lock()


def end_at_exit(listener: Endable) -> None:
    """Have a listener that begins now ended with the process."""
    with _changing:
        _running.add(listener)
    come_first()


def come_first() -> None:
    """End listeners before what has been registered with `atexit` until now takes place.

    sounddevice, for one, ends PortAudio then, which must not be in use any more.
    """
    atexit.unregister(_end_all)
    atexit.register(_end_all)


def _end_all() -> None:
    deadline = time.monotonic() + EXIT_S
    with _changing:
        running = list(_running)
    for listener in running:
        listener.stop()
    for listener in running:
        listener.close(max(0.0, deadline - time.monotonic()))


def _begin_anew() -> None:
    """In a child of fork, which has none of the threads: their locks may be held for ever."""
    global _running, _changing
    _running, _changing = WeakSet(), threading.Lock()


os.register_at_fork(after_in_child=_begin_anew)
