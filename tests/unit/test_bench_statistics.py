"""Figures of latencies: by hand, by properties, and how often an interval is right, simulated."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_ser.bench import statistics
from edge_ser.bench.bootstrap import _drawn, block_length, bootstrap, student
from edge_ser.bench.statistics import (
    Interval,
    Ratio,
    Summary,
    drift,
    is_steady,
    paired_ratio,
    stretches,
    summarise,
    unpaired_ratio,
    unpaired_ratios,
    validity,
)
from edge_ser.errors import DataError

SPREAD = 0.1

few = settings(max_examples=40)
milliseconds = st.floats(1e-3, 1e4)
series = st.lists(milliseconds, min_size=1, max_size=60)


def latencies(n: int, alike: float, seed: int) -> NDArray[np.float64]:
    """e to an AR(1) series: median 10 ms, a tenth of spread, neighbours correlated by `alike`."""
    shocks = np.random.default_rng(seed).standard_normal(n + 100)
    values = np.zeros(n + 100)
    for i in range(1, n + 100):
        values[i] = alike * values[i - 1] + shocks[i]
    return 10 * np.exp(SPREAD * math.sqrt(1 - alike**2) * values[100:])


def test_figures_by_hand() -> None:
    found = summarise([4.0, 1.0, 3.0, 2.0, 10.0])
    assert (found.n, found.mean, found.min, found.p50, found.max) == (5, 4.0, 1.0, 3.0, 10.0)
    assert found.std == pytest.approx(math.sqrt((0 + 9 + 1 + 4 + 36) / 4))


def test_percentiles_interpolate() -> None:
    # Hyndman and Fan's definition 7: p90 of 0 .. 100 lies at the rank 0.9 * 100
    found = summarise(np.arange(101.0))
    assert (found.p50, found.p90) == (50.0, 90.0)
    assert summarise([1.0, 2.0]).p50 == 1.5


@pytest.mark.parametrize("n", [1, 7, 8, 39, 40, 63, 64, 661, 662])
def test_what_too_few_samples_cannot_tell_is_none(n: int) -> None:
    found = summarise(latencies(n, 0.0, n))
    assert (found.p99 is None) == (n < 662)
    assert (found.p90 is None) == (found.p90_interval is None) == (n < 64)
    assert (found.drift is None) == (n < 40)
    assert (found.mean_interval is None) == (found.p50_interval is None) == (n < 8)


def test_the_dictionary_is_what_documents_hold() -> None:
    made = summarise(latencies(64, 0.0, 1)).to_dict()
    low, high = made["p50_interval"]
    assert low < made["p50"] < high
    assert set(made["drift"]) == {"value", "low", "high"}
    assert made["p99"] is None
    assert summarise([1.0]).to_dict()["p50_interval"] is None


@pytest.mark.parametrize("samples", [[], [[1.0]], [1.0, -1.0], [1.0, math.nan], [math.inf]])
def test_what_is_no_series_of_times_is_a_data_error(samples: list[float]) -> None:
    calls: tuple[Callable[[], object], ...] = (
        lambda: summarise(samples),
        lambda: drift(samples),
        lambda: unpaired_ratio(samples, [1.0]),
        lambda: paired_ratio([1.0], samples),
    )
    for call in calls:
        with pytest.raises(DataError, match="measure"):
            call()


@few
@given(series, st.floats(1e-2, 1e2))
def test_another_unit_changes_no_figure_but_the_unit(samples: list[float], unit: float) -> None:
    one, other = summarise(samples), summarise([unit * value for value in samples])
    for name in ("mean", "min", "p50", "max"):
        assert getattr(other, name) == pytest.approx(unit * getattr(one, name))
    if one.p50_interval and other.p50_interval:
        assert other.p50_interval.high == pytest.approx(unit * one.p50_interval.high)


@few
@given(series)
def test_figures_lie_within_the_samples(samples: list[float]) -> None:
    found = summarise(samples)
    assert found.min <= found.p50 <= found.max
    for interval in (found.mean_interval, found.p50_interval):
        if interval:
            slack = 1e-9 * found.max
            assert found.min - slack <= interval.low <= interval.high <= found.max + slack


@given(series)
def test_blocks_are_bounded(samples: list[float]) -> None:
    n = len(samples)
    assert 1 <= block_length(np.array(samples)) <= max(1, math.ceil(min(3 * math.sqrt(n), n / 3)))


def test_blocks_grow_with_what_neighbours_have_in_common() -> None:
    lengths = [
        np.median([block_length(latencies(512, alike, seed)) for seed in range(20)])
        for alike in (0.0, 0.3, 0.6, 0.8)
    ]
    assert lengths == sorted(lengths)
    assert lengths[0] <= 4
    assert lengths[-1] >= 20


def test_single_slow_clips_do_not_hide_that_neighbours_are_alike() -> None:
    samples = latencies(512, 0.8, 3)
    samples[::50] *= 40
    assert block_length(samples) >= 10


@pytest.mark.parametrize("alike", [0.0, 0.3, 0.6])
def test_intervals_hold_the_truth_as_often_as_they_say(alike: float) -> None:
    truths = (10 * math.exp(SPREAD**2 / 2), 10.0, 10 * math.exp(SPREAD * 1.2816))
    runs, n = 300, 384
    held = np.zeros(3)
    for seed in range(runs):
        found = bootstrap(latencies(n, alike, seed), (50, 90), seed)
        held += [i.low <= truth <= i.high for i, truth in zip(found, truths, strict=True)]
    assert ((held / runs >= 0.88) & (held / runs <= 0.99)).all(), held / runs


def test_intervals_for_independent_samples_are_too_narrow_for_these() -> None:
    # What the blocks are for: the same simulation with neighbours torn apart.
    runs, held = 100, 0
    for seed in range(runs):
        torn = np.random.default_rng(seed).permutation(latencies(384, 0.8, seed))
        found = bootstrap(torn, (50,), seed)[1]
        held += found.low <= 10.0 <= found.high
    assert held / runs < 0.8


def test_ratios_of_like_runs_hold_one_as_often_as_they_say() -> None:
    runs, held = 120, 0
    for seed in range(runs):
        found = unpaired_ratio(latencies(256, 0.4, seed), latencies(256, 0.4, 1000 + seed), seed)
        held += not found.excludes_one()
    assert 0.88 <= held / runs <= 0.99


def test_pairs_see_through_what_slows_both() -> None:
    disturbed = latencies(128, 0.95, 5) ** 3
    ours = disturbed * latencies(128, 0.0, 6)
    theirs = 1.1 * disturbed * latencies(128, 0.0, 7)
    paired, apart = paired_ratio(theirs, ours), unpaired_ratio(theirs, ours)
    assert paired.low < 1.1 < paired.high
    assert paired.high - paired.low < (apart.high - apart.low) / 2


@few
@given(st.lists(st.tuples(milliseconds, milliseconds), min_size=1, max_size=40))
def test_an_exchange_gives_the_reciprocal(pairs: list[tuple[float, float]]) -> None:
    a, b = map(list, zip(*pairs, strict=True))
    for ratio in (paired_ratio, unpaired_ratio):
        there, back = ratio(a, b), ratio(b, a)
        assert back.value == pytest.approx(1 / there.value)
        assert (back.low, back.high) == pytest.approx((1 / there.high, 1 / there.low))
        assert there.low <= there.high


@few
@given(series, st.floats(0.1, 10))
def test_a_factor_on_every_clip_is_found_exactly(samples: list[float], factor: float) -> None:
    slower = [factor * value for value in samples]
    paired = paired_ratio(slower, samples)
    assert (paired.low, paired.value, paired.high) == pytest.approx((factor, factor, factor))
    assert unpaired_ratio(slower, samples).value == pytest.approx(factor)


def test_a_single_value_is_exact() -> None:
    samples = latencies(200, 0.0, 8)
    found, own = unpaired_ratio(samples, [5.0]), summarise(samples)
    assert own.p50_interval is not None
    assert found.value == pytest.approx(own.p50 / 5, rel=1e-3)
    assert found.low == pytest.approx(own.p50_interval.low / 5, rel=0.01)
    assert found.high == pytest.approx(own.p50_interval.high / 5, rel=0.01)


def test_several_percentiles_come_from_the_same_draws() -> None:
    a, b = latencies(100, 0.3, 1), latencies(120, 0.3, 2)
    several = unpaired_ratios(a, b, (10, 50, 90), seed=4)
    assert several[1] == unpaired_ratio(a, b, seed=4)
    assert several[2].value == pytest.approx(np.percentile(a, 90) / np.percentile(b, 90), rel=0.01)


def test_times_too_short_for_the_clock_have_a_ratio_too() -> None:
    assert unpaired_ratio([0.0] * 20, [0.0] * 20).value == 1.0


def test_pairs_must_be_pairs() -> None:
    with pytest.raises(DataError, match="2 and 1 samples"):
        paired_ratio([1.0, 2.0], [1.0])


def test_the_seed_decides_the_draws_and_nothing_else() -> None:
    samples = latencies(64, 0.2, 9)
    assert summarise(samples, seed=1) == summarise(samples, seed=1)
    assert summarise(samples, seed=1).p50_interval != summarise(samples, seed=2).p50_interval
    assert summarise(samples, seed=1).p50 == summarise(samples, seed=2).p50


def test_percentiles_of_drawn_series_are_those_of_numpy() -> None:
    series = np.random.default_rng(0).standard_normal(37)
    drawn = _drawn(series, 1, np.random.default_rng(5), (0, 10, 33, 50, 90, 100))
    starts = np.random.default_rng(5).integers(37, size=(1000, 37))
    expected = np.percentile(series[starts], (0, 10, 33, 50, 90, 100), axis=1).T
    np.testing.assert_allclose(drawn[:, 1:], expected)


def test_long_series_are_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = latencies(100, 0.0, 2)
    whole = bootstrap(samples, (50,), 0)
    monkeypatch.setattr("edge_ser.bench.bootstrap.MOST_DRAWN", 70_000)
    for one, other in zip(whole, bootstrap(samples, (50,), 0), strict=True):
        assert (other.low, other.high) == pytest.approx((one.low, one.high), rel=0.02)


@pytest.mark.parametrize(
    ("degrees", "quantile"), [(4, 2.776), (8, 2.306), (18, 2.101), (1e9, 1.960)]
)
def test_students_quantile_agrees_with_the_tables(degrees: float, quantile: float) -> None:
    assert student(degrees) == pytest.approx(quantile, rel=0.02)


def test_drift_sets_the_last_fifth_over_the_first() -> None:
    samples = latencies(200, 0.0, 3) * np.repeat([1.0, 2.0, 3.0, 1.0, 1.25], 40)
    found = drift(samples)
    assert found is not None
    assert found.low < 1.25 < found.high
    assert found.low > 1.1
    assert summarise(samples).drift == found


def test_stretches_cover_the_series_in_order() -> None:
    parts = stretches(np.arange(13.0), 5)
    assert np.concatenate(parts).tolist() == list(range(13))
    assert {len(part) for part in parts} == {2, 3}


def summary(n: int = 1000, moved: Ratio | None = None) -> Summary:
    interval = Interval(9.0, 11.0) if n >= 8 else None
    return Summary(n, 10.0, 1.0, 8.0, 10.0, 12.0, 15.0, 20.0, interval, interval, interval, moved)


def test_nothing_is_said_where_all_is_well() -> None:
    assert validity(summary(moved=Ratio(1.2, 1.04, 1.4)), 0.99) == []
    assert validity(summary(moved=Ratio(0.9, 0.86, 0.96))) == []


def test_too_few_samples_are_said() -> None:
    assert validity(summary(128)) == ["p99 not given: 128 samples, 662 are needed to state it"]
    assert validity(summary(63))[0] == "p90 not given: 63 samples, 64 are needed to state it"
    assert validity(summary(7))[-1] == "no intervals: 7 samples, 8 are needed to state them"


@pytest.mark.parametrize(
    ("moved", "word"), [(Ratio(1.2, 1.06, 1.3), "slower"), (Ratio(0.8, 0.7, 0.95), "faster")]
)
def test_drift_is_said_when_its_interval_is_more_than_5_percent_off(
    moved: Ratio, word: str
) -> None:
    (said,) = validity(summary(moved=moved))
    assert said.startswith(f"the run grew {word}: its last fifth took {moved.value:.2f} times")


def test_waiting_for_the_processor_is_said() -> None:
    assert validity(summary(), 0.8) == []
    (said,) = validity(summary(), 0.3)
    assert said.startswith("only 30% of the time had the processor")


def test_warming_up_ends_when_times_no_longer_fall() -> None:
    falling = [100 * 0.8**i for i in range(10)]
    warm = latencies(100, 0.0, 4).tolist()
    assert not is_steady(warm[:9])
    assert not is_steady(falling)
    assert not is_steady([20.0] * 5 + [10.0] * 5)
    assert is_steady([500.0, *[10.0] * 9])
    assert is_steady([10.0] * 9 + [500.0])
    ends = next(n for n in range(len(falling), 110) if is_steady((falling + warm)[:n]))
    assert 13 <= ends <= 40


@given(st.lists(milliseconds, min_size=10, max_size=40), st.floats(0.1, 10))
def test_steadiness_knows_no_unit(samples: list[float], unit: float) -> None:
    steady = is_steady(samples)
    # Powers of two scale without rounding.
    scale = 2.0 ** round(math.log2(unit))
    assert is_steady([scale * value for value in samples]) == steady


def test_the_limits_are_those_of_the_rule() -> None:
    assert (statistics.LEAST_FOR_P90, statistics.LEAST_FOR_P99) == (64, 662)
