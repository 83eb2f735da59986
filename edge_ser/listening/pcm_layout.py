"""How the bytes of a stream of samples are to be read: as its WAV header says, or as was told."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio.clip import Samples, as_clip
from edge_ser.errors import AudioError, UsageError

__all__ = ["RAW", "Layout", "as_mono", "find_layout"]

RAW = {"s16le": "<i2", "f32le": "<f4"}
WAV = {
    (1, 8): "|u1",
    (1, 16): "<i2",
    (1, 24): "<i3",
    (1, 32): "<i4",
    (3, 32): "<f4",
    (3, 64): "<f8",
}
"""numpy's name of the samples by format tag and bits; `<i3` is ours."""
EXTENSIBLE = 0xFFFE
LOUDEST = 1000.0
"""Full scale times this is no audio, but samples of another format."""
MAX_HEADER = 1 << 20
"""Bytes within which the samples of a WAV must begin."""
ENDLESS = 0x7FFF_0000
"""Sizes from here on stand for an unknown one: arecord, sox and ffmpeg each write another."""
OTHERS = {b"fLaC": "FLAC", b"OggS": "Ogg", b"FORM": "AIFF", b"RIFX": "big-endian WAV"}


@dataclass(frozen=True)
class Layout:
    """How bytes are to be read."""

    rate: int
    channels: int
    encoding: str
    begin: int = 0
    """Bytes before the first sample."""
    size: int | None = None
    """Bytes of samples, where a header tells."""
    trailer: int = 0
    """Bytes after the samples that are the WAV's own: other chunks, padding."""

    @property
    def frame(self) -> int:
        """Bytes of one sample of all channels."""
        return int(self.encoding[-1]) * self.channels


def find_layout(
    head: bytes, ended: bool, name: str, raw: tuple[int | None, int, str]
) -> Layout | None:
    """What a stream is that begins with `head`; None while more must be seen."""
    if len(head) < 12 and not ended:
        return None
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return _wav_layout(head, ended, name)
    if head[:4] in OTHERS:
        raise AudioError(
            f"{name}: {OTHERS[head[:4]]}, expected WAV or raw samples: decode it first, as with "
            "`ffmpeg -i FILE -f wav -`"
        )
    if not head:
        return None
    rate, channels, encoding = raw
    if rate is None:
        raise UsageError(
            f"{name}: raw samples without a rate, expected --rate with them, or a WAV header: add "
            "--rate 16000 or whatever they were recorded at"
        )
    return Layout(rate, channels, encoding)


def _wav_layout(head: bytes, ended: bool, name: str) -> Layout | None:
    """Walk the chunks of a RIFF file up to its samples."""
    at, format_chunk = 12, b""
    while len(head) >= at + 8:
        kind, size = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
        at += 8
        if kind == b"data":
            rate, channels, encoding = _wav_format(format_chunk, name)
            known = None if size == 0 or size >= ENDLESS else size
            whole = int.from_bytes(head[4:8], "little")
            trailer = max(size % 2, whole + 8 - at - size) if whole < ENDLESS else size % 2
            return Layout(rate, channels, encoding, at, known, trailer)
        if kind == b"fmt ":
            format_chunk = head[at : at + size]
        at += size + size % 2
    if ended or at > MAX_HEADER:
        raise AudioError(
            f"{name}: a WAV header without samples, expected audio: check what writes it"
        )
    return None


def _wav_format(chunk: bytes, name: str) -> tuple[int, int, str]:
    """Rate, channels and encoding of a `fmt ` chunk."""
    if len(chunk) < 16:
        raise AudioError(f"{name}: a WAV without format, expected one: check what writes it")
    tag, channels, rate, _, frame, bits = struct.unpack("<HHIIHH", chunk[:16])
    if tag == EXTENSIBLE and len(chunk) >= 26:
        tag = int.from_bytes(chunk[24:26], "little")
    encoding = WAV.get((tag, bits))
    if encoding is None or frame * 8 != bits * channels:
        raise AudioError(
            f"{name}: WAV of format {tag} with {bits} bits, expected PCM of 8, 16, 24 or 32 bits "
            "or floats: write it as S16_LE"
        )
    return rate, channels, encoding


def as_mono(data: bytes, layout: Layout, channel: int | None, name: str) -> Samples:
    """The samples of one channel, from 1, or the mean of all.

    Raises:
        AudioError: floats that are no audio.
    """
    array = _array(data, layout.encoding).reshape(-1, layout.channels)
    if array.dtype.kind == "f" and not (np.abs(array) <= LOUDEST).all():
        raise AudioError(
            f"{name}: samples that are not finite or far beyond full scale, expected "
            "floats in [-1, 1]: check source.sample_format and source.channels"
        )
    if channel is not None:
        array = array[:, channel - 1]
    return as_clip(array, layout.rate).samples


def _array(data: bytes, encoding: str) -> NDArray[Any]:
    """Samples as numpy knows them; 24-bit ones as 32-bit ones of the same level."""
    if encoding != "<i3":
        return np.frombuffer(data, encoding)
    wide = np.zeros((len(data) // 3, 4), np.uint8)
    wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
    return wide.reshape(-1).view("<i4")
