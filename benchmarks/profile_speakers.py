"""What an unlabelled profile of an unheard speaker brings, by seconds of speech.

    python -m edge_ser.benchmarks.profile_speakers emovo FOLDS [--seconds 5 10 30 60] [--record N]

FOLDS holds fold models: each speaker is answered by the first that was trained on none of this
speaker's clips. For every length and draw, clips of the speaker are taken at random (or neutral
ones alone) until they are that long; the profile is their mean, and the model answers the speaker's
other clips, with it and without, among the labels that the corpus has.

"on the run" is `listen --follow`: all clips in an order drawn anew, each answered with the profile
of those before; a row has those that came after so many seconds, and before the next row's.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ser import metrics
from edge_ser.audio import read_clip
from edge_ser.card import ModelFile, read_model
from edge_ser.classifier import Classifier, FollowingClassifier, profile_of
from edge_ser.classifier.prediction import Stopwatch
from edge_ser.corpora import Utterance, read_corpus
from edge_ser.evaluation import spread
from edge_ser.evaluation.report import markdown_table
from edge_ser.runtime import Interpreter, open_model

from .conditions import conditions, publish
from .folds import by_speaker, fold_models, unheard_by

NEUTRAL = "neutral"
FEWEST_LEFT = 10
"""Clips of a speaker that are left to score; a longer profile is not measured."""

Targets = NDArray[np.int64]
Features = NDArray[np.float32]
Known = NDArray[np.bool_]
"""Which of the model's labels the corpus has."""


@dataclass(frozen=True, eq=False)
class Speaker:
    """The clips of one, and a model that never heard them."""

    file: ModelFile
    interpreter: Interpreter
    features: list[Features]
    seconds: NDArray[np.float64]
    targets: Targets
    before: Targets
    """What the model says without a profile."""


@dataclass(frozen=True)
class Row:
    """One length of profile, over all speakers who have as much to say."""

    kind: str
    """mixed: of any clips; neutral: of neutral ones alone; on the run: of those before."""
    seconds: float
    """Of speech asked for, or heard before at least."""
    clips: float
    """In a profile, or heard before; mean."""
    speakers: int
    scored: int
    """Answers, over all draws."""
    accuracy_before: float
    accuracy_after: float
    uar_before: float
    uar_after: float
    harmed: int
    """Speakers whose UAR, mean over the draws, became less."""
    gain: float
    """UAR of a speaker, mean over the speakers."""
    gain_std: float


@dataclass(frozen=True, eq=False)
class Answered:
    """Clips of a speaker, in one draw."""

    clips: float
    """In the profile."""
    right: Targets
    before: Targets
    after: Targets

    @property
    def gain(self) -> float:
        """Points of UAR, from -1 to 1."""
        return metrics.uar(self.right, self.after) - metrics.uar(self.right, self.before)


@dataclass(frozen=True, eq=False)
class Run:
    """All clips of a speaker in the order of one draw."""

    heard_s: NDArray[np.float64]
    """Seconds of the clips before each."""
    right: Targets
    before: Targets
    after: Targets

    def between(self, low: float, high: float) -> Answered:
        """Those that came after `low` seconds and before `high`."""
        at = np.flatnonzero((low <= self.heard_s) & (self.heard_s < high))
        clips = float(at.mean()) if len(at) else 0.0
        return Answered(clips, self.right[at], self.before[at], self.after[at])


def heard(
    name: str, utterances: Sequence[Utterance], models: Sequence[Classifier], known: Known
) -> Speaker:
    """The clips of a speaker by the first model that was trained on none of them."""
    clips = [read_clip(utterance.path) for utterance in utterances]
    model = unheard_by(name, clips, models)
    file = read_model(model.path)
    features = [model.features(clip)[0] for clip in clips]
    return Speaker(
        file,
        open_model(file.payload, threads=1),
        features,
        np.array([clip.seconds for clip in clips]),
        np.array([model.card.labels.index(utterance.label) for utterance in utterances]),
        answers(model, features, known),
    )


def answers(
    model: Classifier | FollowingClassifier, features: Sequence[Features], known: Known
) -> Targets:
    """What a model says of clips, among the labels of the corpus."""
    answered = (model.predict_features([each], 1.0, 0.0, Stopwatch()) for each in features)
    scores = np.array([list(prediction.scores.values()) for prediction in answered])
    found: Targets = metrics.among(scores, known).argmax(axis=1)
    return found


def drawn(
    lengths: NDArray[np.float64], seconds: float, among: Targets, chance: np.random.Generator
) -> Targets | None:
    """Clips of those lengths until there are so many seconds of them; None where there are not."""
    order = chance.permutation(among)
    long = np.cumsum(lengths[order])
    if not len(long) or long[-1] < seconds:
        return None
    taken: Targets = order[: int(np.searchsorted(long, seconds)) + 1]
    return taken if len(lengths) - len(taken) >= FEWEST_LEFT else None


def measured(
    speakers: Sequence[Speaker],
    pools: Sequence[Targets],
    known: Known,
    kind: str,
    seconds: float,
    draws: int,
) -> Row | None:
    """One row, of profiles from each speaker's pool of clips; None where nobody says as much."""
    answered = [
        [
            _with_profile(speaker, clips, known)
            for draw in range(draws)
            if (clips := drawn(speaker.seconds, seconds, pool, np.random.default_rng(draw)))
            is not None
        ]
        for speaker, pool in zip(speakers, pools, strict=True)
    ]
    return row(kind, seconds, answered)


