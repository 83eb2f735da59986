"""What the two modes of the segmenter do with an open gate: spans of the stream, no samples."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from edge_ser.segment.pieces import Kind
from edge_ser.segment.windows import CROP_LIMIT, piece_hop, split_pieces

__all__ = ["Cutter", "Span", "UtteranceCutter", "WindowCutter"]


class Span(NamedTuple):
    """A piece without its samples: [start, end) of the stream."""

    kind: Kind
    start: int
    end: int
    last: bool = False
    cut: bool = False


class Cutter(Protocol):
    """Decides by positions alone, so that the size of blocks does not matter."""

    def begin(self, position: int) -> None:
        """An unbroken run begins; the gate is closed."""

    def open(self, position: int, decided: int) -> None:
        """The gate opened: an utterance begins at `position`, as was known at `decided`."""

    def due(self, until: int) -> Iterator[Span]:
        """What is complete at `until`, while the gate is open up to there."""

    def close(self, end: int, cut: bool) -> list[Span]:
        """The gate closed: the utterance ended at `end`. What is left of it."""

    def oldest(self, position: int, opening: int) -> int:
        """The first sample that may be needed after `position`: no utterance begins before
        `opening`, nor before the end of the last one."""


class UtteranceCutter:
    """Utterances, split where they are long."""

    def __init__(self, clip: int, overlap: float, delay: int, partial: int) -> None:
        """In samples.

        Args:
            clip: length of the pieces of a long utterance.
            overlap: share of a piece that the next one repeats.
            delay: an open utterance reaches at least to `delay` before the newest sample.
            partial: time between partial pieces; 0 for none.
        """
        self._clip = clip
        self._overlap = overlap
        self._certain = math.floor(CROP_LIMIT * clip) + delay
        self._partial = partial
        self.begin(0)

    def begin(self, position: int) -> None:
        """As `Cutter` says."""
        self._rest: int | None = None
        self._decided = self._next_partial = 0

    def open(self, position: int, decided: int) -> None:
        """As `Cutter` says."""
        self._rest, self._decided = position, decided
        if self._partial:
            count = max(1, math.ceil((decided - position) / self._partial))
            self._next_partial = position + count * self._partial

    def due(self, until: int) -> Iterator[Span]:
        """As `Cutter` says."""
        while self._rest is not None:
            whole = max(self._rest + self._certain, self._decided)
            partial = self._next_partial if self._partial else until + 1
            if min(whole, partial) > until:
                return
            if whole <= partial:
                yield Span("utterance", self._rest, self._rest + self._clip)
                self._rest += piece_hop(self._clip, self._overlap)
            else:
                yield Span("partial", self._rest, partial)
                self._next_partial += self._partial

    def close(self, end: int, cut: bool) -> list[Span]:
        """As `Cutter` says."""
        if self._rest is None:
            return []
        *others, (start, end) = split_pieces(self._rest, end, self._clip, self._overlap)
        self._rest = None
        whole = [Span("utterance", *span) for span in others]
        return [*whole, Span("utterance", start, end, last=True, cut=cut)]

    def oldest(self, position: int, opening: int) -> int:
        """As `Cutter` says."""
        return opening if self._rest is None else self._rest


class WindowCutter:
    """Windows at whole hops after the start of a run."""

    def __init__(self, window: int, hop: int) -> None:
        """Lengths in samples."""
        self._window = window
        self._hop = hop
        self.begin(0)

    def begin(self, position: int) -> None:
        """As `Cutter` says."""
        self._origin = position
        self._from: int | None = None

    def open(self, position: int, decided: int) -> None:
        """As `Cutter` says."""
        self._from = decided

    def due(self, until: int) -> Iterator[Span]:
        """As `Cutter` says."""
        while self._from is not None:
            hops = max(1, math.ceil((self._from - self._origin) / self._hop))
            end = self._origin + hops * self._hop
            if end > until:
                return
            yield Span("window", end - self._window, end)
            self._from = end + 1

    def close(self, end: int, cut: bool) -> list[Span]:
        """As `Cutter` says."""
        self._from = None
        return []

    def oldest(self, position: int, opening: int) -> int:
        """As `Cutter` says."""
        return position + 1 - self._window
