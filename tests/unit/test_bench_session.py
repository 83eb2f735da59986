"""A whole benchmark, in small; an interrupt at every part leaves a valid document."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edge_ser import zoo
from edge_ser.bench import session as sessions
from edge_ser.bench.document import checked, document_text
from edge_ser.bench.markdown import lines
from edge_ser.bench.options import BenchOptions
from edge_ser.bench.session import Plan, Session
from edge_ser.bench.workload import synthetic_workload
from edge_ser.errors import AudioError, EdgeSerError

SMALL = BenchOptions(
    runs=4, least_s=0.01, most_s=20.0, warm_up_clips=2, warm_up_s=0.1, cold_starts=1, stream_s=8.0
)
PARTS = ("checking", "warming up", "timing clips", "matrix speed", "listening", "cold starts")


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan(
        zoo.find_model(zoo.BENCHMARK_MODEL),
        synthetic_workload(limit=3),
        device="rpi",
        options=SMALL,
    )


def shown(session: Session) -> dict[str, object]:
    """As whoever reads the file will see it."""
    return checked(json.loads(document_text(session.document)))


def test_every_part_is_there_and_the_document_is_valid(plan: Plan) -> None:
    parts: list[str] = []
    session = Session(plan, lambda phase, done, total: parts.append(phase))
    session.run()
    session.finish()
    assert list(dict.fromkeys(parts)) == list(PARTS)
    document = shown(session)
    assert document["complete"]
    assert document["valid"]
    assert all(len(samples) >= 4 for samples in document["samples_ms"].values())  # type: ignore[attr-defined]
    for part in ("stages", "floor", "streaming", "cold", "memory", "published", "correctness"):
        assert document[part], part
    assert document["streaming"]["hops"] >= 2  # type: ignore[index]
    assert set(document["cold"]) == {"runs", "medians"}  # type: ignore[call-overload]
    assert any("Raspberry Pi" in line for line in lines(document))


@pytest.mark.parametrize("part", PARTS)
def test_an_interrupt_leaves_what_was_measured(plan: Plan, part: str) -> None:
    def interrupt(phase: str, done: int, total: int) -> None:
        if phase == part:
            raise KeyboardInterrupt

    session = Session(plan, interrupt)
    with pytest.raises(KeyboardInterrupt):
        session.run()
    session.finish()
    document = shown(session)
    assert not document["complete"]
    assert document["valid"] == (PARTS.index(part) >= 2)
    assert document["validity"][0] == "interrupted: what was measured until then"  # type: ignore[index]
    assert list(lines(document))


def test_a_part_that_fails_is_missing_and_said_so(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise AudioError("cold: broken, expected whole: mend it")

    monkeypatch.setattr(sessions, "cold", broken)
    session = Session(plan)
    session.run()
    session.finish()
    document = shown(session)
    assert document["complete"]
    assert document["cold"] is None
    assert "a part is missing: cold: broken, expected whole: mend it" in document["validity"]  # type: ignore[operator]


def test_notes_name_files_without_their_folders(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    workload = replace(plan.workload, skipped=(("a.wav", "/home/ann/clips/a.wav: no audio"),))
    monkeypatch.setattr(sessions, "goldens", lambda *_: {"passed": True, "detail": "hold"})
    few = replace(SMALL, runs=10_000, most_s=0.05, cold_starts=0, stream_s=0.0)
    session = Session(replace(plan, workload=workload, options=few))
    session.run()
    session.document["peers"] = [{"error": "ended: /home/ann/x.keras: damaged"}, {"error": None}]
    session.finish()
    notes = session.document["validity"]
    assert "1 clip not used, the first a.wav: a.wav: no audio" in notes
    assert any(note.startswith("timing ended after 0 s with ") for note in notes)
    errors = [peer["error"] for peer in session.document["peers"]]
    assert errors == ["ended: x.keras: damaged", None]


@pytest.mark.parametrize(
    ("threads", "said"), [(None, "does not tell its threads"), (4, "that of 4 BLAS threads")]
)
def test_a_floor_of_more_than_one_core_is_said_to_be(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, threads: int | None, said: str
) -> None:
    monkeypatch.setattr(sessions, "read_machine_conditions", lambda: {"blas_threads": threads})
    session = Session(replace(plan, device=None, options=replace(SMALL, cold_starts=0, stream_s=0)))
    session.run()
    session.finish()
    assert [said in note for note in session.document["validity"]].count(True) == 1


def test_a_model_that_computes_nonsense_is_invalid(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {"passed": False, "detail": "the model fails its check: scores differ"}
    monkeypatch.setattr(sessions, "goldens", lambda *_: wrong)
    session = Session(replace(plan, options=replace(SMALL, cold_starts=0, stream_s=0.0)))
    session.run()
    session.finish()
    document = shown(session)
    assert not document["valid"]
    assert document["validity"][0] == "invalid: the model fails its check: scores differ"  # type: ignore[index]


def test_what_cannot_be_opened_is_said_before_anything_is_measured(tmp_path: Path) -> None:
    model = tmp_path / "broken.tflite"
    model.write_bytes(zoo.find_model(zoo.BENCHMARK_MODEL).read_bytes()[:-10])
    session = Session(Plan(model, synthetic_workload(limit=1), options=SMALL))
    with pytest.raises(EdgeSerError, match="broken"):
        session.run()
