"""Confidence intervals of a series whose neighbours resemble each other.

Caches, clock rates and other programs change over many clips, so neighbouring latencies are alike
and count for less than independent ones would. Intervals therefore come from the circular block
bootstrap (Politis and Romano, "A circular block-resampling procedure for stationary data", 1992),
which draws whole stretches of the series, with the block length of Politis and White (Econometric
Reviews 23, 2004; corrected by Patton, Politis and White, Econometric Reviews 28, 2009). They are
95 % expanded percentile intervals (Hesterberg, "What Teachers Should Know About the Bootstrap", The
American Statistician 69, 2015): further out than 2.5 % as Student's distribution asks, here with
as many degrees of freedom as there are blocks, less one.

Percentiles interpolate between the order statistics (Hyndman and Fan 1996, definition 7, the
default of numpy).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "Interval", "Ratio", "block_length", "bootstrap", "log_ratios", "student"]

RESAMPLES = 1000
MOST_DRAWN = 2_000_000
"""Samples that are drawn at once: 16 MB."""
TOO_FEW = 8
"""Shorter series show nothing of how neighbours hang together."""
STRETCH = 2.0
"""Blocks are so many times longer than the mean square error of a variance asks for: intervals of
short series come out too narrow otherwise (simulated in tests/unit/test_bench_statistics.py)."""
NORMAL_QUANTILE = 1.959964
"""The upper 2.5 % of the normal distribution lie beyond it."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A 95 % confidence interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Ratio:
    """A ratio with its 95 % confidence interval."""

    value: float
    low: float
    high: float

    def inverse(self) -> Ratio:
        """The ratio the other way round."""
        return Ratio(1 / self.value, 1 / self.high, 1 / self.low)

    def excludes_one(self, by: float = 1.0) -> bool:
        """Whether the whole interval lies above `by` (at least 1) or below 1 / `by`."""
        return self.low > by or self.high < 1 / by


def bootstrap(series: Floats, percentiles: Sequence[float], seed: int) -> list[Interval]:
    """Intervals of the mean and of each percentile (0 to 100) of a series, shape (n,)."""
    length = block_length(series)
    drawn = _drawn(series, length, np.random.default_rng(seed), percentiles)
    ends = np.percentile(drawn, _ends(len(series) / length), axis=0)
    return [Interval(float(low), float(high)) for low, high in ends.T]


def log_ratios(
    over: Floats,
    under: Floats | None,
    seed: int,
    percentiles: Sequence[float] = (50,),
    blocks_of: Floats | None = None,
) -> list[Ratio]:
    """e to the difference of each percentile of two independent series of logarithms.

    Args:
        over: logarithms of what is divided.
        under: logarithms of what it is divided by, drawn apart; None for log 1.
        seed: of the draws.
        percentiles: 0 to 100.
        blocks_of: the longer series that both are stretches of: it tells how neighbours hang
            together. None: each does itself.
    """
    rng = np.random.default_rng(seed)
    values, blocks = np.zeros(len(percentiles)), math.inf
    drawn = np.zeros((RESAMPLES, len(percentiles)))
    for sign, logs in ((1, over), (-1, under)):
        if logs is None:
            continue
        values += sign * np.percentile(logs, percentiles)
        length = min(block_length(logs if blocks_of is None else blocks_of), _longest(len(logs)))
        drawn += sign * _drawn(logs, length, rng, percentiles)[:, 1:]
        # A single value is exact: it varies nothing and has no say in the number of blocks.
        if len(logs) > 1:
            blocks = min(blocks, len(logs) / length)
    ends = np.percentile(drawn, _ends(blocks), axis=0)
    exact = np.exp([values, *ends]).T
    return [Ratio(float(value), float(low), float(high)) for value, low, high in exact]


