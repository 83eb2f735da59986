"""`Source`: where audio comes from, block by block. Microphone, file, raw PCM: one interface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from edge_ser.audio.clip import Samples

__all__ = ["Block", "Source", "SourceEnded"]


class SourceEnded(Exception):  # noqa: N818  # how a source ends, and no error
    """A source has given its last block: a file at its end, a writer that closed its pipe."""


@dataclass(frozen=True, eq=False)
class Block:
    """Consecutive samples of a source."""

    samples: Samples
    """Mono float32 in [-1, 1], shape (n,), n > 0."""
    rate: int
    """Hertz; the same in every block between two openings of the source."""
    captured: float
    """Seconds of the clock's `monotonic` at which the last sample was there."""
    lost: int = 0
    """Samples that were lost between the previous block and this one."""
    cause: str = ""
    """Why samples were lost: overflow, stall, unplugged, suspend, ..."""


class Source(Protocol):
    """A stream of audio that is opened, read and, after a fault, closed and opened again."""

    @property
    def name(self) -> str:
        """What it is called in events and messages."""

    @property
    def live(self) -> bool:
        """It cannot wait: what is not read within half a second may be lost, the oldest first."""

    @property
    def paced(self) -> bool:
        """Audio comes as it is spoken, and may be left unread for half a second."""

    def open(self) -> None:
        """Open it, or open it anew after `close`.

        Raises:
            AudioError: it is absent, busy, or refuses what was asked for; the message says which.
        """

    def read(self, timeout: float) -> Block | None:
        """The next block; None where none came within `timeout` seconds.

        Raises:
            SourceEnded: there will be no more.
            AudioError: it is gone or broken; `close` it, and `open` it again later.
        """

    def close(self) -> None:
        """Let go of it: never hangs, and may be called twice."""
