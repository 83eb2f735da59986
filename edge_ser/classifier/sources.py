"""What a classifier takes, as something to read samples from."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio import Clip, Recording, as_clip, open_recording
from edge_ser.errors import UsageError

__all__ = ["Given", "opened"]

Given = str | Path | BinaryIO | Clip | NDArray[Any]
"""A file's path, an open binary file, a clip, or samples, which come with their rate."""


def opened(source: Given, rate: int | None) -> AbstractContextManager[Recording]:
    """Any source as something to read samples from, to be closed afterwards.

    Raises:
        AudioError: it cannot be decoded, or holds NaN or infinite samples.
        UsageError: samples without a rate, or a rate with something else.
    """
    if isinstance(source, np.ndarray):
        if rate is None:
            raise UsageError(
                "samples were given without a rate: give it too, as rate=16000, or a "
                "Clip(samples, 16000)"
            )
        return nullcontext(as_clip(source, rate))
    if rate is not None:
        raise UsageError(
            f"rate={rate} was given with a {type(source).__name__}: only samples take a rate, and "
            "they come as a numpy array"
        )
    if isinstance(source, Clip):
        return nullcontext(as_clip(source.samples, source.rate))
    return open_recording(source)
