"""`edge-ser classify` from outside: real runtime, real files, real pipes."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from edge_ser.cli import classify, main

RATE = 16_000
Run = Callable[..., Any]
Start = Callable[..., "subprocess.Popen[bytes]"]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """b/two.flac, b/long.wav, one.wav, notes.txt"""
    folder = tmp_path_factory.mktemp("clips")
    (folder / "b").mkdir()
    rng = np.random.default_rng(7)
    time = np.arange(RATE) / RATE
    tone = 0.3 * np.sin(2 * np.pi * 200 * time) * np.hanning(RATE)
    soundfile.write(folder / "one.wav", tone[: RATE // 2], RATE)
    soundfile.write(folder / "b" / "two.flac", tone[: RATE // 3], RATE)
    silence = rng.normal(0, 1e-4, RATE)
    soundfile.write(folder / "b" / "long.wav", np.concatenate([tone, silence] * 4), RATE)
    (folder / "notes.txt").write_text("not audio")
    return folder


def test_a_folder_as_jsonl_is_one_line_a_file_and_quiet(
    clips: Path, model: Path, edge_ser: Run
) -> None:
    ended = edge_ser("classify", str(clips), "--model", str(model), "--format", "jsonl")
    assert ended.returncode == 0
    assert ended.stderr == ""
    records = [json.loads(line) for line in ended.stdout.splitlines()]
    names = ["b/long.wav", "b/two.flac", "one.wav"]
    assert [record["path"] for record in records] == [str(clips / name) for name in names]
    long, *short = records
    assert all(record["segments"] == [] for record in short)
    assert len(long["segments"]) >= 4
    assert all(0 <= s["start_s"] < s["end_s"] <= long["seconds"] for s in long["segments"])


def test_the_table_says_which_model_and_licence(clips: Path, model: Path, edge_ser: Run) -> None:
    ended = edge_ser("classify", str(clips / "one.wav"), str(clips / "b"), "-m", str(model))
    assert ended.returncode == 0
    assert ended.stderr == ""
    first, empty, header, *rows = ended.stdout.splitlines()
    assert first.startswith("model ")
    assert "cpu" in first
    assert first.endswith(str(model))
    assert "(CC0-1.0)" in first
    assert empty == ""
    assert header.split() == ["file", "label", "score", "seconds", "ms", "notes"]
    assert len(rows) == 3
    assert "long: " in next(row for row in rows if "long.wav" in row)


def test_the_chatter_of_the_runtime_is_shown_with_debug_only(
    clips: Path, model: Path, edge_ser: Run
) -> None:
    arguments = ["classify", str(clips / "one.wav"), "-m", str(model)]
    assert edge_ser(*arguments).stderr == ""
    assert "XNNPACK" in edge_ser(*arguments, "--debug").stderr


def test_json_is_an_array(clips: Path, model: Path, capfd: Capture) -> None:
    assert main(["classify", str(clips), "-m", str(model), "--format", "json"]) == 0
    assert len(json.loads(capfd.readouterr().out)) == 3


def test_csv_has_a_column_a_label(clips: Path, model: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    assert (
        main(["classify", str(clips), "-m", str(model), "--format", "csv", "-o", str(target)]) == 0
    )
    rows = list(csv.DictReader(io.StringIO(target.read_text())))
    assert len(rows) == 3
    for row in rows:
        assert None not in row
        scores = {k: float(v) for k, v in row.items() if k.startswith("score_")}
        assert scores[f"score_{row['label']}"] == max(scores.values())
        assert float(row["ms_total"]) > 0
        assert row["error"] == ""


def test_standard_input(clips: Path, model: Path, edge_ser: Run) -> None:
    sound = (clips / "one.wav").read_bytes()
    ended = edge_ser("classify", "-", "-m", str(model), "--format", "jsonl", input=sound)
    piped = json.loads(ended.stdout)
    assert piped["path"] == "-"
    ended = edge_ser("classify", str(clips / "one.wav"), "-m", str(model), "--format", "jsonl")
    assert json.loads(ended.stdout)["scores"] == piped["scores"]


def test_standard_input_that_is_no_audio(model: Path, edge_ser: Run) -> None:
    ended = edge_ser("classify", "-", "-m", str(model), "--format", "jsonl", input=b"text" * 99)
    assert ended.returncode == 5
    assert "not audio" in json.loads(ended.stdout)["error"]


class Stdin:
    """Standard input that gives some blocks, or fails."""

    def __init__(self, *blocks: bytes | OSError) -> None:
        self.blocks = list(blocks)
        self.buffer = self

    def isatty(self) -> bool:
        return False

    def read1(self, _: int) -> bytes:
        block = self.blocks.pop(0) if self.blocks else b""
        if isinstance(block, OSError):
            raise block
        return block


def test_standard_input_that_cannot_be_read_does_not_stop_the_rest(
    clips: Path, model: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin(b"RIFF", OSError(5, "Input/output error")))
    arguments = ["classify", "-", str(clips / "one.wav"), "-m", str(model), "--format", "jsonl"]
    assert main(arguments) == 1
    first, second = map(json.loads, capfd.readouterr().out.splitlines())
    assert first["error"].startswith("standard input: Input/output error")
    assert "label" in second


def test_endless_standard_input_is_refused(
    model: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classify, "MAX_STDIN", 10)
    monkeypatch.setattr(sys, "stdin", Stdin(b"x" * 6, b"x" * 6))
    assert main(["classify", "-", "-m", str(model)]) == 5
    assert "standard input: more than" in capfd.readouterr().out


def test_a_full_temporary_folder_is_6(
    model: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing() -> None:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.TemporaryFile", refusing)
    monkeypatch.setattr(sys, "stdin", Stdin(b"RIFF"))
    assert main(["classify", "-", "-m", str(model)]) == 6
    assert "set TMPDIR" in capfd.readouterr().out


def test_a_closed_standard_input_is_said(
    model: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["classify", "-", "-m", str(model)]) == 2
    assert "standard input is closed" in capfd.readouterr().err


def test_all_kinds_agree(clips: Path, models: Mapping[str, Path], capfd: Capture) -> None:
    scores = []
    for path in models.values():
        assert main(["classify", str(clips), "-m", str(path), "--format", "jsonl"]) == 0
        records = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
        scores.append([list(record["scores"].values()) for record in records])
    assert np.abs(np.subtract(scores[0], scores[1])).max() <= 2e-4  # four digits are printed


def test_a_reader_that_leaves_ends_us_quietly(clips: Path, model: Path, start: Start) -> None:
    process = start("classify", str(clips), "-m", str(model), "--format", "jsonl", stdin=False)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(60) == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_while_it_works(
    number: int, code: int, clips: Path, model: Path, tmp_path: Path, start: Start
) -> None:
    (tmp_path / "empty").mkdir()
    process = start("classify", str(tmp_path / "empty"), "-", "-m", str(model), "--format", "jsonl")
    assert process.stdout is not None
    assert process.stderr is not None
    assert b"no audio" in process.stdout.readline()  # now it waits for standard input
    process.send_signal(number)
    assert process.wait(60) == code
    assert process.stderr.read() == b""


def test_an_interrupted_output_file_never_appears(
    model: Path, tmp_path: Path, start: Start
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "out").mkdir()
    target = tmp_path / "out" / "results.jsonl"
    process = start(
        "classify", str(tmp_path / "empty"), "-", "-m", str(model), "--format", "jsonl",
        "-o", str(target),
    )  # fmt: skip
    while not list(target.parent.iterdir()):
        assert process.poll() is None
    process.terminate()
    assert process.wait(60) == 143
    assert list(target.parent.iterdir()) == []


def test_a_full_disk_is_6(clips: Path, model: Path, capfd: Capture) -> None:
    assert main(["classify", str(clips), "-m", str(model), "-o", "/dev/full"]) == 6
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.startswith("edge-ser: /dev/full: No space left on device")
    assert said.err.count("\n") == 1


def test_a_full_disk_behind_standard_output_is_6(clips: Path, model: Path, start: Start) -> None:
    with open("/dev/full", "wb") as full:
        process = start("classify", str(clips), "-m", str(model), stdout=full)
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait(60) == 6
    assert said.startswith(b"edge-ser: standard output: No space left on device")
    assert said.count(b"\n") == 1


def test_a_bar_is_shown_where_a_person_watches(
    clips: Path, model: Path, tmp_path: Path, start: Start
) -> None:
    ours, theirs = pty.openpty()
    process = start(
        "classify", str(clips), str(tmp_path / "gone.wav"), "-m", str(model),
        "-o", str(tmp_path / "out.txt"), stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:  # what Linux says when the other side is closed
        pass
    os.close(ours)
    assert process.wait(60) == 1
    assert b"4/4" in shown
    assert b"1 of 4 files failed: " in shown
    assert process.stdout is not None
    assert process.stdout.read() == b""


def test_threads_of_the_libraries_below_are_set_where_the_user_did_not(
    clips: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    arguments = ["classify", str(clips / "one.wav"), "-m", str(model), "-o", os.devnull]
    assert main([*arguments, "--threads", "2"]) == 0
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert os.environ["OPENBLAS_NUM_THREADS"] == "2"


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_verify_and_inspect_of_a_whole_model(
    kind: str, models: Mapping[str, Path], edge_ser: Run
) -> None:
    ended = edge_ser("verify", str(models[kind]), "--format", "jsonl")
    assert ended.returncode == 0
    assert ended.stderr == ""
    stages = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [stage["status"] for stage in stages] == ["ok"] * 6
    ended = edge_ser("inspect", str(models[kind]))
    assert ended.returncode == 0
    assert "calm, glad, cross" in ended.stdout


# ru_maxrss would not do: across exec it keeps the peak of the process that started this one.
MEASURED = """
import re, sys
from edge_ser.cli import main
status = main(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    file.write(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
sys.exit(status)
"""


@pytest.mark.needs("emodb")
def test_a_corpus_by_the_default_model(corpus: Callable[[str], Path], tmp_path: Path) -> None:
    """535 lines, nothing on standard error, a peak under 150 MB."""
    peak = tmp_path / "peak"
    arguments = ["classify", str(corpus("emodb")), "--format", "jsonl"]
    ended = subprocess.run(
        [sys.executable, "-c", MEASURED, str(peak), *arguments],
        capture_output=True,
        check=True,
    )
    assert ended.stderr == b""
    assert len(ended.stdout.splitlines()) == 535
    assert int(peak.read_text()) * 1024 < 150e6
