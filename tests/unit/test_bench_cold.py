"""Cold starts: processes that answer, fail, crash or hang, and a real one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path
from typing import Any

import pytest

from edge_ser.bench import cold as module
from edge_ser.bench.cold import cold
from edge_ser.errors import EdgeSerError, ModelNotFoundError, ProviderError

STEPS = ("process_s", "import_s", "load_s", "first_s")


def script(folder: Path, text: str) -> Path:
    """A script that stands for the probe."""
    path = folder / "probe.py"
    path.write_text(f"import json, os, sys, time\n{text}\n", encoding="utf-8")
    return path


def answering(folder: Path, **answer: Any) -> Path:
    return script(folder, f"print(json.dumps(json.loads({json.dumps(answer)!r})))")


def test_every_run_is_kept_and_the_medians_are_of_all(tmp_path: Path) -> None:
    count = str(tmp_path / "count")
    fake = script(
        tmp_path,
        f"open({count!r}, 'a').write('x')\n"
        "print('a library says hello')\n"
        f"load_s = [None, 5.0, 1.0, 2.0][os.path.getsize({count!r})]\n"
        "print(json.dumps({'load_s': load_s, 'rss_peak_mb': 70.5}))",
    )
    seen: list[tuple[int, int]] = []
    found = cold("m", runs=3, progress=lambda done, total: seen.append((done, total)), script=fake)
    assert [run["load_s"] for run in found["runs"]] == [5.0, 1.0, 2.0]
    assert found["medians"]["load_s"] == 2.0
    assert found["memory"]["rss_peak_mb"] == 70.5
    assert found["memory"]["gpu_mb"] is None
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_the_process_gets_model_provider_threads_clip_and_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    fake = script(
        tmp_path,
        "print(json.dumps({'arguments': sys.argv[1:], 'size': os.path.getsize(sys.argv[4]),"
        " 'omp': os.environ['OMP_NUM_THREADS'], 'mkl': os.environ['MKL_NUM_THREADS']}))",
    )
    before = time.monotonic()
    (run,) = cold("m.onnx", "cuda", 2, runs=1, script=fake)["runs"]
    assert run["arguments"][:3] == ["m.onnx", "cuda", "2"]
    assert before <= float(run["arguments"][4]) <= time.monotonic()
    assert run["size"] > 2 * 16_000 * 2  # more than 2 s
    assert (run["omp"], run["mkl"]) == ("2", "7")  # what the user set stays
    assert not Path(run["arguments"][3]).exists()


def test_an_error_keeps_its_kind_and_words(tmp_path: Path) -> None:
    fake = answering(tmp_path, error="ModelNotFoundError", message="no model 'x'")
    with pytest.raises(ModelNotFoundError, match="no model 'x'"):
        cold("x", script=fake)


@pytest.mark.parametrize("name", ["NoSuchError", "ExitCode", "annotations"])
def test_an_error_of_an_unknown_kind_is_still_ours(name: str, tmp_path: Path) -> None:
    fake = answering(tmp_path, error=name, message="7")
    with pytest.raises(EdgeSerError, match="7"):
        cold("x", script=fake)


FAILURES = {
    "os.kill(os.getpid(), 11)": "crashed with SIGSEGV",
    "raise ValueError('no\\nluck')": "luck",
    "sys.exit(3)": "ended with status 3 and no answer",
    "print('words')": "and no answer",
}


@pytest.mark.parametrize("text", FAILURES)
def test_a_process_that_fails_is_described(text: str, tmp_path: Path) -> None:
    with pytest.raises(ProviderError) as caught:
        cold("m.tflite", script=script(tmp_path, text))
    assert "m.tflite" in str(caught.value)
    assert FAILURES[text] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_process_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.3)
    with pytest.raises(ProviderError, match="gave no result within"):
        cold("m", script=script(tmp_path, "time.sleep(60)"))


def test_an_interrupt_ends_the_process_that_is_under_way(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    fake = script(
        tmp_path,
        f"open({str(note)!r} + '~', 'w').write(str(os.getpid()))\n"
        f"os.rename({str(note)!r} + '~', {str(note)!r})\n"
        "time.sleep(60)",
    )

    seen: list[bool] = []

    def interrupt(number: int, frame: types.FrameType | None) -> None:
        seen.append(note.exists())
        if sum(seen) == 2:  # once, and not while the process is being started
            raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    try:
        with pytest.raises(KeyboardInterrupt):
            cold("m", script=fake)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


def test_the_default_model_starts_cold() -> None:
    found = cold("plb-emodb", runs=1)
    (run,) = found["runs"]
    assert run["provider"] == "cpu"
    assert all(run[step] > 0 for step in STEPS)
    assert run["total_s"] == pytest.approx(sum(run[step] for step in STEPS))
    assert found["medians"]["total_s"] == run["total_s"]
    memory = [run[f"rss_{when}_mb"] for when in ("before_import", "after_import", "after_load")]
    assert 1 < memory[0] < memory[1] < memory[2] <= run["rss_peak_mb"] < 4000
    assert found["memory"]["gpu_mb"] is None


def test_a_real_process_reports_a_missing_model() -> None:
    with pytest.raises(ModelNotFoundError, match="no-such-model"):
        cold("no-such-model", runs=1)


def test_by_hand_it_needs_neither_clip_nor_moment() -> None:
    command = [sys.executable, "-m", "edge_ser.bench.probe", "plb-emodb.onnx", "cpu", "1"]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    # The kernel notes the start of a process to a hundredth of a second.
    assert -0.02 <= found["process_s"] <= found["total_s"] <= time.monotonic() - began + 0.02


def test_nothing_is_imported_before_the_first_note_of_memory() -> None:
    head = Path(module.SCRIPT).read_text(encoding="utf-8").partition("\nTYPE_CHECKING")[0]
    assert "RSS_BEFORE = " in head
    program = f"import sys\nbefore = set(sys.modules)\nexec({head!r})\n"
    program += "print(sorted(set(sys.modules) - before))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() in {"[]", "['__future__']"}
