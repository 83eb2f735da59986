"""`edge-ser listen` against closed and full outputs, and against being told to ruin its inputs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

RATE = 16_000
Run = Callable[..., "subprocess.CompletedProcess[str]"]


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


@pytest.mark.xfail(strict=True, reason="the command takes a closed standard output for a stream")
@pytest.mark.parametrize("format_", ["table", "jsonl"])
def test_a_closed_standard_output_is_said(model: Path, recording: Path, format_: str) -> None:
    ended = in_a_shell(">&-", *fast(model, recording, "--format", format_))
    assert ended.returncode == 6
    assert "standard output is closed" in ended.stderr


@pytest.mark.xfail(strict=True, reason="the command does not compare where it writes and reads")
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
