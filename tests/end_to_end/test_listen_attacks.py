"""`edge-ser listen` against closed and full outputs, and against being told to ruin its inputs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

RATE = 16_000
GUARD_S = 60
Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One utterance."""
    rng = np.random.default_rng(3)
    levels = np.repeat([10.0, 3000.0, 10.0], [3 * RATE // 2, RATE // 2, 3 * RATE // 2])
    path = tmp_path_factory.mktemp("recording") / "speech.wav"
    soundfile.write(path, (rng.uniform(-1, 1, len(levels)) * levels).astype(np.int16), RATE)
    return path


def fast(model: Path, recording: Path, *more: str) -> tuple[str, ...]:
    return ("listen", "-m", str(model), "--input", str(recording), "--pace", "fast", *more)


def in_a_shell(redirected: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The program with a stream that only a shell can arrange."""
    command = [sys.executable, "-m", "edge_ser.cli", *arguments]
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirected}', "sh", *command],
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("format_", ["table", "jsonl"])
def test_events_that_a_full_disk_did_not_take_are_a_failure(
    model: Path, recording: Path, format_: str
) -> None:
    ended = in_a_shell("> /dev/full", *fast(model, recording, "--format", format_))
    assert ended.returncode == 6
    assert ended.stderr.splitlines()[-1].startswith(
        "edge-ser: standard output: not all events were written"
    )
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("format_", ["table", "jsonl"])
def test_a_closed_standard_output_is_said(model: Path, recording: Path, format_: str) -> None:
    ended = in_a_shell(">&-", *fast(model, recording, "--format", format_))
    assert ended.returncode == 6
    assert "standard output is closed" in ended.stderr


def test_a_configuration_that_nobody_can_read_is_said(model: Path) -> None:
    ended = in_a_shell(">&-", "listen", "-m", str(model), "--print-config")
    assert ended.returncode == 6
    assert "standard output is closed" in ended.stderr


def test_a_file_takes_the_events_where_standard_output_is_closed(
    model: Path, recording: Path, tmp_path: Path
) -> None:
    events = tmp_path / "events.jsonl"
    ended = in_a_shell(">&-", *fast(model, recording, "-o", str(events)))
    assert ended.returncode == 0, ended.stderr
    assert events.read_text().count('"sequence"') == 1


@pytest.mark.parametrize("ruined", ["model", "input", "config"])
def test_events_are_not_appended_to_what_is_read(
    edge_ser: Run, model: Path, recording: Path, tmp_path: Path, ruined: str
) -> None:
    files: dict[str, Any] = {name: tmp_path / name for name in ("model", "input", "config")}
    files["model"] = Path(shutil.copy(model, tmp_path / model.name))
    shutil.copy(recording, files["input"])
    files["config"].write_text("[source]\nblock_ms = 50\n")
    before = files[ruined].read_bytes()
    given = fast(files["model"], files["input"], "--config", str(files["config"]))
    ended = edge_ser(*given, "-o", str(files[ruined]))
    assert files[ruined].read_bytes() == before
    assert ended.returncode == 2


@pytest.mark.parametrize("changed", ["model", "output"])
def test_a_reload_does_not_have_events_appended_to_what_is_read(
    listen: Callable[..., Any], models: dict[str, Path], tmp_path: Path, changed: str
) -> None:
    events, config = tmp_path / "events.jsonl", tmp_path / "config"
    config.write_text(f'[model]\nname = "{models["tflite"]}"\n[jsonl]\npath = "{events}"\n')
    listening = listen("--input", "-", "--rate", str(RATE), "--config", str(config))
    listening.wait_for_log("warming")
    if changed == "model":  # the file of events is now a model
        shutil.copy(models["onnx"], events)
        config.write_text(f'[model]\nname = "{events}"\n[jsonl]\npath = "{events}"\n')
    else:
        config.write_text(f'[model]\nname = "{models["tflite"]}"\n[jsonl]\npath = "{config}"\n')
    listening.process.send_signal(signal.SIGHUP)
    listening.wait_for_log("not reloaded, everything stays as it was")
    assert listening.said("one of the inputs") == 1
    assert listening.end() == 0


# Signals


def blocked(process: subprocess.Popen[bytes], number: int) -> bool:
    """Whether the process's main thread lets a signal wait."""
    with open(f"/proc/{process.pid}/status") as status:
        (mask,) = (line.split()[1] for line in status if line.startswith("SigBlk:"))
    return bool(int(mask, 16) >> (number - 1) & 1)


def test_signals_while_it_starts_do_not_kill_it(start: Start, model: Path, recording: Path) -> None:
    process = start(*fast(model, recording, "--format", "jsonl"))
    deadline = time.monotonic() + GUARD_S
    while not blocked(process, signal.SIGUSR2):
        assert process.poll() is None, "it has ended before it took charge of signals"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        process.send_signal(number)
    out, said = process.communicate(timeout=GUARD_S)
    assert process.returncode == 0, said
    assert out.count(b'"sequence"') >= 1


def test_many_signals_do_not_keep_it_from_ending(listen: Callable[..., Any], model: Path) -> None:
    listening = listen("-m", str(model), "--input", "-", "--rate", str(RATE))
    listening.wait_for_log("warming")
    for _ in range(1000):
        for number in (signal.SIGUSR1, signal.SIGHUP, signal.SIGUSR2):
            listening.process.send_signal(number)
    assert listening.end() == 0
    assert listening.said("Traceback") == 0


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """A pseudo-terminal: the side of who looks at it, and the program's."""
    master, slave = os.openpty()
    yield master, slave
    os.close(slave)
    os.close(master)


@pytest.mark.parametrize("shares", [True, False], ids=["with messages", "without"])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_terminal_that_takes_nothing_does_not_keep_it_from_ending(
    start: Start, model: Path, terminal: tuple[int, int], shares: bool, number: int, status: int
) -> None:
    master, slave = terminal
    process = start(
        *("listen", "-m", str(model), "--input", "-", "--rate", str(RATE)),
        stdout=slave,
        stderr=slave if shares else subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"},
    )
    seen = b""
    while b"stdin" not in seen:
        seen += os.read(master, 65_536)
    termios.tcflow(slave, termios.TCOOFF)  # Ctrl-S
    time.sleep(0.5)  # several pictures
    process.send_signal(number)
    assert process.wait(GUARD_S) == status
