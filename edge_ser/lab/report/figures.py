"""How good a run is, by the epoch that is told; and how sure a share of clips is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from edge_ser import metrics
from edge_ser.errors import DataError
from edge_ser.lab.report.records import RunRecord

__all__ = [
    "LATE",
    "WAYS",
    "Interval",
    "Look",
    "best",
    "chooses",
    "kept",
    "last",
    "late",
    "looks",
    "wilson",
    "wilson_mean",
]

LATE = 20
"""Epochs at the end whose looks at the test clips are averaged."""
Z = statistics.NormalDist().inv_cdf(0.975)

Interval = tuple[float, float]


@dataclass(frozen=True)
class Look:
    """What the test clips said at an epoch, or on average over some."""

    accuracy: float
    """Share of right answers, in [0, 1]."""
    uar: float
    """Mean recall of the classes, in [0, 1]."""
    epoch: int | None
    """From 1; None for several."""


def looks(run: RunRecord) -> list[Look]:
    """All of a run, in the order of its epochs."""
    return [
        Look(row["test_accuracy"], row["test_uar"], number)
        for number, row in enumerate(run.rows, 1)
        if "test_accuracy" in row and "test_uar" in row
    ]


def chooses(run: RunRecord) -> bool:
    """Whether the run keeps the weights that its validation clips choose, not the last ones."""
    return run.settings["training.keep"] == "best_validation"


def kept(run: RunRecord) -> Look | None:
    """By the weights that the run keeps: the last, or those of the lowest validation loss."""
    if not chooses(run):
        return last(run)
    if run.scores is None or run.true is None:
        return None
    guess = run.scores.argmax(axis=1)
    return Look(metrics.accuracy(run.true, guess), metrics.uar(run.true, guess), None)


def last(run: RunRecord) -> Look | None:
    """At the last epoch, as it was set beforehand: nothing is chosen."""
    found = looks(run)
    return found[-1] if found and found[-1].epoch == run.epochs else None


def late(run: RunRecord) -> Look | None:
    """The mean of the looks within the last `LATE` epochs: nothing is chosen."""
    found = [look for look in looks(run) if (look.epoch or 0) > run.epochs - LATE]
    if not found:
        return None
    accuracy = statistics.fmean(look.accuracy for look in found)
    return Look(accuracy, statistics.fmean(look.uar for look in found), None)


def best(run: RunRecord) -> Look | None:
    """At the epoch that the test clips themselves say is best: the papers' leaky way."""
    return max(looks(run), key=lambda look: look.accuracy, default=None)


WAYS: Mapping[str, Callable[[RunRecord], Look | None]] = MappingProxyType(
    {
        "kept": kept,
        "last": last,
        f"last {LATE}": late,
        "leaky best": best,
    }
)
"""Ways to say which epoch's figures are told."""


def wilson(share: float, n: int) -> Interval:
    """The 95 % score interval of a share of `n` (Wilson, 1927).

    Args:
        share: in [0, 1]; where each of the `n` was tried several times and counts with its mean,
            the interval is wider than it need be.
        n: 1 or more.

    >>> [round(end, 4) for end in wilson(0.5, 100)]
    [0.4038, 0.5962]
    """
    if n < 1 or not 0 <= share <= 1:
        raise DataError(f"a share of {share} of {n}: expected 0 to 1 of at least one")
    middle = share + Z**2 / (2 * n)
    half = Z * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    low, high = ((middle + side * half) / (1 + Z**2 / n) for side in (-1, 1))
    return max(0.0, min(low, share)), min(1.0, max(high, share))


def wilson_mean(shares: Sequence[float], counts: Sequence[int]) -> Interval:
    """A 95 % interval of the plain mean of independent shares, such as the recalls of classes.

    Each share's distance to the ends of its own interval is taken for its spread: squares add up
    (Zou and Donner, Statistics in Medicine 27, 2008, with Wilson's intervals). One share alone has
    Wilson's own interval.

    >>> [round(end, 4) for end in wilson_mean([0.5, 0.5], [100, 100])]
    [0.432, 0.568]
    """
    ends = [wilson(share, n) for share, n in zip(shares, counts, strict=True)]
    mean = statistics.fmean(shares)
    below = math.hypot(*(share - low for share, (low, _) in zip(shares, ends, strict=True)))
    above = math.hypot(*(high - share for share, (_, high) in zip(shares, ends, strict=True)))
    return mean - below / len(ends), mean + above / len(ends)
