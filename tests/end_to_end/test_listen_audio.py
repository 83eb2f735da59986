"""`edge-ser listen` with a real sound server: what it finds, by every way in, and after faults.

The 40 clips are played once, in real time; the tests of `heard` look at what came of them.
"""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

RATE = 16_000
HOP_S = 512 / 22_050
CLIPS = 40
LONGEST_S = 4.5
SEED = 4
HELD_S = 10.0

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Listen = Callable[..., Any]
Event = dict[str, Any]


@dataclass(frozen=True)
class Stream:
    """Clips with digital silence before, between and after them."""

    samples: NDArray[np.int16]
    clips: tuple[tuple[str, float, float], ...]
    """Path, and seconds of the stream at which the clip begins and ends."""


@dataclass(frozen=True)
class Heard:
    """The events of one stream by every way in."""

    file: list[Event]
    stdin: list[Event]
    microphone: list[Event]
    log: list[str]


@pytest.fixture(scope="module")
def stream(corpus: Callable[[str], Path]) -> Stream:
    paths = sorted(corpus("emodb").glob("*.flac"))
    random.Random(SEED).shuffle(paths)
    parts = [np.zeros(2 * RATE, np.int16)]
    clips: list[tuple[str, float, float]] = []
    for path in paths:
        samples, rate = soundfile.read(path, dtype="int16")
        assert rate == RATE
        if len(samples) > LONGEST_S * RATE:
            continue
        begin = sum(map(len, parts)) / RATE
        clips.append((str(path), begin, begin + len(samples) / RATE))
        parts += [samples, np.zeros(RATE, np.int16)]
        if len(clips) == CLIPS:
            break
    return Stream(np.concatenate([*parts, np.zeros(RATE, np.int16)]), tuple(clips))


