"""Resampling by libsoxr, at once or block by block with the same bits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edge_ser.audio.clip import Clip, Samples, check_layout
from edge_ser.audio.conditioning import fit
from edge_ser.errors import DependencyError, UsageError

__all__ = ["QUALITIES", "Resampler", "limit_bandwidth", "resample"]

QUALITIES = ("soxr_vhq", "soxr_hq", "soxr_mq", "soxr_lq", "soxr_qq")


def resample(clip: Clip, rate: int, quality: str = "soxr_hq") -> Clip:
    """The clip at `rate` Hz, of ceil(n * ratio) samples as librosa makes it.

    Raises:
        AudioError: a rate is out of range.
        UsageError: no such quality.
        DependencyError: soxr is not installed.
    """
    if clip.rate == rate:
        return clip
    return Clip(Resampler(clip.rate, rate, quality).process(clip.samples, last=True), rate)


def limit_bandwidth(clip: Clip, hz: float) -> Clip:
    """The clip without anything above `hz`: one of a higher rate is resampled to 2 * hz.

    A clip that holds less bandwidth stays as it is. What follows brings it to the model's rate, and
    then has the empty upper band that the training speech had.

    Raises:
        AudioError: 2 * hz is no sampling rate.
        DependencyError: soxr is not installed.
    """
    rate = round(2 * hz)
    if clip.rate <= rate:
        return clip
    return resample(clip, rate)


class Resampler:
    """Resamples a stream. Blocks of any lengths give, joined, the bits of `resample` at once.

    Without the state kept here, each block's ends would be wrong: MFCCs move by up to 43 units.
    """

    def __init__(self, from_rate: int, to_rate: int, quality: str = "soxr_hq") -> None:
        check_layout("input", from_rate, 1)
        check_layout("output", to_rate, 1)
        if quality not in QUALITIES:
            raise UsageError(
                f"resampler quality {quality!r}, expected one of {', '.join(QUALITIES)}: choose one"
            )
        self._wanted = (from_rate, to_rate, quality)
        self._ratio = float(to_rate) / from_rate
        self._stream: Any = None
        self._taken = self._given = 0

    def process(self, block: Samples, last: bool = False) -> Samples:
        """What `block` adds to the output: later than its input by the filter's length.

        Args:
            block: float32, shape (n,), n may be 0.
            last: nothing follows; the rest comes out, ceil(n * ratio) samples in all (zeros where
                libsoxr makes one fewer), and the next block begins a new stream.
        """
        block = np.ascontiguousarray(block, dtype=np.float32)
        if self._stream is None:
            self._stream = _stream(*self._wanted)
        made: Samples = self._stream.resample_chunk(block, last=last)
        self._taken += len(block)
        if last:
            length = math.ceil(self._taken * self._ratio)
            made = fit(made, max(0, length - self._given), "end")
            self.reset()
        else:
            self._given += len(made)
        return made

    def reset(self) -> None:
        """Forget what was taken: the next block begins a new stream."""
        self._stream = None
        self._taken = self._given = 0


def _stream(from_rate: int, to_rate: int, quality: str) -> Any:
    try:
        import soxr
    except ImportError as error:
        raise DependencyError(
            f"resampling {from_rate} to {to_rate} Hz needs soxr, which is not installed: "
            f"pip install soxr, or give audio at {to_rate} Hz"
        ) from error
    return soxr.ResampleStream(from_rate, to_rate, 1, "float32", quality)
