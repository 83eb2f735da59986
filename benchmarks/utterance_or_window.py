"""Utterances or windows: what each finds in streams of speakers that its model never heard.

    python -m edge_ser.benchmarks.utterance_or_window EMODB NOISE [--folds FOLDER] [--record NAME]

Each fold model listens to the clips of the speakers that it did not train on, in a seeded
order, 1 to 3 s apart: in digital silence, in steady real noise 20 and 10 dB below the speech, and
among sounds that come and go (cries, barks, ticks). Two minutes of it alone come beforehand. A
fold's clips make four streams, each with another recording of noise. Every clip is spoken once, and
no model has heard it, or its speaker, which the digests in the model's card prove.

An event counts for the utterance that it overlaps most, by what was classified (`by time`: for the
one that had begun last when it came); one that overlaps none is false. What the figures mean is
said in `docs/utterance-or-window.md`.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, product
from pathlib import Path
from typing import Any

import numpy as np

from edge_ser import load_model
from edge_ser.audio import read_clip
from edge_ser.classifier import Classifier, RollingClassifier
from edge_ser.corpora import Utterance, read_emodb
from edge_ser.corpora.utterances import audio_files
from edge_ser.evaluation.report import markdown_table
from edge_ser.events import DecideOptions, Decider
from edge_ser.listening import Listening
from edge_ser.listening.pipeline import Pipeline
from edge_ser.segment import Piece, SegmentOptions

from .conditions import CHECKOUT, RECORDS, conditions, one_line, write_record
from .event_matching import Heard, Outcome, match, newest, summary
from .offline import Samples
from .streams import StreamOptions, Truth, chunks, load_noise, spoken, whole

RATE = 16_000
BLOCK_S = 0.1
"""As listening takes audio; an event cannot come before the block that completes it."""
ALONE_S = 120.0
FOLDS = CHECKOUT / "models" / "folds" / "plb-emodb"
CONDITIONS: Mapping[str, tuple[float | None, bool]] = {
    "clean": (None, True),
    "steady noise, 20 dB": (20.0, True),
    "steady noise, 10 dB": (10.0, True),
    "sounds, 20 dB": (20.0, False),
}
"""Speech over noise in decibels, and whether the noise is steady."""
SOUNDS = ("baby_cry", "clock_tick", "dog_bark", "dude_miaowing", "rooster", "sneeze")
"""Kinds of noise that come and go; rain, sea, fire, machines and household hum are steady."""
STREAMS = 4
"""Of each fold, each with a recording of noise of its own."""

Results = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Figures by condition and way."""


@dataclass(frozen=True)
class Way:
    """A way to listen."""

    name: str
    segment: SegmentOptions
    decide: DecideOptions


WAYS = (
    Way("utterance", SegmentOptions(), DecideOptions()),
    Way("utterance, partial results each 1 s", SegmentOptions(partial_s=1.0), DecideOptions()),
    *(
        Way(
            f"window, hop 1 s, smoothing {smoothing:g} s",
            SegmentOptions(mode="window", hop_s=1.0),
            DecideOptions(smoothing_s=smoothing),
        )
        for smoothing in (0.0, 1.0, 3.0)
    ),
    Way(
        "window of 2 s, hop 1 s, smoothing 1 s",
        SegmentOptions(mode="window", hop_s=1.0, window_s=2.0),
        DecideOptions(smoothing_s=1.0),
    ),
)
"""Ways of equal `segment` stand next to each other: what is classified is classified once."""


@dataclass(frozen=True)
class Scored:
    """A piece that was classified, when it could be."""

    piece: Piece
    scores: Any
    now_s: float


Known = dict[tuple[int, int], Any]
"""Scores of the pieces of a stream by their ends: two ways to cut it share some."""


def score(
    samples: Samples, model: Classifier, segment: SegmentOptions, known: Known
) -> list[Scored]:
    """Cut a stream and classify its pieces, block by block as listening does."""
    pipeline = Pipeline(model, Listening(segment=segment))
    converter, segmenter = model.converter(RATE), pipeline.segmenter()
    block = round(BLOCK_S * RATE)
    rolling: RollingClassifier | None = None
    found = []
    for first in range(0, len(samples), block):
        pieces = segmenter.process(converter.process(samples[first : first + block]))
        now_s = min(first + block, len(samples)) / RATE
        if first + block >= len(samples):
            rest = converter.process(np.zeros(0, np.float32), last=True)
            pieces += [*segmenter.process(rest), *segmenter.finish()]
        for piece in pieces:
            ends = piece.start, piece.end
            if piece.kind == "window":
                rolling = rolling or RollingClassifier(model, len(piece.samples))
                scores = rolling(piece.samples, piece.start, piece.run).scores
            elif ends in known:
                scores = known[ends]
            else:
                scores = known[ends] = model.predict(piece.samples).scores
            found.append(Scored(piece, np.array(list(scores.values())), now_s))
    return found


