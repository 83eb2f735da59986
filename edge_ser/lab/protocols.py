"""Who trains and who is tested: each protocol turns a corpus into splits, saved as sorted lists."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, get_args

from edge_ser.corpora import Utterance
from edge_ser.errors import ConfigError, DataError, DependencyError, UsageError

__all__ = [
    "NAMES",
    "ProtocolOptions",
    "Split",
    "grouped",
    "holdout",
    "loco",
    "loso",
    "official",
    "published",
    "splits_of",
    "stratified",
    "whole",
]

Name = Literal["grouped", "loso", "loco", "holdout", "official", "published", "stratified", "whole"]
NAMES: tuple[Name, ...] = get_args(Name)

PUBLISHED_FOLDS = 10
PUBLISHED_SEED = 98
INNER_SHARE = 0.1
"""Of the training clips of a class, to validate on."""


@dataclass(frozen=True)
class ProtocolOptions:
    """Who trains and who is tested."""

    name: Name = "grouped"
    """grouped: sorted speakers in runs; loso: leave one speaker out; loco: leave one corpus out, of
    several; holdout: one split by speaker; official: the corpus's own; whole: all train, none is
    tested. Leaky, for comparison with papers: published: shuffled folds over clips; stratified: 70,
    20 and 10 % of each class, at random."""
    folds: int | None = None
    """Of grouped (5) and published (10)."""
    seed: int | None = None
    """Of what is drawn: published 98, stratified and inner validation 46, holdout 42."""
    validation: Literal["protocol", "clips"] = "protocol"
    """clips: where the protocol has no validation clips, a tenth of the training clips of each
    class, by the seed."""

    def __post_init__(self) -> None:
        if self.folds is not None and not 2 <= self.folds <= 1000:
            raise ConfigError(f"[protocol]: folds is {self.folds}, expected 2 to 1000")
        if self.seed is not None and self.seed < 0:
            raise ConfigError(f"[protocol]: seed is {self.seed}, expected 0 or more")


@dataclass(frozen=True)
class Split:
    """Names of the clips of one fold."""

    name: str
    train: list[str]
    test: list[str]
    validation: list[str] = field(default_factory=list)
    speakers: list[str] = field(default_factory=list)
    """Speakers of the test clips; none of them trains."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What each clip is; empty in records of earlier versions."""
    audio: str = ""
    """`Dataset.digest_of` all clips; empty in records of earlier versions."""

    @property
    def clips(self) -> tuple[str, ...]:
        """Names of all of them."""
        return (*self.train, *self.validation, *self.test)


def splits_of(utterances: Mapping[str, Utterance], options: ProtocolOptions) -> list[Split]:
    """The folds of a protocol, with the labels of their clips.

    Args:
        utterances: by name.
        options: the protocol.

    Raises:
        UsageError: folds for a protocol whose number is fixed.
        DataError: a clip has no speaker, and the protocol keeps speakers apart; or too few do; or
            the corpus has no split of its own.
    """
    if options.folds is not None and options.name not in ("grouped", "published"):
        raise UsageError(f"{options.name} has no number of folds, expected none: leave folds out")
    labels = {name: utterance.label for name, utterance in utterances.items()}
    return [
        dataclasses.replace(_with_validation(split, labels, options), labels=labels)
        for split in _folds(utterances, labels, options)
    ]


def _folds(
    utterances: Mapping[str, Utterance], labels: Mapping[str, str], options: ProtocolOptions
) -> list[Split]:
    name, seed = options.name, options.seed
    if name == "official":
        return official({name: utterance.split for name, utterance in utterances.items()})
    if name == "stratified":
        return stratified(labels, 46 if seed is None else seed)
    speakers = {name: utterance.speaker or "" for name, utterance in utterances.items()}
    if name == "whole":
        return whole(speakers)
    if name == "published":
        return published(
            speakers, options.folds or PUBLISHED_FOLDS, PUBLISHED_SEED if seed is None else seed
        )
    nameless = [clip for clip, speaker in speakers.items() if not speaker]
    if nameless:
        raise DataError(
            f"{len(nameless)} clips such as {nameless[0]} have no speaker, which {name} needs: "
            "name speakers in a manifest"
        )
    if name == "loso":
        return loso(speakers)
    if name == "holdout":
        return holdout(speakers, 42 if seed is None else seed)
    corpora = {name: utterance.corpus for name, utterance in utterances.items()}
    known = {name: corpus for name, corpus in corpora.items() if corpus}
    if name == "loco":
        return loco(speakers, known)
    return grouped(speakers, options.folds or 5, known)


def _with_validation(split: Split, labels: Mapping[str, str], options: ProtocolOptions) -> Split:
    """A tenth of each class of the training clips set aside, where that was asked for."""
    if options.validation == "protocol" or split.validation:
        return split
    rng = random.Random(46 if options.seed is None else options.seed)
    inner: set[str] = set()
    for label in sorted(set(labels.values())):
        of_class = [name for name in split.train if labels[name] == label]
        inner |= set(rng.sample(of_class, round(INNER_SHARE * len(of_class))))
    return dataclasses.replace(
        split,
        train=[name for name in split.train if name not in inner],
        validation=sorted(inner),
    )


