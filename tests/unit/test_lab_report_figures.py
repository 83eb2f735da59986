"""Figures of runs by hand: epochs, intervals, pooled answers, classification."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.errors import DataError
from edge_ser.lab.report import classification
from edge_ser.lab.report.figures import LATE, best, kept, last, late, looks, wilson, wilson_mean
from edge_ser.lab.report.pooling import pooled

from .lab_report_runs import (
    Maker,
    made_fixture,  # noqa: F401 for pytest to find
)


class TestFigures:
    def test_which_epoch_is_told(self, made: Maker) -> None:
        run = made(accuracies=[0.9, *[0.5] * LATE, 0.7])
        assert (found := last(run)) and (found.accuracy, found.uar, found.epoch) == (0.7, 0.35, 22)
        assert (found := best(run)) and (found.accuracy, found.epoch) == (0.9, 1)
        # epochs 3 to 22: nineteen of 0.5 and one of 0.7
        assert (found := late(run)) and found.accuracy == pytest.approx(0.51)
        assert kept(run) == last(run)
        assert len(looks(run)) == 22

    def test_the_first_of_equal_epochs_is_best(self, made: Maker) -> None:
        assert (found := best(made(accuracies=(0.5, 0.75, 0.75)))) and found.epoch == 2

    def test_an_epoch_that_was_not_looked_at_has_none(self, made: Maker) -> None:
        run = made(accuracies=(0.5, None))
        assert last(run) is None
        assert (found := late(run)) and found.accuracy == 0.5
        assert (best(nothing := made(accuracies=(None,))), late(nothing)) == (None, None)

    def test_of_a_run_that_chose_by_validation_the_kept_weights_are_told(self, made: Maker) -> None:
        run = made(right="abc", keep="best_validation", accuracies=(0.25, 0.25))
        found = kept(run)
        assert found is not None
        assert (found.accuracy, found.uar) == (0.75, 0.75)
        assert kept(made(right=None, keep="best_validation", epochs=3)) is None

    def test_wilson_by_hand(self) -> None:
        # p = 8/10, z = 1.96: (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n)
        assert wilson(0.8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
        low, high = wilson(0.0, 10)
        assert (low, high) == (0.0, pytest.approx(0.2775, abs=1e-4))

    def test_mean_of_two_recalls_by_hand(self) -> None:
        # wilson(0.8, 10) twice: the distances 0.3098 and 0.1433, over sqrt(2)
        low, high = wilson_mean([0.8, 0.8], [10, 10])
        assert (low, high) == pytest.approx((0.8 - 0.2191, 0.8 + 0.1013), abs=2e-4)

    @pytest.mark.parametrize(("share", "n"), [(1.5, 10), (-0.1, 10), (0.5, 0), (math.nan, 3)])
    def test_no_share(self, share: float, n: int) -> None:
        with pytest.raises(DataError, match="expected 0 to 1 of at least one"):
            wilson(share, n)

    @given(st.floats(0, 1), st.integers(1, 10_000))
    def test_wilson_holds_the_share_and_narrows(self, share: float, n: int) -> None:
        low, high = wilson(share, n)
        assert 0 <= low <= share <= high <= 1
        closer_low, closer_high = wilson(share, 4 * n)
        assert closer_high - closer_low < high - low
        mirrored = wilson(1 - share, n)
        assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-9)

    @given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 500)), min_size=1, max_size=8))
    def test_the_mean_lies_within_its_interval(self, given: list[tuple[float, int]]) -> None:
        shares, counts = [s for s, _ in given], [n for _, n in given]
        low, high = wilson_mean(shares, counts)
        assert -1e-9 <= low <= sum(shares) / len(shares) + 1e-9 <= high + 2e-9
        assert high <= 1 + 1e-9
        if len(given) == 1:
            assert (low, high) == pytest.approx(wilson(shares[0], counts[0]))


class TestPooled:
    def test_two_folds(self, made: Maker) -> None:
        # of 3 calm clips 2 are right, of 3 cross ones 1
        one = made(clips={"a": "calm", "b": "calm", "c": "cross"}, right="ab")
        two = made(fold="grouped-02", clips={"d": "calm", "e": "cross", "f": "cross"}, right="e")
        found = pooled([one, two])
        assert found is not None
        assert (found.clips, found.accuracy, found.uar) == (6, 0.5, pytest.approx(0.5))
        assert found.confusion == ((2, 1), (2, 1))
        assert found.accuracy_interval == wilson(0.5, 6)
        assert found.uar_interval == wilson_mean([2 / 3, 1 / 3], [3, 3])
        # confidence is 0.75 throughout, half is right
        assert found.ece == pytest.approx(0.25)
        assert found.calibration is not None

    def test_uar_weighs_labels_not_clips(self, made: Maker) -> None:
        found = pooled(
            [made(clips={"a": "calm", "b": "calm", "c": "calm", "d": "cross"}, right="abc")]
        )
        assert found is not None
        assert (found.accuracy, found.uar) == (0.75, 0.5)

    def test_a_clip_under_two_seeds_counts_once_with_its_mean(self, made: Maker) -> None:
        found = pooled([made(seed=1, right="abcd"), made(seed=2, right="ab")])
        assert found is not None
        assert (found.clips, found.accuracy, found.uar) == (4, 0.75, 0.75)
        assert found.accuracy_interval == wilson(0.75, 4)
        assert sum(map(sum, found.confusion)) == 8
        assert found.calibration is None

    def test_nothing_of_unknown_labels(self, made: Maker) -> None:
        assert pooled([made(), made(labelled=False)]) is None
        assert pooled([]) is None


class TestClassification:
    @pytest.mark.needs("sklearn")
    def test_by_hand(self, made: Maker) -> None:
        # calm: 2 right, 1 cross clip called so; cross: 1 of 2 right
        found = classification(made(right="abc"))
        assert found.values["calm"] == {
            "precision": pytest.approx(2 / 3),
            "recall": 1.0,
            "f1-score": pytest.approx(0.8),
            "support": 2,
        }
        assert found.values["cross"]["recall"] == 0.5
        assert (found.values["accuracy"], found.values["uar"]) == (0.75, 0.75)
        assert found.values["macro avg"]["f1-score"] == pytest.approx((0.8 + 2 / 3) / 2)
        assert "UAR 0.7500" in found.text
        assert json.loads(json.dumps(found.values)) == found.values

    @pytest.mark.needs("sklearn")
    def test_a_label_without_clips_counts_in_macro_and_not_in_uar(self, made: Maker) -> None:
        found = classification(made(clips={"a": "calm", "b": "calm"}, right="ab"))
        assert found.values["macro avg"]["recall"] == 0.5
        assert found.values["uar"] == 1.0

    def test_of_a_run_without_answers(self, made: Maker) -> None:
        for run in (made(right=None, epochs=5), made(labelled=False)):
            with pytest.raises(DataError, match="no predictions of labelled test clips"):
                classification(run)
