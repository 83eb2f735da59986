"""What a few labelled clips of an unheard speaker bring: `edge-ser adapt`, speaker by speaker.

    python -m edge_ser.benchmarks.adapt_speakers emovo FOLDS [--per-class 10] [--record NAME]

FOLDS holds fold models: each speaker is answered by the first that was trained on none of this
speaker's clips. For every seed some clips of each label are drawn to adapt on, at least one is
left where there are two, and both models answer the speaker's other clips, among the labels that
the corpus has. `--own` fits the same labels as labels of one's own, without what the model says.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser import metrics
from edge_ser.adaptation import L2, Layer, fit, starting_layer
from edge_ser.audio import read_clip
from edge_ser.classifier import Classifier
from edge_ser.corpora import Utterance, read_corpus
from edge_ser.errors import DataError
from edge_ser.evaluation import spread
from edge_ser.evaluation.report import markdown_table

from .conditions import conditions, publish
from .folds import by_speaker, fold_models, unheard_by

Floats = NDArray[np.float64]
Targets = NDArray[np.int64]


@dataclass(frozen=True)
class Outcome:
    """One speaker, the mean over the seeds; figures from 0 to 1, of clips not adapted on."""

    speaker: str
    model: str
    adapted_on: int
    """Clips."""
    scored: int
    """Clips."""
    accuracy_before: float
    accuracy_after: float
    uar_before: float
    uar_after: float
    uar_after_std: float
    """Over the seeds."""


@dataclass(frozen=True, eq=False)
class Speaker:
    """The clips of one, as a model that never heard them takes them."""

    name: str
    model: str
    values: Floats
    targets: Targets
    start: Layer
    free: int


def heard(
    name: str, utterances: Sequence[Utterance], labels: Sequence[str], models: Sequence[Classifier]
) -> Speaker:
    """The clips of a speaker by the first model that was trained on none of them."""
    clips = [read_clip(utterance.path) for utterance in utterances]
    model = unheard_by(name, clips, models)
    values = np.array([model.head_values(clip) for clip in clips])
    known, start = starting_layer(model.card, labels, values.shape[1], only=True)
    if set(known) != set(labels) or not start.weights.any():
        raise DataError(f"{model.path}: it lacks labels of the corpus: name fold models of it")
    targets = np.array([known.index(utterance.label) for utterance in utterances])
    return Speaker(name, model.path.name, values, targets, start, model.embed(clips[0]).size)


def drawn(targets: Targets, per_class: int, chance: np.random.Generator) -> Targets:
    """Indices of clips to adapt on: so many of each label, one less than there are at most."""
    rows = [np.flatnonzero(targets == label) for label in np.unique(targets)]
    return np.concatenate([chance.permutation(row)[: min(per_class, len(row) - 1)] for row in rows])


def adapted(speaker: Speaker, per_class: int, seeds: int, l2: float, own: bool) -> Outcome:
    """Figures before and after, over the draws."""
    found = []
    for seed in range(seeds):
        on = drawn(speaker.targets, per_class, np.random.default_rng(seed))
        off = np.setdiff1d(np.arange(len(speaker.targets)), on)
        start = speaker.start
        first = Layer(0 * start.weights, 0 * start.bias) if own else start
        layer = fit(speaker.values[on], speaker.targets[on], first, speaker.free, l2)
        found.append((len(on), len(off), *(
            figure(speaker.targets[off], each.logits(speaker.values[off]).argmax(axis=1))
            for each in (start, layer) for figure in (metrics.accuracy, metrics.uar)
        )))  # fmt: skip
    on_clips, off_clips, accuracy, uar, accuracy_after, uar_after = zip(*found, strict=True)
    return Outcome(
        speaker.name,
        speaker.model,
        on_clips[0],
        off_clips[0],
        spread(accuracy).mean,
        spread(accuracy_after).mean,
        spread(uar).mean,
        spread(uar_after).mean,
        spread(uar_after).std if seeds > 1 else 0.0,
    )


def measure(
    corpus: str, folds: Path, per_class: int, seeds: int, l2: float, own: bool
) -> Iterator[Outcome]:
    """Every speaker of a corpus."""
    models = fold_models(folds)
    read = read_corpus(corpus)
    for name, clips in by_speaker(read.utterances).items():
        yield adapted(heard(name, clips, read.labels, models), per_class, seeds, l2, own)


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Means over the speakers, their spread, and how many gained or lost."""
    gains = [each.uar_after - each.uar_before for each in outcomes]
    columns = ("accuracy_before", "accuracy_after", "uar_before", "uar_after")
    means = {name: asdict(spread([getattr(o, name) for o in outcomes])) for name in columns}
    return {
        **means,
        "gain": asdict(spread(gains)),
        "gained": sum(gain > 0 for gain in gains),
        "lost": sum(gain < 0 for gain in gains),
        "least_gain": min(gains),
    }


def page(outcomes: Sequence[Outcome]) -> str:
    """The table for people."""
    head = ["speaker", "adapted on", "scored", "UAR before", "after", "draws", "gain"]
    rows = [
        [
            *(o.speaker, o.adapted_on, o.scored, f"{o.uar_before:.3f}", f"{o.uar_after:.3f}"),
            *(f"± {o.uar_after_std:.3f}", f"{o.uar_after - o.uar_before:+.3f}"),
        ]
        for o in outcomes
    ]
    s = summary(outcomes)
    before, after, gain = s["uar_before"], s["uar_after"], s["gain"]
    return "\n\n".join((
        markdown_table(head, rows),
        f"UAR, mean and deviation of {len(outcomes)} speakers: {before['mean']:.3f} ± "
        f"{before['std']:.3f} before, {after['mean']:.3f} ± {after['std']:.3f} after; gain "
        f"{gain['mean']:+.3f} ± {gain['std']:.3f}, {s['gained']} gained, {s['lost']} lost, least "
        f"{s['least_gain']:+.3f}. Accuracy {s['accuracy_before']['mean']:.3f} before, "
        f"{s['accuracy_after']['mean']:.3f} after.",
    ))  # fmt: skip


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", help="as for edge-ser evaluate")
    parser.add_argument("folds", type=Path, help="folder of fold models")
    parser.add_argument("--per-class", type=int, default=3, help="clips of each label")
    parser.add_argument("--seeds", type=int, default=10, help="draws of clips")
    parser.add_argument("--l2", type=float, default=L2)
    parser.add_argument("--own", action="store_true", help="as labels of one's own")
    parser.add_argument("--json", action="store_true", help="print every figure")
    parser.add_argument("--record", metavar="NAME", help="keep it in benchmarks/records")
    given = parser.parse_args()
    known = conditions()
    outcomes = list(
        measure(given.corpus, given.folds, given.per_class, given.seeds, given.l2, given.own)
    )
    asked = {name: getattr(given, name) for name in ("corpus", "per_class", "seeds", "l2", "own")}
    record = {
        "conditions": known,
        "asked": asked,
        "summary": summary(outcomes),
        "speakers": [asdict(outcome) for outcome in outcomes],
    }
    said = ", ".join(f"{name} {value}" for name, value in asked.items())
    publish(given, record, f"Adapting: {said}", page(outcomes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
