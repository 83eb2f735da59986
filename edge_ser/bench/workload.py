"""What is classified while it is timed: clips of a corpus, of a folder, or synthetic speech."""

from __future__ import annotations

import hashlib
import io
import os
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from edge_ser.audio import read_clip
from edge_ser.bench.speech import synthetic_wav
from edge_ser.corpora import READERS, Corpus, read_corpus, recognised
from edge_ser.corpora.utterances import audio_files
from edge_ser.errors import AudioError, UsageError

__all__ = ["MOST_CLIPS", "SYNTHETIC", "Item", "Workload", "open_workload", "synthetic_workload"]

SYNTHETIC = "synthetic speech"
SYNTHETIC_CLIPS = 16
SYNTHETIC_SECONDS = (1.5, 4.5)
SYNTHETIC_RATES = (16_000, 48_000)

MOST_CLIPS = 2_000
"""Taken of a larger corpus unless another number is asked for: more are never timed in a run."""

Kind = Literal["synthetic", "corpus", "folder"]


@dataclass(frozen=True)
class Item:
    """One clip."""

    name: str
    """Unique within its workload, and the same wherever the files lie."""
    source: Path | bytes
    """A file, or the bytes of a WAV file."""
    label: str | None
    digest: str
    """`Clip.digest` of what it decodes to."""
    seconds: float
    rate: int
    """Hertz."""


@dataclass(frozen=True)
class Workload:
    """Clips to classify one after the other."""

    name: str
    """A known corpus's, a folder's, or `synthetic speech`."""
    kind: Kind
    """corpus: a known one; folder: any other recordings."""
    items: tuple[Item, ...]
    """In an order that the seed decides; at least one."""
    skipped: tuple[tuple[str, str], ...] = ()
    """Clips that are left out, and why: they cannot be decoded, or are silent."""
    available: int = 0
    """Clips to choose from; more than there are items where a limit was given."""
    sha256: str = field(init=False)
    """Of the sorted digests: the same clips have the same, in any order and at any place."""

    def __post_init__(self) -> None:
        digests = "\n".join(sorted(item.digest for item in self.items))
        object.__setattr__(self, "sha256", hashlib.sha256(digests.encode()).hexdigest())

    @property
    def rates(self) -> tuple[int, ...]:
        """Sampling rates that occur, sorted, Hertz."""
        return tuple(sorted({item.rate for item in self.items}))

    @property
    def seconds(self) -> float:
        """Length of all clips together."""
        return sum(item.seconds for item in self.items)

    @property
    def seconds_median(self) -> float:
        """Length of the clip in the middle."""
        return statistics.median(item.seconds for item in self.items)


def open_workload(
    dataset: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Workload:
    """The clips of a data set, or synthetic speech where none is named.

    A clip that cannot be decoded, or is silent, is skipped and told in `skipped`.

    Args:
        dataset: a folder, a manifest or the name of a known corpus, as `edge-ser evaluate` takes
            them; a folder may also hold recordings without labels.
        limit: how many clips at most; None is 2,000.
        seed: decides the order, and with it which clips a limit leaves.
        progress: told how many clips were read, and of how many.

    Raises:
        DataError: there is no such data set, it holds no clips or does not hold together.
        AudioError: not one of its clips can be used.
        UsageError: a limit below 1.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"a limit of {limit} clips, expected 1 or more: raise it")
    if dataset is None:
        return synthetic_workload(seed, limit)
    name, kind, clips = _found(dataset)
    items: list[Item] = []
    skipped: list[tuple[str, str]] = []
    wanted = min(limit or MOST_CLIPS, len(clips))
    for at in np.random.default_rng(seed).permutation(len(clips)):
        if len(items) == wanted:
            break
        clip_name, path, label = clips[at]
        try:
            items.append(_item(clip_name, path, label))
        except AudioError as error:
            skipped.append((clip_name, str(error)))
        progress(len(items), wanted)
    if not items:
        count = "the only clip" if len(skipped) == 1 else f"not one of the {len(skipped)} clips"
        can = "cannot" if len(skipped) == 1 else "can"
        raise AudioError(f"{dataset}: {count} {can} be used, the first because of {skipped[0][1]}")
    return Workload(name, kind, tuple(items), tuple(skipped), len(clips))


def synthetic_workload(seed: int = 0, limit: int | None = None) -> Workload:
    """Synthetic speech of 1.5 to 4.5 s at 16 and 48 kHz, without labels: WAV files in memory."""
    rng = np.random.default_rng(seed)
    shortest, longest = SYNTHETIC_SECONDS
    items = []
    for number, share in enumerate(rng.permutation(SYNTHETIC_CLIPS)):
        spread = (share + rng.uniform()) / SYNTHETIC_CLIPS
        rate = SYNTHETIC_RATES[number % len(SYNTHETIC_RATES)]
        wav = synthetic_wav(shortest + (longest - shortest) * spread, rate, rng)
        items.append(_item(f"synthetic-{number + 1:02}", wav, None))
    return Workload(SYNTHETIC, "synthetic", tuple(items[:limit]), available=len(items))


def _found(dataset: str) -> tuple[str, Kind, list[tuple[str, Path, str | None]]]:
    """Name, kind and (name, file, label) of the clips of a data set, sorted by path."""
    folder = Path(dataset)
    if os.path.isdir(folder) and _is_unlabelled(folder):
        paths = audio_files(folder)
        return folder.resolve().name, "folder", [(*named, None) for named in _named(paths)]
    corpus = read_corpus(dataset)
    labelled = sorted(corpus.utterances, key=lambda utterance: utterance.path)
    named = _named([utterance.path for utterance in labelled])
    clips: list[tuple[str, Path, str | None]] = [
        (*pair, utterance.label) for pair, utterance in zip(named, labelled, strict=True)
    ]
    return corpus.name, _kind(dataset, corpus), clips


def _is_unlabelled(folder: Path) -> bool:
    """Whether audio lies beside the class folders, so that a folder's name is no label."""
    if (folder / "manifest.csv").is_file() or recognised(folder) is not None:
        return False
    return any(path.parent == folder for path in audio_files(folder))


def _kind(dataset: str, corpus: Corpus) -> Kind:
    """A corpus is known by the name that was given, or by what its folder holds."""
    if os.path.isdir(dataset):
        return "corpus" if recognised(Path(dataset)) is not None else "folder"
    return "corpus" if dataset in READERS and not os.path.isfile(dataset) else "folder"


def _named(paths: list[Path]) -> Iterator[tuple[str, Path]]:
    """Each path with its name below the folder that holds them all."""
    absolute = [os.path.abspath(path) for path in paths]
    root = os.path.commonpath([os.path.dirname(path) for path in absolute])
    for path, where in zip(paths, absolute, strict=True):
        yield Path(where).relative_to(root).as_posix(), path


def _item(name: str, source: Path | bytes, label: str | None) -> Item:
    """A clip that can be used; AudioError for any other."""
    clip = read_clip(source if isinstance(source, Path) else io.BytesIO(source))
    if not clip.samples.any():
        raise AudioError(f"{name}: silent from beginning to end, expected speech: remove it")
    return Item(name, source, label, clip.digest(), clip.seconds, clip.rate)
