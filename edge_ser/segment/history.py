"""`History`: the newest samples of a stream, by their positions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["History"]

Samples = NDArray[np.float32]


class History:
    """Keeps samples until they are dropped. Memory: twice the most that was ever kept."""

    def __init__(self, position: int = 0) -> None:
        """Begin at a position of the stream."""
        self._samples: Samples = np.empty(0, np.float32)
        self._first = self._end = 0
        self._position = position

    @property
    def start(self) -> int:
        """Position of the oldest sample that is kept."""
        return self._position - (self._end - self._first)

    def append(self, samples: Samples) -> None:
        """Add the next samples. Nothing is moved until the room behind is used up."""
        kept = self._end - self._first
        if self._end + len(samples) > len(self._samples):
            needed = kept + len(samples)
            old = self._samples[self._first : self._end]
            if len(self._samples) < 2 * needed:
                self._samples = np.empty(2 * needed, np.float32)
            self._samples[:kept] = old
            self._first, self._end = 0, kept
        self._samples[self._end : self._end + len(samples)] = samples
        self._end += len(samples)
        self._position += len(samples)

    def read(self, start: int, end: int) -> Samples:
        """A copy of the samples at [start, end); zeros where there are none."""
        copy = np.zeros(end - start, np.float32)
        first, last = max(start, self.start), min(end, self._position)
        if first < last:
            offset = self._first - self.start
            copy[first - start : last - start] = self._samples[first + offset : last + offset]
        return copy

    def drop(self, position: int) -> None:
        """Forget what lies before a position."""
        self._first += min(max(0, position - self.start), self._end - self._first)
