"""The timing loop: order, warm-up, stop rules, and what an interrupt leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest

from edge_ser.bench.options import BenchOptions, as_mlperf
from edge_ser.bench.run import Measured, endless, measure, opened, warm_up
from edge_ser.bench.schema import STAGES
from edge_ser.bench.workload import Item, Workload, synthetic_workload
from edge_ser.classifier import Prediction
from edge_ser.errors import UsageError

OPTIONS = BenchOptions(runs=5, least_s=1.0, most_s=10.0, warm_up_clips=3, warm_up_s=2.0)


class FakeClassifier:
    """Every clip takes as many seconds of the clock as it is told."""

    def __init__(self, takes_s: Callable[[int], float]) -> None:
        self.now = 100.0
        self.clips = 0
        self._takes_s = takes_s

    def crop(self, source: Any) -> Prediction:
        took = self._takes_s(self.clips)
        self.clips += 1
        self.now += took
        stages = dict.fromkeys(STAGES[:-1], took * 200)
        return Prediction("calm", {"calm": 1.0}, False, 1.0, 0.0, {**stages, "total": took * 1000})

    def clock(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def workload() -> Workload:
    return synthetic_workload(limit=4)


def timed(takes_s: Callable[[int], float], workload: Workload, options: BenchOptions) -> Measured:
    classifier, measured = FakeClassifier(takes_s), Measured()
    clips = endless(workload, options.seed)
    measure(classifier, clips, options, measured, clock=classifier.clock)  # type: ignore[arg-type]
    return measured


def test_every_clip_comes_once_a_round_and_the_seed_decides_the_order(workload: Workload) -> None:
    def names(seed: int) -> list[str]:
        return [item.name for item in islice(endless(workload, seed), 40)]

    rounds = [names(0)[i : i + 4] for i in range(0, 40, 4)]
    assert all(sorted(one) == sorted(item.name for item in workload.items) for one in rounds)
    assert len({tuple(one) for one in rounds}) > 1
    assert names(0) == names(0)
    assert names(0) != names(1)


def test_it_takes_enough_clips_and_enough_time(workload: Workload) -> None:
    assert timed(lambda _: 0.01, workload, OPTIONS).clips == 100  # 1 s of them
    assert timed(lambda _: 0.5, workload, OPTIONS).clips == 5
    assert timed(lambda _: 4.0, workload, OPTIONS).clips == 3  # 10 s are enough for anybody
    assert timed(lambda _: 60.0, workload, OPTIONS).clips == 1


def test_it_keeps_every_stage_of_every_clip(workload: Workload) -> None:
    measured = timed(lambda clip: 0.5 + clip, workload, OPTIONS)
    assert measured.samples_ms["total"] == [500.0, 1500.0, 2500.0, 3500.0, 4500.0]
    assert measured.samples_ms["model"] == [100.0, 300.0, 500.0, 700.0, 900.0]
    assert measured.wall_s == pytest.approx(12.5)
    assert set(measured.labels.values()) == {"calm"}


def test_an_interrupt_keeps_what_was_timed(workload: Workload) -> None:
    def interrupted(clip: int) -> float:
        if clip == 3:
            raise KeyboardInterrupt
        return 0.5

    classifier, measured = FakeClassifier(interrupted), Measured()
    with pytest.raises(KeyboardInterrupt):
        measure(classifier, endless(workload, 0), OPTIONS, measured, clock=classifier.clock)  # type: ignore[arg-type]
    assert measured.clips == 3
    assert measured.wall_s == pytest.approx(1.5)


def test_warming_up_goes_on_until_times_are_steady(workload: Workload) -> None:
    cold = FakeClassifier(lambda clip: 0.5 if clip < 20 else 0.001)
    clips = endless(workload, 0)
    options = replace(OPTIONS, warm_up_s=60.0)
    found = warm_up(cold, clips, options, cold.clock)  # type: ignore[arg-type]
    assert found["steady"]
    assert cold.clips >= options.warm_up_clips


def test_warming_up_ends_on_a_machine_that_never_is_steady(workload: Workload) -> None:
    wild = FakeClassifier(lambda clip: 0.05 * 1.7**clip)
    found = warm_up(wild, endless(workload, 0), OPTIONS, wild.clock)  # type: ignore[arg-type]
    assert not found["steady"]
    assert found["clips"] == wild.clips >= OPTIONS.warm_up_clips


def test_a_clip_in_memory_is_a_file_too(workload: Workload) -> None:
    item = workload.items[0]
    assert isinstance(item, Item)
    with opened(item) as file:  # type: ignore[union-attr]
        assert file.read(4) == b"RIFF"


def test_mlperf_asks_for_more() -> None:
    options = as_mlperf(BenchOptions())
    assert (options.runs, options.least_s, options.mlperf) == (1024, 600.0, True)


@pytest.mark.parametrize("wrong", [{"runs": 0}, {"least_s": 0.0}, {"least_s": 5.0, "most_s": 1.0}])
def test_nonsense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="expected"):
        BenchOptions(**wrong)
