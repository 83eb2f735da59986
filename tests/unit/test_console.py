"""Lines and pictures for people."""

from __future__ import annotations

import io
import logging
import os
import re
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from edge_ser.documents import printable
from edge_ser.errors import StorageError
from edge_ser.events import Event, Status
from edge_ser.sinks import LiveView, PlainLines, SinkRunner, plain_line
from edge_ser.sinks.console import WIDEST, _console
from edge_ser.sinks.screen import render

LONG_S = 30.0
"""Guards against hanging; never waited for when all is well."""
STATUS = Status(
    state="listening",
    source="USB microphone",
    stream_s=3_723.4,
    level_dbfs=-32.4,
    floor_dbfs=-61.0,
    speaking=True,
    events=12,
    latency_ms=41.2,
)


def event(**changes: Any) -> Event:
    return Event(
        **{
            "sequence": 1,
            "kind": "utterance",
            "label": "joy",
            "uncertain": False,
            "scores": {"anger": 0.04, "joy": 0.93, "neutral": 0.03},
            "start_s": 1.0,
            "end_s": 3.31,
            "time": 1_792_022_400.0,
            "level_dbfs": -23.14,
            "latency_ms": 41.2,
            "dropped_samples": 0,
            "cut": False,
            "model": "tiny",
            "model_sha256": "",
            "source": "test",
            **changes,
        }
    )


@pytest.fixture(autouse=True)
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


def picture(
    status: Status, *events: Event, width: int = 80, encoding: str = "utf-8", **console: Any
) -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    Console(file=file, width=width, **{"color_system": None, **console}).print(
        render(status, events)
    )
    file.flush()
    return raw.getvalue().decode(encoding)


# --- plain lines


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "joy           0.93    2.31 s   -23.1 dBFS     41 ms"),
        (
            {"uncertain": True, "cut": True},
            "joy           0.93    2.31 s   -23.1 dBFS     41 ms  uncertain, cut",
        ),
        ({"kind": "partial"}, "joy           0.93    2.31 s   -23.1 dBFS     41 ms  so far"),
        (
            {"kind": "no_speech", "label": "no_speech", "level_dbfs": -120.0},
            "no_speech             2.31 s  -120.0 dBFS     41 ms",
        ),
    ],
)
def test_an_event_is_a_line_in_local_time(changes: dict[str, Any], line: str) -> None:
    assert plain_line(event(**changes)) == f"2026-10-15 02:00:00  {line}"


def test_lines_go_out_one_by_one() -> None:
    stream = io.StringIO()
    sink = PlainLines(stream)
    sink.write(event())
    sink.write(event(label="anger"), None)
    sink.close()
    first, second = stream.getvalue().splitlines()
    assert (first, "anger" in second) == (plain_line(event()), True)
    assert sink.name == "a stream"


def test_a_full_disk_is_a_storage_error() -> None:
    with open("/dev/full", "w") as stream, pytest.raises(StorageError, match="No space left"):
        PlainLines(stream).write(event())


@given(st.text())
def test_no_label_steers_the_terminal(label: str) -> None:
    line = plain_line(event(label=label, scores={label: 1.0}))
    assert line.isprintable()
    assert printable("anger ärger 怒り") == "anger ärger 怒り"


# --- the picture


