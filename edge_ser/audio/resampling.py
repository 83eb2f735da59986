"""Resampling by libsoxr, at once or block by block with the same bits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edge_ser.audio.clip import Clip, Samples, check_layout
from edge_ser.audio.conditioning import fit
from edge_ser.errors import DependencyError, UsageError

__all__ = ["QUALITIES", "RateConverter", "Resampler", "resample"]

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


class RateConverter:
    """Brings audio to a model's rate, without what lies above the training speech's bandwidth.

    A stream of a higher rate than 2 * bandwidth_hz is brought to that rate first; what follows then
    has the empty upper band that the training speech had. Blocks of any lengths give, joined, the
    same bits; without anything to do they pass unchanged.

    Raises:
        AudioError: a rate, or 2 * bandwidth_hz, is no sampling rate.
        UsageError: no such quality.
    """

    def __init__(
        self, from_rate: int, to_rate: int, bandwidth_hz: float | None, quality: str = "soxr_hq"
    ) -> None:
        self._stages: list[Resampler] = []
        rate = from_rate
        if bandwidth_hz is not None and rate > round(2 * bandwidth_hz):
            self._stages.append(Resampler(rate, round(2 * bandwidth_hz)))
            rate = round(2 * bandwidth_hz)
        if rate != to_rate:
            self._stages.append(Resampler(rate, to_rate, quality))

    def process(self, block: Samples, last: bool = False) -> Samples:
        """What `block` adds to the output; as `Resampler.process`."""
        for stage in self._stages:
            block = stage.process(block, last)
        return block

    def reset(self) -> None:
        """Forget what was taken: the next block begins a new stream."""
        for stage in self._stages:
            stage.reset()


def _stream(from_rate: int, to_rate: int, quality: str) -> Any:
    try:
        import soxr
    except ImportError as error:
        raise DependencyError(
            f"resampling {from_rate} to {to_rate} Hz needs soxr, which is not installed: "
            f"pip install soxr, or give audio at {to_rate} Hz"
        ) from error
    return soxr.ResampleStream(from_rate, to_rate, 1, "float32", quality)
