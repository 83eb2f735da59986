"""`edge-ser bench`: what is asked for, what is refused, what an interrupt leaves."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from edge_ser import zoo
from edge_ser.bench import session as sessions
from edge_ser.bench.document import read_document
from edge_ser.bench.session import Session
from edge_ser.cli import main
from edge_ser.errors import ExitCode

Capture = pytest.CaptureFixture[str]
SMALL = ("--runs", "3", "--seconds", "0.1", "--cold-starts", "0", "--clips", "2")
DOCUMENT = Path(__file__).resolve().parents[1] / "goldens" / "bench_document.json"


@pytest.fixture(autouse=True)
def short_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "continuous", lambda _workload, _seconds: _NOTHING)
    monkeypatch.setattr(sessions, "stream_cost", lambda *_: None)


_NOTHING: list[float] = []


def test_run_is_what_bench_does_and_a_pi_is_not_here(capsys: Capture) -> None:
    assert main(["bench", "--device", "rpi", *SMALL]) == ExitCode.OK
    out, err = capsys.readouterr()
    assert out.startswith("This host is not a Raspberry Pi")
    assert "total" in out
    assert err == ""


def test_the_document_the_page_and_the_rows(tmp_path: Path, capsys: Capture) -> None:
    file, page = tmp_path / "speed.json", tmp_path / "speed.html"
    given = ["bench", "run", *SMALL, "--format", "json", "-o", str(file), "--report", str(page)]
    assert main(given) == ExitCode.OK
    document = read_document(file)
    assert document["complete"]
    assert document["workload"]["clips"] == 2
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert main(["bench", *SMALL, "--format", "csv"]) == ExitCode.OK
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["stage"] for row in rows][-1] == "total"
    assert float(rows[-1]["p50"]) > 0
    assert main(["bench", *SMALL, "--format", "jsonl"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["schema"] == document["schema"]


def test_a_report_may_be_markdown(tmp_path: Path) -> None:
    page = tmp_path / "speed.md"
    assert main(["bench", *SMALL, "--report", str(page)]) == ExitCode.OK
    assert "| stage | n | mean |" in page.read_text(encoding="utf-8")


def test_debug_before_a_command_is_no_option_of_run(capsys: Capture) -> None:
    assert main(["bench", "--debug", "compare", str(DOCUMENT), str(DOCUMENT)]) == ExitCode.OK
    assert "No difference shown" in capsys.readouterr().out


def test_a_gpu_that_is_not_used_is_told_how(capsys: Capture) -> None:
    assert main(["bench", "--device", "rtx3080ti", *SMALL]) == ExitCode.OK
    said = " ".join(capsys.readouterr().out.split())  # lines are broken at the terminal's width
    assert "edge-ser bench --device rtx3080ti --provider cuda" in said


def test_an_interrupt_leaves_a_valid_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Session) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Session, "_start_cold", interrupted)
    file = tmp_path / "partial.json"
    given = ["bench", *SMALL, "--format", "json", "-o", str(file)]
    assert main(given) == ExitCode.INTERRUPTED
    document = read_document(file)
    assert not document["complete"]
    assert document["stages"]["total"]["n"] >= 3


def test_a_model_whose_goldens_fail_is_no_success(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {"passed": False, "detail": "the model fails its check: scores differ by 0.2"}
    monkeypatch.setattr(sessions, "goldens", lambda *_: wrong)
    assert main(["bench", *SMALL]) == ExitCode.MODEL
    out, err = capsys.readouterr()
    assert "invalid" in out
    assert "scores differ by 0.2" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (["--device", "rpy"], ExitCode.USAGE, "rpi, "),
        (["--dataset", "nowhere"], ExitCode.DATA, "nowhere"),
        (["--model", "nothing"], ExitCode.MODEL, "nothing"),
        (["--provider", "abacus"], ExitCode.PROVIDER, "abacus"),
        (["--peers", "telepathy"], ExitCode.USAGE, "keras-eager"),
        (["--keras", "x.keras"], ExitCode.USAGE, "--peers"),
        (["--seconds", "-1"], ExitCode.USAGE, "at least"),
        (["--meter", "none.csv"], ExitCode.USAGE, "none.csv"),
        (["--mlperf"], ExitCode.USAGE, "leave them out"),
        (["-o", "none/speed.json"], ExitCode.STORAGE, "none/speed.json: no such folder"),
        (["--report", "none/speed.html"], ExitCode.STORAGE, "no such folder"),
        (["-o", "speed", "--report", "./speed"], ExitCode.USAGE, "two files"),
    ],
)
def test_what_cannot_be_is_one_line_before_anything_is_measured(
    given: list[str], code: ExitCode, said: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "_time", None)
    assert main(["bench", *SMALL, *given]) == code
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) == 1


def test_a_folder_without_audio(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "notes.txt").write_text("no audio")
    assert main(["bench", *SMALL, "--dataset", str(tmp_path)]) in (ExitCode.AUDIO, ExitCode.DATA)
    assert str(tmp_path) in capsys.readouterr().err


def test_the_result_never_replaces_what_is_read(tmp_path: Path, capsys: Capture) -> None:
    model = tmp_path / "mine.tflite"
    model.write_bytes(zoo.find_model(zoo.BENCHMARK_MODEL).read_bytes())
    assert main(["bench", *SMALL, "--model", str(model), "-o", str(model)]) == ExitCode.USAGE
    assert "inputs" in capsys.readouterr().err
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "a.wav", [0.1] * 8000, 8_000)
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("path,label\na.wav,x\n")
    for dataset in (tmp_path, manifest):
        for place in ("-o", "--report"):
            given = ["--dataset", str(dataset), place, str(manifest)]
            assert main(["bench", *SMALL, *given]) == ExitCode.USAGE
            assert "inputs" in capsys.readouterr().err


def test_compare_two_documents(tmp_path: Path, capsys: Capture) -> None:
    slower = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    for stage, samples in slower["samples_ms"].items():
        slower["samples_ms"][stage] = [1.5 * value for value in samples]
    file = tmp_path / "slower.json"
    file.write_text(json.dumps(slower), encoding="utf-8")
    assert main(["bench", "compare", str(DOCUMENT), str(file)]) == ExitCode.OK
    assert "slower" in capsys.readouterr().out
    given = ["bench", "compare", str(DOCUMENT), str(file), "--fail-if-slower", "--format", "json"]
    assert main(given) == ExitCode.SOME_FAILED
    assert json.loads(capsys.readouterr().out)["verdict"] == "slower"


def test_compare_wants_documents(tmp_path: Path, capsys: Capture) -> None:
    other = tmp_path / "other.json"
    other.write_text("{}")
    assert main(["bench", "compare", str(DOCUMENT), str(other)]) == ExitCode.DATA
    assert main(["bench", "compare", "gone.json", str(other)]) == ExitCode.USAGE
    assert "gone.json" in capsys.readouterr().err


def test_profile_lists_the_operators(capsys: Capture) -> None:
    assert main(["bench", "profile", "--runs", "5", "--format", "csv"]) == ExitCode.OK
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {"CONV_2D", "BATCH_MATMUL"} <= {row["kind"] for row in rows}
    assert all(float(row["ms"]) >= 0 for row in rows)


def test_help_teaches(capsys: Capture) -> None:
    assert main(["bench", "--help"]) == ExitCode.OK
    assert "compare" in capsys.readouterr().out
    assert main(["bench", "run", "--help"]) == ExitCode.OK
    assert "--device rpi" in capsys.readouterr().out
