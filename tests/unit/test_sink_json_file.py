"""JSON lines in a file: private, bounded, and whole after a full disk or a crash."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.errors import ConfigError, StorageError
from edge_ser.sinks import JsonLinesFile, JsonLinesOptions

from .sink_events import LINE, event, room_for, sequences


def options(path: Path, **changes: Any) -> JsonLinesOptions:
    return JsonLinesOptions(str(path), **changes)


def test_events_are_appended_to_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for n in (1, 2):
        sink = JsonLinesFile(options(path))
        sink.open()
        sink.open()
        sink.write(event(n))
        assert sequences(path) == list(range(1, n + 1))
        sink.close()
        sink.close()
    assert sink.name == str(path)


@pytest.mark.parametrize(("umask", "mode"), [(0o000, 0o640), (0o077, 0o600)])
def test_a_new_file_is_not_for_everybody(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        JsonLinesFile(options(tmp_path / "events")).open()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "events").stat().st_mode) == mode


def test_a_full_file_is_renamed_and_the_oldest_goes(tmp_path: Path) -> None:
    path = tmp_path / "events"
    per_file = 10_000 // LINE
    sink = JsonLinesFile(options(path, max_bytes=10_000, backups=2))
    total = 4 * per_file + 3
    for n in range(1, total + 1):
        sink.write(event(n))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["events", "events.1", "events.2"]
    kept = sequences(tmp_path / "events.2", tmp_path / "events.1", path)
    assert kept == list(range(kept[0], total + 1))
    assert len(kept) >= 2 * per_file
    assert all(p.stat().st_size <= 10_000 for p in tmp_path.iterdir())


def test_without_backups_a_full_file_begins_anew(tmp_path: Path) -> None:
    sink = JsonLinesFile(options(tmp_path / "events", max_bytes=10_000, backups=0))
    for n in range(10_000 // LINE + 1):
        sink.write(event(n))
    assert [p.name for p in tmp_path.iterdir()] == ["events"]
    assert sequences(tmp_path / "events") == [10_000 // LINE]


def test_an_event_larger_than_a_file_may_be_is_still_written(tmp_path: Path) -> None:
    path = tmp_path / "events"
    sink = JsonLinesFile(options(path, max_bytes=10_000))
    for n in (1, 2):
        sink.write(event(n, source="x" * 20_000))
    assert (sequences(tmp_path / "events.1"), sequences(path)) == ([1], [2])


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    path = tmp_path / "events"
    sink = JsonLinesFile(options(path))
    sink.write(event(1))
    with room_for(LINE + 50):
        for _ in range(2):
            with pytest.raises(StorageError, match=r"events: cannot be written: File too large; "):
                sink.write(event(2))
            assert sequences(path) == [1]
    sink.write(event(2))
    assert sequences(path) == [1, 2]


@pytest.mark.parametrize("copy_and_truncate", [False, True])
def test_a_half_line_that_could_not_be_taken_back_is_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copy_and_truncate: bool
) -> None:
    path = tmp_path / "events"
    sink = JsonLinesFile(options(path))
    sink.write(event(1))

    def fail(descriptor: int, size: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "ftruncate", fail)
        with room_for(LINE + 50), pytest.raises(StorageError, match="File too large"):
            sink.write(event(2))
        with pytest.raises(StorageError, match="Input/output error"):
            sink.write(event(2))
    assert path.stat().st_size == LINE + 50
    if copy_and_truncate:
        path.write_text("")
    sink.write(event(2))
    assert sequences(path) == ([2] if copy_and_truncate else [1, 2])


def test_closing_takes_a_half_line_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events"
    sink = JsonLinesFile(options(path))
    sink.write(event(1))
    with monkeypatch.context() as patch:
        patch.setattr(os, "ftruncate", lambda *_: (_ for _ in ()).throw(OSError()))
        with room_for(LINE + 50), pytest.raises(StorageError):
            sink.write(event(2))
    sink.close()
    assert sequences(path) == [1]


@pytest.mark.parametrize(
    ("left", "becomes"),
    [
        ("", ""),
        ('{"sequence": 1}\n', '{"sequence": 1}\n'),
        ('{"sequence": 1}\n{"sequence": 2, "ki', '{"sequence": 1}\n'),
        ('{"sequence": 1}\n{"se', '{"sequence": 1}\n'),
        ('{"sequence": 2, "ki', ""),
        ("somebody's notes", "somebody's notes\n"),
        ("{}", "{}\n"),
        ('{"sequence": 1, "label": "x"}', '{"sequence": 1, "label": "x"}\n'),
    ],
)
def test_a_half_line_of_ours_is_removed_and_nothing_of_others(
    tmp_path: Path, left: str, becomes: str
) -> None:
    path = tmp_path / "events"
    path.write_text(left)
    JsonLinesFile(options(path)).open()
    assert path.read_text() == becomes


@given(st.binary(max_size=60), st.integers(0, LINE))
def test_what_a_crash_leaves_never_glues_to_the_next_line(before: bytes, taken: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events"
        part = (json.dumps(event().to_dict(), ensure_ascii=False) + "\n").encode()[:taken]
        path.write_bytes(before + b"\n" + part)
        sink = JsonLinesFile(options(path))
        sink.write(event(2))
        sink.close()
        lines = path.read_bytes()[len(before) + 1 :].decode().splitlines()
        assert path.read_bytes().startswith(before + b"\n")
        assert [json.loads(line)["sequence"] for line in lines] == [1] * (taken >= LINE - 1) + [2]


@pytest.mark.parametrize("foreign", ["MY THESIS", "folder", "events", "empty"])
def test_a_full_file_takes_no_place_of_others(tmp_path: Path, foreign: str) -> None:
    place = tmp_path / "events.2"
    if foreign == "folder":
        place.mkdir()
    else:
        place.write_text({"events": '{"sequence": 1}\n', "empty": ""}.get(foreign, foreign))
    sink = JsonLinesFile(options(tmp_path / "events", backups=2))
    if foreign in ("events", "empty"):
        sink.open()
        sink.close()
        return
    with pytest.raises(StorageError, match=r"events\.2: holds something else than events"):
        sink.open()


def move(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


def replace(path: Path) -> None:
    move(path)
    path.write_text("")


def truncate(path: Path) -> None:
    os.truncate(path, 0)


@pytest.mark.parametrize("rotate", [move, replace, Path.unlink, truncate])
def test_a_file_that_logrotate_took_is_begun_anew(
    tmp_path: Path, rotate: Callable[[Path], None]
) -> None:
    path = tmp_path / "events"
    sink = JsonLinesFile(options(path))
    sink.write(event(1))
    rotate(path)
    sink.write(event(2))
    sink.write(event(3))
    assert sequences(path) == [2, 3]
    moved = tmp_path / "elsewhere"
    assert not moved.exists() or sequences(moved) == [1]


def test_a_folder_that_is_missing_is_said_at_the_start_and_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "later" / "events"
    sink = JsonLinesFile(options(path))
    with pytest.raises(StorageError, match="events: cannot be opened: No such file or directory; "):
        sink.open()
    with pytest.raises(StorageError, match="cannot be written: No such file"):
        sink.write(event(1))
    path.parent.mkdir()
    sink.write(event(1))
    assert sequences(path) == [1]
    sink.close()


def test_only_a_regular_file_is_taken(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path(os.devnull)):
        with pytest.raises(StorageError, match="not a regular file"):
            JsonLinesFile(options(path)).open()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": " "}, "path is empty"),
        ({"max_bytes": 9_999}, "max_bytes is 9999, expected 10000 to 2"),
        ({"backups": -1}, "backups is -1, expected 0 to 1000"),
    ],
)
def test_options_of_a_file_out_of_range_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^jsonl: {message}"):
        JsonLinesOptions(**changes)


def test_a_file_needs_a_path() -> None:
    with pytest.raises(ConfigError, match="path is missing"):
        JsonLinesFile(JsonLinesOptions())
