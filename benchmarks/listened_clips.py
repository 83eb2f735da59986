"""What `edge-ser listen` makes of people whom its models never heard.

    python -m edge_ser.benchmarks.listened_clips emodb FOLDS [--microphone 2] [--record NAME]

All clips of a speaker are one stream, 1 to 3 s apart, and `edge-ser listen --input` hears it with
the first fold model that was trained on none of this speaker's clips: as recorded in digital
silence, and 12 dB softer with a microphone's self-noise of -60 dBFS. "clips" is what the same model
says of each clip by itself, as recorded. An event is about the utterance of which most was
classified; the last one counts.

With `--microphone N`, the streams of the N speakers with the fewest clips are also played, in real
time, into a virtual microphone (PulseAudio), and its events held against those of a file of the
same samples. Both are of 44.1 kHz and 16 bits, at which PulseAudio hands samples on as they are.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from edge_ser.audio import Clip, read_clip, resample
from edge_ser.classifier import Classifier
from edge_ser.corpora import Utterance, read_corpus
from edge_ser.evaluation.report import markdown_table
from edge_ser.perturb import SELF_NOISE_DBFS, gain, self_noise

from .conditions import conditions, publish
from .event_matching import Heard, Outcome, match, summary
from .folds import by_speaker, fold_models, unheard_by
from .offline import Samples
from .streaming import WARM_S, through_microphone
from .streams import StreamOptions, Truth, chunks, spoken, whole
from .virtual_microphone import as_int16

RATE = 16_000
MICROPHONE_RATE = 44_100
"""At which PortAudio opens PulseAudio's sources: those of another rate would be resampled."""
GAIN_DB = -12.0
AS_RECORDED, SOFTER = "as recorded", f"{-GAIN_DB:g} dB softer, noise of {SELF_NOISE_DBFS:g} dBFS"
ENDS_S = 3.0
"""Until the last utterance has come through."""

Event = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Speaker:
    """A speaker's clips as a stream, and a model that heard none of them."""

    name: str
    model: Classifier
    samples: Samples
    truths: Sequence[Truth]
    right: int
    """Clips that the model answers rightly, each by itself."""


@dataclass(frozen=True)
class Row:
    """A condition, over all speakers."""

    condition: str
    utterances: int
    clips: float
    """Share of the clips by themselves that are right."""
    utterances_right: float
    events_right: float
    no_event: float
    events_each: float
    false: int
    """Events about no utterance."""


@dataclass(frozen=True)
class Compared:
    """One speaker through the microphone."""

    speaker: str
    by_file: int
    """Events."""
    by_microphone: int
    same_labels: int
    """Of events in the same order."""
    shift_s: float
    """Largest deviation of an event's start or end from the file's, less their median."""


def streams(corpus: str, folds: Path, seed: int) -> list[Speaker]:
    """Every speaker of a corpus, clips in a seeded order."""
    models, said = fold_models(folds), by_speaker(read_corpus(corpus).utterances)
    return [
        _stream(name, clips, models, [seed, at]) for at, (name, clips) in enumerate(said.items())
    ]


def _stream(
    name: str, utterances: Sequence[Utterance], models: Sequence[Classifier], seed: Sequence[int]
) -> Speaker:
    clips = [read_clip(each.path) for each in utterances]
    model = unheard_by(name, clips, models)
    pairs = zip(clips, utterances, strict=True)
    right = sum(model.crop(clip).label == each.label for clip, each in pairs)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(utterances))
    said = (spoken(utterances[at], RATE) for at in order)
    samples, truths = whole(chunks(said, RATE, rng, StreamOptions()))
    return Speaker(name, model, samples, truths, right)


def softer(samples: Samples, rng: np.random.Generator) -> Samples:
    """As a microphone hears it that is farther away and has noise of its own."""
    quiet = gain(samples, RATE, rng, db=GAIN_DB)
    return self_noise(quiet, RATE, rng, dbfs=SELF_NOISE_DBFS)


