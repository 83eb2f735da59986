"""`edge-ser listen` on recordings: what it prints, where it writes, how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge_ser import load_model

RATE = 16_000
Run = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., "subprocess.Popen[bytes]"]


def signal_of(*loud: int) -> np.ndarray:
    """Seconds of noise, quiet (0) or as loud as speech (1)."""
    rng = np.random.default_rng(0)
    gains = np.repeat([10 ** (-75 / 20), 10 ** (-20 / 20)], RATE).reshape(2, RATE)[list(loud)]
    return (rng.standard_normal(gains.size) * gains.ravel()).clip(-1, 1)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "two.wav"
    soundfile.write(path, signal_of(0, 0, 1, 0, 0, 1, 0, 0), RATE)
    return path


def listen(*more: str, recording: Path, model: Path) -> list[str]:
    return [
        *("listen", "--model", str(model), "--input", str(recording), "--pace", "fast"),
        *more,
    ]


def test_json_lines(edge_ser: Run, model: Path, recording: Path) -> None:
    done = edge_ser(*listen("--format", "jsonl", recording=recording, model=model))
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {event["sequence"] for event in events} == set(range(1, len(events) + 1))
    starts = sorted({round(event["start_s"]) for event in events})
    assert starts[0] == 2
    assert starts[-1] >= 5
    assert {event["model"] for event in events} == {"tiny"}


def test_lines_to_read(edge_ser: Run, model: Path, recording: Path) -> None:
    done = edge_ser(*listen(recording=recording, model=model))
    assert done.returncode == 0, done.stderr
    assert all("dBFS" in line for line in done.stdout.splitlines())
    assert done.stdout


def test_a_file_of_events_beside_the_lines(
    edge_ser: Run, model: Path, recording: Path, tmp_path: Path
) -> None:
    file = tmp_path / "events.jsonl"
    done = edge_ser(*listen("-o", str(file), recording=recording, model=model))
    assert len(file.read_text().splitlines()) == len(done.stdout.splitlines()) > 0
    missing = edge_ser(*listen("-o", "/nowhere/events.jsonl", recording=recording, model=model))
    assert missing.returncode == 6
    assert "/nowhere/events.jsonl" in missing.stderr


def test_clips_are_stored_only_where_it_was_asked_for(
    edge_ser: Run, model: Path, recording: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "clips"
    done = edge_ser(*listen("--save-clips", str(folder), recording=recording, model=model))
    assert done.returncode == 0, done.stderr
    assert len(list(folder.glob("*.wav"))) == len(done.stdout.splitlines())


def test_configuration_by_file_environment_and_flags(
    edge_ser: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "edge-ser.toml"
    config.write_text("[gate]\nenter_db = 11\n[segment]\nhop_s = 0.5\n")
    monkeypatch.setenv("EDGE_SER_SEGMENT_HOP_S", "0.75")
    given = ("listen", "--model", str(model), "--config", str(config), "--mode", "window")
    printed = edge_ser(*given, "--print-config")
    assert printed.returncode == 0, printed.stderr
    for line in ("enter_db = 11", "hop_s = 0.75", 'mode = "window"'):
        assert line in printed.stdout
    config.write_text("[gate]\nenter = 11\n")
    refused = edge_ser(*given)
    assert refused.returncode == 2
    assert "enter" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--input", "nowhere.wav"], 5, "nowhere.wav"),
        (["--input", "a.wav", "--mic", "USB"], 2, "choose one"),
        (["--model", "nowhere.tflite"], 3, "nowhere.tflite"),
        (["--set", "gate.enter_db"], 2, "section.key=value"),
        (["--hop", "-1", "--input", "nowhere.wav"], 2, "hop_s"),
        (["--mic", "0"], 2, "0"),
    ],
)
def test_what_cannot_be_is_one_line(
    edge_ser: Run, model: Path, arguments: list[str], code: int, said: str
) -> None:
    given = arguments if "--model" in arguments else ["--model", str(model), *arguments]
    done = edge_ser("listen", *given)
    assert (done.returncode, done.stdout) == (code, "")
    lines = [line for line in done.stderr.splitlines() if line.startswith("edge-ser")]
    assert len(lines) == 1
    assert said in lines[0]


@pytest.mark.parametrize(
    ("arguments", "idle"),
    [
        (["--window", "2", "--hop", "0.5"], "segment.window_s, segment.hop_s: without effect"),
        (["--mode", "window", "--partial", "1"], "segment.partial_s: without effect"),
        (["--mode", "window", "--hop", "0.5"], None),
    ],
)
def test_what_has_no_effect_is_said(
    edge_ser: Run, model: Path, recording: Path, arguments: list[str], idle: str | None
) -> None:
    given = ["--model", str(model), "--input", str(recording), "--pace", "fast", *arguments]
    done = edge_ser("listen", *given)
    assert done.returncode == 0
    assert ("without effect" in done.stderr) == (idle is not None)
    assert (idle or "") in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_signals_end_it_after_the_utterance_in_hand(
    start: Start, model: Path, tmp_path: Path, number: int, code: int
) -> None:
    raw = (signal_of(0, 0, 1) * 32_767).astype("<i2").tobytes()
    process = start(
        *("listen", "--model", str(model), "--input", "-", "--rate", str(RATE)),
        *("--format", "jsonl", "--partial", "0.2"),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(raw)
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["kind"] == "partial"
    process.send_signal(number)
    events = [json.loads(line) for line in process.stdout]
    assert process.wait(30) == code
    assert events[-1]["kind"] == "utterance"
    assert events[-1]["cut"]
    assert events[-1]["start_s"] == pytest.approx(2, abs=0.5)


def test_muting_and_reloading_by_signal(
    start: Start, models: dict[str, Path], tmp_path: Path
) -> None:
    config = tmp_path / "edge-ser.toml"
    config.write_text(f'[model]\nname = "{models["tflite"]}"\n')
    process = start(
        *("listen", "--config", str(config), "--input", "-", "--rate", str(RATE)),
        *("--format", "jsonl", "--set", "report.log_level=info"),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None

    def say(*loud: int) -> None:
        process.stdin.write((signal_of(*loud) * 32_767).astype("<i2").tobytes())
        process.stdin.flush()

    def logged(word: bytes) -> bytes:
        for line in process.stderr:
            if word in line:
                return line
        raise AssertionError(f"{word!r} was not logged")

    say(0, 0, 1, 0, 0)
    first = json.loads(process.stdout.readline())
    config.write_text("[model]\nname = 7\n")
    process.send_signal(signal.SIGHUP)
    assert b"everything stays as it was" in logged(b"not reloaded")
    config.write_text(f'[model]\nname = "{models["onnx"]}"\n[decide]\nrefractory_s = 0.0\n')
    process.send_signal(signal.SIGHUP)
    logged(b"reloaded")
    say(1, 0, 0)
    process.stdin.close()
    later = [json.loads(line) for line in process.stdout]
    assert {event["model_sha256"] for event in later if event["start_s"] < 4} <= {
        first["model_sha256"]
    }
    assert {event["model_sha256"] for event in later if event["start_s"] > 4} == {
        load_model(models["onnx"]).card.payload_sha256
    }
    assert process.wait(30) == 0


def test_a_reader_that_has_enough_ends_it(start: Start, model: Path) -> None:
    process = start(
        *("listen", "--model", str(model), "--input", "-", "--rate", str(RATE)),
        *("--format", "jsonl"),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    raw = (signal_of(0, 0, 1, 0, 0) * 32_767).astype("<i2").tobytes()
    process.stdin.write(raw)
    process.stdin.flush()
    process.stdout.readline()
    process.stdout.close()
    process.stdin.write(raw)
    process.stdin.flush()
    assert process.wait(30) == 0