def test_the_picture_shows_what_goes_on() -> None:
    status = Status(
        **{
            **vars(STATUS),
            "state": "degraded",
            "causes": ("microphone: unplugged", "events.jsonl: no space"),
            "dropped_samples": 441,
            "skipped_s": 1.5,
            "sink_drops": {"events.jsonl": 3},
            "faults": {"unplugged": 2},
        }
    )
    shown = picture(status, event(label="anger", uncertain=True), event(), event(cut=True))
    lines = [line.rstrip() for line in shown.splitlines()]
    assert lines[0] == f"{'degraded  USB microphone':<72} 1:02:03"
    assert re.fullmatch(r"speech ━+┃━+ +-32 dBFS", lines[1])
    assert lines[2].strip() == "noise floor -61 dBFS"
    assert lines[4] == "joy  cut"
    bars = {
        match[1]: match for match in re.finditer(r"^(\w+) +(━*)[╸╺ ]* +(\d\.\d\d)", shown, re.M)
    }
    assert {label: match[3] for label, match in bars.items() if match[2] or match[3]} == {
        "anger": "0.04",
        "joy": "0.93",
        "neutral": "0.03",
    }
    assert len(bars["joy"][2]) > 20 * max(1, len(bars["anger"][2]))
    counters = "events 12  latency 41 ms  lost samples 441  skipped 1.5 s  events.jsonl dropped 3"
    assert counters.split() == " ".join(lines[9:11]).split()
    assert "microphone: unplugged" in lines
    assert "faults so far: unplugged 2" in lines
    assert lines[-3:] == [
        "02:00:00  0.93    2.3 s  joy",
        "02:00:00  0.93    2.3 s  joy",
        "02:00:00  0.04?   2.3 s  anger",
    ]


@pytest.mark.parametrize(
    ("changes", "gate"),
    [
        ({"speaking": False}, "quiet"),
        ({"speaking": True}, "speech"),
        ({"speaking": True, "muted": True}, "muted"),
    ],
)
def test_the_gate_is_named(changes: dict[str, Any], gate: str) -> None:
    assert picture(Status(**{**vars(STATUS), **changes})).splitlines()[1].startswith(f"{gate} ")


@pytest.mark.parametrize(
    ("level", "floor", "bar"),
    [
        (-80.0, -80.0, "┃" + " " * 19),
        (-40.0, -60.0, "━" * 5 + "┃" + "━" * 4 + " " * 10),
        (-120.0, -120.0, "┃" + " " * 19),
        (0.0, -4.0, "━" * 19 + "┃"),
        (6.0, 6.0, "━" * 19 + "┃"),
    ],
)
def test_the_level_bar_runs_from_80_db_below_full_scale(
    level: float, floor: float, bar: str
) -> None:
    status = Status(**{**vars(STATUS), "level_dbfs": level, "floor_dbfs": floor})
    width = 7 + 20 + len(f" {level:.0f} dBFS")
    shown = picture(status, width=width, no_color=True).splitlines()[1]
    assert shown == f"speech {bar} {level:.0f} dBFS"


def test_a_silence_a_partial_result_and_very_many_labels_fit() -> None:
    silence = event(kind="no_speech", label="no_speech", scores={"joy": 0.0})
    assert "02:00:00          2.3 s  no_speech" in picture(STATUS, silence)
    assert "\njoy  so far" in picture(STATUS, event(kind="partial"))
    many = {f"label{n:03}": n / 1000 for n in range(1000)}
    shown = picture(STATUS, event(label="label999", scores=many))
    assert re.findall(r"^label\d+ .*\d$", shown, re.M)[-12:] == [
        line for line in shown.splitlines() if re.match(r"label(98[89]|99\d) .*\d\.\d\d$", line)
    ]
    assert len(shown.splitlines()) < 24


@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_it_fits_every_terminal(width: int, encoding: str) -> None:
    status = Status(
        **{
            **vars(STATUS),
            "source": "alsa_input.usb-C-Media_Electronics_Inc._USB_PnP_Sound_Device-00.analog",
            "causes": ("microphone: busy: used by another program, waiting for it",),
        }
    )
    long = "a label with a name that is much too long for any terminal that there ever was"
    shown = picture(
        status, event(), event(label=long, scores={long: 0.5}), width=width, encoding=encoding
    )
    assert all(cell_len(line) <= width for line in shown.splitlines())
    assert "0.50" in shown and "dBFS" in shown and "1:02:03" in shown


def test_nothing_in_the_picture_is_markup_or_steers_the_terminal() -> None:
    evil = "[bold]\x1b[2J\u202e"
    status = Status(
        **{
            **vars(STATUS),
            "source": evil,
            "causes": (evil,),
            "faults": {evil: 1},
            "sink_drops": {evil: 1},
        }
    )
    shown = picture(status, event(label=evil, scores={evil: 1.0}))
    assert shown.count("[bold]\\x1b[2J") == 7
    assert "\x1b" not in shown and "\u202e" not in shown