def published(
    speakers: Mapping[str, str], folds: int = PUBLISHED_FOLDS, seed: int = PUBLISHED_SEED
) -> list[Split]:
    """Shuffled folds over clips, as the papers split: speakers are on both sides (leaky)."""
    try:
        from sklearn.model_selection import KFold
    except ImportError as error:
        raise DependencyError(
            f"the protocol published draws its folds with scikit-learn ({error}); "
            "pip install 'edge-ser[train]'"
        ) from error
    names = sorted(speakers)
    splitter = KFold(folds, shuffle=True, random_state=seed)
    return [
        Split(f"published-{number:02d}", [names[i] for i in train], sorted(names[i] for i in test))
        for number, (train, test) in enumerate(splitter.split(names), 1)
    ]


def grouped(
    speakers: Mapping[str, str], folds: int = 5, corpora: Mapping[str, str] = MappingProxyType({})
) -> list[Split]:
    """Sorted speakers cut into `folds` runs; each run is tested by a model that never heard it.

    Of several corpora at once a fold tests a run of each: so many networks serve them all. A corpus
    of fewer speakers than folds gives one to each of the first folds.

    Args:
        speakers: of each clip, by its name.
        folds: how many.
        corpora: of each clip, where there are several.
    """
    people: dict[str, list[str]] = {}
    for who, corpus in sorted({(who, corpora.get(clip, "")) for clip, who in speakers.items()}):
        people.setdefault(corpus, []).append(who)
    most = max(map(len, people.values()), default=0)
    if not 2 <= folds <= most:
        raise DataError(f"{folds} folds of {most} speakers: expected 2 to {most} folds")
    tested: list[list[str]] = [[] for _ in range(folds)]
    for _, group in sorted(people.items()):
        runs = min(folds, len(group))
        cuts = [round(i * len(group) / runs) for i in range(runs + 1)]
        for fold, (start, end) in enumerate(itertools.pairwise(cuts)):
            tested[fold] += group[start:end]
    return [
        _by_speakers(f"grouped-{number:02d}", speakers, people)
        for number, people in enumerate(tested, 1)
    ]


def loso(speakers: Mapping[str, str]) -> list[Split]:
    """Leave one speaker out."""
    people = sorted(set(speakers.values()))
    if len(people) < 2:
        raise DataError(f"{len(people)} speaker: leaving one out takes at least two")
    # A split's name becomes a folder's, and speakers are called as anybody likes.
    plain = ["".join(c if c.isalnum() or c in "-_" else "_" for c in who)[:60] for who in people]
    if len(set(plain)) < len(plain):
        plain = [f"{number:03d}-{who}" for number, who in enumerate(plain, 1)]
    return [
        _by_speakers(f"loso-{who}", speakers, [person])
        for who, person in zip(plain, people, strict=True)
    ]


def loco(speakers: Mapping[str, str], corpora: Mapping[str, str]) -> list[Split]:
    """Leave one corpus out, of several: other rooms and sentences, perhaps another language.

    Args:
        speakers: of each clip, by its name.
        corpora: of each clip.
    """
    names = sorted(set(corpora.values()))
    if len(names) < 2:
        raise DataError("one corpus: leaving one out takes at least two, joined as emodb+emovo")
    return [
        _by_speakers(
            f"loco-{name}",
            speakers,
            sorted({speakers[clip] for clip, corpus in corpora.items() if corpus == name}),
        )
        for name in names
    ]


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


def stratified(labels: Mapping[str, str], seed: int = 46) -> list[Split]:
    """70 % of each class at random to train, 20 to test, the rest to validate: leaky by speaker.

    As the CkTIM study split; there over an unsorted listing, so its very clips are not known.
    """
    rng = random.Random(seed)
    parts: tuple[list[str], list[str], list[str]] = ([], [], [])
    for label in sorted(set(labels.values())):
        names = sorted(name for name, known in labels.items() if known == label)
        rng.shuffle(names)
        train, test = int(0.7 * len(names)), int(0.2 * len(names))
        for part, chosen in zip(
            parts, (names[:train], names[train : train + test], names[train + test :]), strict=True
        ):
            part += chosen
    trained, tested, validated = (sorted(part) for part in parts)
    return [Split("stratified", trained, tested, validated)]


def official(parts: Mapping[str, str | None]) -> list[Split]:
    """The corpus's own split: `train`, `val` and `test` of each clip."""
    lacking = [name for name, part in parts.items() if part not in ("train", "val", "test")]
    if lacking:
        raise DataError(
            f"{len(lacking)} clips such as {lacking[0]} are of no split, expected train, val or "
            "test: name it in a manifest, or take another protocol"
        )
    train, validation, test = (
        sorted(name for name, part in parts.items() if part == wanted)
        for wanted in ("train", "val", "test")
    )
    return [Split("official", train, test, validation)]


def _by_speakers(name: str, speakers: Mapping[str, str], tested: Sequence[str]) -> Split:
    return Split(
        name,
        sorted(clip for clip, person in speakers.items() if person not in tested),
        sorted(clip for clip, person in speakers.items() if person in tested),
        speakers=list(tested),
    )
