"""Labelled streams made of corpora: utterances, pauses and noise, with the truth about each.

A stream is a sequence of chunks, each a pause or a clip with its pauses' noise in it, made one at a
time from a seed: an hour or a day of it never lies in memory. `blocks` cuts chunks to even blocks,
`whole` joins a short stream for tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio import read_clip, resample
from edge_ser.corpora import Utterance
from edge_ser.perturb import speech_rms

__all__ = [
    "Chunk",
    "Spoken",
    "StreamOptions",
    "Truth",
    "blocks",
    "chunks",
    "day",
    "load_noise",
    "speech_span",
    "spoken",
    "whole",
]

Samples = NDArray[np.float32]

SPAN_DB = 35.0
FRAME_SECONDS = 0.01
CROSSFADE_SECONDS = 0.05
KEPT_CLIPS = 64
LONGEST_SECONDS = 10
SPEECH_DBFS = -26.0
"""What clips as recorded are taken to be at, where noise is added."""


@dataclass(frozen=True, eq=False)
class Spoken:
    """A clip, and where in it is speech."""

    utterance: Utterance
    samples: Samples
    rate: int
    span: tuple[int, int]
    """First sample of speech, and the one after its last."""


@dataclass(frozen=True)
class Truth:
    """An utterance of a stream, in samples from the stream's start."""

    utterance: Utterance
    start: int
    """First sample of speech."""
    end: int
    """Sample after the last of speech."""
    clip_start: int
    """First sample of the clip that holds it."""
    clip_end: int
    """Sample after the clip's last."""


@dataclass(frozen=True, eq=False)
class Chunk:
    """The next samples of a stream: a pause, or a clip."""

    samples: Samples
    truth: Truth | None = None


@dataclass(frozen=True)
class StreamOptions:
    """How utterances are strung together."""

    pause_s: tuple[float, float] = (1.0, 3.0)
    """Seconds between two clips: drawn evenly from this range."""
    lead_s: float = 3.0
    """Seconds before the first clip."""
    level_dbfs: float | None = None
    """Decibels re full scale to which each clip's active level is brought; as recorded without."""
    snr_db: float | None = None
    """Decibels from the noise's RMS to `level_dbfs` (clips as recorded: to -26); no noise without.
    """


def speech_span(samples: Samples, rate: int) -> tuple[int, int]:
    """First sample of speech in a clean clip, and the one after its last.

    From the first to the last frame of 10 ms whose energy, smoothed over 30 ms, lies within 35 dB
    of the loudest one. On EMO-DB this agrees with the syllable labels that come with it: medians
    -6 ms at the start and -3 ms at the end.
    """
    frame = max(1, round(FRAME_SECONDS * rate))
    count = len(samples) // frame
    if not count:
        return 0, len(samples)
    power = np.square(samples[: count * frame], dtype=np.float64).reshape(count, frame).mean(axis=1)
    power = np.convolve(power, np.full(3, 1 / 3))[1:-1]
    loud = np.flatnonzero(power >= power.max() * 10 ** (-SPAN_DB / 10))
    return int(loud[0]) * frame, int(loud[-1] + 1) * frame


def spoken(utterance: Utterance, rate: int) -> Spoken:
    """A clip of a corpus at `rate` hertz; the last few are kept."""
    return _spoken(utterance, rate)


def load_noise(path: Path, rate: int) -> Samples:
    """A recording of noise at `rate` hertz, of RMS 1, to be repeated: its ends are faded together.

    Digital silence at its ends, with which short recordings were filled up, is cut off.
    """
    samples = resample(read_clip(path), rate).samples
    sounding = np.flatnonzero(np.abs(samples) > 1e-4)
    samples = samples[sounding[0] : sounding[-1] + 1]
    fade = round(CROSSFADE_SECONDS * rate)
    up = np.linspace(0, 1, fade, dtype=np.float32)
    body = samples[fade:].copy()
    body[-fade:] = body[-fade:] * np.sqrt(1 - up) + samples[:fade] * np.sqrt(up)
    return np.asarray(body / np.sqrt(np.square(body, dtype=np.float64).mean()), dtype=np.float32)


