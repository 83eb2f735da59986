"""Who trains and who is tested: each protocol turns a corpus into splits, saved as sorted lists."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from edge_ser.errors import DataError

__all__ = ["PROTOCOLS", "Split", "grouped", "holdout", "loso", "published", "whole"]

PUBLISHED_FOLDS = 10
PUBLISHED_SEED = 98


@dataclass(frozen=True)
class Split:
    """Names of the clips of one fold."""

    name: str
    train: list[str]
    test: list[str]
    validation: list[str] = field(default_factory=list)
    speakers: list[str] = field(default_factory=list)
    """Speakers of the test clips; none of them trains, unless the protocol is `published`."""


def published(speakers: Mapping[str, str], folds: int = PUBLISHED_FOLDS) -> list[Split]:
    """Shuffled folds over clips, as the papers split: speakers are on both sides (leaky)."""
    from sklearn.model_selection import KFold

    names = sorted(speakers)
    splitter = KFold(folds, shuffle=True, random_state=PUBLISHED_SEED)
    return [
        Split(f"published-{number:02d}", [names[i] for i in train], sorted(names[i] for i in test))
        for number, (train, test) in enumerate(splitter.split(names), 1)
    ]


def grouped(speakers: Mapping[str, str], folds: int = 5) -> list[Split]:
    """Sorted speakers cut into `folds` runs; each run is tested by a model that never heard it."""
    people = sorted(set(speakers.values()))
    if not 2 <= folds <= len(people):
        raise DataError(
            f"{folds} folds of {len(people)} speakers: expected 2 to {len(people)} folds"
        )
    cuts = [round(i * len(people) / folds) for i in range(folds + 1)]
    return [
        _by_speakers(f"grouped-{number:02d}", speakers, people[start:end])
        for number, (start, end) in enumerate(itertools.pairwise(cuts), 1)
    ]


def loso(speakers: Mapping[str, str]) -> list[Split]:
    """Leave one speaker out."""
    people = sorted(set(speakers.values()))
    if len(people) < 2:
        raise DataError(f"{len(people)} speaker: leaving one out takes at least two")
    return [_by_speakers(f"loso-{person}", speakers, [person]) for person in people]


def holdout(speakers: Mapping[str, str], seed: int = 42) -> list[Split]:
    """One split by speaker: a fifth tests, a fifth validates (choose epochs there)."""
    people = sorted(set(speakers.values()))
    if len(people) < 3:
        raise DataError(f"{len(people)} speakers: a hold-out with validation takes at least three")
    random.Random(seed).shuffle(people)
    share = max(1, len(people) // 5)
    split = _by_speakers("holdout", speakers, sorted(people[:share]))
    inner = set(people[share : 2 * share])
    return [
        Split(
            split.name,
            [name for name in split.train if speakers[name] not in inner],
            split.test,
            [name for name in split.train if speakers[name] in inner],
            split.speakers,
        )
    ]


def whole(speakers: Mapping[str, str]) -> list[Split]:
    """All clips train and none is tested: for weights to ship."""
    return [Split("whole", sorted(speakers), [])]


PROTOCOLS: Mapping[str, Callable[[Mapping[str, str]], list[Split]]] = {
    "published": published,
    "grouped": grouped,
    "loso": loso,
    "holdout": holdout,
    "whole": whole,
}


def _by_speakers(name: str, speakers: Mapping[str, str], tested: Sequence[str]) -> Split:
    return Split(
        name,
        sorted(clip for clip, person in speakers.items() if person not in tested),
        sorted(clip for clip, person in speakers.items() if person in tested),
        speakers=list(tested),
    )
