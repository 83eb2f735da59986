"""What listening costs and how late it is: `edge-ser listen` on one core.

    python -m edge_ser.benchmarks.streaming EMODB [--seconds 60] [--core 0] [--record]

Runs `edge-ser listen` as a process of its own on one core, in digital silence, in a quiet room, in
continuous speech (window mode, a hop of 1 s) and in utterances (utterance mode), at the pace of
speech: from a file, and where PulseAudio is installed through PortAudio from a virtual microphone.
The processor time of that process is read from /proc after it has warmed up; that of the sound
server is not in it. Latency is told twice, both less the gate's silence time: from the utterance's
end as the gate has it to the event, by the event's own account; and from the true end of speech to
the line on standard output, by the player's clock. Below, the time of each stage, in one thread.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from edge_ser import load_model
from edge_ser.classifier import Classifier
from edge_ser.corpora import read_emodb
from edge_ser.evaluation.report import markdown_table
from edge_ser.segment import GateOptions, SegmentOptions

from .conditions import RECORDS, conditions, one_line, write_record
from .listening_process import Line, listening, processor_s
from .offline import Samples
from .stage_profile import STAGES, profile
from .streams import StreamOptions, Truth, chunks, spoken, whole
from .virtual_microphone import Player, available, virtual_microphone

RATE = 16_000
ROOM_DBFS = -65.0
WARM_S = 6.0
"""Seconds before processor time is counted: the model is loaded in them."""
WINDOWS = ("--mode", "window", "--hop", "1")
LIMITS = {"silence": 0.01, "room": 0.01, "speech": 0.04}
"""Most of one core; issue 4."""
LATENCY_MS = 150.0


@dataclass(frozen=True)
class Case:
    """What is heard, and how it is listened to."""

    name: str
    title: str
    options: tuple[str, ...]
    stretch: float
    """Times `--seconds`."""


CASES = (
    Case("silence", "digital silence, utterance mode", (), 1),
    Case("room", f"quiet room, {ROOM_DBFS:.0f} dBFS, utterance mode", (), 1),
    Case("room", f"quiet room, {ROOM_DBFS:.0f} dBFS, window mode", WINDOWS, 1),
    Case("speech", "continuous speech, window mode, hop 1 s", WINDOWS, 1),
    Case("utterances", "an utterance each 4 s, utterance mode", (), 4),
)


@dataclass(frozen=True)
class Measured:
    """What one run showed."""

    path: str
    case: Case
    seconds: float
    share: float
    """Of one core."""
    events: int
    gate_ms: tuple[float, ...]
    """From the end as the gate has it to the event, less the gate's silence time."""
    line_ms: tuple[float, ...]
    """From the true end of speech to the line, less the same."""


def make_stream(name: str, corpus: Path, seconds: float, seed: int) -> tuple[Samples, list[Truth]]:
    """A stream of a case, with the utterances in it."""
    rng = np.random.default_rng(seed)
    count = round(seconds * RATE)
    if name == "silence":
        return np.zeros(count, np.float32), []
    if name == "room":
        gain = np.float32(10 ** (ROOM_DBFS / 20))
        return gain * rng.standard_normal(count, dtype=np.float32), []
    pauses = (0.0, 0.1) if name == "speech" else (0.8, 1.6)
    options = StreamOptions(pause_s=pauses, lead_s=1.5, level_dbfs=-26.0)
    utterances = read_emodb(corpus)
    drawn = rng.permutation(len(utterances))[: 1 + round(seconds)]
    samples, truths = whole(
        chunks([spoken(utterances[i], RATE) for i in drawn], RATE, rng, options)
    )
    return samples[:count], [truth for truth in truths if truth.clip_end < count - RATE]


def run_case(path: str, case: Case, corpus: Path, seconds: float, core: int, seed: int) -> Measured:
    """One case through one path."""
    length = WARM_S + case.stretch * seconds
    samples, truths = make_stream(case.name, corpus, length + 2, seed)
    with tempfile.TemporaryDirectory() as folder:
        began, lines, share = PATHS[path](Path(folder), samples, case.options, length, core)
    silence_ms, padding_ms = _gate_times(load_model().card.segmenting)
    own = [line.event["latency_ms"] + padding_ms - silence_ms for line in lines]
    late = []
    for truth in truths:
        start, end = (began(lines) + at / RATE for at in (truth.start, truth.end))
        spans = [(line.began + line.event["start_s"], line) for line in lines]
        lasted = [
            (at, at + line.event["end_s"] - line.event["start_s"], line) for at, line in spans
        ]
        hits = [line for first, last, line in lasted if first < end and last > start]
        if len(hits) == 1 and case.name == "utterances":
            late.append(1000 * (hits[0].at - end) - silence_ms)
    return Measured(path, case, length - WARM_S, share, len(lines), tuple(own), tuple(late))


def _gate_times(segmenting: Mapping[str, object]) -> tuple[float, float]:
    gate = GateOptions.recommended(segmenting)
    return gate.min_silence_ms, min(gate.padding_ms, gate.min_silence_ms)


