"""From a name or a path to a corpus."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edge_ser.corpora.folders import read_folders
from edge_ser.corpora.iemocap import evaluations, read_iemocap
from edge_ser.corpora.known import (
    NAMED,
    read_emodb,
    read_emovo,
    read_ravdess,
    read_speech_commands,
)
from edge_ser.corpora.manifest import read_manifest
from edge_ser.corpora.utterances import Corpus, Utterance, audio_files
from edge_ser.errors import DataError

__all__ = ["READERS", "read_corpus", "recognised"]

READERS: Mapping[str, Callable[[Path], list[Utterance]]] = {
    "emodb": read_emodb,
    "ravdess": read_ravdess,
    "emovo": read_emovo,
    "speech_commands": read_speech_commands,
    "iemocap": read_iemocap,
}
"""Known corpora and what reads their folders."""


def read_corpus(name_or_path: str | Path) -> Corpus:
    """Labelled speech from a folder, a CSV manifest, or a known corpus by name.

    In this order: an existing path; a known name, looked for in the folder `EDGE_SER_DATA`. A
    folder is what most of its file names say (EMO-DB, RAVDESS, EMOVO, Speech Commands) or its tree
    (IEMOCAP), else what its manifest.csv says, else a folder per label, and called after the folder
    (own-emodb where that is a known name). Known names joined by `+`, such as emodb+emovo, are read
    as one corpus: each utterance tells its own, and speakers are called emodb-03.

    Raises:
        DataError: nothing is there, or what is there does not hold together.
    """
    if not str(name_or_path).strip():
        raise DataError(
            "no corpus, expected a folder, a CSV manifest or a known corpus: name one, in an "
            "experiment as [data] corpus"
        )
    path = Path(name_or_path)
    if os.path.isfile(path):
        listed = tuple(read_manifest(path))
        known = _named_like([utterance.path.stem for utterance in listed])
        return Corpus(known or _own_name(path.parent.name or path.stem), listed)
    if os.path.isdir(path):
        return _read_folder(path)
    name = str(name_or_path)
    if "+" in name:
        return _joined(name)
    if name not in READERS:
        raise DataError(
            f"{name}: no such folder or manifest, expected one or a known corpus: "
            f"{', '.join(sorted(READERS))}"
        )
    home = os.environ.get("EDGE_SER_DATA")
    if not home:
        raise DataError(
            f"{name}: set EDGE_SER_DATA to the folder that holds it, or give its own folder"
        )
    folder = Path(home, name)
    if not folder.is_dir():
        raise DataError(
            f"{folder}: no such folder, expected {name} in EDGE_SER_DATA: set it to the folder "
            "above, or give the corpus's own folder"
        )
    return Corpus(name, tuple(READERS[name](folder)))


def _joined(name: str) -> Corpus:
    parts = name.split("+")
    if len(set(parts)) < len(parts):
        raise DataError(f"{name}: a corpus stands twice, expected each once")
    unknown = [part for part in parts if part not in READERS]
    if unknown:
        raise DataError(
            f"{name}: {unknown[0] or 'nothing'} is no known corpus, expected some of "
            f"{', '.join(sorted(READERS))}, joined by +"
        )
    return Corpus(
        name,
        tuple(
            replace(
                utterance,
                speaker=f"{part}-{utterance.speaker}" if utterance.speaker else None,
                corpus=part,
            )
            for part in parts
            for utterance in read_corpus(part).utterances
        ),
    )


def _read_folder(folder: Path) -> Corpus:
    name = recognised(folder)
    if name is not None:
        return Corpus(name, tuple(READERS[name](folder)))
    manifest = folder / "manifest.csv"
    read = read_manifest if manifest.is_file() else read_folders
    utterances = read(manifest if manifest.is_file() else folder)
    return Corpus(_own_name(folder.resolve().name), tuple(utterances))


def _own_name(name: str) -> str:
    """A name that no known corpus has: by theirs a card tells licence and origin."""
    return f"own-{name}" if any(part in READERS for part in name.split("+")) else name


def recognised(folder: Path) -> str | None:
    """The known corpus of which a folder has the tree, or more than half of its names.

    Raises:
        DataError: the folder cannot be listed.
    """
    if evaluations(folder):
        return "iemocap"
    return _named_like([path.stem for path in audio_files(folder)])


def _named_like(stems: Sequence[str]) -> str | None:
    """The known corpus of whose names more than half are."""
    for name, named in NAMED.items():
        if 2 * sum(named.pattern.fullmatch(stem) is not None for stem in stems) > len(stems):
            return name
    return None
