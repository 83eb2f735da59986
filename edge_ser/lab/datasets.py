"""A corpus as arrays: features by the runtime's own frontend, labels in the order of the output."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio import read_clip, resample
from edge_ser.corpora import EMODB_LABELS, Corpus, Utterance
from edge_ser.errors import DataError
from edge_ser.frontend import FrontendSpec
from edge_ser.lab.experiment import DataOptions
from edge_ser.lab.features import Version, cached_features

__all__ = [
    "Dataset",
    "by_name",
    "classes_of",
    "known_classes",
    "names_of",
    "read_dataset",
    "selected",
]

CLASSES: Mapping[str, tuple[str, ...]] = {
    "emodb": tuple(EMODB_LABELS.values()),
    "emovo": ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
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
"""Order of the outputs as published; sorted labels elsewhere, and where there are others."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Features and labels of a corpus."""

    names: list[str]
    features: NDArray[np.float32]
    """Shape (clips, *shape of one clip)."""
    labels: NDArray[np.int64]
    """Index into `classes`."""
    classes: list[str]
    utterances: Mapping[str, Utterance]
    """By name."""
    spec: FrontendSpec
    known: NDArray[np.bool_]
    """Which classes the clip's corpus has, shape (clips, classes): all, but where corpora are
    joined. Among the others nobody was asked."""
    versions: tuple[NDArray[np.float32], ...] = ()
    """Features of changed versions of all clips, each shaped as `features`."""

    def index(self, names: Sequence[str]) -> NDArray[np.int64]:
        """Where clips of these names stand.

        Raises:
            DataError: one is not in this corpus.
        """
        place = {name: at for at, name in enumerate(self.names)}
        try:
            return np.array([place[name] for name in names], dtype=np.int64)
        except KeyError as error:
            raise DataError(f"clip {error} is not in this corpus: give its own") from None

    @cached_property
    def digests(self) -> Mapping[str, str]:
        """`Clip.digest` of each clip, by name: of its samples, however they are stored."""
        return {name: read_clip(u.path).digest() for name, u in self.utterances.items()}

    def digest_of(self, names: Iterable[str]) -> str:
        """One digest of what clips of these names sound like, in whatever order they are named.

        Raises:
            DataError: one is not in this corpus.
        """
        ordered = sorted(names)
        self.index(ordered)
        told = "".join(f"{name} {self.digests[name]}\n" for name in ordered)
        return hashlib.sha256(told.encode()).hexdigest()[:32]

    def waveforms(self, names: Sequence[str]) -> list[NDArray[np.float32]]:
        """Samples of clips at the frontend's rate, each as long as it is."""
        return [
            resample(
                read_clip(str(self.utterances[name].path)), self.spec.rate, self.spec.resampler
            ).samples
            for name in names
        ]


def read_dataset(
    corpus: Corpus,
    options: DataOptions,
    progress: Callable[[int], None] = lambda done: None,
    versions: Sequence[Version] = (),
) -> Dataset:
    """Features of a corpus and of versions of it, cached by content, with names and labels.

    Raises:
        DataError: two clips of one name, or a label that the outputs lack.
        AudioError: a recording cannot be decoded.
    """
    chosen = selected(corpus, options)
    classes = options.labels or classes_of(corpus)
    spec = options.spec()
    named = by_name(chosen)
    features, *changed = (
        cached_features(
            chosen.utterances, spec, options.clip_samples, options.pad_side, progress, version
        )
        for version in (None, *versions)
    )
    labels = np.array([classes.index(utterance.label) for utterance in chosen.utterances])
    known = known_classes(chosen.utterances, classes)
    return Dataset(list(named), features, labels, list(classes), named, spec, known, tuple(changed))


def selected(corpus: Corpus, options: DataOptions) -> Corpus:
    """The clips whose label is an output.

    Raises:
        DataError: other labels, where they are refused; an output without any clip; or no clips.
    """
    classes = options.labels or classes_of(corpus)
    unknown = sorted(set(corpus.labels) - set(classes))
    if unknown and options.other_labels == "refuse":
        near = get_close_matches(unknown[0], classes, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise DataError(
            f"{corpus.name}: labels {', '.join(unknown)} are not of {', '.join(classes)}; {hint}"
            'set data.labels, or data.other_labels = "drop"'
        )
    kept = tuple(u for u in corpus.utterances if u.label in classes)
    empty = [label for label in classes if label not in corpus.labels]
    if empty:
        raise DataError(
            f"{corpus.name}: no clips of {', '.join(empty)}, expected some of each label: "
            "leave them out of data.labels"
        )
    return Corpus(corpus.name, kept)


def known_classes(utterances: Sequence[Utterance], classes: Sequence[str]) -> NDArray[np.bool_]:
    """Which classes occur in the corpus of each utterance, shape (utterances, classes)."""
    labels: dict[str | None, set[str]] = {}
    for utterance in utterances:
        labels.setdefault(utterance.corpus, set()).add(utterance.label)
    rows = {corpus: [name in of_it for name in classes] for corpus, of_it in labels.items()}
    return np.array([rows[utterance.corpus] for utterance in utterances], dtype=bool)


def classes_of(corpus: Corpus) -> tuple[str, ...]:
    """Labels in the order of the networks' outputs: as published for that corpus, or sorted.

    A part of a known corpus has those of its labels that occur. A manifest may give the files of
    one other labels, if all are: one that is not published beside those that are is a slip.
    """
    published = CLASSES.get(corpus.name, ())
    return tuple(label for label in published if label in corpus.labels) or corpus.labels


def by_name(corpus: Corpus) -> dict[str, Utterance]:
    """The utterances of a corpus by the names that splits call them."""
    return dict(zip(names_of(corpus.utterances), corpus.utterances, strict=True))


def names_of(utterances: Sequence[Utterance]) -> list[str]:
    """A name for each clip: its file's without suffix, with as many folders as are needed.

    That is none, its own, or all below the folder that holds all clips.

    Raises:
        DataError: two clips have one name even so, as a.wav and a.flac have.
    """
    paths = [Path(os.path.abspath(utterance.path)).with_suffix("") for utterance in utterances]
    names = [path.name for path in paths]
    if len(set(names)) < len(names):
        names = [f"{path.parent.name}/{path.name}" for path in paths]
    if len(set(names)) < len(names):
        root = os.path.commonpath([path.parent for path in paths])
        names = [path.relative_to(root).as_posix() for path in paths]
    name, count = Counter(names).most_common(1)[0] if names else ("", 1)
    if count > 1:
        raise DataError(f"{count} clips are named {name}, expected one: keep one of the files")
    return names
