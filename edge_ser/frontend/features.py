"""`Frontend`: samples to features, in numpy alone, as a chain of stages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser.errors import AudioError
from edge_ser.frontend import maths
from edge_ser.frontend.functionals import functionals, heard_frames
from edge_ser.frontend.pitch import pitch_of, pitch_tables
from edge_ser.frontend.spec import PITCH_VALUES, FrontendSpec

__all__ = ["Frontend"]

Array = NDArray[Any]

# Frames transformed at once: few enough that frames, spectra and bands stay in the cache (with 64
# numpy's FFT takes four times as long as with 32), and that none needs a scratch array (kept or
# `out=` ones change the whole by less than 2 %).
BLOCK_FRAMES = 32
# The mel product in 8 groups of bands takes 0.23 ms for a PLB clip, the whole matrix 0.70 ms.
BAND_GROUPS = 8
# Beyond this a sample is no audio in any scale, and its power may leave float32.
MAX_SAMPLE = 1e6


class Frontend:
    """Computes the features that a `FrontendSpec` describes.

    Tables (window, mel filters, cosines) are made once; a call keeps no state, so one instance
    serves any number of threads. `frontend(samples)` is the whole chain; `power`, `mel`, `log` and
    `cepstra` are its stages, for those who compare them with another library.

    MFCCs of 100,000 samples take 0.5 of librosa 0.11's time on one thread, 0.4 where 38 % of them
    are padding (`benchmarks/frontend_speed.py`).
    """

    def __init__(self, spec: FrontendSpec) -> None:
        self.spec = spec
        self._dtype = np.dtype(spec.precision)
        if spec.kind == "waveform":
            return
        taper = maths.window(spec.window, spec.win_length)
        self.frame_length = spec.n_fft if spec.window_align == "centre" else spec.win_length
        left = (self.frame_length - spec.win_length) // 2
        padded = np.zeros(self.frame_length)
        padded[left : left + spec.win_length] = taper
        self._window = padded.astype(self._dtype)
        if spec.kind in ("pitch", "functionals"):
            self._lags = pitch_tables(spec, padded)
        if spec.kind == "pitch":
            return
        filters = maths.mel_filters(
            spec.told_rate,
            spec.n_fft,
            spec.n_mels,
            spec.fmin,
            spec.fmax,
            spec.mel_scale,
            spec.mel_norm,
            spec.mel_edges,
        )
        self._filters = maths.banded(filters.astype(self._dtype), BAND_GROUPS)
        cosines = maths.dct_matrix(spec.n_mels, spec.n_mfcc, spec.dct_norm)
        self._cosines = cosines * maths.lifter_weights(spec.n_mfcc, spec.lifter, spec.lifter_first)

    def __call__(self, samples: Array) -> NDArray[np.float32]:
        """Features of one clip.

        Args:
            samples: mono floating-point samples in [-1, 1] at `spec.rate`, shape (n,).

        Returns:
            float32, shape `spec.shape(n)`.

        Raises:
            AudioError: samples of another shape or type, a sample that is not finite (or beyond
                1e6), or too few for one frame.
            CardError: so many that the features would not fit `spec.shape`'s bound.
        """
        _check_samples(samples)
        self.spec.shape(len(samples))
        if self.spec.kind == "waveform":
            return self._normalised(self._scaled(samples))
        return self.features(*self._bands(samples))

    def power(self, samples: Array) -> Array:
        """Power spectrogram |STFT|^2 of a clip, shape (frames, n_fft // 2 + 1)."""
        _check_samples(samples)
        power = np.zeros((self.spec.frames(len(samples)), self.spec.n_fft // 2 + 1), self._dtype)
        for rows, block in self._spectra(samples):
            power[rows] = block
        return power

    def mel(self, power: Array) -> Array:
        """Power in each mel band, shape (frames, n_mels)."""
        mel = np.empty((len(power), self.spec.n_mels), dtype=self._dtype)
        for bins, bands, weights in self._filters:
            np.matmul(power[:, bins], weights, out=mel[:, bands])
        return mel

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

    def features(self, mel: Array, energy: Array) -> NDArray[np.float32]:
        """What is left to do with a clip's band powers: logarithm, DCT, normalisation, layout.

        Args:
            mel: shape (frames, n_mels); for `kind="pitch"` pitch and strength, shape (frames, 2);
                for `kind="functionals"` these after the bands, shape (frames, n_mels + 2).
            energy: total power of each frame, shape (frames,); used for `c0="log_energy"` alone.
        """
        if self.spec.kind == "functionals":
            return self._functionals(mel[:, : self.spec.n_mels], mel[:, self.spec.n_mels :])
        values = mel if self.spec.kind == "pitch" else self.log(mel)
        if self.spec.kind == "mfcc":
            values = self.cepstra(values)
            if self.spec.c0 == "log_energy":
                values[:, 0] = self._logarithm(energy)
        values = np.tile(values, (self.spec.copies, 1)) if self.spec.copies > 1 else values
        return self._normalised(values.T if self.spec.layout == "time_last" else values)

    def bands_of(self, samples: Array, rows: NDArray[np.intp]) -> tuple[Array, Array]:
        """Band powers and total powers of chosen frames of a clip, for `RollingFrontend`.

        Args:
            samples: as in a call.
            rows: numbers of the frames to transform, each below `spec.frames(len(samples))`.

        Returns:
            Shapes (len(rows), n_mels) and (len(rows),), as `features` takes them. The last bits of
            a matrix product depend on the number of its rows, so a frame may differ there from that
            of a call.

        Raises:
            AudioError: as a call does.
        """
        _check_samples(samples)
        frames = self._frames(self._padded(samples))
        mel, energy = self.silence(len(rows))
        for first in range(0, len(rows), BLOCK_FRAMES):
            block = slice(first, first + BLOCK_FRAMES)
            self._fill(mel, energy, block, self._spectrum(frames[rows[block]]))
        return mel, energy

    def _bands(self, samples: Array) -> tuple[Array, Array]:
        """Band powers and total power of each frame, without keeping the whole spectrogram."""
        mel, energy = self.silence(self.spec.frames(len(samples)))
        for rows, power in self._spectra(samples):
            self._fill(mel, energy, rows, power)
        return mel, energy

    def silence(self, frames: int) -> tuple[Array, Array]:
        """Band powers and total powers of so many frames of nothing."""
        width = {
            "pitch": PITCH_VALUES,
            "functionals": self.spec.n_mels + PITCH_VALUES,
        }.get(self.spec.kind, self.spec.n_mels)
        return np.zeros((frames, width), self._dtype), np.zeros(frames, self._dtype)

    def _fill(self, mel: Array, energy: Array, rows: slice, power: Array) -> None:
        """Put the band powers and total powers of a block of frames into their rows."""
        if self.spec.kind == "pitch":
            mel[rows] = pitch_of(power, self._lags)
        else:
            mel[rows, : self.spec.n_mels] = self.mel(power)
        if self.spec.kind == "functionals":
            mel[rows, self.spec.n_mels :] = pitch_of(power, self._lags)
        if self.spec.c0 == "log_energy":
            energy[rows] = power.sum(axis=1)

    def _functionals(self, mel: Array, pitch: Array) -> NDArray[np.float32]:
        level = self._logarithm(mel.sum(axis=1))
        heard = heard_frames(level, self.spec)
        values = functionals(self.log(mel[heard]), pitch[heard], level[heard], self.spec)
        return values.astype(np.float32)

    def _normalised(self, values: Array) -> NDArray[np.float32]:
        if self.spec.normalise == "zero_mean_unit_variance":
            values = values.astype(np.float64)
            values = (values - values.mean()) / np.sqrt(values.var() + 1e-7)
        return np.ascontiguousarray(values, dtype=np.float32)

    def _scaled(self, samples: Array) -> Array:
        return np.multiply(samples, self.spec.sample_scale, dtype=self._dtype)

    def _padded(self, samples: Array) -> Array:
        """The signal that frames are cut from: scaled, emphasised, centred, its tail completed."""
        spec = self.spec
        frames = spec.frames(len(samples))
        if frames == 0:
            raise AudioError(
                f"{len(samples)} samples are too few for one frame of {self.frame_length}: "
                "give a longer clip, or pad it"
            )
        signal = self._scaled(samples)
        if spec.preemphasis:
            signal[1:] -= self._dtype.type(spec.preemphasis) * signal[:-1].copy()
        if spec.centre:
            signal = np.pad(signal, spec.n_fft // 2, mode=spec.pad_mode)
        missing = (frames - 1) * spec.hop_length + self.frame_length - len(signal)
        return np.pad(signal, (0, missing)) if missing > 0 else signal

    def _frames(self, signal: Array) -> Array:
        """Frames of a padded signal, as a view, shape (frames, frame length)."""
        windows = np.lib.stride_tricks.sliding_window_view(signal, self.frame_length)
        return windows[:: self.spec.hop_length]

    def _spectra(self, samples: Array) -> Iterator[tuple[slice, Array]]:
        """Power spectra of blocks of frames, each with its rows.

        Blocks of nothing but zeros, whose power is 0, are left out: what a clip is padded with.
        Whole blocks only, since a matrix product's last bits depend on the number of its rows.
        """
        signal = self._padded(samples)
        hop, length = self.spec.hop_length, self.frame_length
        frames = self._frames(signal)
        sounding = signal != 0
        first = int(sounding.argmax())
        last = len(signal) - int(sounding[::-1].argmax())
        start = max(0, (first - length) // hop + 1) // BLOCK_FRAMES * BLOCK_FRAMES
        count = self.spec.frames(len(samples))
        for row in range(start, min(count, (last - 1) // hop + 1), BLOCK_FRAMES):
            rows = slice(row, min(row + BLOCK_FRAMES, count))
            yield rows, self._spectrum(frames[rows])

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


def _check_samples(samples: Array) -> None:
    if samples.ndim != 1:
        raise AudioError(
            f"samples have shape {samples.shape}, expected (n,): downmix to mono first"
        )
    if not np.issubdtype(samples.dtype, np.floating):
        raise AudioError(
            f"samples are {samples.dtype}, expected floating point in [-1, 1]: divide by full scale"
        )
    if len(samples) == 0:
        raise AudioError("there are no samples, expected at least one: give a longer clip")
    # A comparison with NaN is false.
    if not (samples.min() >= -MAX_SAMPLE and samples.max() <= MAX_SAMPLE):
        raise AudioError(
            f"a sample is NaN, infinite or beyond {MAX_SAMPLE:.0e}, expected finite values in "
            "[-1, 1]: repair the recording"
        )
