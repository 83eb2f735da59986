"""An hour of the simulated day: memory, queues and events, by the script that records the day."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from edge_ser.benchmarks.day import slope, verdicts

GUARD_S = 900


@pytest.mark.needs("emodb", "noise")
def test_an_hour_finds_what_the_offline_pass_finds_in_bounded_memory(
    corpus: Callable[[str], Path], tmp_path: Path
) -> None:
    figures = tmp_path / "day.json"
    command = [sys.executable, "-m", "edge_ser.benchmarks.day", str(corpus("emodb"))]
    done = subprocess.run(
        [*command, str(corpus("noise")), "--hours", "1", "--json", str(figures)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=GUARD_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(figures.read_text())
    assert result["heard"] == result["offline"] > 100
    measured = result["measured"]
    assert len(measured["memory_mb"]) == 6
    assert measured["peak_mb"] < 120
    assert measured["seconds"] == pytest.approx(measured["stream"]["seconds"])


def notes(values: list[float], every_s: float = 600.0) -> list[tuple[float, float]]:
    return [((i + 1) * every_s, value) for i, value in enumerate(values)]


def test_a_slope_is_that_of_what_comes_after_the_first_hour() -> None:
    leak = [50.0 + 100 * i for i in range(5)] + [500 + i * 2 * 600 / 86_400 for i in range(100)]
    found = slope(notes(leak))
    assert found is not None
    value, low, high = found
    assert value == pytest.approx(2.0)
    assert low <= value <= high


def test_an_interval_holds_the_true_slope_although_neighbours_are_alike() -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        noise, values = 0.0, []
        for _ in range(144):
            noise = 0.7 * noise + rng.normal(0, 0.1)
            values.append(90 + noise)
        found = slope(notes(values))
        assert found is not None
        held += found[1] <= 0 <= found[2]
    assert held >= 180


def test_two_hours_make_a_slope_and_less_does_not() -> None:
    assert slope(notes([80.0] * 16)) is None
    assert slope(notes([80.0] * 18)) == pytest.approx((0, 0, 0), abs=1e-9)


def measured(**changes: Any) -> dict[str, Any]:
    known = {
        "memory_mb": notes([90.0] * 144),
        "peak_mb": 95.0,
        "longest": {"pieces": 8},
        "bounds": {"pieces": 8},
        "flushed": True,
        "dropped_events": 0,
        "faults": {},
    }
    return {**known, **changes}


@pytest.mark.parametrize(
    ("changes", "fails"),
    [
        ({}, None),
        ({"memory_mb": notes([90 + i * 3 * 600 / 86_400 for i in range(144)])}, "slope"),
        ({"memory_mb": notes([90 - i * 3 * 600 / 86_400 for i in range(144)])}, None),
        ({"peak_mb": 120.0}, "memory below"),
        ({"longest": {"pieces": 9}}, "queues"),
        ({"dropped_events": 1}, "dropped"),
        ({"faults": {"slow": 1}}, "dropped"),
        ({"flushed": False}, "dropped"),
    ],
)
def test_what_does_not_hold_is_named(changes: dict[str, Any], fails: str | None) -> None:
    kept = verdicts([{"label": "anger"}], [{"label": "anger"}], measured(**changes))
    assert [name for name, held in kept.items() if not held] == [
        name for name in kept if fails is not None and fails in name
    ]


@pytest.mark.parametrize("found", [[], [{"label": "fear"}], [{"label": "anger"}] * 2])
def test_other_events_than_the_offline_pass_fail(found: list[dict[str, Any]]) -> None:
    kept = verdicts([{"label": "anger"}], found, measured())
    assert [name for name, held in kept.items() if not held] == [
        "events as the offline pass, exactly"
    ]
