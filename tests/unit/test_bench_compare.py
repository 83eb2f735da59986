"""Comparisons of recorded runs: a planted slowdown is called, and noise is not.

goldens/bench/ holds stages of real runs of one build, seconds to minutes apart, on a machine with
more work than processors (each says so in `about`). `steady` ones had the processor most of the
time; `restless` is one of the same row whose disturbances come and go within the run; `crowded`
ones had to wait for the processor.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from functools import cache
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ser.bench.compare import (
    LEAST_EFFECT,
    LEAST_EFFECT_BUSY,
    NOTHING_SHOWN,
    Comparison,
    compare,
    comparison_lines,
)
from edge_ser.bench.document import read_document
from edge_ser.bench.schema import STAGES
from edge_ser.errors import DataError

GOLDENS = Path(__file__).resolve().parents[1] / "goldens" / "bench"
RECORDED = {path.stem: json.loads(path.read_text()) for path in sorted(GOLDENS.glob("*.json"))}
STEADY = [name for name in RECORDED if name.startswith("steady")]
CROWDED = [name for name in RECORDED if name.startswith("crowded")]
OPPOSITE = {"slower": "faster", "faster": "slower", NOTHING_SHOWN: NOTHING_SHOWN}

Document = dict[str, Any]


def planted(document: Document, factor: float, stages: Sequence[str] = STAGES) -> Document:
    """The same run of a program whose `stages` take `factor` times as long."""
    made = copy.deepcopy(document)
    samples = {stage: np.array(made["samples_ms"][stage]) for stage in STAGES}
    for stage in STAGES[:-1]:
        if stage in stages:
            samples["total"] += (factor - 1) * samples[stage]
            samples[stage] *= factor
    made["samples_ms"] = {stage: values.tolist() for stage, values in samples.items()}
    return made


def part(document: Document, chosen: Any) -> Document:
    """The run as if only the chosen clips had been timed."""
    samples = {stage: np.array(document["samples_ms"][stage])[chosen].tolist() for stage in STAGES}
    return document | {"samples_ms": samples}


@cache
def side_by_side(before: str, after: str) -> Comparison:
    """Two recordings as they are."""
    return compare(RECORDED[before], RECORDED[after])


def verdicts(comparison: Comparison) -> dict[str, str]:
    return {stage.stage: stage.verdict for stage in comparison.stages}


def quiet(n: int = 300, seed: int = 0, level: float = 1.0, spread: float = 0.02) -> Document:
    """A run on a machine with nothing else to do."""
    rng = np.random.default_rng(seed)
    parts = {
        stage: ms * level * np.exp(spread * rng.standard_normal(n))
        for stage, ms in zip(STAGES, (1.0, 1.2, 3.5, 5.8, 0.2), strict=False)
    }
    parts["total"] = np.sum(list(parts.values()), axis=0)
    document = copy.deepcopy(RECORDED["steady-1"])
    document["conditions"]["before"]["load"] = 0.3
    document["samples_ms"] = {stage: values.tolist() for stage, values in parts.items()}
    return document


def set_at(document: Document, path: str, value: object) -> Document:
    """The document with one value changed."""
    made = copy.deepcopy(document)
    *folders, name = path.split("/")
    inner = made
    for folder in folders:
        inner = inner.setdefault(folder, {})
    inner[name] = value
    return made


def test_the_recordings_are_there_and_small() -> None:
    assert (len(STEADY), len(CROWDED)) == (5, 2)
    for path in GOLDENS.glob("*.json"):
        assert path.stat().st_size < 60_000
        assert read_document(path)["samples_ms"] == RECORDED[path.stem]["samples_ms"]


@pytest.mark.parametrize("name", STEADY)
def test_a_planted_slowdown_of_10_percent_is_called(name: str) -> None:
    before = RECORDED[name]
    found = compare(before, planted(before, 1.10))
    assert found.verdict == "slower"
    assert found.total.p50.ratio.value == pytest.approx(1.1, rel=1e-3)
    assert found.total.p10.ratio.low > 1.03
    assert verdicts(found)["frontend"] == verdicts(found)["model"] == "slower"
    assert "faster" not in verdicts(found).values()


@pytest.mark.parametrize("name", [*STEADY, "restless"])
def test_a_slowdown_of_one_stage_is_called_there_alone(name: str) -> None:
    before = RECORDED[name]
    found = verdicts(compare(before, planted(before, 1.10, ["model"])))
    assert found.pop("model") == "slower"
    found.pop("total")
    assert set(found.values()) == {NOTHING_SHOWN}


def test_a_slowdown_between_two_runs_is_called_in_nine_of_ten() -> None:
    pairs = list(permutations(STEADY, 2))
    called = [compare(RECORDED[a], planted(RECORDED[b], 1.10)).verdict for a, b in pairs]
    assert called.count("slower") >= 0.9 * len(pairs)
    assert "faster" not in called


@pytest.mark.parametrize("names", list(combinations([*STEADY, "restless"], 2)), ids="-".join)
def test_another_run_of_the_same_build_is_not_called(names: tuple[str, str]) -> None:
    found = side_by_side(*names)
    assert found.comparable
    assert found.verdict == NOTHING_SHOWN


def test_stages_of_the_same_build_are_seldom_called() -> None:
    pairs = combinations([*STEADY, "restless"], 2)
    found = [verdicts(side_by_side(*names)) for names in pairs]
    called = sum(verdict != NOTHING_SHOWN for stages in found for verdict in stages.values())
    assert called <= 0.05 * len(found) * len(STAGES)


@pytest.mark.parametrize("name", [*STEADY, "restless"])
def test_parts_of_one_run_are_seldom_called(name: str) -> None:
    document = RECORDED[name]
    n = len(document["samples_ms"]["total"])
    rng = np.random.default_rng(1)
    half = np.arange(n) < n // 2
    splits = [half, np.arange(n) % 2 == 0, np.arange(n) // 48 % 2 == 0]
    splits += [rng.permutation(half) for _ in range(5)]
    found = [compare(part(document, chosen), part(document, ~chosen)) for chosen in splits]
    called = [v for comparison in found for v in verdicts(comparison).values() if v in OPPOSITE]
    assert [comparison.verdict for comparison in found] == [NOTHING_SHOWN] * len(splits)
    assert len(called) - called.count(NOTHING_SHOWN) <= 0.05 * len(called)


def test_a_restless_run_says_what_it_can_show_and_shows_that() -> None:
    before = RECORDED["restless"]
    missed = compare(before, planted(before, 1.10))
    least = missed.total.p10.least
    assert missed.verdict == NOTHING_SHOWN
    assert least is not None
    assert 1.10 < least < 1.15
    assert any(f"from {least:.2f}x on" in line for line in comparison_lines(missed))
    assert compare(before, planted(before, 1.01 * least)).verdict == "slower"
    assert compare(before, planted(before, 1 / (1.01 * least))).verdict == "faster"


@pytest.mark.parametrize("name", CROWDED)
def test_runs_that_waited_for_the_processor_get_no_verdict(name: str) -> None:
    for other in ("steady-1", *CROWDED):
        found = compare(RECORDED[other], planted(RECORDED[name], 1.10))
        assert set(verdicts(found).values()) == {NOTHING_SHOWN}
        assert found.total.p50.least is None
        assert any("after had the processor for" in note for note in found.notes)
        assert "No verdict can be given." in comparison_lines(found)


@pytest.mark.parametrize("names", [("steady-1", "steady-2"), ("steady-3", "restless")])
@pytest.mark.parametrize("factor", [1.0, 1.10, 0.8])
def test_an_exchange_gives_the_opposite_verdict(names: tuple[str, str], factor: float) -> None:
    a, b = RECORDED[names[0]], planted(RECORDED[names[1]], factor)
    for there, back in zip(compare(a, b).stages, compare(b, a).stages, strict=True):
        assert there.p90
        assert back.p90
        assert back.verdict == OPPOSITE[there.verdict]
        for one, other in ((there.p50, back.p50), (there.p10, back.p10), (there.p90, back.p90)):
            assert other.ratio.value == pytest.approx(1 / one.ratio.value)
            assert other.ratio.low == pytest.approx(1 / one.ratio.high)
            assert other.verdict == OPPOSITE[one.verdict]
            assert other.least == pytest.approx(one.least)


def test_a_quiet_machine_shows_small_effects_and_trifles_are_not_called() -> None:
    before = quiet()
    assert compare(before, quiet(seed=1, level=1.04)).verdict == "slower"
    trifle = compare(before, quiet(seed=1, level=1.02))
    assert trifle.total.p50.ratio.low > 1
    assert trifle.total.p50.least == LEAST_EFFECT
    assert trifle.verdict == NOTHING_SHOWN


def test_other_work_raises_what_is_called() -> None:
    after = quiet(seed=1, level=1.04)
    busy = set_at(after, "conditions/before/load", 1.1)
    found = compare(quiet(), busy)
    assert found.verdict == NOTHING_SHOWN
    assert found.total.p50.least == LEAST_EFFECT_BUSY
    assert "the machine had other work: ratios under 1.06x are not called" in found.notes
    assert "after began with a load average of 1.1 on 2 cores" in found.notes


def test_microseconds_are_not_called() -> None:
    before = quiet(spread=0.002)
    after = planted(before, 1.04, ["post"])
    assert compare(before, after).stages[STAGES.index("post")].p50.ratio.low > 1.03
    assert verdicts(compare(before, after))["post"] == NOTHING_SHOWN
    assert verdicts(compare(before, planted(before, 1.2, ["post"])))["post"] == "slower"


def test_a_thicker_tail_alone_is_called_for_p90_and_said() -> None:
    before = quiet()
    after = copy.deepcopy(before)
    for stage in ("model", "total"):
        after["samples_ms"][stage][::6] = [2 * v for v in after["samples_ms"][stage][::6]]
    found = compare(before, after)
    assert found.verdict == NOTHING_SHOWN
    assert found.total.p90
    assert found.total.p90.verdict == "slower"
    assert any(line.startswith("- p90 of total is slower: ") for line in comparison_lines(found))


def test_witnesses_that_disagree_give_no_verdict() -> None:
    before = quiet()
    after = copy.deepcopy(before)
    # The quicker half quicker, the slower half slower: another program, but neither of the two.
    total = np.array(after["samples_ms"]["total"])
    after["samples_ms"]["total"] = np.where(total < np.percentile(total, 25), 0.9, 1.1) * total
    after["samples_ms"]["total"] = after["samples_ms"]["total"].tolist()
    found = compare(before, after).total
    assert (found.p10.verdict, found.p50.verdict) == ("faster", "slower")
    assert found.verdict == NOTHING_SHOWN


def test_few_samples_give_no_verdict() -> None:
    found = compare(quiet(63), quiet(300, level=2.0))
    assert found.verdict == NOTHING_SHOWN
    assert found.total.p90 is None
    assert "before has 63 samples: 64 are needed for a verdict" in found.notes
    assert compare(quiet(64), quiet(64, seed=1, level=1.2)).verdict == "slower"


@pytest.mark.parametrize("samples", [None, {}, {"total": [1.0]}, {stage: [] for stage in STAGES}])
def test_a_document_without_samples_is_a_data_error(samples: object) -> None:
    with pytest.raises(DataError, match="document after holds no samples"):
        compare(quiet(), quiet() | {"samples_ms": samples})


@pytest.mark.parametrize(
    ("path", "value", "note"),
    [
        ("model/name", "other", "model: plb-emodb before, other after"),
        ("model/provider", "cuda", "provider: cpu before, cuda after"),
        ("workload/sha256", "ab" * 32, "clips: {old} before, abababababab after"),
        ("model/clip_s", 3.0, "model's clip length in seconds: unknown before, 3.0 after"),
        ("valid", False, "after is no valid result: it says so itself"),
    ],
)
def test_what_makes_a_ratio_meaningless_is_said_first(path: str, value: object, note: str) -> None:
    before = quiet()
    found = compare(before, set_at(quiet(seed=1, level=1.5), path, value))
    assert found.notes[0] == note.format(old=before["workload"]["sha256"][:12])
    assert not found.comparable
    assert found.verdict == "slower"
    assert any("Not like with like. After is slower" in line for line in comparison_lines(found))


@pytest.mark.parametrize(
    ("path", "value", "note"),
    [
        ("model/sha256", "cd" * 32, "model file: {old} before, cdcdcdcdcdcd after"),
        ("model/runtime_version", "9.9", "runtime's version: 2.3.0 before, 9.9 after"),
        ("model/threads", 2, "threads: 1 before, 2 after"),
        ("conditions/machine/cores", 4, "number of cores: 2 before, 4 after"),
        ("conditions/machine/packages", {"numpy": "1.0"}, "numpy: unknown before, 1.0 after"),
        ("conditions/before/governor", "powersave", "governor: unknown before, powersave after"),
        ("conditions/after/throttled", ["throttled"], "after was limited by the board: throttled"),
        ("complete", False, "after was interrupted"),
        (
            "model/runtime",
            "bad\x1b[31m\nname",
            "runtime: ai-edge-litert before, bad [31m name after",
        ),
    ],
)
def test_conditions_that_differ_are_said(path: str, value: object, note: str) -> None:
    before = quiet()
    found = compare(before, set_at(quiet(seed=1), path, value))
    assert found.notes == (note.format(old=before["model"]["sha256"][:12]),)
    assert found.comparable


def test_clock_rates_may_differ_a_little() -> None:
    before = set_at(quiet(), "conditions/before/mhz", 1800.0)
    for mhz, said in ((1790.0, ()), (600.0, ("clock rate: 1,800 MHz before, 600 MHz after",))):
        assert compare(before, set_at(before, "conditions/before/mhz", mhz)).notes == said


def test_waiting_is_known_of_one_thread_on_the_processor_alone() -> None:
    waiting = quiet() | {"cpu_ms_per_clip": 1.0}
    assert compare(waiting, quiet()).total.p50.least is None
    for path, value in (
        ("model/threads", 4),
        ("model/provider", "cuda"),
        ("cpu_ms_per_clip", None),
    ):
        changed = set_at(waiting, path, value)
        assert compare(changed, quiet()).total.p50.least == LEAST_EFFECT


def test_the_dictionary_is_json_with_a_row_a_stage() -> None:
    found = compare(RECORDED["steady-1"], RECORDED["crowded-1"]).to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert [row["stage"] for row in found["stages"]] == list(STAGES)
    assert set(found) == {"verdict", "comparable", "stages", "notes"}


def test_the_table_has_a_row_a_stage_in_a_narrow_window() -> None:
    lines = list(comparison_lines(compare(quiet(), quiet(seed=1, level=1.1))))
    assert [line.split()[0] for line in lines[:7]] == ["stage,", *STAGES]
    assert max(map(len, lines[:7])) <= 80
    assert lines[8].startswith("After is slower than before: its median took 1.10x (")
