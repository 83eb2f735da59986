"""What strangers give to `edge-ser listen` and its neighbours: bounded, said, and harmless."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from edge_ser.audio import Clip
from edge_ser.cli import hearing, main
from edge_ser.cli.output import rendered
from edge_ser.config import as_toml, load_config
from edge_ser.errors import ConfigError, StorageError
from edge_ser.events import Event, Status
from edge_ser.listening.attending import Attendant
from edge_ser.listening.clock import StreamClock
from edge_ser.listening.health import Health
from edge_ser.listening.notify import Notifier
from edge_ser.listening.pcm import PcmSource
from edge_ser.listening.pcm_layout import MAX_HEADER
from edge_ser.service.unit import quoted
from edge_ser.sinks import ClipOptions, SaveClips, SinkRunner
from edge_ser.sinks.json_lines import json_line

EVIL = "\x1b[31mEVIL\x1b]0;title\x07\n\x9b5m\x7f"
"""Escape sequences as a device, a file or a card may be called: by ESC and by CSI of one byte."""


def is_harmless(text: str) -> bool:
    """Nothing in it steers a terminal, line ends aside."""
    return all(c == "\n" or not (ord(c) < 32 or 127 <= ord(c) < 160) for c in text)


def an_event(**changes: Any) -> Event:
    values: dict[str, Any] = {
        "sequence": 1,
        "kind": "utterance",
        "label": "calm",
        "uncertain": False,
        "scores": {"calm": 1.0},
        "start_s": 0.0,
        "end_s": 1.0,
        "time": 0.0,
        "level_dbfs": -20.0,
        "latency_ms": 1.0,
        "dropped_samples": 0,
        "cut": False,
        "model": "tiny",
        "model_sha256": "0" * 64,
        "source": "test",
    }
    return Event(**{**values, **changes})


# Pipes


@contextmanager
def standard_input(monkeypatch: pytest.MonkeyPatch, *pieces: bytes, ends: bool) -> Iterator[None]:
    """Standard input that gives the pieces, the last one again and again unless it `ends`."""
    reading, writing = os.pipe()
    stream = open(reading)  # noqa: SIM115 closed below
    monkeypatch.setattr("sys.stdin", stream)

    def write() -> None:
        with open(writing, "wb", 0) as pipe:
            try:
                for piece in pieces:
                    pipe.write(piece)
                while not ends:
                    pipe.write(pieces[-1])
            except BrokenPipeError:
                pass

    writer = threading.Thread(target=write)
    writer.start()
    yield
    stream.close()
    writer.join(10)


WAV = (
    b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0"
    b"data\x00\x02\0\0" + bytes(512)
)


def test_what_is_written_for_ever_after_a_wav_does_not_keep_who_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = StreamClock()  # only the audio moves it: no deadline would ever pass
    with standard_input(monkeypatch, WAV, bytes(65_536), ends=False):
        source = PcmSource("-", None, 1, "s16le", clock)
        source.open()
        blocks: list[Any] = []
        reader = threading.Thread(
            target=lambda: blocks.extend(source.read(0.25) for _ in range(3)), daemon=True
        )
        reader.start()
        reader.join(30)
        assert not reader.is_alive()
        assert [len(block.samples) for block in blocks if block] == [256]


def test_a_header_of_a_million_chunks_is_searched_few_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    searches = 0

    def find(*given: Any) -> None:
        nonlocal searches
        searches += 1

    monkeypatch.setattr("edge_ser.listening.pcm.find_layout", find)
    with standard_input(monkeypatch, b"RIFF\0\0\0\0WAVE", bytes(MAX_HEADER), ends=True):
        source = PcmSource("-", 16_000, 1, "s16le", StreamClock())
        source.open()
        while not source._ended:
            source._receive()
    assert searches < 64


# Configuration


@pytest.mark.parametrize("given", ["a." * 400_000 + "a = 1", "[" + "a." * 300_000 + "a]"])
def test_a_key_of_endless_parts_is_refused_at_once(tmp_path: Path, given: str) -> None:
    path = tmp_path / "dots.toml"
    path.write_text("# fine\n" + given)
    with pytest.raises(ConfigError, match=r"dots\.toml: over 200 dots \(at line 2\)"):
        load_config(path, {}, {})


def test_an_ordinary_key_with_dots_is_none() -> None:
    overrides = {"decide.thresholds.a.b.c": "0.5", "source.mic": "USB. Audio. 2.0"}
    assert load_config(None, {}, overrides).source.mic == "USB. Audio. 2.0"


def test_the_printed_configuration_does_not_steer_the_terminal(tmp_path: Path) -> None:
    config = load_config(None, {}, {"source.mic": EVIL, f"decide.thresholds.{EVIL}": "0.5"})
    printed = as_toml(config)
    assert is_harmless(printed)
    path = tmp_path / "again.toml"
    path.write_text(printed, encoding="utf-8")
    assert load_config(path, {}, {}).source.mic == EVIL


def test_a_watchdog_of_thousands_of_digits_is_none() -> None:
    variables = {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "9" * 5000}
    assert Notifier(variables).interval_s is None


# What is written


def test_json_does_not_steer_the_terminal() -> None:
    line = json_line(an_event(source=EVIL))
    assert is_harmless(line)
    assert json.loads(line)["source"] == EVIL
    for format_ in ("json", "jsonl"):
        text = "".join(rendered([{"mic": EVIL}], format_, fields=["mic"], table=lambda _: []))
        assert is_harmless(text)
        assert json.loads(text) in ({"mic": EVIL}, [{"mic": EVIL}])


def test_the_meter_does_not_pass_on_what_a_device_calls_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = StringIO()
    monkeypatch.setattr(hearing, "a_person_watches", lambda: True)
    monkeypatch.setattr(
        "rich.console.Console",
        lambda **_: Console(file=written, force_terminal=True, width=120, color_system=None),
    )
    with hearing._live_bar(EVIL, 1.0) as show:
        show(np.zeros(1, np.float32), 0.5)
    assert "EVIL" in written.getvalue()
    assert "\x1b[31m" not in written.getvalue()
    assert "\x1b]0" not in written.getvalue()
    assert "\x9b" not in written.getvalue()


def test_clips_that_cannot_be_kept_are_said_before_there_is_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)  # root may all
    with pytest.raises(StorageError, match="clips cannot be kept: may not be written"):
        SaveClips(ClipOptions(str(tmp_path))).open()


class Ended:
    """A listener whose source is at its end."""

    def __init__(self) -> None:
        self.health = Health(StreamClock())
        self.stops = 0
        self.during_stop: Callable[[], None] = lambda: None

    def start(self) -> None:
        pass

    def stop(self) -> None:
        self.stops += 1
        self.during_stop()

    def join(self, timeout: float) -> bool:
        return True

    def status(self) -> Status:
        return Status("listening")


class Full:
    """A sink on a disk without room."""

    name = "events.jsonl"
    wants_audio = False

    def write(self, event: Event, clip: Clip | None) -> None:
        raise StorageError("events.jsonl: no space left on device")

    def close(self) -> None:
        pass


def attended(listener: Ended, runners: list[SinkRunner]) -> Attendant:
    return Attendant(listener, runners, Notifier({}), StreamClock())  # type: ignore[arg-type]


def test_a_file_whose_events_could_not_be_written_does_not_end_well() -> None:
    runner = SinkRunner(Full())
    runner.offer(an_event())
    with pytest.raises(StorageError, match=r"events\.jsonl: not all events were written"):
        attended(Ended(), [runner]).run(lambda: None)


def test_who_asked_to_stop_is_not_told_of_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    runner = SinkRunner(Full())
    runner.offer(an_event())
    attendant = attended(Ended(), [runner])
    attendant.stop()
    attendant.run(lambda: None)
    assert "events.jsonl: not all events were written" in caplog.text


def test_a_signal_within_the_handler_of_another_waits_for_no_lock() -> None:
    listener = Ended()
    attendant = attended(listener, [])
    listener.during_stop = attendant.stop
    attendant.stop()
    assert listener.stops == 1


# The service


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--set", "gate.foo=1"), "[gate] foo is unknown"),
        (("--set", "nonsense"), "expected section.key=value"),
        (("--rate", "3"), "rate is 3 Hz"),
        (("--config", "/nowhere/edge-ser.toml"), "/nowhere/edge-ser.toml: No such file"),
        (("--mic", "\udcff"), "a systemd unit cannot carry it"),
        (("--print-config",), "--print-config: a service is to listen"),
        (("--input", "-"), "a service has no standard input"),
        (("--input", ""), "--input is empty"),
    ],
)
def test_a_service_that_would_never_start_is_not_written(
    capsys: pytest.CaptureFixture[str], given: tuple[str, ...], said: str
) -> None:
    assert main(["service", "install", "--dry-run", "--", *given]) == 2
    written = capsys.readouterr()
    assert written.out == ""
    assert said in written.err
    assert written.err.count("\n") == 1


def test_the_short_option_of_a_model_is_found_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("edge_ser.service.manage.visible_paths", lambda places: [])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.tflite").write_bytes(b"")
    assert main(["service", "install", "--dry-run", "--", "-mmine.tflite"]) == 0
    assert f" -m{tmp_path}/mine.tflite\n" in capsys.readouterr().out


@pytest.mark.parametrize("given", [EVIL, "a\nExecStartPre=/bin/evil", "%n $HOME ${PATH} ; \\"])
def test_an_argument_stays_in_its_line(given: str) -> None:
    word = quoted(given)
    assert is_harmless(word)
    assert "\n" not in word
    assert word[0] == word[-1] == '"'
    assert "%" not in word.replace("%%", "")
