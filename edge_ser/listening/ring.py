"""`Ring`, what lies between the callback of a sound card and the thread that reads."""

from __future__ import annotations

from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from numpy.typing import NDArray

__all__ = ["Ring", "Taken"]


class Taken(NamedTuple):
    """A block that came out of the ring."""

    samples: NDArray[Any]
    """Shape (frames, channels), as the callback got them."""
    lost: int
    """Frames between the previous block and this one that the ring had no room for."""
    overflows: int
    """How often, since the previous block, the driver said that it had lost samples itself."""
    arrived: float
    """Seconds of the clock's `monotonic` at which the callback was called."""
    delay: float
    """Seconds from the capture of the first frame to that call, as the driver has it."""


class _Held(NamedTuple):
    samples: NDArray[Any]
    position: int
    overflows: int
    arrived: float
    delay: float


class Ring:
    """A bounded queue of blocks for one writer and one reader; when it is full the oldest goes.

    `put` never waits: the queue underneath is the C one that may even be used from a destructor.
    Blocks are numbered by the frames before them, so what was dropped shows as a step between two
    that are read, wherever the reader stood at that moment.
    """

    def __init__(self, capacity: int) -> None:
        """Hold at most `capacity` blocks, 1 or more."""
        self._queue: SimpleQueue[_Held | None] = SimpleQueue()
        self._capacity = max(1, capacity)
        self._put_frames = self._put_overflows = 0
        self._taken_frames = self._taken_overflows = 0
        self._ended = False

    def put(self, samples: NDArray[Any], arrived: float, delay: float, overflow: bool) -> None:
        """Add a block that nobody else writes to; the oldest gives way where there is no room."""
        while self._queue.qsize() >= self._capacity:
            try:
                self._queue.get_nowait()
            except Empty:  # the reader was quicker
                break
        self._put_overflows += overflow
        self._queue.put(_Held(samples, self._put_frames, self._put_overflows, arrived, delay))
        self._put_frames += len(samples)

    def end(self) -> None:
        """Say that there will be no more; whoever waits in `get` comes back at once."""
        self._ended = True
        self._queue.put(None)

    @property
    def ended(self) -> bool:
        """`end` was called; blocks may still be waiting."""
        return self._ended

    def get(self, timeout: float) -> Taken | None:
        """The oldest block; None where none came within `timeout` seconds, or will ever come."""
        try:
            held = self._queue.get(timeout=0.0 if self._ended else max(0.0, timeout))
        except Empty:
            return None
        if held is None:
            return None
        lost = held.position - self._taken_frames
        overflows = held.overflows - self._taken_overflows
        self._taken_frames = held.position + len(held.samples)
        self._taken_overflows = held.overflows
        return Taken(held.samples, lost, overflows, held.arrived, held.delay)
