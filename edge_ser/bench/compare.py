"""Two benchmarks side by side: is the second slower, faster, or is it only noise?

Noise has three sources, and a verdict must get past each.

1. Chance: the 95 % interval of the ratio, which allows for neighbours that are alike, excludes 1.
2. The machine: caches, heat and other programs move whole stretches of a run, and the next run as a
   whole. A run is cut into stretches; how their figures scatter says how far two runs of the same
   program may lie apart (Student's t for that scatter, 95 %).
3. What a run cannot show: an effect below a least size is nobody's business, and on a machine that
   is busy with other work runs differ by more than any of them shows.

Other programs can only add time. The quickest tenth of the clips (p10) is what they leave alone,
and so it shows a slower program where the median (p50) drowns in noise. A stage is slower where one
of the two passes and the other points the same way. p90 has a verdict of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from edge_ser.bench.bootstrap import Floats, Ratio, student
from edge_ser.bench.differences import differences, is_busy, mismatches, processor_share
from edge_ser.bench.schema import STAGES
from edge_ser.bench.statistics import (
    CLOCK_MS,
    LEAST_FOR_P90,
    WAITING_LIMIT,
    stretches,
    unpaired_ratios,
)
from edge_ser.bench.wording import figure, fold, times
from edge_ser.errors import DataError

__all__ = [
    "LEAST_EFFECT",
    "LEAST_EFFECT_BUSY",
    "LEAST_EFFECT_MS",
    "NOTHING_SHOWN",
    "Change",
    "Comparison",
    "Stage",
    "Verdict",
    "compare",
    "comparison_lines",
]

Document = Mapping[str, Any]
Verdict = Literal["slower", "faster", "no difference shown"]

LEAST_EFFECT = 1.03
"""Smaller ratios are not called."""
LEAST_EFFECT_BUSY = 1.06
"""The same where either run began on a machine with other work. Quickest tenths of the same build
on such a machine had a standard deviation of 2.3 % from run to run."""
LEAST_EFFECT_MS = 0.01
"""Nor are shorter differences: about what the clock and its reading take."""
NOTHING_SHOWN: Verdict = "no difference shown"
STRETCH_SAMPLES = 20
"""At least, in a stretch whose figures count."""
MOST_STRETCHES = 10


@dataclass(frozen=True)
class Change:
    """One percentile of one stage, before and after."""

    before_ms: float
    after_ms: float
    ratio: Ratio
    """After over before."""
    least: float | None
    """The least ratio that would have been called, over 1; None where none would have been."""
    verdict: Verdict


@dataclass(frozen=True)
class Stage:
    """One stage, before and after."""

    stage: str
    verdict: Verdict
    """Of p10 and p50 together."""
    p50: Change
    p10: Change
    """The quickest tenth of the clips: what other programs disturb least."""
    p90: Change | None
    """None where either run has under 64 samples."""


@dataclass(frozen=True)
class Comparison:
    """What changed from one benchmark to another."""

    stages: tuple[Stage, ...]
    notes: tuple[str, ...]
    """Sentences: what makes the ratios mean less, and conditions that differ."""
    comparable: bool
    """False where model, clips or provider differ, or a result is invalid: the ratios then tell
    apart more than two builds or machines."""

    @property
    def verdict(self) -> Verdict:
        """Of `total`."""
        return self.total.verdict

    @property
    def total(self) -> Stage:
        """The stage from file to label."""
        return self.stages[-1]

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "verdict": self.verdict,
            "comparable": self.comparable,
            "stages": [asdict(stage) for stage in self.stages],
            "notes": list(self.notes),
        }


def compare(before: Document, after: Document, seed: int = 0) -> Comparison:
    """Say what `after` is to `before`, two documents of `edge-ser bench`.

    Raises:
        DataError: either holds no samples.
    """
    names = {"before": before, "after": after}
    samples = {name: _samples(name, document) for name, document in names.items()}
    withheld = [
        reason
        for name, document in names.items()
        for reason in _why_no_verdict(name, document, len(samples[name]["total"]))
    ]
    busy = is_busy(before) or is_busy(after)
    least = math.inf if withheld else LEAST_EFFECT_BUSY if busy else LEAST_EFFECT
    stages = tuple(
        _stage(stage, samples["before"][stage], samples["after"][stage], least, seed)
        for stage in STAGES
    )
    apart = mismatches(before, after)
    notes = [*apart, *withheld, *differences(before, after)]
    if busy and not withheld:
        notes.append(
            f"the machine had other work: ratios under {fold(LEAST_EFFECT_BUSY)} are not called"
        )
    return Comparison(stages, tuple(notes), comparable=not apart)


def comparison_lines(comparison: Comparison) -> Iterator[str]:
    """The comparison for people, as a table and sentences."""
    rows: list[tuple[str, ...]] = [("stage, ms", "before", "after", "p50", "p10", "verdict")]
    for stage in comparison.stages:
        figures = (figure(stage.p50.before_ms), figure(stage.p50.after_ms))
        ratios = (times(asdict(stage.p50.ratio)), fold(stage.p10.ratio.value))
        rows.append((stage.stage, *figures, *ratios, stage.verdict))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
    yield ""
    yield _conclusion(comparison)
    for stage in comparison.stages:
        if stage.p90 and stage.p90.verdict != NOTHING_SHOWN:
            ratio = times(asdict(stage.p90.ratio))
            yield f"- p90 of {stage.stage} is {stage.p90.verdict}: {ratio}"
    yield from (f"- {note}" for note in comparison.notes)


def _conclusion(comparison: Comparison) -> str:
    """The verdict in a sentence."""
    total = comparison.total
    aside = "" if comparison.comparable else "Not like with like. "
    if total.verdict != NOTHING_SHOWN:
        called = total.p50 if total.p50.verdict == total.verdict else total.p10
        which = "median" if called is total.p50 else "quickest tenth"
        return (
            f"{aside}After is {total.verdict} than before: its {which} took "
            f"{times(asdict(called.ratio))} as long."
        )
    least = [change.least for change in (total.p50, total.p10) if change.least]
    if not least:
        return f"{aside}No verdict can be given."
    return (
        f"{aside}No difference shown; these runs could show one from {fold(min(least))} on, "
        "longer ones on a quieter machine less."
    )


def _stage(name: str, before: Floats, after: Floats, least: float, seed: int) -> Stage:
    percentiles = (10, 50, 90)
    ratios = unpaired_ratios(after, before, percentiles, seed)
    p10, p50, p90 = (
        _change(before, after, percentile, ratio, least)
        for percentile, ratio in zip(percentiles, ratios, strict=True)
    )
    tail = min(len(before), len(after)) >= LEAST_FOR_P90
    return Stage(name, _joined(p10, p50), p50, p10, p90 if tail else None)


def _change(before: Floats, after: Floats, percentile: float, ratio: Ratio, least: float) -> Change:
    before_ms, after_ms = (float(np.percentile(x, percentile)) for x in (before, after))
    needed = max(least, _noise(before, after, percentile))
    verdict = NOTHING_SHOWN
    if ratio.excludes_one() and abs(after_ms - before_ms) >= LEAST_EFFECT_MS:
        if ratio.value > needed:
            verdict = "slower"
        elif ratio.value < 1 / needed:
            verdict = "faster"
    return Change(before_ms, after_ms, ratio, needed if needed < math.inf else None, verdict)


def _joined(one: Change, other: Change) -> Verdict:
    """The verdict of either, unless the other points the other way."""
    for called, witness in ((one, other), (other, one)):
        both = math.log(called.ratio.value) * math.log(witness.ratio.value)
        if called.verdict != NOTHING_SHOWN and both >= 0:
            return called.verdict
    return NOTHING_SHOWN


def _noise(before: Floats, after: Floats, percentile: float) -> float:
    """How far apart two runs may lie that scatter as these do, as a ratio over 1; 95 %."""
    variance, degrees = 0.0, 0
    for samples in (before, after):
        count = min(MOST_STRETCHES, len(samples) // STRETCH_SAMPLES)
        if count < 2:
            return math.inf
        logs = np.log(np.maximum(samples, CLOCK_MS))
        figures = [np.percentile(stretch, percentile) for stretch in stretches(logs, count)]
        variance += float(np.var(figures, ddof=1))
        degrees += count - 1
    return math.exp(student(degrees) * math.sqrt(variance))


def _why_no_verdict(name: str, document: Document, n: int) -> Iterator[str]:
    """Sentences on what keeps one of the runs from telling anything."""
    if n < LEAST_FOR_P90:
        yield f"{name} has {n} samples: {LEAST_FOR_P90} are needed for a verdict"
    share = processor_share(document)
    if share is not None and share < 1 - WAITING_LIMIT:
        yield (
            f"{name} had the processor for {share:.0%} of its time: its times tell more of other "
            "programs; end them and measure again"
        )


def _samples(name: str, document: Document) -> dict[str, Floats]:
    found = document.get("samples_ms") or {}
    if not all(found.get(stage) for stage in STAGES):
        raise DataError(
            f"the document {name} holds no samples of every stage: its run ended before the first "
            "clip; measure again with edge-ser bench"
        )
    return {stage: np.asarray(found[stage], dtype=np.float64) for stage in STAGES}