@pytest.fixture(scope="module")
def heard(
    stream: Stream,
    edge_ser: Run,
    listen_long: Listen,
    sound_server_long: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Heard:
    file = tmp_path_factory.mktemp("stream") / "forty.wav"
    soundfile.write(file, stream.samples, RATE, subtype="PCM_16")
    # Nothing sounds until it records, so the first sample it hears is the first of the stream, and
    # its times are those of the stream.
    sound_server_long.hold()
    microphone = listen_long(
        *("--mic", "pulse", "--rate", str(RATE)), stdin=False, env=sound_server_long.environ
    )
    sound_server_long.wait_for_listener()
    sound_server_long.begin(stream.samples)
    sound_server_long.release()
    sound_server_long.wait_until_played()
    assert microphone.end() == 0
    jsonl = ("listen", "--format", "jsonl", "--input")
    by_file = edge_ser(*jsonl, str(file), "--pace", "fast")
    raw = stream.samples.astype("<i2").tobytes()
    by_stdin = edge_ser(*jsonl, "-", "--rate", str(RATE), input=raw)
    assert (by_file.returncode, by_stdin.returncode) == (0, 0)
    return Heard(
        file=[json.loads(line) for line in by_file.stdout.splitlines()],
        stdin=[json.loads(line) for line in by_stdin.stdout.splitlines()],
        microphone=microphone.events,
        log=microphone.log,
    )


def overlap(event: Event, begin: float, end: float) -> float:
    return min(event["end_s"], end) - max(event["start_s"], begin)


def found(stream: Stream, events: list[Event]) -> dict[str, str]:
    """Label by path, of the clips that exactly one event covers by at least half."""
    labels = {}
    for path, begin, end in stream.clips:
        covering = [e for e in events if overlap(e, begin, end) >= (end - begin) / 2]
        if len(covering) == 1:
            labels[path] = covering[0]["label"]
    return labels


@pytest.mark.needs("pulseaudio", "emodb")
def test_38_of_40_clips_are_found_through_the_microphone(stream: Stream, heard: Heard) -> None:
    labels = found(stream, heard.microphone)
    print(f"found {len(labels)} of {len(stream.clips)}, {len(heard.microphone)} events")
    assert len(stream.clips) == CLIPS
    assert len(labels) >= 38


@pytest.mark.needs("pulseaudio", "emodb")
def test_no_event_lies_in_a_pause(stream: Stream, heard: Heard) -> None:
    for event in heard.microphone:
        assert any(overlap(event, begin, end) > 0 for _, begin, end in stream.clips), event


@pytest.mark.needs("pulseaudio", "emodb")
def test_what_was_found_is_called_as_classify_calls_it(
    stream: Stream, heard: Heard, edge_ser: Run
) -> None:
    paths = [path for path, _, _ in stream.clips]
    classified = edge_ser("classify", *paths, "--format", "jsonl")
    assert classified.returncode == 0
    records = map(json.loads, classified.stdout.splitlines())
    expected = {record["path"]: record["label"] for record in records}
    labels = found(stream, heard.microphone)
    agreeing = sum(expected[path] == label for path, label in labels.items())
    print(f"{agreeing} of {len(labels)} labels agree")
    assert agreeing >= 0.95 * len(labels)


@pytest.mark.needs("pulseaudio", "emodb")
@pytest.mark.parametrize("way", ["stdin", "microphone"])
def test_every_way_in_gives_the_same_events(heard: Heard, way: str) -> None:
    events = getattr(heard, way)
    assert [event["label"] for event in events] == [event["label"] for event in heard.file]
    for one, other in zip(events, heard.file, strict=True):
        for time_key in ("start_s", "end_s"):
            assert one[time_key] == pytest.approx(other[time_key], abs=HOP_S)


@pytest.mark.needs("pulseaudio", "emodb")
def test_nothing_is_lost_or_complained_of_on_the_way(heard: Heard) -> None:
    for events in (heard.file, heard.stdin, heard.microphone):
        assert not any(event["dropped_samples"] or event["cut"] for event in events)
    assert not [line for line in heard.log if "warning" in line or "error" in line]


# Faults, with a small model and noise in place of speech


def noise(before_s: float, loud_s: float, after_s: float) -> NDArray[np.int16]:
    """Soft, loud and again soft noise."""
    rng = np.random.default_rng(5)
    lengths = [round(RATE * seconds) for seconds in (before_s, loud_s, after_s)]
    levels = np.repeat([10.0, 3000.0, 10.0], lengths)
    return (rng.uniform(-1, 1, len(levels)) * levels).astype(np.int16)


UTTERANCE = noise(1.0, 0.4, 1.0)
"""No longer than the small model's clip: one event."""


@pytest.fixture
def running(listen: Listen, model: Path, sound_server: Any) -> Any:
    """A listener that has heard one utterance."""
    listening = listen(*arguments(model), stdin=False, env=sound_server.environ)
    sound_server.wait_for_listener()
    sound_server.play(UTTERANCE)
    listening.wait_for_events(1)
    return listening


def arguments(model: Path, *more: str) -> tuple[str, ...]:
    return ("--mic", "pulse", "--rate", str(RATE), "--model", str(model), *more)


def assert_heard_before_and_after(listening: Any, sound_server: Any) -> None:
    """It records again, hears the next utterance, says what it missed, and ends as it should."""
    sound_server.wait_for_listener()
    sound_server.play(UTTERANCE)
    before, after = listening.wait_for_events(2)[:2]
    assert listening.process.poll() is None
    assert listening.end() == 0
    assert before["dropped_samples"] == 0
    assert after["dropped_samples"] > 0
    assert not after["cut"]
    assert after["start_s"] > before["end_s"] + after["dropped_samples"] / RATE
    assert listening.said("recovered") == 1
    assert_all_ours(listening.log)


def assert_all_ours(log: list[str]) -> None:
    """PortAudio and ALSA print on standard error too, several lines at each failure."""
    for line in log:
        assert re.match(r"\d\d:\d\d:\d\d (info|warning) ", line)


@pytest.mark.needs("pulseaudio")
def test_a_sound_server_that_is_killed_and_started_again(running: Any, sound_server: Any) -> None:
    sound_server.kill()
    running.wait_for_log("has ended its stream")
    sound_server.start()
    assert_heard_before_and_after(running, sound_server)
    assert running.said("warning microphone 'pulse' has ended its stream") == 1


@pytest.mark.needs("pulseaudio")
def test_a_microphone_that_goes_and_comes_back(running: Any, sound_server: Any) -> None:
    sound_server.unload_source()
    running.wait_for_log("has ended its stream")
    sound_server.load_source()
    assert_heard_before_and_after(running, sound_server)
    assert running.said("warning microphone 'pulse' has ended its stream") == 1


@pytest.mark.needs("pulseaudio")
def test_a_microphone_that_falls_silent_without_a_word(running: Any, sound_server: Any) -> None:
    begin = time.monotonic()
    sound_server.hold()
    running.wait_for_log("no audio for")
    time.sleep(max(0.0, begin + HELD_S - time.monotonic()))
    sound_server.release()
    running.wait_for_log("recovered")
    assert_heard_before_and_after(running, sound_server)
    assert running.said("warning pulse: no audio for") == 1


@pytest.mark.needs("pulseaudio")
def test_a_microphone_that_is_not_there_yet(listen: Listen, model: Path, sound_server: Any) -> None:
    sound_server.unload_source()
    listening = listen(*arguments(model), stdin=False, env=sound_server.environ)
    listening.wait_for_log("microphone")
    assert listening.process.poll() is None
    sound_server.load_source()
    sound_server.wait_for_listener()
    sound_server.play(UTTERANCE)
    (event,) = listening.wait_for_events(1)
    assert event["dropped_samples"] == 0
    assert listening.end() == 0
    assert_all_ours(listening.log)


@pytest.mark.needs("pulseaudio")
def test_terminated_within_an_utterance_it_still_says_what_that_was(
    listen: Listen, model: Path, sound_server: Any
) -> None:
    listening = listen(*arguments(model, "--partial", "0.5"), stdin=False, env=sound_server.environ)
    sound_server.wait_for_listener()
    sound_server.begin(noise(1.0, 30.0, 0.0))
    listening.wait_for_events(1)
    begin = time.monotonic()
    assert listening.end(signal.SIGTERM) == 0
    took = time.monotonic() - begin
    print(f"ended {took:.2f} s after SIGTERM")
    assert took < 10
    *partial, whole = listening.events
    assert {event["kind"] for event in partial} == {"partial"}
    assert (whole["kind"], whole["cut"]) == ("utterance", True)


@pytest.mark.needs("pulseaudio")
def test_a_broken_model_is_not_taken_and_a_good_one_is(
    listen: Listen, models: Mapping[str, Path], sound_server: Any, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(models["tflite"].read_bytes()[:-100])
    config = tmp_path / "edge-ser.toml"
    config.write_text(f'[model]\nname = "{models["tflite"]}"\n')
    listening = listen(
        *("--mic", "pulse", "--rate", str(RATE), "--config", str(config)),
        stdin=False,
        env=sound_server.environ,
    )
    sound_server.wait_for_listener()
    sound_server.play(UTTERANCE)
    listening.wait_for_events(1)
    reloads = ((broken, "not reloaded"), (models["onnx"], "info reloaded"))
    for number, (path, said) in enumerate(reloads, 2):
        config.write_text(f'[model]\nname = "{path}"\n')
        listening.process.send_signal(signal.SIGHUP)
        listening.wait_for_log(said)
        sound_server.play(UTTERANCE)
        listening.wait_for_events(number)
    assert listening.end() == 0
    first, second, third = listening.events
    assert first["model_sha256"] == second["model_sha256"] != third["model_sha256"]
    assert third["dropped_samples"] == 0
    assert str(broken) in next(line for line in listening.log if "not reloaded" in line)
