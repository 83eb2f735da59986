"""Options of where audio comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge_ser.errors import ConfigError

__all__ = ["SourceOptions"]

SAMPLE_FORMATS = ("s16le", "f32le")
PACES = ("real", "fast")


@dataclass(frozen=True)
class SourceOptions:
    """A microphone, unless `input` names a file or pipe."""

    mic: str | None = None
    """Name, card or stable id as `edge-ser mics` lists them; the system's default without."""
    input: str | None = None
    """WAV or FLAC file, FIFO, or - for standard input, in place of a microphone."""
    channel: int | None = None
    """Channel to listen to, from 1; the mean of all without."""
    rate: int | None = None
    """Hertz to open the microphone at, or of raw samples; the device's own without."""
    channels: int = 1
    """Channels of raw samples."""
    sample_format: Literal["s16le", "f32le"] = "s16le"
    """Of raw samples."""
    pace: Literal["real", "fast"] = "real"
    """Of a file: as if it were being spoken, or as fast as the machine can."""
    stall_s: float = 3.0
    """Seconds without audio after which a live source is taken for broken, and opened again."""
    block_ms: float = 50.0
    """Milliseconds of audio that are handed on at a time."""

    def __post_init__(self) -> None:
        if self.mic is not None and self.input is not None:
            raise ConfigError(
                f"source: mic {self.mic!r} and input {self.input!r} are both given: choose one"
            )
        if self.sample_format not in SAMPLE_FORMATS:
            raise ConfigError(
                f"source: sample_format is {self.sample_format!r}, expected "
                f"{' or '.join(SAMPLE_FORMATS)}"
            )
        if self.pace not in PACES:
            raise ConfigError(f"source: pace is {self.pace!r}, expected {' or '.join(PACES)}")
        if self.channel is not None and not 1 <= self.channel <= 64:
            raise ConfigError(f"source: channel is {self.channel}, expected 1 to 64")
        if not 1 <= self.channels <= 64:
            raise ConfigError(f"source: channels is {self.channels}, expected 1 to 64")
        if self.rate is not None and not 1_000 <= self.rate <= 768_000:
            raise ConfigError(f"source: rate is {self.rate} Hz, expected 1000 to 768000")
        if not 0.5 <= self.stall_s <= 3600:
            raise ConfigError(f"source: stall_s is {self.stall_s}, expected 0.5 to 3600")
        if not 5 <= self.block_ms <= 1000:
            raise ConfigError(f"source: block_ms is {self.block_ms}, expected 5 to 1000")
