"""A process that answers a line with a line, and all that it may do instead."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_ser.bench.workers import MAX_ANSWER, Limits, Worker, WorkerError

PATIENT = Limits(start_s=60.0, clip_s=60.0)
START = """
import json, os, sys, time
def say(answer):
    print(answer if isinstance(answer, str) else json.dumps(answer), flush=True)
READY = {"ready": True, "untrained": False}
GOOD = {"ms": {"load": 1, "total": 2.5}, "label": "joy"}
"""

Start = Callable[..., Worker]


@pytest.fixture
def start() -> Iterator[Start]:
    """A worker with that program; it is gone after the test."""
    workers = []

    def started(program: str, limits: Limits = PATIENT) -> Worker:
        workers.append(Worker((sys.executable, "-c", START + program), {}, limits))
        return workers[-1]

    yield started
    for worker in workers:
        worker.kill()


def test_it_is_ready_and_answers(start: Start) -> None:
    worker = start(
        "say(READY)\nfor line in sys.stdin: say({'ms': {'total': 1}, 'label': json.loads(line)})"
    )
    assert worker.wait_until_ready() is False
    for path in ("/a b.wav", '/"quotes"\n.wav', os.fsdecode(b"/\xff.wav")):
        assert worker.ask(path) == ({"total": 1.0}, path)


def test_it_says_that_its_weights_are_untrained(start: Start) -> None:
    assert start("say({'ready': True, 'untrained': True})").wait_until_ready() is True


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("sys.exit('no such backend\\n\\n')", "ended with status 1: no such backend"),
        ("import no_such_module", "ended with status 1: ModuleNotFoundError: No module named"),
        ("os.kill(os.getpid(), 11)", "was ended by SIGSEGV: and said nothing"),
        ("say('hello')", "answered b'hello', expected a JSON object"),
        ("say([])", "expected a JSON object"),
        ("say('[' * 50_000)", "expected a JSON object"),
        ("say(GOOD)", "expected that it is ready"),
        ("sys.stdout.buffer.write(bytes([255, 10])); sys.stdout.flush()", "expected a JSON"),
        (
            f"sys.stdout.write('x' * {2 * MAX_ANSWER}); sys.stdout.flush(); time.sleep(60)",
            f"answered more than {MAX_ANSWER} bytes",
        ),
    ],
)
def test_what_goes_wrong_before_it_is_ready(start: Start, program: str, reason: str) -> None:
    with pytest.raises(WorkerError) as failed:
        start(program).wait_until_ready()
    assert reason in str(failed.value)
    assert len(str(failed.value)) < 400
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("sys.exit('out of memory')", "ended with status 1: out of memory"),
        ("say({'ms': {'total': 1}})", "expected times and a label"),
        ("say({'ms': {'load': 1}, 'label': 'joy'})", "expected times and a label"),
        ("say({'ms': {'total': -1}, 'label': 'joy'})", "expected times and a label"),
        ("say({'ms': {'total': float('nan')}, 'label': 'joy'})", "expected times and a label"),
        ("say({'ms': {'total': float('inf')}, 'label': 'joy'})", "expected times and a label"),
        ("say({'ms': {'total': True}, 'label': 'joy'})", "expected times and a label"),
        ("say({'ms': {'total': 1, 'lunch': 1}, 'label': 'joy'})", "expected times and a label"),
        ("say({'ms': [1], 'label': 'joy'})", "expected times and a label"),
        ("os.write(1, b'{}\\n{}\\n')", "unasked, expected one line"),
    ],
)
def test_what_goes_wrong_with_an_answer(start: Start, program: str, reason: str) -> None:
    worker = start(f"say(READY)\nsys.stdin.readline()\n{program}")
    worker.wait_until_ready()
    with pytest.raises(WorkerError) as failed:
        worker.ask("/a.wav")
    assert reason in str(failed.value)


def test_silence_has_an_end(start: Start) -> None:
    hurried = Limits(start_s=60.0, clip_s=0.1)
    worker = start("say(READY); sys.stdin.readline(); say(GOOD); time.sleep(60)", hurried)
    worker.wait_until_ready()
    worker.ask("/a.wav")  # the first may take as long as starting
    with pytest.raises(WorkerError, match=r"no answer within 0\.1 s"):
        worker.ask("/a.wav")


def test_one_that_ended_is_asked_in_vain(start: Start) -> None:
    worker = start("say(READY)")
    worker.wait_until_ready()
    for _ in range(2):
        with pytest.raises(WorkerError, match="ended with status 0: and said nothing"):
            worker.ask("/a.wav")


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(WorkerError, match="cannot be started: No such file"):
        Worker(("/no/such/program",), {}, PATIENT)


def test_libraries_are_told_to_use_one_thread(start: Start) -> None:
    worker = start(
        "say(READY); sys.stdin.readline()\n"
        "say({'ms': {'total': 0}, 'label': os.environ['OMP_NUM_THREADS']})"
    )
    worker.wait_until_ready()
    assert worker.ask("/a.wav")[1] == "1"


def test_killed_with_all_that_it_started(start: Start, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    worker = start(
        "import subprocess\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        "say(READY); time.sleep(60)"
    )
    worker.wait_until_ready()
    worker.kill()
    worker.kill()
    deadline = time.monotonic() + 30
    remaining = pids.read_text().split()
    while remaining and time.monotonic() < deadline:
        remaining = [pid for pid in remaining if _runs(pid)]
        time.sleep(0.01)
    assert remaining == []


def _runs(pid: str) -> bool:
    """Whether that process is there and not only waiting to be reaped."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
