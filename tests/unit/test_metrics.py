"""Metrics against sklearn and scipy-free arithmetic done by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_ser import metrics
from edge_ser.errors import DataError

CLASSES = 5


def drawn(seed: int, n: int = 400, sharpness: float = 2.0) -> tuple[NDArray, NDArray]:
    """Probabilities, and labels that follow them: well calibrated by construction."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, sharpness, (n, CLASSES))
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (rng.random(n)[:, None] > scores.cumsum(axis=1)).sum(axis=1)
    return scores, labels.clip(0, CLASSES - 1)


indices = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=50)


@pytest.mark.needs("sklearn")
@given(indices)
def test_counts_agree_with_sklearn(pairs: list[tuple[int, int]]) -> None:
    from sklearn.metrics import accuracy_score, confusion_matrix, recall_score

    true, guess = map(list, zip(*pairs, strict=True))
    assert metrics.accuracy(true, guess) == pytest.approx(accuracy_score(true, guess))
    recalls = recall_score(true, guess, labels=sorted(set(true)), average="macro", zero_division=0)
    assert metrics.uar(true, guess) == pytest.approx(recalls)
    expected = confusion_matrix(true, guess, labels=range(CLASSES))
    np.testing.assert_array_equal(metrics.confusion(true, guess, CLASSES), expected)


@pytest.mark.needs("sklearn")
def test_negative_log_likelihood_agrees_with_sklearn() -> None:
    from sklearn.metrics import log_loss

    scores, labels = drawn(1)
    expected = log_loss(labels, scores, labels=range(CLASSES))
    assert metrics.negative_log_likelihood(scores, labels) == pytest.approx(expected, rel=1e-9)


def test_an_impossible_label_costs_a_bounded_amount() -> None:
    cost = metrics.negative_log_likelihood([[1.0, 0.0]], [1])
    assert cost == pytest.approx(-np.log(metrics.SMALLEST_SCORE))


