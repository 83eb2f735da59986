"""What an unlabelled profile of an unheard speaker brings, by seconds of speech.

    python -m edge_ser.benchmarks.profile_speakers emovo FOLDS [--seconds 5 10 30 60] [--record N]

FOLDS holds fold models: each speaker is answered by the first that was trained on none of this
speaker's clips. For every length and draw, clips of the speaker are taken at random (or neutral
ones alone) until they are that long; the profile is their mean, and the model answers the speaker's
other clips, with it and without, among the labels that the corpus has.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser import metrics
from edge_ser.audio import read_clip
from edge_ser.card import read_model
from edge_ser.classifier import Classifier, load_model, profile_of
from edge_ser.classifier.prediction import Stopwatch
from edge_ser.corpora import Utterance, read_corpus
from edge_ser.errors import DataError
from edge_ser.evaluation import spread
from edge_ser.evaluation.report import markdown_table
from edge_ser.runtime import open_model

from .conditions import RECORDS, conditions, one_line, write_record

SUFFIXES = (".onnx", ".tflite")
NEUTRAL = "neutral"
FEWEST_LEFT = 10
"""Clips of a speaker that are left to score; a longer profile is not measured."""

Targets = NDArray[np.int64]


@dataclass(frozen=True)
class Speaker:
    """The clips of one, and a model that never heard them."""

    name: str
    model: Path
    features: list[NDArray[np.float32]]
    seconds: NDArray[np.float64]
    targets: Targets


@dataclass(frozen=True)
class Row:
    """One length of profile, over all speakers who have as much to say."""

    kind: str
    """mixed: of any clips; neutral: of neutral ones alone."""
    seconds: float
    """Of speech asked for."""
    clips: float
    """In a profile, mean."""
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


def heard(name: str, utterances: Sequence[Utterance], models: Sequence[Classifier]) -> Speaker:
    """The clips of a speaker by the first model that was trained on none of them."""
    clips = [read_clip(utterance.path) for utterance in utterances]
    digests = {clip.digest() for clip in clips}
    unheard = (m for m in models if not digests & set(m.card.provenance.training_clips))
    model = next(unheard, None)
    if model is None:
        raise DataError(f"speaker {name}: every model was trained on clips of theirs: add a fold")
    return Speaker(
        name,
        model.path,
        [model.features(clip)[0] for clip in clips],
        np.array([clip.seconds for clip in clips]),
        np.array([model.card.labels.index(utterance.label) for utterance in utterances]),
    )


def answers(model: Classifier, features: Sequence[NDArray[np.float32]], known: Any) -> Targets:
    """What a model says of clips, among the labels of the corpus."""
    scores = [list(model.predict_features([f], 1.0, 0.0, Stopwatch()).scores.values()) for f in features]  # fmt: skip  # noqa: E501
    found: Targets = metrics.among(np.array(scores), known).argmax(axis=1)
    return found


def drawn(
    speaker: Speaker, seconds: float, among: Targets, chance: np.random.Generator
) -> Targets | None:
    """Clips until there are so many seconds of them; None where there are not."""
    order = chance.permutation(among)
    long = np.cumsum(speaker.seconds[order])
    if not len(long) or long[-1] < seconds:
        return None
    taken: Targets = order[: int(np.searchsorted(long, seconds)) + 1]
    return taken if len(speaker.targets) - len(taken) >= FEWEST_LEFT else None


def measured(
    speakers: Sequence[Speaker], known: Any, neutral: int, kind: str, seconds: float, draws: int
) -> Row | None:
    """One row; None where no speaker says as much."""
    true, before, after, clips, gains = [], [], [], [], []
    for speaker in speakers:
        file = read_model(speaker.model)
        interpreter = open_model(file.payload, threads=1)
        plain = answers(Classifier(file, interpreter), speaker.features, known)
        every = np.arange(len(speaker.targets))
        among = every if kind == "mixed" else np.flatnonzero(speaker.targets == neutral)
        mine = []
        for draw in range(draws):
            taken = drawn(speaker, seconds, among, np.random.default_rng(draw))
            if taken is None:
                break
            off = np.setdiff1d(every, taken)
            profile = profile_of(
                file.card,
                [speaker.features[at] for at in taken],
                float(speaker.seconds[taken].sum()),
            )
            with_it = Classifier(file, interpreter, profile)
            said = answers(with_it, [speaker.features[at] for at in off], known)
            right = speaker.targets[off]
            true.append(right)
            before.append(plain[off])
            after.append(said)
            clips.append(len(taken))
            mine.append(metrics.uar(right, said) - metrics.uar(right, plain[off]))
        if mine:
            gains.append(float(np.mean(mine)))
    if not gains:
        return None
    labels, old, new = (np.concatenate(each) for each in (true, before, after))
    return Row(
        kind,
        seconds,
        round(float(np.mean(clips)), 1),
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


def measure(corpus: str, folds: Path, lengths: Sequence[float], draws: int) -> Iterator[Row]:
    """Every length, mixed and neutral."""
    models = [load_model(path) for path in sorted(folds.iterdir()) if path.suffix in SUFFIXES]
    if not models:
        raise DataError(f"{folds}: no .tflite or .onnx file, expected fold models")
    read = read_corpus(corpus)
    labels = models[0].card.labels
    known = np.array([label in read.labels for label in labels])
    names = sorted({u.speaker for u in read.utterances if u.speaker})
    speakers = [heard(n, [u for u in read.utterances if u.speaker == n], models) for n in names]
    # -1 where the model has no such label, and nobody a neutral clip.
    neutral = labels.index(NEUTRAL) if NEUTRAL in labels else -1
    for kind in ("mixed", NEUTRAL):
        for seconds in lengths:
            row = measured(speakers, known, neutral, kind, seconds, draws)
            if row is not None:
                yield row


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
    text = page(rows)
    print(json.dumps(record, indent=1) if given.json else text)
    if given.record:
        write_record(
            RECORDS,
            given.record,
            record,
            f"# Profiles without labels: {given.corpus}\n\n{one_line(known)}\n\n{text}",
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