def followed(
    speakers: Sequence[Speaker], known: Known, lengths: Sequence[float], draws: int
) -> Iterator[Row]:
    """All clips of each speaker in some order; a row for each span of speech heard before."""
    edges = [0.0, *lengths, math.inf]
    runs = [
        [_on_the_run(speaker, known, np.random.default_rng(draw)) for draw in range(draws)]
        for speaker in speakers
    ]
    for low, high in itertools.pairwise(edges):
        found = [[one.between(low, high) for one in of_speaker] for of_speaker in runs]
        some = [[each for each in of_speaker if len(each.right)] for of_speaker in found]
        made = row("on the run", low, some)
        if made is not None:
            yield made


def row(kind: str, seconds: float, speakers: Sequence[Sequence[Answered]]) -> Row | None:
    """Figures over the draws of each speaker; None where there are none."""
    gains = [float(np.mean([each.gain for each in mine])) for mine in speakers if mine]
    answered = list(itertools.chain.from_iterable(speakers))
    if not gains:
        return None
    labels, old, new = (
        np.concatenate([getattr(each, name) for each in answered])
        for name in ("right", "before", "after")
    )
    return Row(
        kind,
        seconds,
        round(float(np.mean([each.clips for each in answered])), 1),
        len(gains),
        len(labels),
        metrics.accuracy(labels, old),
        metrics.accuracy(labels, new),
        metrics.uar(labels, old),
        metrics.uar(labels, new),
        sum(gain < 0 for gain in gains),
        spread(gains).mean,
        spread(gains).std if len(gains) > 1 else 0.0,
    )


def _with_profile(speaker: Speaker, taken: Targets, known: Known) -> Answered:
    off = np.setdiff1d(np.arange(len(speaker.targets)), taken)
    features = [speaker.features[at] for at in taken]
    profile = profile_of(speaker.file.card, features, float(speaker.seconds[taken].sum()))
    model = Classifier(speaker.file, speaker.interpreter, profile)
    after = answers(model, [speaker.features[at] for at in off], known)
    return Answered(len(taken), speaker.targets[off], speaker.before[off], after)


def _on_the_run(speaker: Speaker, known: Known, chance: np.random.Generator) -> Run:
    order = chance.permutation(len(speaker.targets))
    following = FollowingClassifier(Classifier(speaker.file, speaker.interpreter))
    after = answers(following, [speaker.features[at] for at in order], known)
    heard_s = np.cumsum(speaker.seconds[order]) - speaker.seconds[order]
    return Run(heard_s, speaker.targets[order], speaker.before[order], after)


def measure(corpus: str, folds: Path, lengths: Sequence[float], draws: int) -> Iterator[Row]:
    """Every length, mixed and neutral."""
    models = fold_models(folds)
    read = read_corpus(corpus)
    labels = models[0].card.labels
    known = np.array([label in read.labels for label in labels])
    speakers = [
        heard(name, clips, models, known) for name, clips in by_speaker(read.utterances).items()
    ]
    # -1 where the model has no such label, and nobody a neutral clip.
    neutral = labels.index(NEUTRAL) if NEUTRAL in labels else -1
    pools = {
        "mixed": [np.arange(len(each.targets)) for each in speakers],
        NEUTRAL: [np.flatnonzero(each.targets == neutral) for each in speakers],
    }
    for kind, clips in pools.items():
        for seconds in lengths:
            made = measured(speakers, clips, known, kind, seconds, draws)
            if made is not None:
                yield made
    yield from followed(speakers, known, lengths, draws)


def page(rows: Sequence[Row]) -> str:
    """The table for people."""
    head = (
        *("profile of", "seconds", "clips", "speakers", "accuracy", "with it"),
        *("UAR", "with it", "gain of a speaker", "harmed"),
    )
    return markdown_table(
        head,
        [
            [
                *(r.kind, f"{r.seconds:g}", r.clips, r.speakers),
                *(f"{r.accuracy_before:.3f}", f"{r.accuracy_after:.3f}"),
                *(f"{r.uar_before:.3f}", f"{r.uar_after:.3f}"),
                *(f"{r.gain:+.3f} ± {r.gain_std:.3f}", r.harmed),
            ]
            for r in rows
        ],
    )


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", help="as for edge-ser evaluate")
    parser.add_argument("folds", type=Path, help="folder of fold models")
    parser.add_argument("--seconds", type=float, nargs="+", default=[1, 5, 10, 30, 60])
    parser.add_argument("--draws", type=int, default=5, help="random profiles of each speaker")
    parser.add_argument("--json", action="store_true", help="print every figure")
    parser.add_argument("--record", metavar="NAME", help="keep it in benchmarks/records")
    given = parser.parse_args()
    known = conditions()
    rows = list(measure(given.corpus, given.folds, given.seconds, given.draws))
    asked = {"corpus": given.corpus, "draws": given.draws}
    record = {"conditions": known, "asked": asked, "rows": [asdict(row) for row in rows]}
    publish(given, record, f"Profiles without labels: {given.corpus}", page(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
