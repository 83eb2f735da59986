"""A corpus as arrays: features by the runtime's own frontend, labels in the order of the output."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_ser.corpora import EMODB_LABELS, Corpus, Utterance
from edge_ser.errors import DataError
from edge_ser.frontend import PRESETS
from edge_ser.lab.features import cached_features

__all__ = ["CLIP_SAMPLES", "FRONTEND", "Dataset", "classes_of", "names_of", "read_dataset"]

FRONTEND = PRESETS["librosa"]
"""Of all published networks here: 39 MFCCs at 22,050 Hz."""

CLIP_SAMPLES = 100_000
"""4.535 s at 22,050 Hz, which gives 196 frames."""

CLASSES: Mapping[str, tuple[str, ...]] = {
    "emodb": tuple(EMODB_LABELS.values()),
    "ravdess": (
        "neutral",
        "calm",
        "happiness",
        "sadness",
        "anger",
        "fear",
        "disgust",
        "surprise",
    ),
}
"""Order of the outputs as published; sorted labels elsewhere."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Features and labels of a corpus."""

    names: list[str]
    features: NDArray[np.float32]
    """Shape (clips, frames, coefficients)."""
    labels: NDArray[np.int64]
    """Index into `classes`."""
    classes: list[str]


def read_dataset(corpus: Corpus, progress: Callable[[int], None] = lambda done: None) -> Dataset:
    """Features of a corpus, cached by content, with names and labels.

    Raises:
        DataError: two clips of one name, or a label that the published order of classes lacks.
        AudioError: a recording cannot be decoded.
    """
    classes = classes_of(corpus)
    unknown = sorted(set(corpus.labels) - set(classes))
    if unknown:
        raise DataError(f"{corpus.name}: labels {', '.join(unknown)} are not of {classes}")
    return Dataset(
        names_of(corpus.utterances),
        cached_features(corpus.utterances, FRONTEND, CLIP_SAMPLES, progress),
        np.array([classes.index(utterance.label) for utterance in corpus.utterances]),
        list(classes),
    )


def classes_of(corpus: Corpus) -> tuple[str, ...]:
    """Labels in the order of the networks' outputs: as published for that corpus, or sorted."""
    return CLASSES.get(corpus.name, corpus.labels)


def names_of(utterances: Sequence[Utterance]) -> list[str]:
    """A name for each clip: its file's without suffix, with the folder's where that is needed.

    Raises:
        DataError: two clips have one name even so.
    """
    names = [utterance.path.stem for utterance in utterances]
    if len(set(names)) < len(names):
        names = [f"{utterance.path.parent.name}/{utterance.path.stem}" for utterance in utterances]
    name, count = Counter(names).most_common(1)[0] if names else ("", 1)
    if count > 1:
        raise DataError(f"{count} clips are named {name}, expected one: rename the files")
    return names
