"""What a corpus is: utterances with labels, and the audio files below a folder."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from edge_ser.errors import DataError

__all__ = [
    "AUDIO_SUFFIXES",
    "Corpus",
    "Utterance",
    "audio_files",
    "is_hidden",
    "refuse_alike",
    "refuse_twins",
]

AUDIO_SUFFIXES = frozenset(
    (
        *(".aif", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga"),
        *(".ogg", ".opus", ".rf64", ".snd", ".w64", ".wav"),
    )
)
"""Endings, in lower case, of what libsndfile decodes and people use."""

MAX_FILES = 1_000_000


@dataclass(frozen=True)
class Utterance:
    """One labelled recording."""

    path: Path
    label: str
    speaker: str | None = None
    split: str | None = None
    corpus: str | None = None
    """Name of its corpus, where several are read as one."""


@dataclass(frozen=True)
class Corpus:
    """Labelled recordings under one name."""

    name: str
    utterances: tuple[Utterance, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that occur, sorted."""
        return tuple(sorted({utterance.label for utterance in self.utterances}))


def audio_files(folder: Path, suffixes: Collection[str] = AUDIO_SUFFIXES) -> list[Path]:
    """Sorted paths of the audio files below a folder.

    Hidden files and folders (`is_hidden`) are passed over, and links to folders are not followed.

    Raises:
        DataError: the folder cannot be listed or holds more than a million files.
    """
    found: list[Path] = []
    seen = 0
    for here, folders, names in os.walk(folder, onerror=_unreadable):
        folders[:] = [name for name in folders if not is_hidden(name)]
        seen += len(names)
        if seen > MAX_FILES:
            raise DataError(
                f"{folder}: more than {MAX_FILES:,} files, expected a corpus: give its own folder"
            )
        found += [
            Path(here, name)
            for name in names
            if not is_hidden(name) and os.path.splitext(name)[1].lower() in suffixes
        ]
    return sorted(found)


def is_hidden(name: str) -> bool:
    """`.x`, so macOS's `._x.wav` too, and what its archives hold beside the files."""
    return name.startswith(".") or name == "__MACOSX"


def refuse_alike(place: Path, utterances: Iterable[Utterance]) -> None:
    """Raise DataError where two labels differ in case, outer spaces or Unicode form alone.

    'Anger' beside 'anger' is a slip of the hand, and would be an output of its own.
    """
    first: dict[str, str] = {}
    for label in sorted({utterance.label for utterance in utterances}):
        key = unicodedata.normalize("NFC", label).strip().casefold()
        if key in first:
            raise DataError(
                f"{place}: labels {first[key]!r} and {label!r} are all but alike, expected one "
                "spelling of each label: rename one of them"
            )
        first[key] = label


def refuse_twins(paths: Iterable[Path], parts: int) -> None:
    """Raise DataError where two paths end in the same `parts` names, suffix aside.

    Copies of the public corpora that hold everything twice are common, and would count twice.
    """
    first: dict[tuple[str, ...], Path] = {}
    for path in paths:
        key = path.with_suffix("").parts[-parts:]
        if key in first:
            raise DataError(f"{path} is there twice (also {first[key]}): keep one copy")
        first[key] = path


def _unreadable(error: OSError) -> None:
    raise DataError(
        f"{error.filename}: {error.strerror}, expected a folder that can be listed: check its name"
    ) from error
