"""`Source`: where audio comes from, block by block. Microphone, file, raw PCM: one interface."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from edge_ser.audio.clip import MAX_RATE, MIN_RATE, Samples
from edge_ser.errors import UsageError

__all__ = ["Block", "Source", "SourceEnded", "checked"]


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


def checked(block: Block, name: str) -> Block:
    """A block that a source gave, with float32 samples.

    Raises:
        UsageError: it is none, or not as `Block` says: opening the source again mends no bug of it.
    """
    if not isinstance(block, Block):
        raise UsageError(
            f"source {name!r} gave a {type(block).__name__}, expected a Block, or None for none yet"
        )
    samples = block.samples
    array = isinstance(samples, np.ndarray)
    if not (array and samples.ndim == 1 and samples.dtype.kind == "f"):
        kind = f"{samples.dtype}, shape {samples.shape}" if array else type(samples).__name__
        raise UsageError(
            f"source {name!r} gave a block of {kind}, expected float32 in [-1, 1], mono, "
            "shape (n,): divide int16 by 32768, take the mean of channels"
        )
    if block.lost < 0:
        raise UsageError(
            f"source {name!r} gave a block with lost={block.lost}, expected the number of samples "
            "lost before it, 0 or more"
        )
    if not MIN_RATE <= block.rate <= MAX_RATE:
        raise UsageError(
            f"source {name!r} gave a block with rate={block.rate}, expected {MIN_RATE} to "
            f"{MAX_RATE} Hz: say at which rate it was sampled"
        )
    if samples.dtype == np.float32:
        return block
    return replace(block, samples=samples.astype(np.float32))


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
