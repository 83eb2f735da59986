"""`edge-ser listen --input`: the same events from a file, a pipe and a FIFO, and how each ends."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

RATE = 16_000
Run = Callable[..., "subprocess.CompletedProcess[str]"]
Listen = Callable[..., Any]
Event = dict[str, Any]


def speech(*loud_s: float) -> NDArray[np.int16]:
    """Noise as loud as speech for so many seconds, with a second and a half of quiet around."""
    rng = np.random.default_rng(3)
    lengths = [round(RATE * seconds) for pause in loud_s for seconds in (1.5, pause)]
    levels = np.repeat([10.0, 3000.0] * len(loud_s) + [10.0], [*lengths, round(1.5 * RATE)])
    return (rng.uniform(-1, 1, len(levels)) * levels).astype(np.int16)


SPEECH = speech(0.4, 0.3, 0.45)


def content(event: Event) -> Event:
    """All of an event but when it was made and where the audio came from."""
    return {k: v for k, v in event.items() if k not in ("time", "latency_ms", "source")}


def events_of(text: str) -> list[Event]:
    return [content(json.loads(line)) for line in text.splitlines()]


def as_file(samples: NDArray[np.int16], **how: Any) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, **{"format": "WAV", **how})
    return file.getvalue()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recording") / "speech.wav"
    path.write_bytes(as_file(SPEECH))
    return path


@pytest.fixture(scope="module")
def expected(edge_ser: Run, model: Path, recording: Path) -> list[Event]:
    """What a file that is read fast gives."""
    ended = edge_ser(*given(model), "--input", str(recording), "--pace", "fast")
    assert ended.returncode == 0, ended.stderr
    events = events_of(ended.stdout)
    assert len(events) == 3
    return events


def given(model: Path) -> tuple[str, ...]:
    return ("listen", "--model", str(model), "--format", "jsonl")


def endless(wav: bytes) -> bytes:
    """A WAV as it is written into a pipe: nobody knows yet how long it will be."""
    at = wav.index(b"data") + 4
    return wav[:at] + b"\xff\xff\xff\xff" + wav[at + 4 :]


@pytest.mark.parametrize(
    ("piped", "more"),
    [
        (SPEECH.tobytes(), ("--rate", str(RATE))),
        (
            (SPEECH / np.float32(32_768)).astype("<f4").tobytes(),
            ("--rate", str(RATE), "--set", "source.sample_format=f32le"),
        ),
        (as_file(SPEECH), ()),
        (endless(as_file(SPEECH)), ("--rate", "48000")),
        (
            as_file(np.stack([SPEECH[::-1], SPEECH], axis=1), subtype="PCM_24"),
            ("--channel", "2"),
        ),
    ],
    ids=["raw", "floats", "wav", "endless wav", "second channel"],
)
def test_a_pipe_gives_the_events_of_the_file(
    edge_ser: Run, model: Path, expected: list[Event], piped: bytes, more: tuple[str, ...]
) -> None:
    ended = edge_ser(*given(model), "--input", "-", *more, input=piped)
    assert ended.returncode == 0, ended.stderr
    assert events_of(ended.stdout) == expected


def test_a_file_at_the_pace_of_speech_gives_the_same_events(
    edge_ser: Run, model: Path, recording: Path, expected: list[Event]
) -> None:
    ended = edge_ser(*given(model), "--input", str(recording), "--pace", "real")
    assert ended.returncode == 0, ended.stderr
    assert events_of(ended.stdout) == expected


def test_a_fifo_goes_on_with_its_next_writer(
    listen: Listen, model: Path, expected: list[Event], tmp_path: Path
) -> None:
    fifo = tmp_path / "audio.fifo"
    os.mkfifo(fifo)
    listening = listen("--model", str(model), "--input", str(fifo), stdin=False)
    fifo.open("wb").close()
    for number in (1, 2):
        with fifo.open("wb") as writer:
            writer.write(endless(as_file(SPEECH)))
        listening.wait_for_events(number * len(expected))
        time.sleep(0.5)  # nobody writes: what is missed is real time
    assert listening.process.poll() is None
    assert listening.end() == 0
    first, second = listening.events[:3], listening.events[3:]
    assert [content(event) for event in first] == expected
    for event, before in zip(second, expected, strict=True):  # the frames of the gate lie otherwise
        assert event["scores"] == pytest.approx(before["scores"], abs=0.01)
    missed_s = second[0]["dropped_samples"] / RATE
    assert missed_s > 0
    later = len(SPEECH) / RATE + missed_s
    for event, before in zip(second, expected, strict=True):
        assert event["start_s"] == pytest.approx(before["start_s"] + later, abs=0.03)


def test_signals_mute_and_unmute_what_a_fifo_brings(
    listen: Listen, model: Path, tmp_path: Path
) -> None:
    """Heartbeats say that a signal has been seen, and that what was written has been heard."""
    fifo = tmp_path / "audio.fifo"
    os.mkfifo(fifo)
    raw = ("--input", str(fifo), "--rate", str(RATE), "--heartbeat", "1")
    listening = listen("--model", str(model), *raw, stdin=False)
    utterance = speech(0.3)
    length_s = len(utterance) / RATE
    with fifo.open("wb", buffering=0) as writer:
        for number, (state, sent) in enumerate(
            (
                ("listening", None),
                ("listening, muted", signal.SIGUSR1),
                ("listening", signal.SIGUSR2),
            )
        ):
            if sent is not None:
                listening.process.send_signal(sent)
                listening.wait_for_log(f"heartbeat: {state}; {number * length_s:.0f} s heard")
            writer.write(utterance.tobytes())
            listening.wait_for_log(f"heartbeat: {state}; {(number + 1) * length_s:.0f} s heard")
        assert listening.end() == 0
    first, last = listening.events
    assert first["start_s"] == pytest.approx(1.5, abs=0.2)
    assert last["start_s"] == pytest.approx(2 * length_s + 1.5, abs=0.2)
    assert last["dropped_samples"] == 0


def test_a_damaged_file_is_heard_up_to_the_damage(
    edge_ser: Run, model: Path, expected: list[Event], tmp_path: Path
) -> None:
    path = tmp_path / "cut.flac"
    path.write_bytes(as_file(SPEECH, format="FLAC")[:-30_000])
    ended = edge_ser(*given(model), "--input", str(path), "--pace", "fast")
    assert ended.returncode == 5
    assert events_of(ended.stdout)[:2] == expected[:2]
    (line,) = (line for line in ended.stderr.splitlines() if line.startswith("edge-ser"))
    assert "cut.flac" in line


def test_nothing_to_read_yet_does_not_keep_it_from_ending(listen: Listen, model: Path) -> None:
    listening = listen("--model", str(model), "--input", "-", "--rate", str(RATE))
    listening.process.stdin.write(bytes(3200))
    listening.process.stdin.flush()
    listening.wait_for_log("listening")
    assert listening.end() == 0
    assert listening.events == []


@pytest.mark.parametrize(
    ("piped", "code", "said"),
    [
        (SPEECH.tobytes(), 2, "--rate"),
        (as_file(SPEECH, format="FLAC"), 5, "FLAC"),
        (as_file(SPEECH, subtype="ALAW"), 5, "S16_LE"),
        (b"RIFF\0\0\0\0WAVE", 5, "header without samples"),
    ],
    ids=["no rate", "flac", "a-law", "header alone"],
)
def test_what_cannot_be_read_from_a_pipe_is_said(
    edge_ser: Run, model: Path, piped: bytes, code: int, said: str
) -> None:
    ended = edge_ser(*given(model), "--input", "-", input=piped)
    assert (ended.returncode, ended.stdout) == (code, "")
    (line,) = (line for line in ended.stderr.splitlines() if line.startswith("edge-ser"))
    assert said in line


def test_samples_of_another_format_are_not_taken_for_sound(edge_ser: Run, model: Path) -> None:
    more = ("--input", "-", "--rate", str(RATE), "--set", "source.sample_format=f32le")
    ended = edge_ser(*given(model), *more, input=SPEECH.tobytes())
    assert ended.returncode == 5
    assert "sample_format" in ended.stderr
