"""`Frontend`: samples to features, in numpy alone, as a chain of stages."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser.errors import AudioError
from edge_ser.frontend import maths
from edge_ser.frontend.spec import FrontendSpec

__all__ = ["Frontend"]

Array = NDArray[Any]

# Frames transformed at once: small enough that frames, spectra and bands stay in the cache.
BLOCK_FRAMES = 32


class Frontend:
    """Computes the features that a `FrontendSpec` describes.

    Tables (window, mel filters, cosines) are made once; a call keeps no state, so one instance
    serves any number of threads. `frontend(samples)` is the whole chain; `power`, `mel`, `log` and
    `cepstra` are its stages, for those who compare them with another library.
    """

    def __init__(self, spec: FrontendSpec) -> None:
        self.spec = spec
        self._dtype = np.dtype(spec.precision)
        if spec.kind == "waveform":
            return
        taper = maths.window(spec.window, spec.win_length)
        self._frame_length = spec.n_fft if spec.window_align == "centre" else spec.win_length
        left = (self._frame_length - spec.win_length) // 2
        padded = np.zeros(self._frame_length)
        padded[left : left + spec.win_length] = taper
        self._window = padded.astype(self._dtype)
        filters = maths.mel_filters(
            spec.rate,
            spec.n_fft,
            spec.n_mels,
            spec.fmin,
            spec.fmax,
            spec.mel_scale,
            spec.mel_norm,
            spec.mel_edges,
        )
        self._filters = filters.astype(self._dtype)
        cosines = maths.dct_matrix(spec.n_mels, spec.n_mfcc, spec.dct_norm)
        self._cosines = cosines * maths.lifter_weights(spec.n_mfcc, spec.lifter, spec.lifter_first)

    def __call__(self, samples: Array) -> NDArray[np.float32]:
        """Features of one clip.

        Args:
            samples: mono samples in [-1, 1] at `spec.rate`, shape (n,).

        Returns:
            float32, shape `spec.shape(n)`.

        Raises:
            AudioError: a sample is not finite, or there are too few for one frame.
        """
        if self.spec.kind == "waveform":
            values = self._scaled(samples)
        else:
            mel, energy = self._bands(samples)
            values = self.log(mel)
            if self.spec.kind == "mfcc":
                values = self.cepstra(values)
                if self.spec.c0 == "log_energy":
                    values[:, 0] = self._logarithm(energy)
            if self.spec.layout == "time_last":
                values = values.T
        if self.spec.normalise == "zero_mean_unit_variance":
            values = (values - values.mean()) / np.sqrt(values.var() + 1e-7)
        return np.ascontiguousarray(values, dtype=np.float32)

    def power(self, samples: Array) -> Array:
        """Power spectrogram |STFT|^2 of a clip, shape (frames, n_fft // 2 + 1)."""
        blocks = [self._spectrum(block) for block in self._framed(samples)]
        return np.concatenate(blocks)

    def mel(self, power: Array) -> Array:
        """Power in each mel band, shape (frames, n_mels)."""
        bands: Array = power @ self._filters
        return bands

    def log(self, mel: Array) -> Array:
        """Logarithm of band powers, floored and limited to `top_db` below the clip's maximum."""
        values = self._logarithm(mel)
        if self.spec.top_db is not None:
            np.maximum(values, values.max() - self.spec.top_db, out=values)
        return values

    def cepstra(self, log_mel: Array) -> Array:
        """Liftered DCT-II of each frame, accumulated in float64, shape (frames, n_mfcc)."""
        coefficients: Array = log_mel.astype(np.float64) @ self._cosines
        return coefficients

    def _bands(self, samples: Array) -> tuple[Array, Array]:
        """Band powers and total power of each frame, without keeping the whole spectrogram."""
        frames = self.spec.frames(len(samples))
        mel = np.empty((frames, self.spec.n_mels), dtype=self._dtype)
        energy = np.empty(frames, dtype=self._dtype)
        done = 0
        for block in self._framed(samples):
            power = self._spectrum(block)
            rows = slice(done, done + len(block))
            np.matmul(power, self._filters, out=mel[rows])
            if self.spec.c0 == "log_energy":
                power.sum(axis=1, out=energy[rows])
            done += len(block)
        return mel, energy

    def _scaled(self, samples: Array) -> Array:
        if samples.ndim != 1:
            raise AudioError(
                f"samples have shape {samples.shape}, expected (n,): downmix to mono first"
            )
        if not np.isfinite(samples).all():
            raise AudioError(
                "a sample is NaN or infinite, expected finite values: repair the recording"
            )
        return np.multiply(samples, self.spec.sample_scale, dtype=self._dtype)

    def _framed(self, samples: Array) -> list[Array]:
        """Overlapping frames as views, in blocks of shape (at most BLOCK_FRAMES, frame length)."""
        spec = self.spec
        signal = self._scaled(samples)
        count = spec.frames(len(signal))
        if spec.centre and spec.pad_mode == "reflect" and len(signal) <= spec.n_fft // 2:
            count = 0
        if count == 0:
            raise AudioError(
                f"{len(signal)} samples are too few for one frame of {spec.n_fft}: "
                "give a longer clip, or pad it"
            )
        if spec.preemphasis:
            signal[1:] -= self._dtype.type(spec.preemphasis) * signal[:-1].copy()
        if spec.centre:
            signal = np.pad(signal, spec.n_fft // 2, mode=spec.pad_mode)
        missing = (count - 1) * spec.hop_length + self._frame_length - len(signal)
        if missing > 0:
            signal = np.pad(signal, (0, missing))
        frames = np.lib.stride_tricks.sliding_window_view(signal, self._frame_length)
        frames = frames[:: spec.hop_length][:count]
        return [frames[start : start + BLOCK_FRAMES] for start in range(0, count, BLOCK_FRAMES)]

    def _spectrum(self, frames: Array) -> Array:
        spectrum = np.fft.rfft(frames * self._window, self.spec.n_fft)
        power = spectrum.real**2
        power += spectrum.imag**2
        if self.spec.power_scale != 1.0:
            power *= self.spec.power_scale
        # numpy before 2.0 transforms in float64 whatever it is given.
        return power.astype(self._dtype, copy=False)

    def _logarithm(self, power: Array) -> Array:
        spec = self.spec
        floor = self._dtype.type(spec.log_floor)
        if spec.log_floor_mode == "maximum":
            floored = np.maximum(power, floor)
        elif spec.log_floor_mode == "if_zero":
            floored = np.where(power == 0, floor, power)
        else:
            floored = power + floor
        if spec.log == "natural":
            return np.log(floored)
        decibels: Array = np.log10(floored)
        decibels *= 10
        return decibels