@given(n=st.integers(1, 20), seed=st.integers(0, 99))
def test_scores_among_some_classes(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet(np.full(5, 0.1), n).astype(np.float32)
    known = rng.random((n, 5)) < 0.5
    known[:, 2] = True
    found = metrics.among(scores, known)
    assert found.dtype == np.float32 and (found[~known] == 0).all() and (found[known] > 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    order = np.where(known, np.maximum(scores, metrics.SMALLEST_SCORE), -1).argmax(axis=1)
    assert (found.argmax(axis=1) == order).all()
    np.testing.assert_allclose(metrics.among(scores, np.ones(5, bool)), scores, atol=2e-6)


def test_whole_numbers_are_scores_too() -> None:
    assert metrics.among([[1, 1, 2]], [True, True, False]).tolist() == [[0.5, 0.5, 0.0]]


def test_ece_by_hand() -> None:
    # bin (0.5, 0.6]: two clips, confidences 0.55 and 0.6, one right; bin (0.9, 1]: one, wrong
    scores = [[0.55, 0.45], [0.4, 0.6], [1.0, 0.0]]
    expected = (abs(1 - (0.55 + 0.6)) + abs(0 - 1.0)) / 3
    assert metrics.expected_calibration_error(scores, [0, 0, 1]) == pytest.approx(expected)


@pytest.mark.parametrize("bins", [1, 7, 10, 15])
def test_ece_agrees_with_the_definition(bins: int) -> None:
    scores, labels = drawn(2)
    confidence, right = scores.max(axis=1), scores.argmax(axis=1) == labels
    total = 0.0
    for m in range(bins):
        inside = (confidence > m / bins) & (confidence <= (m + 1) / bins)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert metrics.expected_calibration_error(scores, labels, bins) == pytest.approx(total)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_temperature_that_spoilt_the_scores_is_found(temperature: float) -> None:
    scores, labels = drawn(3, n=20_000, sharpness=1.0)
    spoilt = metrics.apply_temperature(scores, 1 / temperature)
    assert metrics.fit_temperature(spoilt, labels) == pytest.approx(temperature, rel=0.05)


def test_the_fitted_temperature_is_the_best_of_its_neighbourhood() -> None:
    scores, labels = drawn(4, n=150)
    spoilt = metrics.apply_temperature(scores, 0.5)
    best = metrics.fit_temperature(spoilt, labels)

    def cost(temperature: float) -> float:
        scaled = metrics.apply_temperature(spoilt, temperature)
        return metrics.negative_log_likelihood(scaled, labels)

    assert cost(best) < min(cost(best * 1.01), cost(best / 1.01), cost(1.0))


@given(st.integers(20, 400), st.integers(0, 99))
def test_chance_alone_makes_an_error_that_calibration_cannot_mend(clips: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.5, 1, clips)
    scores = np.stack([confidence, 1 - confidence], axis=1)
    expected = metrics.chance_calibration_error(scores)
    assert expected == metrics.chance_calibration_error(scores)
    # Labels drawn as the scores say: their error is one of those that were averaged.
    drawn = [(rng.random(clips) >= confidence).astype(int) for _ in range(200)]
    found = [metrics.expected_calibration_error(scores, labels) for labels in drawn]
    assert np.mean(found) == pytest.approx(expected, rel=0.15)


def test_chance_has_no_part_in_what_is_certain() -> None:
    assert metrics.chance_calibration_error([[1.0, 0.0]] * 9) == 0
    with pytest.raises(DataError, match="at least one clip"):
        metrics.chance_calibration_error(np.zeros((0, 2)))


def test_calibration_mends_ece() -> None:
    scores, labels = drawn(5, n=5000)
    spoilt = metrics.apply_temperature(scores, 0.4)
    mended = metrics.apply_temperature(spoilt, metrics.fit_temperature(spoilt, labels))
    before = metrics.expected_calibration_error(spoilt, labels)
    assert metrics.expected_calibration_error(mended, labels) < before / 3


def test_a_fitted_temperature_is_bounded() -> None:
    scores = [[0.9, 0.1], [0.2, 0.8]]
    coldest, hottest = metrics.TEMPERATURES
    assert metrics.fit_temperature(scores, [0, 1]) == pytest.approx(coldest)
    assert metrics.fit_temperature(scores, [1, 0]) == pytest.approx(hottest)


@given(st.lists(st.floats(1e-6, 1), min_size=2, max_size=8), st.floats(0.05, 20))
def test_temperature_keeps_probabilities_and_their_order(
    weights: list[float], temperature: float
) -> None:
    scores = np.array(weights) / sum(weights)
    scaled = metrics.apply_temperature(scores, temperature)
    assert scaled.sum() == pytest.approx(1)
    assert (np.diff(scaled[np.argsort(scores)]) >= -1e-12).all()


def test_a_temperature_of_one_changes_nothing_and_zeros_are_borne() -> None:
    scores, _ = drawn(6, n=10)
    np.testing.assert_allclose(metrics.apply_temperature(scores, 1.0), scores, atol=1e-6)
    assert metrics.apply_temperature([1.0, 0.0], 2.0).tolist() == pytest.approx([1, 0], abs=4e-4)


@pytest.mark.parametrize(
    "call",
    [
        lambda: metrics.accuracy([], []),
        lambda: metrics.uar([0, 1], [0]),
        lambda: metrics.accuracy([[0]], [[0]]),
        lambda: metrics.confusion([0, 3], [0, 1], 3),
        lambda: metrics.confusion([0, 1], [0, -1], 3),
        lambda: metrics.expected_calibration_error([], []),
        lambda: metrics.negative_log_likelihood([[0.5, 0.5]], [2]),
        lambda: metrics.negative_log_likelihood([[0.5, 0.5]], [-1]),
        lambda: metrics.fit_temperature([[0.5, 0.5]], [0, 1]),
        lambda: metrics.fit_temperature([0.5, 0.5], [0, 1]),
    ],
)
def test_what_cannot_be_measured_is_a_data_error(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match=r"expected|outside"):
        call()


def test_accuracy_at_coverage() -> None:
    scores = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.55, 0.45]]
    labels = [0, 0, 0, 1]
    at = [metrics.accuracy_at_coverage(scores, labels, share) for share in (0.25, 0.5, 0.75, 1)]
    assert at == pytest.approx([1, 1 / 2, 2 / 3, 1 / 2])
    tied = [[0.7, 0.3]] * 4
    assert metrics.accuracy_at_coverage(tied, [0, 0, 1, 1], 0.5) == 0.5
    assert metrics.accuracy_at_coverage(tied, [1, 1, 0, 0], 0.01) == 0.5
    with pytest.raises(DataError, match="a coverage of 0, expected above 0, up to 1"):
        metrics.accuracy_at_coverage(scores, labels, 0)