Began = Callable[[Sequence[Line]], float]
"""Seconds since the epoch at which the first sample was spoken."""


def through_file(
    folder: Path, samples: Samples, options: Sequence[str], length: float, core: int
) -> tuple[Began, list[Line], float]:
    """From a file that is read at the pace of speech."""
    file = folder / "stream.wav"
    soundfile.write(file, samples, RATE, subtype="PCM_16")
    options = ["--input", str(file), "--pace", "real", *options]
    with listening(options, core, os.environ) as (process, lines):
        time.sleep(WARM_S)
        share = _share(process, length - WARM_S)
    # The listener itself opens the file, so that its own account is the only one.
    return lambda lines: float(np.median([line.began for line in lines])), lines, share


def through_microphone(
    folder: Path,
    samples: Samples,
    options: Sequence[str],
    length: float,
    core: int,
    rate: int = RATE,
) -> tuple[Began, list[Line], float]:
    """From a virtual microphone of that rate, through PulseAudio and PortAudio."""
    with virtual_microphone(folder, rate) as microphone:
        player = Player(microphone.fifo, samples, rate)
        player.start()
        try:
            with listening(options, core, microphone.environment) as (process, lines):
                time.sleep(WARM_S)
                player.play()
                share = _share(process, length - WARM_S)
        finally:
            player.stop()
    return lambda _: player.began, lines, share


PATHS = {"file": through_file, "microphone": through_microphone}


def _share(process: subprocess.Popen[str], seconds: float) -> float:
    """Share of one core in the next seconds."""
    before, start = processor_s(process.pid), time.monotonic()
    time.sleep(seconds)
    return (processor_s(process.pid) - before) / (time.monotonic() - start)


def profiles(corpus: Path, seconds: float, core: int, seed: int) -> dict[str, dict[str, float]]:
    """Time of each stage by case, in this process on that core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    model: Classifier = load_model()
    try:
        return {
            case.title: profile(
                make_stream(case.name, corpus, seconds, seed)[0],
                RATE,
                model,
                SegmentOptions(mode="window" if case.options else "utterance"),
            )
            for case in CASES
        }
    finally:
        os.sched_setaffinity(0, before)


def page(found: Sequence[Measured], stages: Mapping[str, Mapping[str, float]]) -> str:
    """The tables for people."""
    rows = []
    for one in found:
        limit = LIMITS.get(one.case.name)
        bound = "" if limit is None else f"{limit:.0%}: {'holds' if one.share < limit else 'FAILS'}"
        rows.append((one.path, one.case.title, f"{one.seconds:.0f} s", f"{one.share:.2%}", bound))
    tables = [markdown_table(["path", "heard", "for", "of one core", "at most"], rows)]
    late = []
    for one in found:
        if one.case.name == "utterances":
            for what, values in (("gate's end to event", one.gate_ms), ("line", one.line_ms)):
                title = "true end to line of output" if what == "line" else what
                late.append((one.path, title, str(len(values)), *_quantiles(values)))
    head = ["path", "less the gate's silence time", "events", "median", "95 %", "at most"]
    tables.append(markdown_table(head, late))
    names = list(stages)
    costs = [(stage, *(f"{stages[name][stage]:.3%}" for name in names)) for stage in STAGES]
    costs.append(("all", *(f"{sum(stages[name].values()):.3%}" for name in names)))
    tables.append(markdown_table(["stage, of one core", *names], costs))
    return "\n\n".join(tables)


def _quantiles(values: Sequence[float]) -> tuple[str, str, str]:
    if not values:
        return "none", "none", ""
    median, high = np.percentile(values, [50, 95])
    verdict = "holds" if high < LATENCY_MS else "FAILS"
    return f"{median:.0f} ms", f"{high:.0f} ms", f"{LATENCY_MS:.0f} ms: {verdict}"


def main() -> int:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", type=Path, help="folder of EMO-DB")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each case")
    parser.add_argument("--core", type=int, default=0, help="that listens; the player has others")
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--paths", nargs="+", choices=PATHS, default=list(PATHS))
    parser.add_argument("--record", action="store_true", help="keep it in benchmarks/records")
    given = parser.parse_args()
    known = conditions()
    paths = [path for path in given.paths if path != "microphone" or available()]
    found = []
    for path in paths:
        for case in CASES:
            print(f"{path}: {case.title}", file=sys.stderr, flush=True)
            found.append(run_case(path, case, given.corpus, given.seconds, given.core, given.seed))
    stages = profiles(given.corpus, 2 * given.seconds, given.core, given.seed)
    text = f"{one_line(known)}\n\n{page(found, stages)}"
    print(text)
    if given.record:
        runs = [{**one.__dict__, "case": one.case.title} for one in found]
        record = {"conditions": known, "seed": given.seed, "runs": runs, "stages": stages}
        write_record(RECORDS, "streaming", record, f"# What listening costs\n\n{text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
