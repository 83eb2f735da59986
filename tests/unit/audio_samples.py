"""Noise, audio files of it, and what is said of those that cannot be read."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from edge_ser.audio import read_clip
from edge_ser.errors import AudioError

RATE = 16_000


def noise(samples: int, channels: int = 1, seed: int = 0) -> NDArray[np.float32]:
    values = np.random.default_rng(seed).uniform(-0.5, 0.5, (samples, channels))
    return values.astype(np.float32)


def whole_steps(samples: int) -> NDArray[np.float32]:
    """Noise whose samples are 16-bit numbers, so that lossless means equal."""
    return np.round(noise(samples) * 32_768).astype(np.float32) / 32_768


def written(
    path: Path,
    samples: NDArray[np.float32],
    rate: int = RATE,
    subtype: str | None = None,
    format: str | None = None,
) -> Path:
    soundfile.write(path, samples, rate, subtype=subtype, format=format)
    return path


def with_declared_length(flac: Path, path: Path, samples: int) -> Path:
    data = bytearray(flac.read_bytes())
    fields = int.from_bytes(data[18:26], "big")
    data[18:26] = ((fields >> 36 << 36) | samples).to_bytes(8, "big")
    path.write_bytes(data)
    return path


def error_of(source: str | Path | io.BytesIO) -> str:
    with pytest.raises(AudioError) as caught:
        read_clip(source)
    message = str(caught.value)
    assert "\n" not in message
    assert ": " in message  # what was given, and how to mend it
    return message
