"""`Attendant`: what the main thread does beside a listener: watchdog, status, heartbeat, reload."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from edge_ser.errors import EdgeSerError, StorageError
from edge_ser.events import Status
from edge_ser.listening.clock import Clock
from edge_ser.listening.listener import Listener
from edge_ser.listening.notify import Notifier
from edge_ser.sinks import SinkRunner

__all__ = ["Attendant", "sentence"]

LOG = logging.getLogger("edge_ser.listening")

TICK_S = 1.0
"""Between two looks at the listener; each wakes the processor."""
CLASSIFY_S = 1.3
"""Seconds that the clip in hand may take once listening is to stop."""
FLUSH_S = 0.6
"""Seconds that sinks then have to write what they hold: all in all under two."""
FINISH_S = 60.0
"""Seconds that each sink has at the end of a file, where nobody asked to hurry."""


class Attendant:
    """Keeps a running listener company and tells the service manager how it is."""

    def __init__(
        self,
        listener: Listener,
        sinks: Sequence[SinkRunner],
        notifier: Notifier,
        clock: Clock,
        heartbeat_s: float | None = None,
    ) -> None:
        self.reload_asked = threading.Event()
        self._listener = listener
        self._sinks = sinks
        self._notifier = notifier
        self._clock = clock
        self._heartbeat_s = heartbeat_s
        self._stop_asked: float | None = None
        self._said: tuple[str, ...] = ()

    def stop(self) -> None:
        """Ask the listener to end. Any thread may call; only the first call counts."""
        if self._stop_asked is None:
            self._stop_asked = self._clock.monotonic()
            self._listener.stop()

    def status(self) -> Status:
        """The listener's status, with what its sinks could not take."""
        drops = {runner.name: runner.dropped for runner in self._sinks if runner.dropped}
        return replace(self._listener.status(), sink_drops=drops)

    def run(self, reload: Callable[[], None]) -> None:
        """Stay until the listener has ended, or has been asked to and does not.

        Args:
            reload: reads the configuration again and calls `Listener.replace`; raises EdgeSerError
                where that cannot be done, and the listener goes on as it is.

        Raises:
            EdgeSerError: what ended listening before its time.
            StorageError: the source has ended, and a sink could not write all of its events.
        """
        self._listener.start()
        self._notifier.ready()
        fed = beaten = self._clock.monotonic()
        try:
            while not self._listener.join(self._patience_s()) and not self._too_late():
                now = self._clock.monotonic()
                self._watch_sinks()
                self._tell()
                if self.reload_asked.is_set():
                    self._reload(reload)
                if self._notifier.interval_s and now - fed >= self._notifier.interval_s:
                    fed = now
                    self._feed()
                if self._heartbeat_s and now - beaten >= self._heartbeat_s:
                    beaten = now
                    LOG.info("heartbeat: %s", sentence(self.status()))
        finally:
            unwritten = self._end()
        if unwritten and self._stop_asked is None:
            raise StorageError(
                f"{', '.join(unwritten)}: not all events were written: make room or permission "
                "there, or name another place"
            )

    def _patience_s(self) -> float:
        """Seconds until the next look."""
        asked = self._stop_asked
        left = TICK_S if asked is None else asked + CLASSIFY_S - self._clock.monotonic()
        return min(TICK_S, max(0.0, left))

    def _too_late(self) -> bool:
        asked = self._stop_asked
        return asked is not None and self._clock.monotonic() - asked >= CLASSIFY_S

    def _watch_sinks(self) -> None:
        for runner in self._sinks:
            self._listener.health.trouble(f"sink {runner.name}", runner.fault)
            if runner.broken:  # the reader of our output has gone: it has had enough
                self.stop()

    def _tell(self) -> None:
        """State and causes go to the service manager, and the state to the log, as they change."""
        status = self._listener.status()
        said = _condition(status)
        if said[:1] != self._said[:1]:
            LOG.info("%s", status.state)
        if said != self._said:
            self._notifier.status(", ".join(said))
        self._said = said

    def _feed(self) -> None:
        if self._listener.health.alive():
            self._notifier.watchdog()
        else:
            LOG.error("not fed to the watchdog: %s", sentence(self.status()))

    def _reload(self, reload: Callable[[], None]) -> None:
        self.reload_asked.clear()
        self._notifier.reloading()
        try:
            reload()
            LOG.info("reloaded")
        except EdgeSerError as error:
            LOG.error("not reloaded, everything stays as it was: %s", error)
        self._notifier.ready()

    def _end(self) -> list[str]:
        """Close the sinks; the names of those that could not write all that they were given."""
        unwritten = []
        self._notifier.stopping()
        for runner in self._sinks:
            hurried = FLUSH_S / len(self._sinks)
            whole = runner.close(FINISH_S if self._stop_asked is None else hurried)
            if not whole and not runner.broken:
                LOG.error("%s: not all events were written", runner.name)
                unwritten.append(runner.name)
        return unwritten


def sentence(status: Status) -> str:
    """A status in one line for a log."""
    parts = [
        ", ".join(_condition(status)),
        f"{status.stream_s:.0f} s heard",
        f"{status.events} events",
        f"level {status.level_dbfs:.0f} dBFS",
    ]
    if status.dropped_samples or status.skipped_s:
        parts.append(f"{status.dropped_samples} samples lost, {status.skipped_s:.1f} s skipped")
    parts += [f"{name}: {count} events dropped" for name, count in status.sink_drops.items()]
    parts += [f"{cause} x{count}" for cause, count in sorted(status.faults.items())]
    return "; ".join(parts)


def _condition(status: Status) -> tuple[str, ...]:
    return (status.state, *(["muted"] if status.muted else []), *status.causes)
