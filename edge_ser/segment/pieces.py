"""`Piece`: a stretch of a stream that is to be classified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Kind", "Piece"]

Kind = Literal["utterance", "window", "partial"]


@dataclass(frozen=True, eq=False)
class Piece:
    """A stretch of a stream, at the model's rate."""

    kind: Kind
    samples: NDArray[np.float32]
    """Mono, shape (n,)."""
    start: int
    """Position of the first sample in the stream; lost samples count."""
    utterance: int
    """Number of the opening of the gate that it belongs to, from 1."""
    run: int = 0
    """Number of the unbroken stretch of the stream that it lies in: a gap begins a new one."""
    last: bool = False
    """Nothing more of this utterance follows."""
    cut: bool = False
    """The stream broke off within it, or listening stopped."""

    @property
    def end(self) -> int:
        """Position after the last sample."""
        return self.start + len(self.samples)