def block_length(series: Floats) -> int:
    """Samples in a block: more the longer neighbours resemble each other, 1 to 3 sqrt(n) and n / 3.

    Politis and White 2004 as corrected in 2009, times `STRETCH`, on the ranks of the samples: it is
    percentiles that matter, and single slow clips should not hide how neighbours hang together.
    """
    n = len(series)
    ranks = np.unique(series, return_inverse=True)[1].reshape(-1).astype(np.float64)
    ranks -= ranks.mean()
    if n < TOO_FEW or not ranks.any():
        return 1
    covariance, m = _memory(ranks)
    lag = np.arange(1, min(2 * m, len(covariance) - 1) + 1)
    # The flat-top window: 1 up to half of 2 m, then falling to 0.
    weighted = np.clip(2 * (1 - lag / (2 * m)), 0, 1) * covariance[lag]
    spectrum = covariance[0] + 2 * weighted.sum()
    if spectrum <= 0:
        return 1
    slope = 2 * float(lag @ weighted)
    wanted = (1.5 * slope**2 / spectrum**2 * n) ** (1 / 3)
    return int(min(max(1, round(STRETCH * wanted)), _longest(n)))


def student(degrees: float) -> float:
    """The upper 2.5 % of Student's distribution lie beyond it; to 2 % from 4 degrees of freedom on.

    Cornish and Fisher's expansion (Abramowitz and Stegun 26.7.5).

    >>> round(student(8), 2), round(student(1e9), 2)
    (2.3, 1.96)
    """
    z = NORMAL_QUANTILE
    first = (z**3 + z) / (4 * degrees)
    return z + first + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)


def _memory(ranks: Floats) -> tuple[Floats, int]:
    """Autocovariances, and the lag from which five in a row are no more than chance."""
    n = len(ranks)
    apart = max(5, math.ceil(math.sqrt(math.log10(n))))
    lags = min(n - 1, math.ceil(math.sqrt(n)) + apart)
    covariance = np.array([ranks[: n - lag] @ ranks[lag:] for lag in range(lags + 1)]) / n
    chance = 2 * math.sqrt(math.log10(n) / n)
    is_large = np.abs(covariance[1:] / covariance[0]) > chance
    quiet = (lag for lag in range(lags) if not is_large[lag : lag + apart].any())
    return covariance, 1 + next(quiet, lags - 1)


def _longest(n: int) -> int:
    return max(1, math.ceil(min(3 * math.sqrt(n), n / 3)))


def _drawn(
    series: Floats, length: int, rng: np.random.Generator, percentiles: Sequence[float]
) -> Floats:
    """Mean and percentiles of resampled series, shape (RESAMPLES, 1 + percentiles)."""
    # Sorting and reading off is three times faster than np.percentile, and the same.
    rank = (len(series) - 1) * np.asarray(percentiles) / 100
    below = rank.astype(np.intp)
    above = np.minimum(below + 1, len(series) - 1)
    found = []
    for rows in _resampled(series, length, rng):
        mean = rows.mean(axis=1, keepdims=True)
        rows.sort(axis=1)
        read = rows[:, below] + (rank - below) * (rows[:, above] - rows[:, below])
        found.append(np.concatenate([mean, read], axis=1))
    return np.concatenate(found)


def _resampled(series: Floats, length: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Resampled series, a row each, as many at once as memory allows."""
    n = len(series)
    at_once = max(1, MOST_DRAWN // n)
    # Every block there is, by its start; those at the end go on at the beginning.
    circle = np.concatenate([series, series[: length - 1]])
    blocks = np.lib.stride_tricks.sliding_window_view(circle, length)
    for done in range(0, RESAMPLES, at_once):
        rows = min(at_once, RESAMPLES - done)
        starts = rng.integers(n, size=(rows, math.ceil(n / length)))
        yield blocks[starts].reshape(rows, -1)[:, :n]


def _ends(blocks: float) -> tuple[float, float]:
    """The percentiles of drawn figures between which the interval lies: 2.5 and 97.5, or wider."""
    degrees = max(blocks - 1, 1.0)
    low = 50 * math.erfc(student(degrees) * math.sqrt((1 + 1 / degrees) / 2))
    return low, 100 - low
