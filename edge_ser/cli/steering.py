"""Signals that steer a long-running command: taken by one thread, one after the other.

A handler as Python calls it interrupts the main thread wherever it is, also within another handler,
and locks that the two share are then waited for in vain. So the signals are blocked in every
thread, and one thread waits for them and does what they ask in ordinary calls.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from edge_ser.errors import ExitCode

__all__ = ["Steering", "steering"]

LOG = logging.getLogger("edge_ser.cli")

LATEST_S = 2.2
"""Seconds from the signal that ends the command to the end of the process, whatever hangs."""
ENDING = {"SIGTERM": ExitCode.OK, "SIGINT": ExitCode.INTERRUPTED}
"""Signals that end the command -> exit status."""
TAKEN = (*ENDING, "SIGHUP", "SIGUSR1", "SIGUSR2")


class Steering:
    """What signals have asked for. Any thread may call."""

    def __init__(
        self,
        forced: Callable[[int], object],
        latest_s: float = LATEST_S,
        kernel: Callable[[int], object] = signal.alarm,
    ) -> None:
        """Steer nothing yet: what is asked before `obey` is kept.

        Args:
            forced: ends the process with a status, without waiting for anything.
            latest_s: seconds after a signal that ends the command at which `forced` is called.
            kernel: has the kernel end the process after whole seconds, in case no thread can run.
        """
        self.status: ExitCode | None = None
        """Exit status once a signal has asked for the end."""
        self._forced = forced
        self._latest_s = latest_s
        self._kernel = kernel
        self._lock = threading.Lock()
        self._handlers: Mapping[signal.Signals, Callable[[], object]] | None = None
        self._early: list[signal.Signals] = []

    def obey(self, handlers: Mapping[signal.Signals, Callable[[], object]]) -> None:
        """From now on call a signal's handler; first those of signals that have come already."""
        with self._lock:
            self._handlers = handlers
            for number in self._early:
                self._call(number)

    def take(self, number: signal.Signals) -> None:
        """A signal has come. Of those that end the command only the first counts."""
        if number.name in ENDING:
            if self.status is not None:
                return
            self.status = ENDING[number.name]
            self._hurry(self.status)
        with self._lock:
            if self._handlers is not None:
                self._call(number)
            else:  # of several the last: USR1, USR2, USR1 mutes
                self._early = [early for early in self._early if early != number] + [number]

    def _hurry(self, status: ExitCode) -> None:
        self._kernel(math.ceil(self._latest_s) + 1)
        timer = threading.Timer(self._latest_s, self._forced, [int(status)])
        timer.daemon = True
        timer.start()

    def _call(self, number: signal.Signals) -> None:
        assert self._handlers is not None
        try:
            self._handlers.get(number, lambda: None)()
        except Exception as error:
            LOG.warning("%s: %s: %s", number.name, type(error).__name__, error)


@contextmanager
def steering(
    forced: Callable[[int], object] = os._exit, latest_s: float = LATEST_S
) -> Iterator[Steering]:
    """Take TERM, INT, HUP, USR1 and USR2 within the block; best begun before any other thread.

    After a signal that ends the command they stay blocked: the process is on its way out. In
    another thread than the main one, and where there are no such signals, nothing is taken.
    """
    steered = Steering(forced, latest_s)
    main = threading.current_thread() is threading.main_thread()
    if not main or not hasattr(signal, "pthread_sigmask"):
        yield steered
        return
    taken = {getattr(signal, name) for name in TAKEN}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, taken)
    server = _Server(steered, taken)
    try:
        yield steered
    finally:
        server.dismiss()
        if steered.status is None:
            while signal.sigpending() & taken:  # they came too late to be obeyed
                signal.sigwait(taken)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Server:
    """The thread that waits for signals."""

    def __init__(self, steered: Steering, taken: set[signal.Signals]) -> None:
        self._steered = steered
        self._taken = taken
        self._closing = False
        self._dismissed = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="signals", daemon=True)
        self._thread.start()

    def dismiss(self) -> None:
        """End the thread; signals that come later stay pending."""
        self._closing = True
        assert self._thread.ident is not None
        # It lives until `_dismissed`: a signal to a thread that has ended would be a crash.
        signal.pthread_kill(self._thread.ident, signal.SIGUSR2)
        self._dismissed.set()
        self._thread.join(1.0)

    def _serve(self) -> None:
        while True:
            number = signal.sigwait(self._taken)
            if self._closing:
                break
            self._steered.take(signal.Signals(number))
        self._dismissed.wait()