def test_colours_are_left_out_where_they_are_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    console = {"force_terminal": True, "color_system": "standard"}
    colours = re.compile(r"\x1b\[[\d;]*3[1-7]")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert colours.search(picture(STATUS, event(), **console))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not colours.search(picture(STATUS, event(), **console))


# --- the live view


class Terminal:
    """A pseudo-terminal of 80 columns; `stream` is the program's side."""

    def __init__(self) -> None:
        self.master, slave = os.openpty()
        self.stream: TextIO = os.fdopen(slave, "w", encoding="utf-8")
        self.text = ""

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + LONG_S
        while text not in self.text:
            ready, _, _ = select.select([self.master], [], [], deadline - time.monotonic())
            assert ready, f"{text!r} does not appear in {self.text!r}"
            self.text += os.read(self.master, 1 << 16).decode("utf-8", "replace")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "40")
    terminal = Terminal()
    yield terminal
    terminal.stream.close()
    os.close(terminal.master)


def test_the_view_shows_events_as_they_come_and_gives_the_terminal_back(
    terminal: Terminal,
) -> None:
    view = LiveView(terminal.stream, lambda: STATUS)
    runner = SinkRunner(view)
    view.start()
    view.start()
    terminal.wait_for("USB microphone")
    assert "\x1b[?25l" in terminal.text and "joy" not in terminal.text
    runner.offer(event())
    terminal.wait_for("02:00:00  0.93")
    assert "\x1b[?25h" not in terminal.text
    assert runner.close(LONG_S)
    terminal.wait_for("\x1b[?25h")


def test_what_is_logged_goes_above_the_view_where_both_share_the_terminal(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", terminal.stream)
    view = LiveView(terminal.stream, lambda: STATUS)
    view.start()
    terminal.wait_for("USB microphone")
    assert sys.stderr is not terminal.stream
    print("something to know", file=sys.stderr)
    terminal.wait_for("something to know")
    view.close()
    assert sys.stderr is terminal.stream


def test_a_width_that_nobody_has_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns, width in (("80", 80), ("99999999", WIDEST)):
        monkeypatch.setenv("COLUMNS", columns)
        assert _console(io.StringIO()).width == width


def test_a_log_file_keeps_its_lines(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    view = LiveView(terminal.stream, lambda: STATUS)
    view.start()
    terminal.wait_for("USB microphone")
    assert sys.stderr is log
    view.close()


def test_a_view_that_was_never_shown_can_be_closed() -> None:
    stream = io.StringIO()
    view = LiveView(stream, lambda: STATUS)
    view.write(event())
    view.close()
    assert stream.getvalue() == ""


class Gone(io.StringIO):
    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error
        self.tried = threading.Event()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.tried.set()
        raise self.error


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), BrokenPipeError()])
def test_a_terminal_that_has_gone_ends_the_view_quietly(
    error: OSError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Gone(error)
    view = LiveView(stream, lambda: STATUS)
    view.start()
    assert stream.tried.wait(LONG_S)
    view.close()
    with pytest.raises(BrokenPipeError):
        view.write(event())


def test_a_status_that_fails_ends_the_view_and_is_said(
    terminal: Terminal, caplog: pytest.LogCaptureFixture
) -> None:
    def status() -> Status:
        raise KeyError("gate")

    view = LiveView(terminal.stream, status)
    with caplog.at_level(logging.WARNING, "edge_ser.sinks"):
        view.start()
        terminal.wait_for("\x1b[?25h")
        view.close()
    view.write(event())
    assert [record.getMessage() for record in caplog.records] == [
        "terminal: the view ended: KeyError: 'gate'"
    ]


def test_sinks_load_neither_rich_nor_numpy_before_they_are_used() -> None:
    program = (
        "import sys, edge_ser.sinks, edge_ser.events; print({'rich', 'numpy'} & {*sys.modules})"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ended.stdout == "set()\n"
