"""Clips to compare on and to calibrate with: real ones, or made up where there are none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from edge_ser import signals
from edge_ser.audio import fit, read_clip, resample
from edge_ser.card import InputSpec
from edge_ser.corpora import read_corpus
from edge_ser.corpora.utterances import audio_files
from edge_ser.errors import DataError
from edge_ser.frontend import Frontend, FrontendSpec
from edge_ser.lab.export.reference import Floats

__all__ = ["CHECK_CLIPS", "clip_paths", "made_up_clips", "real_clips"]

CHECK_CLIPS = 200
"""Real clips, spread over all that there are."""
LEVELS_DB = (-40, -32, -24, -16, -8, 0)
"""Of made-up clips."""


def clip_paths(place: str) -> list[Path]:
    """The audio files of a folder, with labels or without, or of a corpus by name.

    Raises:
        DataError: neither is there, or it holds no audio.
    """
    if Path(place).is_dir():
        found = audio_files(Path(place))
    else:
        found = [utterance.path for utterance in read_corpus(place).utterances]
    if not found:
        raise DataError(f"{place}: no audio in this folder, expected recordings to compare on")
    spread = np.linspace(0, len(found) - 1, min(CHECK_CLIPS, len(found)), dtype=int)
    return [found[number] for number in spread]


def real_clips(
    paths: list[Path],
    specs: tuple[FrontendSpec, ...],
    wanted: InputSpec,
    done: Callable[[int, int], None] = lambda done, of: None,
) -> list[Floats]:
    """Features of recordings, one array of shape (clips, *shape) a block.

    Raises:
        AudioError: one cannot be decoded.
    """
    frontends = [Frontend(spec) for spec in specs]
    rows: list[list[Floats]] = [[] for _ in specs]
    for number, path in enumerate(paths, 1):
        clip = resample(read_clip(path), wanted.rate, specs[0].resampler)
        samples = fit(clip.samples, wanted.clip_samples, wanted.pad_side)
        for row, frontend in zip(rows, frontends, strict=True):
            row.append(frontend(samples))
        done(number, len(paths))
    return [np.stack(row) for row in rows]


def made_up_clips(specs: tuple[FrontendSpec, ...], wanted: InputSpec) -> list[Floats]:
    """Features of a synthetic voice and of chirps at several levels, (12, *shape) a block."""
    voice = signals.demo_clip(wanted.rate)
    chirps = signals.as_float(signals.test_signal(wanted.clip_samples, wanted.rate))
    clips = [
        fit(np.float32(10 ** (level / 20)) * clip, wanted.clip_samples, wanted.pad_side)
        for clip in (voice, chirps)
        for level in LEVELS_DB
    ]
    return [np.stack([Frontend(spec)(clip) for clip in clips]) for spec in specs]
