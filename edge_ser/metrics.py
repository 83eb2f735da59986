"""How good predictions are, and how honest their scores: accuracy, UAR, confusion, calibration.

Everywhere: `labels` are true class indices, shape (n,), in [0, C); `predicted` likewise; `scores`
are probabilities, shape (n, C), rows summing to 1. Nothing to measure, or shapes that do not
belong together, is a DataError.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_ser.errors import DataError

__all__ = [
    "SMALLEST_SCORE",
    "TEMPERATURES",
    "accuracy",
    "accuracy_at_coverage",
    "among",
    "apply_temperature",
    "calibrated_oracle_share",
    "chance_calibration_error",
    "confidence_at_coverage",
    "confusion",
    "expected_calibration_error",
    "fit_temperature",
    "negative_log_likelihood",
    "oracle_share",
    "reliability",
    "softmax",
    "uar",
]

SMALLEST_SCORE = 1e-7
"""Scores below are taken for this one before a logarithm: float32 probabilities know no finer."""

TEMPERATURES = (0.05, 20.0)
"""Bounds of a fitted temperature."""

Labels = NDArray[np.int64]
Scores = NDArray[np.float64]


def accuracy(labels: ArrayLike, predicted: ArrayLike) -> float:
    """Share of right predictions, in [0, 1] (weighted accuracy, WA, in the field's papers).

    >>> accuracy([0, 0, 0, 1], [0, 0, 1, 1])
    0.75
    """
    true, guess = _pair(labels, predicted)
    return float((true == guess).mean())


def uar(labels: ArrayLike, predicted: ArrayLike) -> float:
    """Unweighted average recall: the mean over the classes that occur of each one's recall.

    >>> round(uar([0, 0, 0, 1], [0, 0, 1, 1]), 4)
    0.8333
    """
    true, guess = _pair(labels, predicted)
    right = true == guess
    return float(np.mean([right[true == label].mean() for label in np.unique(true)]))


def among(scores: ArrayLike, known: ArrayLike) -> NDArray[np.floating[Any]]:
    """Scores among some of the classes: the others' are 0, and the rest sum to 1 again.

    Args:
        scores: shape (n, C).
        known: which classes there are, shape (n, C) or (C,), at least one in each row.

    >>> among([[0.5, 0.3, 0.2]], [True, True, False]).round(3).tolist()
    [[0.625, 0.375, 0.0]]
    """
    given = np.asarray(scores)
    kept = np.where(known, np.maximum(given, SMALLEST_SCORE), 0)
    shares: NDArray[np.floating[Any]] = kept / kept.sum(axis=1, keepdims=True)
    return shares.astype(np.result_type(given, np.float32), copy=False)


def confusion(labels: ArrayLike, predicted: ArrayLike, classes: int) -> NDArray[np.int64]:
    """Counts, shape (classes, classes): row the true class, column the predicted one."""
    true, guess = _pair(labels, predicted)
    for indices in (true, guess):
        if indices.min() < 0 or indices.max() >= classes:
            raise DataError(f"class index outside 0 to {classes - 1}: count the classes again")
    counts = np.bincount(true * classes + guess, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


def reliability(
    scores: ArrayLike, labels: ArrayLike, bins: int = 10
) -> tuple[NDArray[np.int64], Scores, Scores]:
    """The bars of a reliability diagram, over equal-width bins of confidence.

    Confidence is the highest score; bin m holds (m / bins, (m + 1) / bins] (Guo et al., ICML 2017).

    Returns:
        Of each bin, shape (bins,): its clips, their mean confidence and their accuracy; the last
        two are 0 where a bin is empty.

    >>> clips, confidence, accuracy = reliability([[0.9, 0.1], [0.7, 0.3]], [0, 1], bins=2)
    >>> clips.tolist(), confidence.round(3).tolist(), accuracy.tolist()
    ([0, 2], [0.0, 0.8], [0.0, 0.5])
    """
    confidence, right = _right(scores, labels)
    at = _bins_of(confidence, bins)
    clips = np.bincount(at, minlength=bins)
    sums = (np.bincount(at, weights=values, minlength=bins) for values in (confidence, right))
    claimed, found = (each / np.maximum(clips, 1) for each in sums)
    return clips, claimed, found


def expected_calibration_error(scores: ArrayLike, labels: ArrayLike, bins: int = 10) -> float:
    """ECE: mean distance of accuracy and confidence over the bins of `reliability`.

    Each bin weighs as many clips as it holds (Guo et al., ICML 2017, equation 3). In [0, 1].
    """
    clips, confidence, right = reliability(scores, labels, bins)
    return float(np.abs(right - confidence) @ clips / clips.sum())


def chance_calibration_error(
    scores: ArrayLike, bins: int = 10, draws: int = 1000, seed: int = 0
) -> float:
    """The ECE that as confident a model would show if it were perfectly calibrated.

    With so many clips it is not 0: each clip is right by chance. Here each is right with the
    probability of its confidence, `draws` times; the mean of the errors.

    >>> 0.03 < chance_calibration_error([[0.7, 0.3]] * 100) < 0.05
    True
    """
    probabilities = np.asarray(scores, dtype=np.float64)
    confidence = _scored(probabilities, np.zeros(len(probabilities)))[0].max(axis=1)
    at = _bins_of(confidence, bins)
    rng = np.random.default_rng(seed)
    total = 0.0
    for _ in range(draws):  # one at a time: all at once would be a thousand times the clips
        right = rng.random(len(confidence)) < confidence
        total += np.abs(np.bincount(at, right - confidence, bins)).sum()
    return float(total / (draws * len(confidence)))


def negative_log_likelihood(scores: ArrayLike, labels: ArrayLike) -> float:
    """Mean of -ln(score of the true class), in nats; scores below 1e-7 count as 1e-7."""
    probabilities, true = _scored(scores, labels)
    chosen = probabilities[np.arange(len(true)), true]
    return float(-np.log(np.maximum(chosen, SMALLEST_SCORE)).mean())


def accuracy_at_coverage(scores: ArrayLike, labels: ArrayLike, coverage: float) -> float:
    """Accuracy of the most confident clips: a point of the risk-coverage curve (1 - risk).

    Confidence is the highest score. `coverage` is the share of clips that is answered, above 0 to
    1; clips as confident as the last of them count with their mean, so that no order decides.
    (El-Yaniv and Wiener, JMLR 11, 2010.)

    >>> accuracy_at_coverage([[0.9, 0.1], [0.4, 0.6]], [0, 0], 0.5)
    1.0
    """
    confidence, right = _right(scores, labels)
    return float(_surest(confidence, coverage) @ right)


def confidence_at_coverage(scores: ArrayLike, coverage: float) -> float:
    """Mean confidence of the most confident clips: what `accuracy_at_coverage` is to come to.

    >>> round(confidence_at_coverage([[0.9, 0.1], [0.4, 0.6]], 1.0), 3)
    0.75
    """
    confidence, _ = _right(scores, np.zeros(len(np.asarray(scores)), np.int64))
    return float(_surest(confidence, coverage) @ confidence)


def oracle_share(scores: ArrayLike, labels: ArrayLike, coverage: float) -> float | None:
    """How much of the accuracy that an oracle would gain at a coverage the confidence gains.

    The oracle leaves wrong answers alone unanswered. 1 is as good as it; 0 is what clips left out
    at random gain, and a ranking may be worse than that. None where nothing is to gain, since all
    answers are right, or none is.

    >>> oracle_share([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.4, 0.6]], [0, 0, 1, 1], 0.5)
    1.0
    """
    confidence, right = _right(scores, labels)
    return _share_of_oracle(_surest(confidence, coverage), right, coverage)


def calibrated_oracle_share(
    scores: ArrayLike, coverage: float, draws: int = 1000, seed: int = 0
) -> tuple[float, float] | None:
    """The `oracle_share` that as confident a model would show if it were perfectly calibrated.

    Who knows how often he errs does not know when: it is below 1, and of few clips it is known
    badly. Here each clip is right with the probability of its confidence, `draws` times.

    Returns:
        Mean and standard deviation over the draws; None where in most nothing is to gain.
    """
    confidence, _ = _right(scores, np.zeros(len(np.asarray(scores)), np.int64))
    rng = np.random.default_rng(seed)
    surest = _surest(confidence, coverage)
    drawn = (rng.random(len(confidence)) < confidence for _ in range(draws))
    shares = [_share_of_oracle(surest, right, coverage) for right in drawn]
    known = [share for share in shares if share is not None]
    return (float(np.mean(known)), float(np.std(known))) if 2 * len(known) > draws else None


def apply_temperature(scores: ArrayLike, temperature: float) -> Scores:
    """softmax(ln(scores) / temperature) over the last axis; the order of the classes stays.

    >>> apply_temperature([0.8, 0.2], 2.0).round(3).tolist()
    [0.667, 0.333]
    """
    return softmax(_logits(np.asarray(scores, dtype=np.float64)) / temperature)


def softmax(logits: Scores) -> Scores:
    """exp(x) over its sum along the last axis."""
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: Scores = raised / raised.sum(axis=-1, keepdims=True)
    return shares


def fit_temperature(scores: ArrayLike, labels: ArrayLike) -> float:
    """The temperature in [0.05, 20] of least negative log likelihood (Guo et al., ICML 2017).

    With b = 1 / T the likelihood -ln softmax(b z)[true] is convex in b, so its slope
    E[z] - z[true] rises, and halving the interval finds the zero to the last digit.
    """
    probabilities, true = _scored(scores, labels)
    logits = _logits(probabilities)
    chosen = logits[np.arange(len(true)), true]
    coldest, hottest = TEMPERATURES
    low, high = 1 / hottest, 1 / coldest
    for _ in range(60):
        middle = (low + high) / 2
        expected = (apply_temperature(probabilities, 1 / middle) * logits).sum(axis=1)
        if (expected - chosen).sum() < 0:
            low = middle
        else:
            high = middle
    return 2 / (low + high)


def _right(scores: ArrayLike, labels: ArrayLike) -> tuple[Scores, NDArray[np.bool_]]:
    """Confidence of each clip, and whether it is right."""
    probabilities, true = _scored(scores, labels)
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == true


def _bins_of(confidence: Scores, bins: int) -> NDArray[np.int64]:
    """Bin m of each clip: (m / bins, (m + 1) / bins], the first from 0 on."""
    inner = np.linspace(0.0, 1.0, bins + 1)[1:-1]
    return np.digitize(confidence, inner, right=True).astype(np.int64, copy=False)


def _surest(confidence: Scores, coverage: float) -> Scores:
    """What each clip counts in the mean over the surest ones; they add up to 1."""
    answered = _answered(len(confidence), coverage)
    least = np.sort(confidence)[-answered]
    above, level = confidence > least, confidence == least
    counts: Scores = above + level * (answered - above.sum()) / level.sum()
    counts /= answered
    return counts


def _share_of_oracle(surest: Scores, right: NDArray[np.bool_], coverage: float) -> float | None:
    plain = float(right.mean())
    best = min(1.0, right.sum() / _answered(len(right), coverage))
    return None if best <= plain else float((surest @ right - plain) / (best - plain))


def _answered(clips: int, coverage: float) -> int:
    if not 0 < coverage <= 1:
        raise DataError(f"a coverage of {coverage}, expected above 0, up to 1")
    return max(1, round(coverage * clips))


def _logits(scores: Scores) -> Scores:
    logits: Scores = np.log(np.maximum(scores, SMALLEST_SCORE))
    return logits


def _pair(labels: ArrayLike, predicted: ArrayLike) -> tuple[Labels, Labels]:
    true = np.asarray(labels, dtype=np.int64)
    guess = np.asarray(predicted, dtype=np.int64)
    if true.ndim != 1 or true.shape != guess.shape or not len(true):
        raise DataError(
            f"{true.shape} labels and {guess.shape} predictions: expected as many of each, "
            "and at least one"
        )
    return true, guess


def _scored(scores: ArrayLike, labels: ArrayLike) -> tuple[Scores, Labels]:
    probabilities = np.asarray(scores, dtype=np.float64)
    true = np.asarray(labels, dtype=np.int64)
    if probabilities.ndim != 2 or true.shape != probabilities.shape[:1] or not probabilities.size:
        raise DataError(
            f"scores of shape {probabilities.shape} and labels of shape {true.shape}: expected "
            "(n, classes) and (n,), and at least one clip"
        )
    if true.min() < 0 or true.max() >= probabilities.shape[1]:
        raise DataError(
            f"class index outside 0 to {probabilities.shape[1] - 1}: count the classes again"
        )
    return probabilities, true