def decide(scored: Iterable[Scored], model: Classifier, options: DecideOptions) -> Iterator[Heard]:
    """The events that come of it."""
    card = model.card
    decider = Decider(card.labels, options, card.output.uncertain_below)
    for item in scored:
        piece = item.piece
        start, end = piece.start / card.input.rate, piece.end / card.input.rate
        decision = decider.decide(piece.kind, item.scores, start, end, piece.utterance, piece.cut)
        if decision is not None:
            yield Heard(decision.label, start, end, item.now_s)


def by_hand(samples: Samples, truths: Sequence[Truth], model: Classifier) -> Iterator[Heard]:
    """What the model makes of the clips where they lie, without a gate: the best cutting there is.

    An event comes with the clip's end.
    """
    for truth in truths:
        clip = model.converter(RATE).process(samples[truth.clip_start : truth.clip_end], last=True)
        end_s = truth.clip_end / RATE
        yield Heard(model.predict(clip).label, truth.clip_start / RATE, end_s, end_s)


def unheard(digests: Mapping[Utterance, str], model: Classifier) -> list[Utterance]:
    """The clips of whose speakers the model heard none in training, by the digests in its card."""
    known = frozenset(model.card.provenance.training_clips)
    trained = {utterance.speaker for utterance, digest in digests.items() if digest in known}
    return [utterance for utterance in digests if utterance.speaker not in trained]


def measure(corpus: Path, noise: Path, folds: Path, seed: int) -> Results:
    """Figures by condition and way."""
    digests = {utterance: read_clip(utterance.path).digest() for utterance in read_emodb(corpus)}
    models = [load_model(file) for file in sorted(folds.glob("*.tflite"))]
    results = {}
    paths = audio_files(noise)
    sounds = [path.parent.name in SOUNDS or path.stem in SOUNDS for path in paths]
    for condition, (snr, steady) in CONDITIONS.items():
        rng = np.random.default_rng(seed)  # the same order and pauses in each condition
        chosen = [path for path, sound in zip(paths, sounds, strict=True) if sound != steady]
        order = rng.permutation(2 * len(paths))  # and as many draws
        # More streams than recordings: each again.
        noises = cycle([chosen[i] for i in order if i < len(chosen)])
        overlapping, latest = defaultdict[str, list[Outcome]](list), defaultdict(list)
        for model in models:
            picked = unheard(digests, model)
            for part in np.array_split(rng.permutation(len(picked)), STREAMS):
                clips = [spoken(picked[i], RATE) for i in part]
                recording = load_noise(next(noises), RATE)
                options = StreamOptions(level_dbfs=-26.0, snr_db=snr, lead_s=ALONE_S)
                samples, truths = whole(chunks(clips, RATE, rng, options, recording))
                seconds = len(samples) / RATE
                for name, events in _heard(samples, truths, model):
                    overlapping[name].append(match(events, truths, seconds, RATE))
                    latest[name].append(match(events, truths, seconds, RATE, newest))
            print(f"{condition}: {model.path}: {len(picked)} clips", file=sys.stderr, flush=True)
        results[condition] = {
            name: {**summary(found), "by_time": summary(latest[name])["utterances_named"]}
            for name, found in overlapping.items()
        }
        print(page({condition: results[condition]}), file=sys.stderr, flush=True)
    return results


def _heard(
    samples: Samples, truths: Sequence[Truth], model: Classifier
) -> Iterator[tuple[str, list[Heard]]]:
    """The events of each way."""
    yield "cut by hand", list(by_hand(samples, truths, model))
    known: Known = {}
    before, scored = None, list[Scored]()
    for way in WAYS:
        if way.segment != before:
            before, scored = way.segment, score(samples, model, way.segment, known)
        yield way.name, list(decide(scored, model, way.decide))


def page(results: Results) -> str:
    """The table for people."""
    header = ["stream", "way", "utterances right", "by time", "events right", "no event"]
    header += ["events each", "delay, median", "95 %", "false an hour"]
    rows = [
        (
            condition,
            way,
            f"{100 * f['utterances_named']:.1f} %",
            f"{100 * f['by_time']:.1f} %",
            f"{100 * f['accuracy_of_events']:.1f} %",
            f"{100 * f['utterances_without_event']:.1f} %",
            f"{f['events_per_utterance']:.2f}",
            f"{f['delay_median_s']:+.2f} s",
            f"{f['delay_p95_s']:+.2f} s",
            f"{f['false_per_quiet_hour']:.1f}",
        )
        for condition, way in product(results, next(iter(results.values())))
        for f in [results[condition][way]]
    ]
    return markdown_table(header, rows)


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", type=Path, help="folder of EMO-DB")
    parser.add_argument("noise", type=Path, help="folder of recordings of noise")
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--folds", type=Path, default=FOLDS, help="fold models, by speaker")
    parser.add_argument("--record", metavar="NAME", help="keep it in benchmarks/records")
    given = parser.parse_args()
    known = conditions()
    results = measure(given.corpus, given.noise, given.folds, given.seed)
    text = page(results)
    print(text)
    if given.record:
        title = f"# Utterance or window\n\n{one_line(known)}, seed {given.seed}\n\n"
        record = {"conditions": known, "seed": given.seed, "results": results}
        write_record(RECORDS, given.record, record, title + text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
