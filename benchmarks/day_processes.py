"""The three processes of `day.py`: one speaks, one listens, one computes offline.

    python -m edge_ser.benchmarks.day_processes speak|listen|offline EMODB NOISE HOURS SEED MODEL

The listening one is weighed: it imports nothing that listening does not need.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edge_ser import load_model
from edge_ser.listening import Block, Clock, Listener, Source, StreamClock
from edge_ser.listening.pcm import PcmSource
from edge_ser.memory import return_freed_memory
from edge_ser.sinks import JsonLines, SinkRunner

if TYPE_CHECKING:
    from .offline import Samples
    from .streams import Chunk

RATE = 16_000
NOTE_S = 600.0


class Given(NamedTuple):
    """The stream, and who listens to it."""

    corpus: Path
    noise: Path
    hours: float
    seed: int
    model: str


class Watched:
    """A source that says with every block how long the stream is by now."""

    live = paced = False

    def __init__(self, source: Source, clock: Clock, told: Callable[[float], None]) -> None:
        self._source = source
        self._clock = clock
        self._told = told
        self.name = source.name

    def open(self) -> None:
        """Open it."""
        self._source.open()

    def read(self, timeout: float) -> Block | None:
        """Its next block."""
        block = self._source.read(timeout)
        self._told(self._clock.monotonic())
        return block

    def close(self) -> None:
        """Let go of it."""
        self._source.close()


def memory_mb(field: str) -> float:
    """Resident memory of this process in MB (10^6 bytes): VmRSS now, VmHWM at most until now."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024 / 1e6
    raise LookupError(f"/proc/self/status has no {field}")


def speak(given: Given) -> None:
    """The speaking process: the stream's samples to standard output, as f32le."""
    with contextlib.suppress(BrokenPipeError):
        for samples in _stream(given):
            sys.stdout.buffer.write(samples.tobytes())
        sys.stdout.buffer.flush()


def listen(given: Given) -> None:
    """The listening process: samples from standard input, events out, then what was measured."""
    return_freed_memory()
    clock = StreamClock(epoch=0.0)
    notes: list[tuple[float, float]] = []
    longest = {"pieces": 0, "sink": 0}

    def told(seconds: float) -> None:
        longest["pieces"] = max(longest["pieces"], len(listener._inference._jobs))
        longest["sink"] = max(longest["sink"], len(runner._held))
        if seconds > (len(notes) + 1) * NOTE_S - 0.05:
            notes.append((seconds, memory_mb("VmRSS")))
            hours = seconds / 3600
            print(f"{hours:5.2f} h  {notes[-1][1]:6.1f} MB", file=sys.stderr, flush=True)

    source = Watched(PcmSource("-", RATE, 1, "f32le", clock), clock, told)
    runner = SinkRunner(JsonLines(sys.stdout))
    listener = Listener(load_model(given.model), source, clock=clock, subscribers=[runner.put])
    began, worked = time.perf_counter(), time.process_time()
    listener.start()
    listener.join()
    flushed = runner.close(60.0)
    measured = {
        "seconds": listener.status().stream_s,
        "wall_s": time.perf_counter() - began,
        "cpu_s": time.process_time() - worked,
        "memory_mb": notes,
        "peak_mb": memory_mb("VmHWM"),
        "longest": longest,
        "bounds": {"pieces": listener._inference._jobs._capacity, "sink": runner._capacity},
        "flushed": flushed,
        "dropped_events": runner.dropped,
        "faults": listener.status().faults,
    }
    print(json.dumps({"measured": measured}))


def offline(given: Given) -> None:
    """The offline process: the same events computed from the whole stream, then what it holds."""
    from .offline import offline_decisions

    for decision in offline_decisions(lambda: _stream(given), RATE, load_model(given.model)):
        print(
            json.dumps(
                {
                    "kind": decision.kind,
                    "label": decision.label,
                    "uncertain": decision.uncertain,
                    "scores": {name: round(score, 4) for name, score in decision.scores.items()},
                    "start_s": round(decision.start_s, 3),
                    "end_s": round(decision.end_s, 3),
                    "cut": decision.cut,
                }
            )
        )
    print(json.dumps({"measured": _content(given)}))


def _stream(given: Given) -> Iterator[Samples]:
    for chunk in _chunks(given):
        yield chunk.samples


def _chunks(given: Given) -> Iterator[Chunk]:
    from edge_ser.corpora import read_emodb
    from edge_ser.corpora.utterances import audio_files

    from .streams import day, load_noise

    noises = [load_noise(path, RATE) for path in audio_files(given.noise)]
    return day(read_emodb(given.corpus), noises, RATE, given.hours * 3600, given.seed)


def _content(given: Given) -> dict[str, float]:
    """Utterances of the stream and how much of it is speech."""
    seconds = speech = count = 0
    for chunk in _chunks(given):
        seconds += len(chunk.samples)
        if chunk.truth is not None:
            count += 1
            speech += chunk.truth.end - chunk.truth.start
    return {"seconds": seconds / RATE, "utterances": count, "speech_s": speech / RATE}


ROLES: Mapping[str, Callable[[Given], None]] = {
    "speak": speak,
    "listen": listen,
    "offline": offline,
}


if __name__ == "__main__":
    name, corpus, noise, hours, seed, model = sys.argv[1:]
    ROLES[name](Given(Path(corpus), Path(noise), float(hours), int(seed), model))
