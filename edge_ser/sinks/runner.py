"""`SinkRunner`: a sink behind a bounded queue and a thread, so that it never stalls listening."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from edge_ser.errors import StorageError

if TYPE_CHECKING:
    from edge_ser.audio import Clip
    from edge_ser.events import Event
    from edge_ser.sinks.sink import Sink

__all__ = ["SinkRunner"]

LOG = logging.getLogger("edge_ser.sinks")

CAPACITY = 256
CAPACITY_WITH_AUDIO = 16
"""Five seconds at 22050 Hz are 0.4 MB."""
FIRST_DELAY_S, LONGEST_DELAY_S = 1.0, 30.0
REPEAT_S = 60.0
"""A fault that goes on is logged once a minute at most."""


class SinkRunner:
    """Gives events to a sink in a daemon thread that begins at once. Any thread may call.

    An event that the sink cannot take is kept and tried again after 1, 2, 4, 8, 16, 30, 30, ...
    seconds. Every event offered is written or counted as dropped, never both.
    """

    def __init__(
        self,
        sink: Sink,
        capacity: int | None = None,
        wait: Callable[[float], object] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the thread.

        Args:
            sink: from now on used by the thread alone.
            capacity: events that may wait, besides the one in the sink's hands; without it 256,
                or 16 for a sink that wants the audio too.
            wait: waits some seconds between two tries; the default ends early at `close`.
            monotonic: seconds that only go forward, for the log.
        """
        self.sink = sink
        self._capacity = capacity or (CAPACITY_WITH_AUDIO if sink.wants_audio else CAPACITY)
        self._closing = threading.Event()
        self._wait = wait or self._closing.wait
        self._fault_log = _Repeated(monotonic)
        self._error_log = _Repeated(monotonic)
        self._changed = threading.Condition()
        self._held: deque[tuple[Event, Clip | None]] = deque()
        self._dropped = 0
        self._errors = 0
        self._fault: str | None = None
        self._behind = False
        self._broken = False
        self._ended = False
        self._flushed = False
        self._thread = threading.Thread(target=self._run, name=f"sink {sink.name}", daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        """The sink's."""
        return self.sink.name

    @property
    def dropped(self) -> int:
        """Events that the sink will never have taken."""
        return self._dropped

    @property
    def errors(self) -> int:
        """Those of them at which the sink raised what no sink should: a bug of its."""
        return self._errors

    @property
    def fault(self) -> str | None:
        """Why the sink does not take events just now, or None."""
        if self._fault is None and self._behind:
            return f"{self.name} does not keep up: the oldest events are dropped"
        return self._fault

    @property
    def broken(self) -> bool:
        """Whoever read the sink's output has gone for good; further events are dropped."""
        return self._broken

    def offer(self, event: Event, clip: Clip | None = None) -> None:
        """Hand over an event at once; where too many wait, the oldest of them is dropped."""
        with self._changed:
            if not self._over and len(self._held) >= self._capacity:
                self._held.popleft()
                self._dropped += 1
                self._behind = True
            self._hold(event, clip)

    def put(self, event: Event, clip: Clip | None = None, timeout_s: float | None = None) -> bool:
        """Hand over an event once there is room; False where there was none in `timeout_s`.

        For sources that can wait. It returns at once where the runner is closed or the sink broken.
        """
        with self._changed:
            if not self._changed.wait_for(self._has_room, timeout_s):
                return False
            self._hold(event, clip)
            return True

    def close(self, timeout_s: float) -> bool:
        """Write what waits and close the sink; whether all was written within `timeout_s` seconds.

        A sink that cannot take an event now is tried once more. One that hangs is left alone: its
        thread ends with the process.
        """
        with self._changed:
            self._closing.set()
            self._changed.notify_all()
        self._thread.join(timeout_s)
        return self._flushed

    @property
    def _over(self) -> bool:
        return self._ended or self._closing.is_set()

    def _has_room(self) -> bool:
        return self._over or len(self._held) < self._capacity

    def _hold(self, event: Event, clip: Clip | None) -> None:
        if self._over:
            self._dropped += 1
            return
        self._held.append((event, clip if self.sink.wants_audio else None))
        self._changed.notify_all()

    def _take(self) -> tuple[Event, Clip | None] | None:
        """The oldest event; None where there is none and there will be no more."""
        with self._changed:
            self._behind = self._behind and bool(self._held)
            self._changed.wait_for(lambda: self._held or self._closing.is_set())
            if not self._held:
                return None
            self._changed.notify_all()
            return self._held.popleft()

    def _run(self) -> None:
        complete = False
        try:
            while (item := self._take()) is not None:
                if not self._delivered(*item):
                    return
            complete = True
        finally:
            with self._changed:
                self._ended = True
                self._dropped += len(self._held)
                self._held.clear()
                self._changed.notify_all()
            self._flushed = self._sink_closed() and complete and not self._errors

    def _delivered(self, event: Event, clip: Clip | None) -> bool:
        """Try until the sink has taken the event; False where no further one is worth trying."""
        delay = FIRST_DELAY_S
        while True:
            last = self._closing.is_set()
            try:
                self.sink.write(event, clip)
            except BrokenPipeError:
                self._broken = last = True
            except (StorageError, OSError) as error:
                self._fault = _reason(self.name, error)
                self._fault_log.warning(self._fault)
            except Exception as error:  # noqa: BLE001  # one sink's bug must not end the others
                self._misbehaved(error)
                return True
            else:
                self._recovered()
                return True
            if last:
                self._dropped_one()
                return False
            self._wait(delay)
            delay = min(2 * delay, LONGEST_DELAY_S)

    def _misbehaved(self, error: Exception) -> None:
        self._errors += 1
        self._dropped_one()
        self._error_log.warning(
            f"{self.name}: an event is lost to an unexpected {type(error).__name__}: {error}; "
            "please report it"
        )
        LOG.debug("%s", self.name, exc_info=error)

    def _recovered(self) -> None:
        if self._fault is not None:
            self._fault = None
            LOG.info("%s: takes events again; %d were dropped so far", self.name, self._dropped)

    def _dropped_one(self) -> None:
        with self._changed:
            self._dropped += 1

    def _sink_closed(self) -> bool:
        try:
            self.sink.close()
        except BrokenPipeError:
            self._broken = True
        except Exception as error:  # noqa: BLE001  # as above
            LOG.warning("%s: closing: %s", self.name, error)
        else:
            return True
        return False


def _reason(name: str, error: StorageError | OSError) -> str:
    """What a StorageError says by itself and an OSError does not: who cannot write."""
    return str(error) if isinstance(error, StorageError) else f"{name}: {error.strerror or error}"


class _Repeated:
    """A warning that is logged at once, then at most once a minute, with a count."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._said_at: float | None = None
        self._unsaid = 0

    def warning(self, message: str) -> None:
        now = self._monotonic()
        self._unsaid += 1
        if self._said_at is not None and now - self._said_at < REPEAT_S:
            return
        more = f" ({self._unsaid} times since last said)" if self._unsaid > 1 else ""
        LOG.warning("%s%s", message, more)
        self._said_at, self._unsaid = now, 0
