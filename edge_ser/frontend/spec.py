"""`FrontendSpec`: every parameter of the path from samples to features. Standard library only."""

from __future__ import annotations

import hashlib
import json
import math
import reprlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from edge_ser.errors import CardError
from edge_ser.frontend.measures import BAND_GROUP, MELODY, MODULATION_HZ, STATISTICS

__all__ = ["FrontendSpec"]

# Sizes are bounded before they are believed: a card may come from anyone. The largest tables take
# 16 MB each, the largest features 33 MB; librosa's own take 1 MB, and 100 kB for a PLB clip.
MAX_RATE = 1_000_000
MAX_FFT = 1 << 16
MAX_BANDS = 1 << 10
MAX_COPIES = 8
MAX_TABLE = 1 << 21
MAX_VALUES = 1 << 23
MAX_TRANSFORMED = 1 << 29
"""Samples in all frames of a clip: some ten seconds of FFTs; 400,000 for a PLB clip."""
MAX_FACTOR = 1e9
"""Factors stay between 1e-9 and 1e9, so that powers stay within float32."""
MAX_NUMBER = 1e15
PITCH_VALUES = 2
"""Of a frame: semitones and strength."""


@dataclass(frozen=True)
class FrontendSpec:
    """Parameters of one feature block.

    The defaults are librosa's (0.10 and newer) for `librosa.feature.mfcc(n_mfcc=39)` at 22,050 Hz,
    the frontend of PLB. A preset for another library is another value of this class.
    """

    kind: Literal["mfcc", "log_mel", "pitch", "functionals", "waveform"] = "mfcc"
    rate: int = 22_050
    """Hertz; the rate of the samples that the frontend is given."""
    resampler: Literal["soxr_vhq", "soxr_hq", "soxr_mq", "soxr_lq", "soxr_qq"] = "soxr_hq"
    """How the samples got to `rate`: part of the frontend, since it moves MFCCs by 2 to 4 units."""
    sample_scale: float = 1.0
    """Factor on samples in [-1, 1]; 32768 for libraries that expect 16-bit integers."""
    preemphasis: float = 0.0
    """y[t] = x[t] - preemphasis * x[t-1]; 0 for none."""

    n_fft: int = 2048
    """Samples; length of the FFT."""
    win_length: int = 2048
    """Samples; length of the window, at most `n_fft`."""
    hop_length: int = 512
    """Samples between frames."""
    window: Literal["hann", "hamming", "rectangular"] = "hann"
    """Periodic form."""
    window_align: Literal["centre", "start"] = "centre"
    """Where a window shorter than the FFT sits in it."""
    centre: bool = True
    """Pad n_fft // 2 samples on both sides, so that frame t is centred on sample t * hop."""
    pad_mode: Literal["constant", "reflect"] = "constant"
    """What the centring pads with: zeros, or the mirrored signal."""
    tail: Literal["drop", "pad"] = "drop"
    """Samples after the last whole frame are dropped, or completed with zeros to one more frame."""
    power_scale: float = 1.0
    """Factor on |FFT|^2; 1 / n_fft in python_speech_features."""

    n_mels: int = 128
    """Bands."""
    fmin: float = 0.0
    """Hertz; lower edge of the first band, and of what pitch is found in."""
    fmax: float = 11_025.0
    """Hertz; upper edge of the last band, and of what pitch is found in."""
    bands_rate: int = 0
    """Hertz; the rate that the bands are laid out for, where the library was told another one than
    that of its samples; 0 for `rate`."""
    mel_scale: Literal["slaney", "htk"] = "slaney"
    mel_norm: Literal["slaney", "none"] = "slaney"
    """slaney: each triangle has unit area over hertz; none: each has unit height."""
    mel_edges: Literal["exact", "fft_bins"] = "exact"
    """fft_bins: triangle corners are rounded down to FFT bins, as python_speech_features does."""

    log: Literal["db", "natural"] = "db"
    """db: 10 log10; natural: ln."""
    log_floor: float = 1e-10
    """Power that takes the place of anything smaller."""
    log_floor_mode: Literal["maximum", "if_zero", "add"] = "maximum"
    """maximum: max(x, floor); if_zero: floor where x is 0; add: x + floor."""
    top_db: float | None = 80.0
    """Decibels; values further below the clip's own maximum are raised to there. None for off."""

    n_mfcc: int = 39
    """Coefficients kept of the DCT-II."""
    dct_norm: Literal["ortho", "none"] = "ortho"
    lifter: int = 0
    """L of the sinusoidal lifter 1 + L/2 sin(pi n / L); 0 for none."""
    lifter_first: int = 1
    """n of the first coefficient: 1 in librosa, 0 in python_speech_features."""
    c0: Literal["keep", "log_energy"] = "keep"
    """log_energy: coefficient 0 is replaced by the logarithm of the frame's total power."""

    pitch_floor: float = 75.0
    """Hertz; the lowest pitch that is looked for."""
    pitch_ceiling: float = 500.0
    """Hertz; the highest."""
    octave_cost: float = 0.05
    """What a candidate loses in strength for each octave that it lies below the ceiling: of a pitch
    and its halves, which are as strong, the pitch is taken."""

    active_db: float = 40.0
    """Decibels; frames before the first and after the last that is within this of the loudest are
    no speech, in functionals."""

    pool_bands: int = 1
    """Of so many neighbouring bands the statistics are averaged, in functionals."""

    copies: int = 1
    """How often the frames of a clip are laid end to end: networks trained on the channels of a
    stereo recording one after the other take a mono one twice."""
    normalise: Literal["none", "zero_mean_unit_variance"] = "none"
    """Per clip, over all values: (x - mean) / sqrt(variance + 1e-7)."""
    layout: Literal["time_first", "time_last"] = "time_first"
    """time_first: (frames, coefficients); time_last: (coefficients, frames)."""
    precision: Literal["float32", "float64"] = "float32"
    """Arithmetic up to the logarithm, that of the reference library; features are float32."""

    def __post_init__(self) -> None:
        for name, hint in _hints().items():
            object.__setattr__(self, name, _checked(name, getattr(self, name), hint))
        for name, low, high in (
            ("rate", 1, MAX_RATE),
            ("sample_scale", 1 / MAX_FACTOR, MAX_FACTOR),
            ("preemphasis", 0, 1),
            ("n_fft", 1, MAX_FFT),
            ("win_length", 1, self.n_fft),
            ("hop_length", 1, MAX_FFT),
            ("power_scale", 1 / MAX_FACTOR, MAX_FACTOR),
            ("n_mels", 1, MAX_BANDS),
            ("n_mfcc", 1, self.n_mels if self.kind in ("mfcc", "functionals") else MAX_BANDS),
            ("log_floor", 1e-36, MAX_FACTOR),
            ("lifter", 0, MAX_FFT),
            ("lifter_first", 0, MAX_FFT),
            ("bands_rate", 0, MAX_RATE),
            ("copies", 1, MAX_COPIES),
            ("octave_cost", 0, 1),
            ("active_db", 1, 200),
            ("pool_bands", 1, self.n_mels),
        ):
            value = getattr(self, name)
            _require(low <= value <= high, f"{name} is {value}, expected {low} to {high}")
        _require(
            self.top_db is None or self.top_db > 0, f"top_db is {self.top_db}, expected above 0"
        )
        key = "bands_rate" if self.bands_rate else "rate"
        _require(
            0 <= self.fmin <= self.fmax - 1 <= self.told_rate / 2 - 1 or self.kind == "waveform",
            f"bands from fmin {self.fmin:g} to fmax {self.fmax:g} Hz, expected fmin from 0 "
            f"and fmax 1 Hz above it or more, up to {self.told_rate / 2:g} Hz, half of {key} (one "
            "that is left out is as in the preset, or by default)",
        )
        _require(
            (self.n_fft // 2 + 1) * self.n_mels <= MAX_TABLE,
            f"n_fft {self.n_fft} with n_mels {self.n_mels} needs filters of more than {MAX_TABLE} "
            "weights",
        )
        if self.kind in ("pitch", "functionals"):
            self._check_pitch()
        if self.kind == "functionals":
            self._check_functionals()

    @property
    def told_rate(self) -> int:
        """Hertz; what the bands are laid out for."""
        return self.bands_rate or self.rate

    def frames(self, samples: int) -> int:
        """Number of frames that `samples` samples give, each counted once.

        >>> FrontendSpec().frames(100_000)
        196
        """
        if self.centre:
            samples += 2 * (self.n_fft // 2)
        length = self.n_fft if self.window_align == "centre" else self.win_length
        if self.tail == "pad":
            return 1 + max(0, math.ceil((samples - length) / self.hop_length))
        return 1 + (samples - length) // self.hop_length if samples >= length else 0

    def shape(self, samples: int) -> tuple[int, ...]:
        """Shape of the features of `samples` samples, without a batch axis.

        >>> FrontendSpec().shape(100_000)
        (196, 39)

        Raises:
            CardError: features or band powers would take more than 2^23 values, or the frames
                together hold more than 2^29 samples.
        """
        waveform = self.kind == "waveform"
        frames = samples if waveform else self.copies * self.frames(samples)
        values = {"waveform": 1, "functionals": self._tracks}.get(self.kind, self.n_mels)
        _require(
            frames * values <= MAX_VALUES,
            f"{samples} samples with hop_length {self.hop_length} and n_mels {self.n_mels} give "
            f"more than {MAX_VALUES} values",
        )
        if waveform:
            return (samples,)
        _require(
            frames * self.n_fft <= MAX_TRANSFORMED,
            f"{samples} samples with hop_length {self.hop_length} and n_fft {self.n_fft} transform "
            f"more than {MAX_TRANSFORMED} samples",
        )
        if self.kind == "functionals":
            return (self.width,)
        return (frames, self.width) if self.layout == "time_first" else (self.width, frames)

    @property
    def width(self) -> int:
        """Values of a frame; of the clip for functionals; 1 for a waveform."""
        moving = self.n_mfcc // 2 + self.n_mels // BAND_GROUP
        return {
            "mfcc": self.n_mfcc,
            "log_mel": self.n_mels,
            "pitch": PITCH_VALUES,
            "functionals": (
                len(STATISTICS) * (self._tracks - self.n_mels + self.n_mels // self.pool_bands)
                + (len(MODULATION_HZ) - 1) * moving
                + len(MELODY)
            ),
            "waveform": 1,
        }[self.kind]

    @property
    def _tracks(self) -> int:
        """Values of a frame that functionals are of: bands, cepstra and their slopes, level."""
        return self.n_mels + 2 * self.n_mfcc + 1

    def _check_pitch(self) -> None:
        floor, ceiling = self.pitch_floor, self.pitch_ceiling
        _require(
            1 <= floor < ceiling <= self.fmax <= self.rate / 2,
            f"pitch from {floor} to {ceiling} Hz in a band up to {self.fmax} Hz, expected 1 Hz at "
            f"least, each above the one before, and at most half of {self.rate} Hz",
        )
        period = self.rate / floor
        _require(
            self.win_length >= 2 * period and self.n_fft >= self.win_length + period,
            f"pitch from {floor} Hz with win_length {self.win_length} and n_fft {self.n_fft}, "
            f"expected a window of two periods ({2 * period:.0f}) and an FFT of one period more",
        )

    def _check_functionals(self) -> None:
        frames_hz = self.rate / self.hop_length
        _require(
            frames_hz >= 2 * MODULATION_HZ[-1],
            f"{frames_hz:.1f} frames a second, expected {2 * MODULATION_HZ[-1]:g} or more for "
            "functionals",
        )
        _require(
            self.n_mels % BAND_GROUP == 0,
            f"n_mels is {self.n_mels}, expected a multiple of {BAND_GROUP} for functionals",
        )
        _require(
            self.n_mels % self.pool_bands == 0,
            f"pool_bands is {self.pool_bands}, expected a divisor of n_mels, {self.n_mels}",
        )
        _require(
            self.log == "db" and self.copies == 1 and self.normalise == "none",
            f"functionals with log {self.log}, copies {self.copies} and normalise "
            f"{self.normalise}, expected db, 1 and none",
        )

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON values, in the order of declaration."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FrontendSpec:
        """The spec that a card holds; unknown keys are ignored, a missing `kind` is not.

        Raises:
            CardError: a value has another type or is out of range.
        """
        _require(isinstance(values, Mapping), f"{_brief(values)} is not an object of parameters")
        _require(
            "kind" in values,
            "the frontend has no kind, expected mfcc, log_mel, pitch, functionals or waveform",
        )
        known = {f.name: values[f.name] for f in fields(cls) if f.name in values}
        return cls(**known)

    def digest(self) -> str:
        """SHA-256 of what differs from the defaults: the same spec has the same digest everywhere.

        A later version with more parameters gives it, too, so that caches and profiles stay good.
        """
        told = {
            f.name: value for f in fields(self) if (value := getattr(self, f.name)) != f.default
        }
        text = json.dumps(told, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


@cache
def _hints() -> dict[str, Any]:
    """Types of the fields; kept, since finding them takes 2 ms."""
    return get_type_hints(FrontendSpec)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise CardError(f"frontend: {message}; correct the card or the configuration")


def _checked(name: str, value: object, hint: Any) -> object:
    """The value as its field's declared type, or a CardError: cards come from outside."""
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        _require(
            isinstance(value, str) and value in choices,
            f"{name} is {_brief(value)}, expected one of {', '.join(choices)}",
        )
        return value
    if value is None and type(None) in get_args(hint):
        return value
    if hint is bool:
        _require(isinstance(value, bool), f"{name} is {_brief(value)}, expected true or false")
        return value
    wanted = int if hint is int else (int, float)
    _require(
        isinstance(value, wanted)
        and not isinstance(value, bool)
        and -MAX_NUMBER <= value <= MAX_NUMBER,
        f"{name} is {_brief(value)}, expected {'a whole' if hint is int else 'a finite'} number",
    )
    # 80 and 80.0 are the same top_db, and have to give the same digest.
    return value if hint is int else float(cast(float, value))


def _brief(value: object) -> str:
    """A value in few characters of one line, however large it is."""
    if isinstance(value, int) and value.bit_length() > 64:
        return f"a number of {value.bit_length()} bits"
    return reprlib.repr(value)
