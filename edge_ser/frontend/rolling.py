"""`RollingFrontend`: features of overlapping windows, each frame transformed once."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio import fit
from edge_ser.errors import UsageError
from edge_ser.frontend.features import Frontend

__all__ = ["RollingFrontend"]

Array = NDArray[Any]


class RollingFrontend:
    """What `frontend(fit(window * gain, clip_samples, pad_side))` gives, of windows of one stream.

    A frame whose samples all lie within the window has the same band powers in every window that
    holds it. They are kept, and transformed anew are only the frames that the last window did not
    hold and those that touch the edges: what a window is padded with, or centred frames reach
    into. For PLB (100,000 samples) at a hop of 43 STFT hops these are 43 and 4 frames of 196.
    Windows whose distance is no multiple of `hop_length`, or that do not overlap, are correct too,
    and computed whole. `kind="waveform"` has no frames: always whole.

    Floor, `top_db`, DCT and normalisation are those of the window. The result is within 1e-4 of the
    offline features, or one last bit of the float32 that holds them (matrix products differ there
    with the number of rows).

    A window with another gain than the last one is computed whole. To multiply the kept powers by
    the gain's square instead would be off by up to 3e-4 (measured on speech, log-mel and
    torchaudio): samples that are scaled first are rounded otherwise, and a band 70 dB below the
    window's loudest is little more than such rounding.

    Keeps `frames * n_mels` values (100 kB for PLB). For one thread, like the stream itself.
    """

    def __init__(
        self,
        frontend: Frontend,
        clip_samples: int,
        window_samples: int,
        pad_side: Literal["both", "end"] = "both",
    ) -> None:
        """Prepare for windows of one length.

        Args:
            frontend: computes what is new.
            clip_samples: samples that the model takes; windows are padded or cropped to it.
            window_samples: samples of a window.
            pad_side: as for `fit`.

        Raises:
            UsageError: a length below 1.
            CardError: the clip's features would not fit `FrontendSpec.shape`'s bound.
        """
        if min(clip_samples, window_samples) < 1:
            raise UsageError(
                f"clip_samples is {clip_samples} and window_samples {window_samples}, expected "
                "at least 1 of each"
            )
        self._frontend = frontend
        self._clip = clip_samples
        self._window = window_samples
        self._side = pad_side
        self._start: int | None = None
        self._gain = 1.0
        frontend.spec.shape(clip_samples)
        if frontend.spec.kind != "waveform":
            self._inner, self._edges = self._layout()
            self._mel, self._energy = frontend.silence(frontend.spec.frames(clip_samples))

    def reset(self) -> None:
        """Forget the stream: after a gap, positions mean other samples."""
        self._start = None

    def __call__(self, window: Array, start: int, gain: float = 1.0) -> NDArray[np.float32]:
        """Features of one window.

        Args:
            window: mono float32 samples at the frontend's rate, shape (window_samples,).
            start: position of its first sample in the stream; may be negative.
            gain: factor on the samples; another one than last time costs a whole window.

        Returns:
            float32, shape `frontend.spec.shape(clip_samples)`.

        Raises:
            UsageError: a window of another length.
            AudioError: as `Frontend` does.
        """
        if window.shape != (self._window,):
            raise UsageError(
                f"the window has shape {window.shape}, expected ({self._window},): "
                "make another RollingFrontend for it"
            )
        scaled = window if gain == 1 else window * np.float32(gain)
        clip = fit(scaled, self._clip, self._side)
        if self._frontend.spec.kind == "waveform":
            return self._frontend(clip)
        if gain != self._gain:
            self.reset()
            self._gain = gain
        rows = np.concatenate([self._edges, self._shift(start)])
        self._mel[rows], self._energy[rows] = self._frontend.bands_of(clip, rows)
        self._start = start
        return self._frontend.features(self._mel, self._energy)

    def _layout(self) -> tuple[tuple[int, int], NDArray[np.intp]]:
        """First and last + 1 of the frames that can be kept, and those always to be transformed.

        The others are padding from end to end, and their power is 0. With pre-emphasis a sample
        depends on the one before it: one sample less at the window's start is the stream's own,
        and one more after its end is not silent.
        """
        spec, clip = self._frontend.spec, self._clip
        spare = clip - self._window
        left = max(0, spare) // 2 if self._side == "both" else 0
        right = left + min(clip, self._window)
        emphasis = int(spec.preemphasis > 0)
        rows = np.arange(spec.frames(clip))
        begin = rows * spec.hop_length - (spec.n_fft // 2 if spec.centre else 0)
        end = begin + self._frontend.frame_length
        inner = (begin >= left + emphasis) & (end <= right)
        silent = (end <= left) | (begin >= right + emphasis)
        if spec.pad_mode == "reflect":
            silent &= (begin >= 0) & (end <= clip)
        kept = rows[inner]
        bounds = (int(kept[0]), int(kept[-1]) + 1) if len(kept) else (0, 0)
        return bounds, rows[~inner & ~silent]

    def _shift(self, start: int) -> NDArray[np.intp]:
        """Move kept frames to their places in a window at `start`; numbers of those that miss."""
        first, last = self._inner
        kept, self._start = self._start, None  # until the missing ones are there
        if kept is None:
            return np.arange(first, last)
        hops, rest = divmod(start - kept, self._frontend.spec.hop_length)
        if rest or abs(hops) >= last - first:
            return np.arange(first, last)
        here = slice(first + max(0, -hops), last - max(0, hops))
        there = slice(first + max(0, hops), last - max(0, -hops))
        self._mel[here], self._energy[here] = self._mel[there], self._energy[there]
        return np.concatenate([np.arange(first, here.start), np.arange(here.stop, last)])
