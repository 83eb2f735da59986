"""What a series of latencies says, and how sure that is.

Samples are milliseconds, in the order in which they were taken. `edge_ser.bench.bootstrap` names
the definition of a percentile and the method of the intervals. A tail is stated only where enough
samples lie beyond it: p90 from 64 samples on, p99 from 662 (the binomial bound of MLPerf's early
stopping).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from edge_ser.bench.bootstrap import Floats, Interval, Ratio, bootstrap, log_ratios
from edge_ser.errors import DataError

__all__ = [
    "CLOCK_MS",
    "LEAST_FOR_DRIFT",
    "LEAST_FOR_INTERVAL",
    "LEAST_FOR_P90",
    "LEAST_FOR_P99",
    "Interval",
    "Ratio",
    "Summary",
    "drift",
    "is_steady",
    "paired_ratio",
    "stretches",
    "summarise",
    "unpaired_ratio",
    "unpaired_ratios",
    "validity",
]

CLOCK_MS = 1e-4
"""Shorter samples count as this long, 100 ns, in ratios: clocks and documents tell no less."""
LEAST_FOR_INTERVAL = 8
LEAST_FOR_DRIFT = 40
LEAST_FOR_P90 = 64
LEAST_FOR_P99 = 662
DRIFT_LIMIT = 1.05
WAITING_LIMIT = 0.2
"""Share of the time without the processor from which times say little of the program."""

STEADY_WINDOW = 5
STEADY_WITHIN = 1.1


@dataclass(frozen=True)
class Summary:
    """A stage in figures, in milliseconds. What too few samples cannot tell is None."""

    n: int
    mean: float
    std: float
    """With n - 1; 0 for one sample."""
    min: float
    p50: float
    p90: float | None
    """None under 64 samples."""
    p99: float | None
    """None under 662 samples."""
    max: float
    mean_interval: Interval | None
    """Like the other intervals None under 8 samples."""
    p50_interval: Interval | None
    p90_interval: Interval | None
    drift: Ratio | None
    """Median of the last fifth over that of the first; None under 40 samples."""

    def to_dict(self) -> dict[str, Any]:
        """JSON values; an interval is [low, high]."""
        return {
            name: [value["low"], value["high"]] if name.endswith("_interval") and value else value
            for name, value in asdict(self).items()
        }


def summarise(samples_ms: ArrayLike, seed: int = 0) -> Summary:
    """Figures of one stage.

    Raises:
        DataError: there is no sample, or one that is negative or not finite.
    """
    samples = _checked(samples_ms)
    n = len(samples)
    tail = n >= LEAST_FOR_P90
    mean = p50 = p90 = None
    if n >= LEAST_FOR_INTERVAL:
        mean, p50, p90 = bootstrap(samples, (50, 90), seed)
    return Summary(
        n=n,
        mean=float(samples.mean()),
        std=float(samples.std(ddof=1)) if n > 1 else 0.0,
        min=float(samples.min()),
        p50=float(np.percentile(samples, 50)),
        p90=float(np.percentile(samples, 90)) if tail else None,
        p99=float(np.percentile(samples, 99)) if n >= LEAST_FOR_P99 else None,
        max=float(samples.max()),
        mean_interval=mean,
        p50_interval=p50,
        p90_interval=p90 if tail else None,
        drift=drift(samples, seed),
    )


def validity(summary: Summary, processor_share: float | None = None) -> list[str]:
    """What must be said beside the figures of `total`; nothing where all is well.

    Args:
        summary: of the stage `total`.
        processor_share: processor seconds over seconds, for one thread on the processor: 1 where
            nothing else ran. None where unknown or where several threads ran.
    """
    said = [
        f"{name} not given: {summary.n} samples, {least} are needed to state it"
        for name, least in (("p90", LEAST_FOR_P90), ("p99", LEAST_FOR_P99))
        if summary.n < least
    ]
    if summary.p50_interval is None:
        said.append(
            f"no intervals: {summary.n} samples, {LEAST_FOR_INTERVAL} are needed to state them"
        )
    moved = summary.drift
    if moved and moved.excludes_one(DRIFT_LIMIT):
        word = "slower" if moved.value > 1 else "faster"
        said.append(
            f"the run grew {word}: its last fifth took {moved.value:.2f} times its first "
            f"({moved.low:.2f} to {moved.high:.2f}); heat, another clock rate or other programs"
        )
    if processor_share is not None and processor_share < 1 - WAITING_LIMIT:
        said.append(
            f"only {processor_share:.0%} of the time had the processor: times tell more of other "
            "programs; end them and measure again"
        )
    return said


def drift(samples_ms: ArrayLike, seed: int = 0) -> Ratio | None:
    """Median of the last fifth over the median of the first; None under 40 samples."""
    logs = _logarithms(samples_ms)
    if len(logs) < LEAST_FOR_DRIFT:
        return None
    first, *_, last = stretches(logs)
    return log_ratios(last, first, seed, blocks_of=logs)[0]


def is_steady(samples_ms: Sequence[float]) -> bool:
    """Whether warming up is over: medians of 5 samples in a row agree within 10 % over the last 10.

    A single slow clip moves no median; a series that still falls moves all of them.
    """
    if len(samples_ms) < 2 * STEADY_WINDOW:
        return False
    last = np.asarray(samples_ms[-2 * STEADY_WINDOW :], dtype=np.float64)
    medians = np.median(np.lib.stride_tricks.sliding_window_view(last, STEADY_WINDOW), axis=1)
    return bool(medians.max() <= medians.min() * STEADY_WITHIN)


def paired_ratio(a: ArrayLike, b: ArrayLike, seed: int = 0) -> Ratio:
    """Median over the clips of a / b, for runs that took turns: what slows one slows the other.

    Computed from logarithms, so that exchanging `a` and `b` gives the very reciprocal.

    Raises:
        DataError: no samples, not as many of each, or samples that are negative or not finite.
    """
    over, under = _logarithms(a), _logarithms(b)
    if len(over) != len(under):
        raise DataError(
            f"{len(over)} and {len(under)} samples, expected pairs: compare the same clips"
        )
    return log_ratios(over - under, None, seed)[0]


def unpaired_ratio(a: ArrayLike, b: ArrayLike, seed: int = 0) -> Ratio:
    """The median of `a` over that of `b`, for runs apart from each other.

    A series of one value is taken as exact. Exchanging `a` and `b` gives the very reciprocal.

    Raises:
        DataError: no samples, or samples that are negative or not finite.
    """
    return unpaired_ratios(a, b, (50,), seed)[0]


def unpaired_ratios(
    a: ArrayLike, b: ArrayLike, percentiles: Sequence[float], seed: int = 0
) -> list[Ratio]:
    """The same for each of several percentiles, 0 to 100."""
    over, under = _logarithms(a), _logarithms(b)
    # The same draws either way round.
    if (len(over), over.tolist()) < (len(under), under.tolist()):
        return [ratio.inverse() for ratio in unpaired_ratios(b, a, percentiles, seed)]
    return log_ratios(over, under, seed, percentiles)


def stretches(samples: Floats, count: int = 5) -> list[Floats]:
    """The series cut into stretches of equal length, to one sample."""
    return np.array_split(samples, count)


def _logarithms(samples_ms: ArrayLike) -> Floats:
    logs: Floats = np.log(np.maximum(_checked(samples_ms), CLOCK_MS))
    return logs


def _checked(samples_ms: ArrayLike) -> Floats:
    samples = np.asarray(samples_ms, dtype=np.float64)
    if samples.ndim != 1 or not len(samples):
        raise DataError(
            f"samples of shape {samples.shape}, expected one row of milliseconds, not empty: "
            "measure at least one clip"
        )
    if not np.isfinite(samples).all() or samples.min() < 0:
        raise DataError("a sample is negative or not finite, expected milliseconds: measure again")
    return samples
