"""Recordings of real noise: random stretches of the files below a folder."""

from __future__ import annotations

import hashlib
import math
import os
from functools import lru_cache
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from edge_ser.audio import open_recording
from edge_ser.corpora.utterances import audio_files
from edge_ser.errors import DataError

__all__ = ["digest_of_noise", "stretch_of_noise"]

Samples = NDArray[np.float32]

TRIES = 100
SILENCE = 1e-5
"""RMS of full scale (-100 dBFS) under which a stretch holds no noise."""


def stretch_of_noise(folder: str, length: int, rate: int, rng: np.random.Generator) -> Samples:
    """`length` samples of a random recording from a random place; never silent.

    Only the stretch is read, so a folder may hold hours. A recording that is shorter goes round
    and round from a random place.

    Raises:
        DataError: there is no audio in the folder, or hardly any that is not silent.
        AudioError: a recording cannot be decoded.
    """
    files = _files(folder)
    for _ in range(TRIES):
        stretch = _stretch(files[int(rng.integers(len(files)))], length, rate, rng)
        if math.sqrt(np.square(stretch, dtype=np.float64).mean()) > SILENCE:
            return stretch
    raise DataError(f"{folder}: {TRIES} stretches were silent, expected noise: remove such files")


def digest_of_noise(folder: str) -> str:
    """What tells the recordings below a folder from others, by their order and bytes.

    Raises:
        DataError: there is no audio in the folder.
    """
    digest = hashlib.sha256()
    for path in _files(folder):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _stretch(path: Path, length: int, rate: int, rng: np.random.Generator) -> Samples:
    with open_recording(path) as recording:
        wanted = math.ceil(length / rate * recording.rate)
        start = int(rng.integers(max(1, recording.length - wanted + 1)))
        read = recording.read(start, wanted)
        if recording.rate != rate:
            read = np.asarray(soxr.resample(read, recording.rate, rate, "HQ"), dtype=np.float32)
    if len(read) >= length:
        return read[:length]
    if not len(read):
        return np.zeros(length, dtype=np.float32)
    return np.resize(np.roll(read, int(rng.integers(len(read)))), length)


@lru_cache(maxsize=8)
def _files(folder: str) -> tuple[Path, ...]:
    place = Path(folder).expanduser()
    if not place.is_dir() and "EDGE_SER_DATA" in os.environ:
        place = Path(os.environ["EDGE_SER_DATA"], folder)
    found = tuple(audio_files(place))
    if not found:
        raise DataError(f"{folder}: no audio in this folder: name one with recordings of noise")
    return found
