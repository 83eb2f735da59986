"""A folder per label."""

from __future__ import annotations

from pathlib import Path

from edge_ser.corpora.utterances import Utterance, audio_files
from edge_ser.errors import DataError

__all__ = ["read_folders"]


def read_folders(folder: Path) -> list[Utterance]:
    """`FOLDER/LABEL/**/*.wav`: every folder's name is the label of all the audio below it.

    Raises:
        DataError: no audio, a class folder without audio, or audio beside the class folders.
    """
    paths = audio_files(folder)
    if not paths:
        raise DataError(
            f"{folder}: no audio, expected a known corpus, a manifest.csv or a folder per label"
        )
    utterances = []
    for path in paths:
        inside = path.relative_to(folder).parts
        if len(inside) == 1:
            raise DataError(
                f"{path}: audio without a label, expected {folder}/LABEL/{path.name}: move it "
                "there, or write a manifest.csv"
            )
        utterances.append(Utterance(path, inside[0]))
    labels = {utterance.label for utterance in utterances}
    for child in sorted(folder.iterdir()):
        if child.is_dir() and not child.name.startswith(".") and child.name not in labels:
            raise DataError(f"{child}: no audio in this class folder: fill it or remove it")
    return utterances