def by_file(samples: Samples | NDArray[np.int16], model: Path, rate: int = RATE) -> list[Event]:
    """The events of a stream that `edge-ser listen` reads from a file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "stream.wav"
        soundfile.write(file, samples, rate, subtype="PCM_24")
        command = [sys.executable, "-m", "edge_ser.cli", "listen", "--format", "jsonl"]
        command += ["--model", str(model), "--input", str(file), "--pace", "fast"]
        # What it says of trouble goes where ours does.
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def by_microphone(samples: Samples, model: Path, rate: int) -> list[Event]:
    """The same through PulseAudio and PortAudio, at the pace of speech."""
    length = WARM_S + len(samples) / rate + ENDS_S
    with tempfile.TemporaryDirectory() as folder:
        options = ("--model", str(model))
        _, lines, _ = through_microphone(Path(folder), samples, options, length, 0, rate)
    return [line.event for line in lines]


def both_ways(speaker: Speaker) -> Compared:
    """A speaker's stream by a file and through a virtual microphone, the same samples."""
    samples = resample(Clip(speaker.samples, RATE), MICROPHONE_RATE).samples
    model = speaker.model.path
    spoken_as = np.frombuffer(as_int16(samples), np.int16)  # as the microphone hears them
    file = by_file(spoken_as, model, MICROPHONE_RATE)
    return compared(speaker.name, file, by_microphone(samples, model, MICROPHONE_RATE))


def outcome(events: Sequence[Event], speaker: Speaker) -> Outcome:
    """Events held against what was said."""
    heard = [
        Heard(event["label"], event["start_s"], event["end_s"], event["end_s"]) for event in events
    ]
    return match(heard, speaker.truths, len(speaker.samples) / RATE, RATE)


def row(condition: str, outcomes: Sequence[Outcome], speakers: Sequence[Speaker]) -> Row:
    """Figures over all speakers."""
    found = summary(outcomes)
    total = sum(len(each.truths) for each in speakers)
    return Row(
        condition,
        total,
        sum(each.right for each in speakers) / total,
        found["utterances_named"],
        found["accuracy_of_events"],
        found["utterances_without_event"],
        found["events_per_utterance"],
        sum(each.false for each in outcomes),
    )


def compared(name: str, file: Sequence[Event], microphone: Sequence[Event]) -> Compared:
    """Events of one stream by two ways; the microphone opened some time before it began."""
    pairs = list(zip(file, microphone, strict=False))
    same = sum(one["label"] == other["label"] for one, other in pairs)
    shifts = np.array([[b[key] - a[key] for key in ("start_s", "end_s")] for a, b in pairs])
    worst = float(np.abs(shifts - np.median(shifts)).max()) if len(pairs) else float("nan")
    return Compared(name, len(file), len(microphone), same, worst)


def measure(speakers: Sequence[Speaker], seed: int) -> Iterator[Row]:
    """Each condition."""
    for condition in (AS_RECORDED, SOFTER):
        events = []
        for at, speaker in enumerate(speakers):
            samples = speaker.samples
            if condition == SOFTER:
                samples = softer(samples, np.random.default_rng([seed, at, 1]))
            events.append(by_file(samples, speaker.model.path))
            print(f"{condition}: {speaker.name}", file=sys.stderr, flush=True)
        outcomes = [outcome(*pair) for pair in zip(events, speakers, strict=True)]
        yield row(condition, outcomes, speakers)


def page(rows: Sequence[Row], played: Sequence[Compared]) -> str:
    """The tables for people."""
    head = ("stream", "utterances", "clips right", "utterances right", "events right", "no event")
    table = markdown_table(
        (*head, "events each", "false"),
        [
            [
                *(r.condition, r.utterances, f"{100 * r.clips:.1f} %"),
                *(f"{100 * share:.1f} %" for share in (r.utterances_right, r.events_right)),
                *(f"{100 * r.no_event:.1f} %", f"{r.events_each:.3f}", r.false),
            ]
            for r in rows
        ],
    )
    if not played:
        return table
    ways = markdown_table(
        ("through a virtual microphone", "by file", "by microphone", "same label", "times within"),
        [
            [p.speaker, p.by_file, p.by_microphone, p.same_labels, f"{1000 * p.shift_s:.0f} ms"]
            for p in played
        ],
    )
    return f"{table}\n\n{ways}"


def main() -> int:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", help="as for edge-ser evaluate")
    parser.add_argument("folds", type=Path, help="folder of fold models")
    parser.add_argument("--microphone", type=int, default=0, metavar="N", help="speakers to play")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="print every figure")
    parser.add_argument("--record", metavar="NAME", help="keep it in benchmarks/records")
    given = parser.parse_args()
    known = conditions()
    speakers = streams(given.corpus, given.folds, given.seed)
    rows = list(measure(speakers, given.seed))
    fewest = sorted(speakers, key=lambda each: len(each.truths))
    played = [both_ways(speaker) for speaker in fewest[: given.microphone]]
    record = {
        "conditions": known,
        "asked": {"corpus": given.corpus, "seed": given.seed},
        "rows": [asdict(each) for each in rows],
        "played": [asdict(each) for each in played],
    }
    publish(given, record, f"Listening to clips: {given.corpus}", page(rows, played))
    return 0


if __name__ == "__main__":
    sys.exit(main())
