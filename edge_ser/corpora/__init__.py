"""Labelled speech: known corpora, folders and manifests as lists of utterances."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_ser.errors import DataError

__all__ = ["Utterance", "read_emodb"]


@dataclass(frozen=True)
class Utterance:
    """One labelled recording."""

    path: Path
    label: str
    speaker: str | None = None
    split: str | None = None


EMODB_LABELS = {
    "L": "boredom",
    "A": "fear",
    "E": "disgust",
    "F": "happiness",
    "T": "sadness",
    "W": "anger",
    "N": "neutral",
}


def read_emodb(folder: Path) -> list[Utterance]:
    """EMO-DB: `03a01Fa` is speaker 03, sentence a01, emotion F, version a."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".wav", ".flac"))
    if not paths:
        raise DataError(f"{folder}: no WAV or FLAC files, expected those of EMO-DB")
    return [Utterance(p, EMODB_LABELS[p.stem[5]], p.stem[:2]) for p in paths]
