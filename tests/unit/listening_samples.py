"""Samples, the bytes they come in, and sources that read them."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser.listening.pcm import PcmSource
from edge_ser.listening.source import Block, SourceEnded

RATE = 16_000


class FakeClock:
    """Time passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 50.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 0.0

    def suspended(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def steps(count: int, channels: int = 1, seed: int = 0) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-20_000, 20_000, (count, channels), np.int16)


def as_floats(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    return samples.astype(np.float32)[:, 0] / 32_768


def all_blocks(source: Any, timeout: float = 10.0) -> list[Block]:
    blocks = []
    try:
        while (block := source.read(timeout)) is not None:
            blocks.append(block)
    except SourceEnded:
        return blocks
    raise AssertionError("no end")


def joined(blocks: list[Block]) -> NDArray[np.float32]:
    return np.concatenate([block.samples for block in blocks])


def wav(
    samples: NDArray[Any],
    rate: int = RATE,
    *,
    size: int | None = None,
    before: bytes = b"",
    after: bytes = b"",
    tag: int = 1,
    bits: int = 16,
) -> bytes:
    data = samples.tobytes()
    channels = samples.shape[1]
    frame = channels * bits // 8
    chunk = struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits)
    body = b"WAVE" + before + b"fmt " + struct.pack("<I", len(chunk)) + chunk
    body += b"data" + struct.pack("<I", len(data) if size is None else size) + data + after
    return b"RIFF" + struct.pack("<I", len(body) & 0xFFFFFFFF) + body


def on_stdin(**changes: Any) -> PcmSource:
    options: dict[str, Any] = {
        "path": "-",
        "rate": RATE,
        "channels": 1,
        "sample_format": "s16le",
        "clock": FakeClock(),
    }
    source = PcmSource(**{**options, **changes})
    source.open()
    return source
