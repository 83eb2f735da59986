"""Health: is audio coming in, is it being classified, and what is the matter if not."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable

from edge_ser.events import State
from edge_ser.listening.clock import Clock

__all__ = ["Health"]

LOG = logging.getLogger("edge_ser.listening")

OVER = ("ended", "failed")
REPEAT_S = 60.0
"""A fault that goes on is logged once a minute at most."""
STALE_S = 60.0
"""A part that has not shown life for so long is taken to hang."""
LATE_S = 10.0
"""Something in hand for so long is told, in case it is never done."""


class Health:
    """What each part of a listener last said of itself. Any thread may call."""

    def __init__(self, clock: Clock, real: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            clock: of the stream.
            real: seconds that a machine works; a stream that is read fast runs ahead of them.
        """
        self._clock = clock
        self._real = real
        self._lock = threading.Lock()
        self._beats: dict[str, float] = {}
        self._working: dict[str, tuple[float, float]] = {}
        """Since when, by the stream's clock and by the real one."""
        self._troubles: dict[str, str] = {}
        self._faults: Counter[str] = Counter()
        self._logged: dict[str, tuple[float, int]] = {}
        self._phase: State = "starting"

    def enter(self, phase: State) -> None:
        """Go on to the next phase; ended is the last but for failed."""
        with self._lock:
            if phase == "failed" or self._phase not in OVER:
                self._phase = phase

    def beat(self, part: str) -> None:
        """`part` is alive: audio came in, or somebody is at work to get it back."""
        with self._lock:
            self._beats[part] = self._clock.monotonic()

    def begin(self, part: str) -> None:
        """`part` has begun something that must end."""
        with self._lock:
            self._working[part] = self._clock.monotonic(), self._real()

    def end(self, part: str) -> None:
        """`part` has ended it."""
        with self._lock:
            self._working.pop(part, None)

    def trouble(self, part: str, cause: str | None) -> None:
        """`part` cannot do its work because of `cause`; None: it can again."""
        with self._lock:
            before = self._troubles.pop(part, None)
            if cause is not None:
                self._troubles[part] = cause
        if before is not None and cause is None:
            LOG.info("%s: recovered", part)

    def forget(self, part: str) -> bool:
        """`part` has nothing to do for now; whether it was in trouble."""
        with self._lock:
            return self._troubles.pop(part, None) is not None

    def fault(self, cause: str, message: str) -> None:
        """Count a fault, and log it: at once the first time, then at most once a minute."""
        now = self._clock.monotonic()
        with self._lock:
            self._faults[cause] += 1
            count = self._faults[cause]
            last, known = self._logged.get(cause, (-REPEAT_S, 0))
            if now - last < REPEAT_S:
                return
            self._logged[cause] = (now, count)
        more = f" ({count - known} times since last said)" if count - known > 1 else ""
        LOG.warning("%s%s", message, more)

    @property
    def state(self) -> State:
        """The phase, or degraded where a part is in trouble."""
        with self._lock:
            if self._phase in OVER:
                return self._phase
            return "degraded" if self._troubles or self._late() else self._phase

    @property
    def causes(self) -> tuple[str, ...]:
        """What each part in trouble says, the newest last."""
        with self._lock:
            late = f"at one piece for more than {LATE_S:g} s: a model or subscriber may hang"
            causes = {**self._troubles, **dict.fromkeys(self._late(), late)}
            return tuple(f"{part}: {cause}" for part, cause in causes.items())

    @property
    def faults(self) -> dict[str, int]:
        """How often each kind of fault was met."""
        with self._lock:
            return dict(self._faults)

    def _late(self) -> list[str]:
        """Parts that have had something in hand for long."""
        now = self._real()
        return [part for part, (_, begun) in self._working.items() if now - begun > LATE_S]

    def alive(self) -> bool:
        """Audio advances, or is being recovered, and no inference hangs: feed the watchdog."""
        now = self._clock.monotonic()
        with self._lock:
            signs = [*self._beats.values(), *(begun for begun, _ in self._working.values())]
            return self._phase != "failed" and all(now - at < STALE_S for at in signs)
