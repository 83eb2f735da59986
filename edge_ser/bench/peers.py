"""Other ways from a file to its label, in turn with ours, so that a noisy machine hits all alike.

    peers = available_peers(model)
    run_peers(peers, workload, options, document["peers"])

Each is a process of its own, with one thread, on the one core that all share.
"""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_ser.bench.schema import STAGES
from edge_ser.bench.statistics import paired_ratio
from edge_ser.bench.ways import Peer, available_peers
from edge_ser.bench.workers import Limits, Worker, WorkerError

if TYPE_CHECKING:
    from edge_ser.bench.options import BenchOptions
    from edge_ser.bench.workload import Item, Workload

__all__ = ["Peer", "available_peers", "run_peers"]


def run_peers(
    peers: Sequence[Peer],
    workload: Workload,
    options: BenchOptions,
    into: list[dict[str, Any]],
    progress: Callable[[int, int], None] = lambda done, total: None,
    limits: Limits | None = None,
) -> None:
    """Give all peers the same clips, one clip after the other, each time in another order.

    A peer's program prints `{"ready": true, "untrained": false}` once it is, then for every line
    with a path (a JSON string) `{"ms": {stage: milliseconds}, "label": text}`, where `total` is
    among the stages. The end comes after `options.runs` clips, or after `options.most_s` seconds
    and one clip; `options.warm_up_clips` go before and do not count. All processes are gone on
    return.

    Args:
        peers: the first is ours, to which the ratios are.
        workload: clips in memory are written to a temporary folder.
        options: `runs`, `most_s`, `warm_up_clips` and `seed` count here.
        into: gets one mapping a peer, of the document's shape, filled at the end or by an
            interrupt. A peer that lacks something, ends, hangs or answers nonsense has its
            `error`, and the others go on.
        progress: told clips done, with those of the warm-up, and of how many.
        limits: seconds a peer may take; None for the usual ones.
    """
    runs = [_Run(peer) for peer in peers]
    into += [run.entry for run in runs]
    rng = random.Random(options.seed)
    try:
        with _started(runs, limits or Limits()), tempfile.TemporaryDirectory() as folder:
            clips = _endless(_paths(workload.items, Path(folder)), rng)
            count = options.warm_up_clips + options.runs
            progress(0, count)
            ends = float("inf")
            for done in range(count):
                path = next(clips)
                for run in rng.sample(runs, len(runs)):
                    run.ask(path, counts=done >= options.warm_up_clips)
                progress(done + 1, count)
                if done == options.warm_up_clips:
                    ends = time.monotonic() + options.most_s
                if time.monotonic() >= ends or not any(run.worker for run in runs):
                    break
    finally:
        for run in runs:
            run.complete(runs[0], options.seed)


class _Run:
    """A peer under way: its process as long as it answers, and what the document says of it."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.worker: Worker | None = None
        self.answers: list[tuple[dict[str, float], str]] = []
        self.untrained = False
        self.entry: dict[str, Any] = {
            "name": peer.name,
            "what": peer.what,
            "samples_ms": {},
            "p50_ms": None,
            "ratio": None,
            "labels_agree": 0,
            "labels": 0,
            "error": peer.missing,
        }

    def get_ready(self) -> None:
        """Wait until it has loaded everything."""
        with self._failing():
            if self.worker is not None and self.worker.wait_until_ready():
                self.untrained = True
                self.entry["what"] += " (untrained weights)"

    def ask(self, path: str, counts: bool) -> None:
        """One clip, if it still answers."""
        with self._failing():
            if self.worker is not None:
                answer = self.worker.ask(path)
                if counts:
                    self.answers.append(answer)

    def complete(self, ours: _Run, seed: int) -> None:
        """Fill the entry from the answers; ratio and agreement from the clips that both have."""
        if not self.answers:
            return
        self.entry["samples_ms"] = {
            stage: [round(ms[stage], 4) for ms, _ in self.answers]
            for stage in STAGES
            if all(stage in ms for ms, _ in self.answers)
        }
        self.entry["p50_ms"] = statistics.median(self.totals)
        both = min(len(self.answers), len(ours.answers))
        if self is ours or not both:
            return
        self.entry["ratio"] = asdict(paired_ratio(self.totals[:both], ours.totals[:both], seed))
        if not self.untrained:
            pairs = zip(self.answers[:both], ours.answers[:both], strict=True)
            self.entry["labels"] = both
            self.entry["labels_agree"] = sum(label == wanted for (_, label), (_, wanted) in pairs)

    @property
    def totals(self) -> list[float]:
        """Milliseconds of each clip that counts."""
        return [ms["total"] for ms, _ in self.answers]

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Where the worker fails, it is ended and the reason noted."""
        try:
            yield
        except WorkerError as error:
            self.entry["error"] = str(error)
            if self.worker is not None:
                self.worker.kill()
            self.worker = None


@contextmanager
def _started(runs: Sequence[_Run], limits: Limits) -> Iterator[None]:
    """All peers that can be run, ready; they are ended by closing their input, or killed."""
    with ExitStack() as stack:
        for run in runs:
            if run.peer.missing is None:
                with run._failing():
                    run.worker = Worker(run.peer.command, run.peer.environment, limits)
                    stack.callback(run.worker.kill)
        for run in runs:
            run.get_ready()
        yield
        for run in runs:
            if run.worker is not None:
                run.worker.end()


def _endless(paths: Sequence[str], rng: random.Random) -> Iterator[str]:
    """The paths again and again, each round in another order."""
    while True:
        yield from rng.sample(paths, len(paths))


def _paths(items: Sequence[Item], folder: Path) -> list[str]:
    """A file for every clip: its own, or one in `folder`."""
    paths = []
    for position, item in enumerate(items):
        if isinstance(item.source, Path):
            paths.append(os.path.abspath(item.source))
        else:
            path = folder / f"{position}.wav"
            path.write_bytes(item.source)
            paths.append(str(path))
    return paths
