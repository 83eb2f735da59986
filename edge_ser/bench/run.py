"""The timing itself: clip after clip through the one path, until the stop rule holds."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from edge_ser.bench.options import BenchOptions
from edge_ser.bench.schema import STAGES
from edge_ser.bench.statistics import is_steady
from edge_ser.bench.workload import Item, Workload
from edge_ser.classifier import Classifier, Prediction

__all__ = ["Measured", "classify", "endless", "measure", "opened", "warm_up"]


@dataclass
class Measured:
    """What was timed so far: it grows clip by clip, so that an interrupt loses nothing."""

    samples_ms: dict[str, list[float]] = field(default_factory=lambda: {s: [] for s in STAGES})
    """Milliseconds of each stage of each clip, in the order of the run."""
    labels: dict[str, str] = field(default_factory=dict)
    """Label by the clip's name."""
    processor_s: float = 0.0
    """Processor seconds of this process, all threads."""
    wall_s: float = 0.0

    @property
    def clips(self) -> int:
        """Clips that were timed."""
        return len(self.samples_ms["total"])

    def add(self, item: Item, prediction: Prediction) -> None:
        """One more clip."""
        for stage in STAGES:
            self.samples_ms[stage].append(prediction.timings[stage])
        self.labels[item.name] = prediction.label


def classify(classifier: Classifier, item: Item) -> Prediction:
    """One clip, from its file (or the bytes of one) to its label.

    Raises:
        AudioError: it cannot be decoded.
    """
    return classifier.crop(opened(item))


def opened(item: Item) -> Path | BinaryIO:
    """A clip's file, or the bytes of one as a file."""
    return item.source if isinstance(item.source, Path) else io.BytesIO(item.source)


def endless(workload: Workload, seed: int) -> Iterator[Item]:
    """The clips again and again, each round in another order that `seed` decides."""
    rng = np.random.default_rng(seed)
    while True:
        for at in rng.permutation(len(workload.items)):
            yield workload.items[at]


def warm_up(
    classifier: Classifier,
    clips: Iterator[Item],
    options: BenchOptions,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, object]:
    """Classify until times are steady or time is up; what the document says of it."""
    began, times = clock(), list[float]()
    steady = False
    while not steady and (
        len(times) < options.warm_up_clips or clock() - began < options.warm_up_s
    ):
        times.append(classify(classifier, next(clips)).timings["total"])
        steady = len(times) >= options.warm_up_clips and is_steady(times)
    return {"clips": len(times), "seconds": clock() - began, "steady": steady}


def measure(
    classifier: Classifier,
    clips: Iterator[Item],
    options: BenchOptions,
    measured: Measured,
    progress: Callable[[int, int], None] = lambda done, total: None,
    clock: Callable[[], float] = time.perf_counter,
) -> None:
    """Time clips into `measured` until there are enough and enough time has passed."""
    began, worked = clock(), time.process_time()
    try:
        while not _is_enough(measured.clips, clock() - began, options):
            item = next(clips)
            measured.add(item, classify(classifier, item))
            progress(measured.clips, _expected(measured.clips, clock() - began, options))
    finally:
        measured.processor_s = time.process_time() - worked
        measured.wall_s = clock() - began


def _is_enough(clips: int, seconds: float, options: BenchOptions) -> bool:
    if seconds >= options.most_s:
        return clips > 0
    return clips >= options.runs and seconds >= options.least_s


def _expected(clips: int, seconds: float, options: BenchOptions) -> int:
    """Clips that it will take in all at this pace."""
    pace = clips / max(seconds, 1e-9)
    wanted = max(options.runs, round(pace * options.least_s))
    return max(clips, min(wanted, round(pace * options.most_s)))
