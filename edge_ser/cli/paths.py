"""What the user names on the command line, as the list of recordings to classify."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_ser.corpora.utterances import AUDIO_SUFFIXES, audio_files
from edge_ser.errors import AudioError, DataError, EdgeSerError

__all__ = ["STDIN", "Recordings", "recordings"]

STDIN = "-"


@dataclass(frozen=True)
class Recordings:
    """What the arguments come to."""

    paths: tuple[str, ...]
    """Files, and `-` for standard input, in the order of the arguments, each once."""
    failures: tuple[tuple[str, EdgeSerError], ...]
    """Arguments that name no recording, with the reason."""

    def __len__(self) -> int:
        return len(self.paths) + len(self.failures)


def recordings(arguments: Sequence[str]) -> Recordings:
    """Expand folders (recursive, sorted) and globs; what is no file is left for the reader to say.

    A path that is named twice is taken once.
    """
    paths: dict[str, None] = {}
    failures: list[tuple[str, EdgeSerError]] = []
    for argument in dict.fromkeys(arguments):
        try:
            paths.update(dict.fromkeys(_named_by(argument)))
        except AudioError as error:
            failures.append((argument, error))
    return Recordings(tuple(paths), tuple(failures))


def _named_by(argument: str) -> Iterator[str]:
    if argument == STDIN or os.path.lexists(argument) or not glob.has_magic(argument):
        yield from _audio_of(argument)
        return
    matches = sorted(set(_matches(argument)))  # quoted, or a shell without patterns
    if not matches:
        raise AudioError(f"{argument}: matches no file: check the pattern and the folder")
    files = [match for match in matches if not os.path.isdir(match)]
    for match in files or matches:
        yield from _audio_of(match)


def _matches(pattern: str) -> Iterator[str]:
    """As glob, but `**` follows no links to folders: one to its own parent would never end."""
    parts = pattern.split(os.sep)
    if "**" not in parts:
        yield from glob.iglob(pattern)
        return
    at = parts.index("**")
    before, rest = os.sep.join([*parts[:at], ""]), parts[at + 1 :] or ["*"]
    for top in glob.iglob(before) if before else [os.curdir]:
        for here, folders, _ in os.walk(top):
            folders[:] = [name for name in folders if not name.startswith(".")]
            place = os.path.relpath(here) if not before else here
            place = "" if place == os.curdir else glob.escape(place)
            yield from _matches(os.path.join(place, *rest))


def _audio_of(path: str) -> Iterator[str]:
    """The path itself, or the audio files below it; a named file may be called anything."""
    if not os.path.isdir(path):
        yield path
        return
    try:
        found = audio_files(Path(path))
    except DataError as error:
        raise AudioError(str(error)) from error
    if not found:
        known = " ".join(sorted(AUDIO_SUFFIXES))
        raise AudioError(f"{path}: no audio in this folder: looked for names ending in {known}")
    yield from map(str, found)
