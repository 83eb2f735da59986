"""JSON lines on a stream: whole, at once, and none twice."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from edge_ser.errors import StorageError
from edge_ser.sinks import JsonLines

from .sink_events import LINE, event, room_for, sequences


def test_every_event_is_a_line_of_json() -> None:
    stream = io.StringIO()
    sink = JsonLines(stream)
    sink.write(event(1), None)
    sink.write(event(2), None)
    sink.close()
    assert [json.loads(line) for line in stream.getvalue().splitlines()] == [
        event(1).to_dict(),
        event(2).to_dict(),
    ]
    assert "ärger" in stream.getvalue()


def test_a_line_is_out_at_once_and_after_what_the_stream_holds(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with path.open("w", encoding="ascii", buffering=1 << 16) as stream:
        stream.write("before\n")
        JsonLines(stream).write(event(label="\udcff"))
        first, second = path.read_text().splitlines()
    assert first == "before"
    assert json.loads(second)["label"] == "\udcff"


def test_a_full_disk_behind_standard_output_is_a_storage_error() -> None:
    with (
        open("/dev/full", "w") as stream,
        pytest.raises(StorageError, match=r"^/dev/full: No space left on device: cannot be "),
    ):
        JsonLines(stream).write(event())


def test_a_line_that_was_written_in_part_is_completed_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with path.open("w") as stream:
        sink = JsonLines(stream)
        sink.write(event(1))
        with room_for(LINE + 50):
            for _ in range(2):
                with pytest.raises(StorageError):
                    sink.write(event(2))
        assert path.stat().st_size == LINE + 50
        sink.write(event(2))
        sink.write(event(3))
    assert sequences(path) == [1, 2, 3]


def test_a_reader_that_has_gone_is_no_storage_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream, pytest.raises(BrokenPipeError):
        JsonLines(stream).write(event())


def test_a_number_that_json_does_not_know_is_refused() -> None:
    stream = io.StringIO()
    with pytest.raises(ValueError, match="JSON"):
        JsonLines(stream).write(event(scores={"joy": float("nan")}))
    assert stream.getvalue() == ""
