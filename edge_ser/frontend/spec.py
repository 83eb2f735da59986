"""`FrontendSpec`: every parameter of the path from samples to features. Standard library only."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from edge_ser.errors import CardError

__all__ = ["FrontendSpec"]

MAX_FFT = 1 << 16
MAX_BANDS = 4096


@dataclass(frozen=True)
class FrontendSpec:
    """Parameters of one feature block.

    The defaults are librosa's (0.10 and newer) for `librosa.feature.mfcc(n_mfcc=39)` at 22,050 Hz,
    the frontend of PLB. A preset for another library is another value of this class.
    """

    kind: Literal["mfcc", "log_mel", "waveform"] = "mfcc"
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
    """Hertz; lower edge of the first band."""
    fmax: float = 11_025.0
    """Hertz; upper edge of the last band."""
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
    """log_energy: coefficient 0 is replaced by the ln of the frame's total power."""

    normalise: Literal["none", "zero_mean_unit_variance"] = "none"
    """Per clip, over all values: (x - mean) / sqrt(variance + 1e-7)."""
    layout: Literal["time_first", "time_last"] = "time_first"
    """time_first: (frames, coefficients); time_last: (coefficients, frames)."""
    precision: Literal["float32", "float64"] = "float32"
    """Arithmetic up to the logarithm, that of the reference library. Features are always float32."""

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for field in fields(self):
            _check_choice(field.name, getattr(self, field.name), hints[field.name])
        for name, value in (
            ("rate", self.rate),
            ("n_fft", self.n_fft),
            ("win_length", self.win_length),
            ("hop_length", self.hop_length),
            ("n_mels", self.n_mels),
            ("n_mfcc", self.n_mfcc),
        ):
            _require(value >= 1, f"{name} is {value}, expected at least 1")
        _require(self.rate <= 1_000_000, f"rate is {self.rate} Hz, expected at most 1000000")
        _require(self.n_fft <= MAX_FFT, f"n_fft is {self.n_fft}, expected at most {MAX_FFT}")
        _require(self.n_mels <= MAX_BANDS, f"n_mels is {self.n_mels}, expected at most {MAX_BANDS}")
        _require(
            self.win_length <= self.n_fft,
            f"win_length {self.win_length} is longer than n_fft {self.n_fft}",
        )
        _require(
            self.kind != "mfcc" or self.n_mfcc <= self.n_mels,
            f"n_mfcc {self.n_mfcc} is more than n_mels {self.n_mels}",
        )
        _require(
            0 <= self.fmin < self.fmax <= self.rate / 2 or self.kind == "waveform",
            f"bands from {self.fmin} to {self.fmax} Hz do not fit below half of {self.rate} Hz",
        )
        _require(self.log_floor > 0, f"log_floor is {self.log_floor}, expected above 0")
        _require(
            self.top_db is None or self.top_db > 0, f"top_db is {self.top_db}, expected above 0"
        )
        _require(self.lifter >= 0, f"lifter is {self.lifter}, expected 0 or more")

    def frames(self, samples: int) -> int:
        """Number of frames that `samples` samples give.

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
        """
        if self.kind == "waveform":
            return (samples,)
        frames = self.frames(samples)
        width = self.n_mfcc if self.kind == "mfcc" else self.n_mels
        return (frames, width) if self.layout == "time_first" else (width, frames)

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON values, in the order of declaration."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FrontendSpec:
        """The spec that a card holds; unknown keys are ignored, a missing `kind` is not.

        Raises:
            CardError: a value has another type or is out of range.
        """
        _require("kind" in values, "the frontend has no kind, expected mfcc, log_mel or waveform")
        known = {f.name: values[f.name] for f in fields(cls) if f.name in values}
        return cls(**known)

    def digest(self) -> str:
        """SHA-256 of the canonical JSON form: the same spec has the same digest everywhere."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise CardError(f"frontend: {message}; correct the card or the configuration")


def _check_choice(name: str, value: object, hint: Any) -> None:
    """Refuse a value that is not of its field's declared type: cards come from outside."""
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        _require(
            isinstance(value, str) and value in choices,
            f"{name} is {value!r}, expected one of {', '.join(choices)}",
        )
        return
    optional = type(None) in get_args(hint)
    if optional and value is None:
        return
    if hint is bool:
        _require(isinstance(value, bool), f"{name} is {value!r}, expected true or false")
        return
    wanted: tuple[type, ...] = (int,) if hint is int else (int, float)
    _require(
        isinstance(value, wanted) and not isinstance(value, bool) and math.isfinite(value),
        f"{name} is {value!r}, expected {'a whole' if hint is int else 'a finite'} number",
    )
