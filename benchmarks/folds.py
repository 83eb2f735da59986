"""Fold models, which of them never heard a speaker, and what each speaker said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from edge_ser.audio import Clip
from edge_ser.classifier import Classifier, load_model
from edge_ser.corpora import Utterance
from edge_ser.errors import DataError

SUFFIXES = (".onnx", ".tflite")


def fold_models(folder: Path) -> list[Classifier]:
    """All models of a folder, by name.

    Raises:
        DataError: there is none.
    """
    models = [load_model(path) for path in sorted(folder.iterdir()) if path.suffix in SUFFIXES]
    if not models:
        raise DataError(f"{folder}: no .tflite or .onnx file, expected fold models")
    return models


def unheard_by(speaker: str, clips: Iterable[Clip], models: Sequence[Classifier]) -> Classifier:
    """The first model that was trained on none of a speaker's clips, by the digests in its card.

    Raises:
        DataError: each heard one of them.
    """
    digests = {clip.digest() for clip in clips}
    for model in models:
        if not digests & set(model.card.provenance.training_clips):
            return model
    raise DataError(f"speaker {speaker}: every model was trained on clips of theirs: add a fold")


def by_speaker(utterances: Iterable[Utterance]) -> dict[str, list[Utterance]]:
    """The utterances of each speaker who has a name, by name."""
    found: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        if utterance.speaker:
            found.setdefault(utterance.speaker, []).append(utterance)
    return dict(sorted(found.items()))
