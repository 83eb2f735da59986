"""Peers in turn: which can be run, how they take turns, and what the document says of them."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge_ser import zoo
from edge_ser.bench import ways
from edge_ser.bench.options import BenchOptions
from edge_ser.bench.peers import Peer, available_peers, run_peers
from edge_ser.bench.ways import OURS, WAYS
from edge_ser.bench.workers import Limits
from edge_ser.card import read_model, write_model
from edge_ser.errors import ModelNotFoundError, UsageError
from edge_ser.frontend import PRESETS

PATIENT = Limits(start_s=60.0, clip_s=60.0)
OPTIONS = BenchOptions(runs=6, warm_up_clips=2, least_s=1.0, most_s=600.0)
CLIPS = SimpleNamespace(
    items=tuple(SimpleNamespace(name=n, source=Path(f"/{n}.wav"), label=None) for n in "abc")
)

FAKE = """
import json, os, sys
name, factor, last, label, log = sys.argv[1:]
print(json.dumps({"ready": True, "untrained": name == "random"}), flush=True)
for at, line in enumerate(sys.stdin):
    if at == int(last):
        sys.exit(f"{name} gives up")
    with open(log, "a") as file:
        print(name, os.path.basename(json.loads(line)), os.getpid(), file=file)
    total = float(factor) * (10 + at)
    print(json.dumps({"ms": {"model": total / 2, "total": total}, "label": label}), flush=True)
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where fakes note whom they were asked about."""
    return tmp_path / "log"


def fake(
    log: Path, name: str, factor: float = 1.0, last: int = 1_000_000, label: str = "joy"
) -> Peer:
    """A peer that takes `factor` times 10 ms, 11 ms, ... and ends when asked for clip `last`."""
    arguments = (name, str(factor), str(last), label, str(log))
    return Peer(name, f"fake {name}", (sys.executable, "-c", FAKE, *arguments))


def run(*peers: Peer, options: BenchOptions = OPTIONS, **more: Any) -> list[dict[str, Any]]:
    into: list[dict[str, Any]] = []
    run_peers(peers, more.pop("clips", CLIPS), options, into, limits=PATIENT, **more)
    return into


def test_ratios_are_of_the_same_clips(log: Path) -> None:
    ours, slow, other = run(
        fake(log, "ours"), fake(log, "slow", 3.0), fake(log, "other", 0.5, label="anger")
    )
    # Two clips warm up; what is timed begins with the third.
    assert ours["samples_ms"] == {
        "model": [6.0, 6.5, 7.0, 7.5, 8.0, 8.5],
        "total": [12.0, 13.0, 14.0, 15.0, 16.0, 17.0],
    }
    assert ours["ratio"] is None
    assert (ours["p50_ms"], slow["p50_ms"]) == (14.5, 43.5)
    assert slow["ratio"] == pytest.approx({"value": 3.0, "low": 3.0, "high": 3.0})
    assert other["ratio"]["value"] == pytest.approx(0.5)
    assert (slow["labels"], slow["labels_agree"]) == (6, 6)
    assert (other["labels"], other["labels_agree"]) == (6, 0)
    assert [entry["error"] for entry in (ours, slow, other)] == [None, None, None]
    assert slow["what"] == "fake slow"


def test_all_are_asked_about_a_clip_before_the_next_in_an_order_that_changes(log: Path) -> None:
    run(fake(log, "ours"), fake(log, "b"), fake(log, "c"))
    asked = [line.split()[:2] for line in log.read_text().splitlines()]
    turns = [asked[at : at + 3] for at in range(0, len(asked), 3)]
    assert len(turns) == 8
    assert all(len({clip for _, clip in turn}) == 1 for turn in turns)
    assert all({name for name, _ in turn} == {"ours", "b", "c"} for turn in turns)
    assert len({tuple(name for name, _ in turn) for turn in turns}) > 1
    # Each round brings every clip.
    assert {turn[0][1] for turn in turns[:3]} == {"a.wav", "b.wav", "c.wav"}


def test_the_seed_decides_the_order(log: Path) -> None:
    orders = []
    for seed in (1, 1, 2):
        log.unlink(missing_ok=True)
        run(fake(log, "ours"), fake(log, "b"), options=replace(OPTIONS, seed=seed))
        orders.append([line.split()[:2] for line in log.read_text().splitlines()])
    assert orders[0] == orders[1] != orders[2]


def test_one_that_dies_does_not_stop_the_others(log: Path) -> None:
    ours, frail, sound = run(fake(log, "ours"), fake(log, "frail", 2.0, last=5), fake(log, "sound"))
    assert frail["error"] == "ended with status 1: frail gives up"
    assert len(frail["samples_ms"]["total"]) == 3
    assert frail["ratio"]["value"] == pytest.approx(2.0)
    assert frail["labels"] == 3
    assert len(sound["samples_ms"]["total"]) == len(ours["samples_ms"]["total"]) == 6


def test_without_ours_there_is_no_ratio(log: Path) -> None:
    ours, other = run(fake(log, "ours", last=0), fake(log, "other"))
    assert ours["error"] == "ended with status 1: ours gives up"
    assert (ours["p50_ms"], ours["samples_ms"]) == (None, {})
    assert (other["ratio"], other["labels"]) == (None, 0)
    assert other["p50_ms"] == 14.5


def test_one_that_is_missing_or_cannot_be_started_is_named(log: Path) -> None:
    lacking = Peer("lacking", "what it is", missing="not installed: x; pip install x")
    broken = Peer("broken", "what it is", ("/no/such/program",))
    ours, *others = run(fake(log, "ours"), lacking, broken)
    assert [entry["error"] for entry in others] == [
        "not installed: x; pip install x",
        "cannot be started: No such file or directory",
    ]
    assert all(entry["p50_ms"] is None and entry["ratio"] is None for entry in others)
    assert len(ours["samples_ms"]["total"]) == 6


def test_it_ends_when_all_have_ended(log: Path) -> None:
    told: list[tuple[int, int]] = []
    run(fake(log, "ours", last=1), progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 8), (1, 8), (2, 8)]


def test_untrained_weights_are_named_and_their_labels_do_not_count(log: Path) -> None:
    _, random = run(fake(log, "ours"), fake(log, "random"))
    assert random["what"] == "fake random (untrained weights)"
    assert (random["labels"], random["labels_agree"]) == (0, 0)
    assert random["ratio"]["value"] == pytest.approx(1.0)


def test_time_ends_it_with_one_clip_at_least(log: Path) -> None:
    hurried = replace(OPTIONS, least_s=1e-9, most_s=1e-9)
    ours, _ = run(fake(log, "ours"), fake(log, "b"), options=hurried)
    assert len(ours["samples_ms"]["total"]) == 1


def test_an_interrupt_keeps_what_is_there_and_ends_all(log: Path) -> None:
    into: list[dict[str, Any]] = []

    def told(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_peers((fake(log, "ours"), fake(log, "b", 2.0)), CLIPS, OPTIONS, into, told, PATIENT)
    assert [len(entry["samples_ms"]["total"]) for entry in into] == [3, 3]
    assert into[1]["ratio"]["value"] == pytest.approx(2.0)
    for pid in {int(line.split()[2]) for line in log.read_text().splitlines()}:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_clips_in_memory_become_files(log: Path) -> None:
    checking = FAKE.replace('with open(log, "a") as file:', "if open(json.loads(line)).read():")
    checking = checking.replace("print(name, os", "print(open(json.loads(line)).read(), os")
    checking = checking.replace("file=file", "file=open(log, 'a')")
    peer = Peer("ours", "", (sys.executable, "-c", checking, "ours", "1", "9", "joy", str(log)))
    clip = SimpleNamespace(name="memory", source=b"bytes-of-it", label=None)
    run(peer, clips=SimpleNamespace(items=(clip,)), options=replace(OPTIONS, runs=1))
    assert {line.split()[0] for line in log.read_text().splitlines()} == {"bytes-of-it"}


def setup_of(peer: Peer) -> dict[str, Any]:
    """What its program is told."""
    told: dict[str, Any] = json.loads(peer.command[-1])
    return told


@pytest.fixture
def everything_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "find_spec", lambda package: object())


@pytest.mark.usefixtures("everything_is_installed")
def test_ours_is_first_and_the_table_follows() -> None:
    found = available_peers(zoo.find_model(zoo.BENCHMARK_MODEL), provider="cuda")
    assert [peer.name for peer in found] == [OURS.name, *(way.name for way in WAYS)]
    assert [peer.missing for peer in found] == [None] * len(found)
    setups = {peer.name: setup_of(peer) for peer in found}
    assert setups["edge-ser"]["provider"] == "cuda"
    assert {setup["provider"] for name, setup in setups.items() if name != "edge-ser"} == {"cpu"}
    assert {name for name, setup in setups.items() if setup["resampler"] != "soxr_hq"} == {"papers"}
    assert setups["papers"]["resampler"] == "kaiser_best"
    assert setups["librosa-onnx"]["model"].endswith("plb-emodb.onnx")
    assert setups["librosa-litert"]["model"].endswith("plb-emodb.tflite")


@pytest.mark.usefixtures("everything_is_installed")
def test_names_choose_and_repeat_nothing() -> None:
    found = available_peers(
        zoo.find_model(zoo.BENCHMARK_MODEL), ["papers", "keras-eager", "papers"]
    )
    assert [peer.name for peer in found] == ["edge-ser", "papers", "keras-eager"]
    assert [peer.name for peer in available_peers(zoo.find_model(zoo.BENCHMARK_MODEL), [])] == [
        "edge-ser"
    ]


def test_an_unknown_name_is_refused_with_those_known() -> None:
    with pytest.raises(UsageError, match=r"no peer 'keras', expected .*keras-eager, .*librosa"):
        available_peers(zoo.find_model(zoo.BENCHMARK_MODEL), ["keras"])


def test_what_is_not_installed_is_named_with_the_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"librosa", "onnxruntime"}
    monkeypatch.setattr(ways, "find_spec", lambda package: package if package in there else None)
    missing = {
        peer.name: peer.missing for peer in available_peers(zoo.find_model(zoo.BENCHMARK_MODEL))
    }
    assert missing["edge-ser"] is missing["librosa-onnx"] is None
    assert missing["papers"] == (
        "not installed: keras, tensorflow, resampy; pip install keras tensorflow resampy"
    )


@pytest.mark.usefixtures("everything_is_installed")
def test_the_keras_file_is_given_or_beside(tmp_path: Path) -> None:
    model = tmp_path / "mine.tflite"
    model.write_bytes(zoo.find_model(zoo.BENCHMARK_MODEL).read_bytes())

    def weights(given: Path | None = None) -> str | None:
        peer = available_peers(model, ["keras-eager"], given)[1]
        found: str | None = setup_of(peer)["keras"]
        return found

    assert weights() is None
    in_folds = tmp_path / "folds" / "plb-emodb" / "whole.keras"
    in_folds.parent.mkdir(parents=True)
    in_folds.touch()
    assert weights() == str(in_folds)
    beside = tmp_path / "mine.keras"
    beside.touch()
    assert weights() == str(beside)
    given = tmp_path / "given.keras"
    with pytest.raises(ModelNotFoundError, match="no such file"):
        weights(given)
    given.touch()
    assert weights(given) == str(given)


@pytest.mark.usefixtures("everything_is_installed")
def test_the_other_form_must_be_of_the_same_network(tmp_path: Path) -> None:
    model = tmp_path / "mine.tflite"
    model.write_bytes(zoo.find_model(zoo.BENCHMARK_MODEL).read_bytes())
    onnx = zoo.find_model(zoo.BENCHMARK_MODEL, "cuda")

    def missing() -> str | None:
        return available_peers(model, ["librosa-onnx"])[1].missing

    alone = "no .onnx of the same network beside mine.tflite: export one as mine.onnx"
    assert missing() == alone
    (tmp_path / "mine.onnx").write_bytes(onnx.read_bytes())
    assert missing() is None
    file = read_model(onnx)
    write_model(tmp_path / "mine.onnx", file.payload, replace(file.card, name="another"))
    assert missing() == alone


@pytest.mark.usefixtures("everything_is_installed")
def test_features_that_librosa_does_not_compute_leave_ours_alone(tmp_path: Path) -> None:
    file = read_model(zoo.find_model(zoo.BENCHMARK_MODEL))
    spec = PRESETS["python_speech_features"]
    card = replace(
        file.card, frontend=(spec,), input=replace(file.card.input, rate=spec.rate), goldens=None
    )
    write_model(tmp_path / "other.tflite", file.payload, card)
    ours, *others = available_peers(tmp_path / "other.tflite")
    assert ours.missing is None
    assert {peer.missing for peer in others} == {
        "librosa alone does not compute the features of this model: leave this peer out"
    }
