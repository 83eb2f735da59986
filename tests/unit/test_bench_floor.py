"""The arithmetic floor, on a clock of its own: no live time is looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.bench.floor import MatrixSpeed, floor_ms, measure


class Machine:
    """A processor that multiplies at a speed of its own for each size."""

    def __init__(self, speeds: dict[int, float], cores: float = 1.0) -> None:
        self.now = 0.0
        self.calls: list[int] = []
        self._speeds, self._cores = speeds, cores

    def multiply(self, a: Any, b: Any, out: Any) -> None:
        assert a.dtype == b.dtype == out.dtype == np.float32
        assert a.shape == b.shape == out.shape
        self.calls.append(len(a))
        self.now += len(a) ** 3 / self._speeds[len(a)]

    def clock(self) -> float:
        return self.now

    def processor(self) -> float:
        return self.now * self._cores

    def measure(self, seconds: float = 0.3) -> MatrixSpeed:
        sizes = list(self._speeds)
        return measure(sizes, seconds, self.multiply, self.clock, self.processor)


@given(st.dictionaries(st.integers(2, 40), st.floats(1e3, 1e9), min_size=1, max_size=4))
def test_the_fastest_size_counts(speeds: dict[int, float]) -> None:
    found = Machine(speeds).measure(1e-6)
    assert found.macs_per_s == pytest.approx(max(speeds.values()))
    assert speeds[found.size] == pytest.approx(found.macs_per_s)


def test_a_disturbed_product_does_not_count() -> None:
    machine = Machine({10: 1e6})
    plain = machine.multiply

    def disturbed(a: Any, b: Any, out: Any) -> None:
        plain(a, b, out)
        machine.now += 0.0 if len(machine.calls) == 3 else 0.01

    found = measure([10], 0.05, disturbed, machine.clock, machine.processor)
    assert found.macs_per_s == pytest.approx(1e6)
    assert len(machine.calls) > 3


def test_a_slow_board_multiplies_each_size_twice() -> None:
    machine = Machine({20: 1.0, 30: 2.0})
    assert machine.measure().macs_per_s == pytest.approx(2.0)
    assert machine.calls == [20, 20, 30, 30]


@pytest.mark.parametrize("cores", [0.5, 1.0, 1.98])
def test_the_processor_that_it_had_is_told(cores: float) -> None:
    assert Machine({20: 1e6}, cores).measure().processor_share == cores


def test_the_real_product_is_multiplied() -> None:
    found = measure([16], 0.0)
    assert found.size == 16
    assert found.macs_per_s > 0


@given(st.integers(0, 10**12), st.floats(1e6, 1e12))
def test_the_floor_is_proportional(macs: int, speed: float) -> None:
    least = floor_ms(macs, speed)
    assert least * speed / 1000 == pytest.approx(macs)
    assert floor_ms(2 * macs, speed) == pytest.approx(2 * least)
    assert floor_ms(macs, 2 * speed) == pytest.approx(least / 2)
