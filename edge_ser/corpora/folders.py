"""A folder per label."""

from __future__ import annotations

from pathlib import Path

from edge_ser.corpora.utterances import Utterance, audio_files, is_hidden, refuse_alike
from edge_ser.errors import DataError

__all__ = ["read_folders"]


def read_folders(folder: Path) -> list[Utterance]:
    """`FOLDER/LABEL/**/*.wav`: every folder's name is the label of all the audio below it.

    Raises:
        DataError: no audio, a class folder without audio, audio beside the class folders, or two
            labels that are all but alike.
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
        if child.is_dir() and not is_hidden(child.name) and child.name not in labels:
            if child.is_symlink():
                raise DataError(
                    f"{child}: a link to a folder, which is not followed: put the folder itself "
                    "there, or write a manifest.csv"
                )
            raise DataError(f"{child}: no audio in this class folder: fill it or remove it")
    refuse_alike(folder, utterances)
    return utterances