def chunks(
    clips: Iterable[Spoken],
    rate: int,
    rng: np.random.Generator,
    options: StreamOptions | None = None,
    noise: Samples | None = None,
    start: int = 0,
) -> Iterator[Chunk]:
    """A stream: a pause, then each clip and a pause after it, all in the same noise.

    Args:
        clips: what is spoken, one after the other.
        rate: hertz, of the clips and of the stream.
        rng: draws the pauses and the noise.
        options: pauses and levels; the defaults without.
        noise: RMS 1, repeated all along, from a random place; white Gaussian without.
        start: position of the first sample.
    """
    options = options or StreamOptions()
    hum = _Noise(noise, _noise_level(options), rng)
    position = start + round(options.lead_s * rate)
    for first in range(start, position, LONGEST_SECONDS * rate):
        yield Chunk(hum.next(min(LONGEST_SECONDS * rate, position - first)))
    for clip in clips:
        scale = 1.0
        if options.level_dbfs is not None:
            scale = 10 ** (options.level_dbfs / 20) / speech_rms(clip.samples, rate)
        length = len(clip.samples)
        truth = Truth(
            clip.utterance,
            position + clip.span[0],
            position + clip.span[1],
            position,
            position + length,
        )
        yield Chunk(np.float32(scale) * clip.samples + hum.next(length), truth)
        pause = round(rng.uniform(*options.pause_s) * rate)
        yield Chunk(hum.next(pause))
        position += length + pause


def day(
    utterances: Sequence[Utterance],
    noises: Sequence[Samples],
    rate: int,
    seconds: float,
    seed: int,
    section_s: tuple[float, float] = (30.0, 180.0),
) -> Iterator[Chunk]:
    """A long mixed stream of `seconds` or a little more: speech, noise and silence in sections.

    Each section is one of: digital silence; noise alone; speech in digital silence; speech in
    noise, at 20 or 10 dB. Everything is drawn from the seed, clips as often as need be.
    """
    rng = np.random.default_rng(seed)
    position, end = 0, round(seconds * rate)
    while position < end:
        until = min(end, position + round(rng.uniform(*section_s) * rate))
        kind = rng.choice(["silence", "noise", "speech", "both"])
        snr = float(rng.choice([10.0, 20.0])) if kind in ("noise", "both") else None
        options = StreamOptions(lead_s=1.0, level_dbfs=-26.0, snr_db=snr)
        noise = noises[int(rng.integers(len(noises)))] if noises else None
        clips: Iterable[Spoken] = ()
        if kind in ("speech", "both"):
            clips = _drawn(utterances, rate, rng)
        if kind in ("silence", "noise"):
            options = StreamOptions(lead_s=(until - position) / rate, level_dbfs=-26.0, snr_db=snr)
        for chunk in chunks(clips, rate, rng, options, noise, position):
            yield chunk
            position += len(chunk.samples)
            if chunk.truth is None and position >= until:
                break


def blocks(stream: Iterable[Chunk], size: int) -> Iterator[tuple[Samples, list[Truth]]]:
    """Blocks of `size` samples (the last may be shorter), each with the utterances told of in it.

    A truth comes with the first block that holds a sample of its clip.
    """
    rest = np.empty(0, dtype=np.float32)
    told: list[Truth] = []
    for chunk in stream:
        if chunk.truth is not None:
            told.append(chunk.truth)
        rest = np.concatenate([rest, chunk.samples])
        cut = 0
        while len(rest) - cut >= size:
            yield rest[cut : cut + size], told
            told = []
            cut += size
        rest = rest[cut:]
    if len(rest) or told:
        yield rest, told


def whole(stream: Iterable[Chunk]) -> tuple[Samples, list[Truth]]:
    """A short stream at once, with all its utterances."""
    pieces = list(stream)
    joined = np.concatenate([np.empty(0, np.float32), *(piece.samples for piece in pieces)])
    return joined, [piece.truth for piece in pieces if piece.truth is not None]


def _noise_level(options: StreamOptions) -> float | None:
    """RMS of the noise, decibels re full scale; None for none."""
    if options.snr_db is None:
        return None
    return (SPEECH_DBFS if options.level_dbfs is None else options.level_dbfs) - options.snr_db


class _Noise:
    """Noise that goes on from call to call."""

    def __init__(
        self, recording: Samples | None, dbfs: float | None, rng: np.random.Generator
    ) -> None:
        self._recording, self._rng = recording, rng
        self._gain = np.float32(0 if dbfs is None else 10 ** (dbfs / 20))
        self._at = 0 if recording is None else int(rng.integers(len(recording)))

    def next(self, length: int) -> Samples:
        """The next samples of it."""
        if not self._gain:
            return np.zeros(length, dtype=np.float32)
        if self._recording is None:
            return self._gain * self._rng.standard_normal(length, dtype=np.float32)
        at = np.arange(self._at, self._at + length) % len(self._recording)
        self._at = (self._at + length) % len(self._recording)
        return self._gain * self._recording[at]


@lru_cache(maxsize=KEPT_CLIPS)
def _spoken(utterance: Utterance, rate: int) -> Spoken:
    samples = resample(read_clip(utterance.path), rate).samples
    return Spoken(utterance, samples, rate, speech_span(samples, rate))


def _drawn(
    utterances: Sequence[Utterance], rate: int, rng: np.random.Generator
) -> Iterator[Spoken]:
    while True:
        yield _spoken(utterances[int(rng.integers(len(utterances)))], rate)