def test_confidence_at_coverage_is_that_of_the_surest() -> None:
    scores = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.5, 0.5]]
    at = [metrics.confidence_at_coverage(scores, share) for share in (0.25, 0.5, 0.75, 1)]
    assert at == pytest.approx([0.9, 0.85, 2.3 / 3, 0.7])


def test_reliability_puts_a_clip_on_an_edge_into_the_bin_below() -> None:
    scores = [[1.0, 0.0], [0.75, 0.25], [0.5, 0.5], [0.7, 0.3]]
    clips, confidence, accuracy = metrics.reliability(scores, [0, 1, 0, 0], bins=4)
    assert clips.tolist() == [0, 1, 2, 1]
    assert confidence == pytest.approx([0, 0.5, 0.725, 1])
    assert accuracy == pytest.approx([0, 1, 0.5, 1])


@given(st.integers(1, 60), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_reliability_adds_up_to_all_clips(n: int, bins: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet(np.ones(3), n)
    labels = rng.integers(0, 3, n)
    clips, confidence, right = metrics.reliability(scores, labels, bins)
    assert clips.sum() == n
    assert clips @ confidence / n == pytest.approx(scores.max(axis=1).mean())
    assert clips @ right / n == pytest.approx(metrics.accuracy(labels, scores.argmax(axis=1)))


def test_oracle_share() -> None:
    scores = [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]]
    # Half are right: an oracle that answers half is right in all.
    for labels, share in (([0, 0, 1, 1], 1.0), ([0, 1, 0, 1], 0.0), ([1, 1, 0, 0], -1.0)):
        assert metrics.oracle_share(scores, labels, 0.5) == share
    # One in four is right: not even an oracle gets beyond one of two.
    assert metrics.oracle_share(scores, [0, 1, 1, 1], 0.5) == 1.0
    for nothing_to_gain in ([0] * 4, [1] * 4):
        assert metrics.oracle_share(scores, nothing_to_gain, 0.5) is None
    assert metrics.oracle_share(scores, [0, 1, 0, 1], 1.0) is None
    assert metrics.calibrated_oracle_share([[1.0, 0.0]] * 4, 0.5) is None
    with pytest.raises(DataError, match=r"a coverage of 1\.5, expected above 0, up to 1"):
        metrics.oracle_share(scores, [0, 0, 1, 1], 1.5)


def test_calibrated_oracle_share_is_that_of_labels_drawn_by_the_scores() -> None:
    rng = np.random.default_rng(0)
    scores = rng.dirichlet(np.ones(4), 400)
    shares = []
    for _ in range(300):
        labels = (scores.cumsum(axis=1) < rng.random((400, 1))).sum(axis=1)
        shares.append(metrics.oracle_share(scores, labels, 0.8) or 0.0)
    calibrated = metrics.calibrated_oracle_share(scores, 0.8)
    assert calibrated is not None
    mean, deviation = calibrated
    assert mean == pytest.approx(np.mean(shares), abs=0.02)
    assert deviation == pytest.approx(np.std(shares), rel=0.2)
    assert 0.2 < mean < 0.8
    # Who is as sure of all clips knows nothing of when he errs.
    assert metrics.calibrated_oracle_share([[0.7, 0.3]] * 200, 0.8) == pytest.approx((0, 0))


@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_full_coverage_is_plain_accuracy(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet(np.ones(3), n).round(1) + 1e-9
    labels = rng.integers(0, 3, n)
    plain = metrics.accuracy(labels, scores.argmax(axis=1))
    assert metrics.accuracy_at_coverage(scores, labels, 1.0) == pytest.approx(plain)
