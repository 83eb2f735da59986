"""JSON lines and clips: whole, bounded, private."""

from __future__ import annotations

import dataclasses
import errno
import io
import json
import logging
import os
import resource
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.audio import Clip, read_clip
from edge_ser.errors import ConfigError, StorageError
from edge_ser.events import Event
from edge_ser.sinks import (
    ClipOptions,
    JsonLines,
    JsonLinesFile,
    JsonLinesOptions,
    SaveClips,
)

MIDNIGHT = 1_792_022_400.0
"""2026-10-15T00:00:00Z"""


def event(sequence: int = 1, **changes: Any) -> Event:
    return Event(
        **{
            "sequence": sequence,
            "kind": "utterance",
            "label": "joy",
            "uncertain": False,
            "scores": {"joy": 0.9, "ärger": 0.1},
            "start_s": 0.0,
            "end_s": 1.0,
            "time": MIDNIGHT,
            "level_dbfs": -20.0,
            "latency_ms": 40.0,
            "dropped_samples": 0,
            "cut": False,
            "model": "tiny",
            "model_sha256": "",
            "source": "test",
            **changes,
        }
    )


LINE = len(json.dumps(event().to_dict(), ensure_ascii=False).encode()) + 1


def options(path: Path, **changes: Any) -> JsonLinesOptions:
    return JsonLinesOptions(str(path), **changes)


def sequences(*paths: Path) -> list[int]:
    """Of the events in the files, every line of which must be whole."""
    lines = [line for path in paths for line in path.read_text().splitlines(keepends=True)]
    assert all(line.endswith("\n") for line in lines)
    return [json.loads(line)["sequence"] for line in lines]


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# --- JSON lines on a stream


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


# --- JSON lines in a file


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


# --- clips

CLIP = Clip(np.linspace(-1, 1, 16_000, dtype=np.float32), 16_000)
BYTES = 44 + 2 * 16_000


def saving(folder: Path, now: float = MIDNIGHT, **changes: Any) -> SaveClips:
    return SaveClips(ClipOptions(str(folder), **changes), now=lambda: now)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_clip_is_kept_under_its_time_number_and_label(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "clips"
    saving(folder).write(event(42, label="très/../gai", time=MIDNIGHT + 0.1239), CLIP)
    assert names(folder) == ["20261015T000000.123Z-000042-tr_s____gai.wav"]
    kept = read_clip(folder / names(folder)[0])
    assert kept.rate == 16_000
    np.testing.assert_allclose(kept.samples, CLIP.samples, atol=2**-15)


def test_clips_are_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    before = os.umask(0)
    try:
        saving(folder).write(event(), CLIP)
    finally:
        os.umask(before)
    (path,) = folder.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    folder.chmod(0o750)
    saving(folder).open()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750


def test_partial_results_and_silences_are_not_kept(tmp_path: Path) -> None:
    sink = saving(tmp_path)
    assert sink.wants_audio
    sink.write(event(kind="partial"), CLIP)
    sink.write(event(kind="no_speech"), Clip(np.zeros(0, np.float32), 16_000))
    sink.write(event(), None)
    sink.close()
    assert names(tmp_path) == []


def test_the_oldest_clips_give_way(tmp_path: Path) -> None:
    sink = saving(tmp_path, max_bytes=1_000_000)
    fit = 1_000_000 // BYTES
    for n in range(fit + 5):
        sink.write(event(n, time=MIDNIGHT + n), CLIP)
    assert [int(name.split("-")[1]) for name in names(tmp_path)] == list(range(5, fit + 5))


def test_clips_that_are_too_old_go_at_the_start_and_at_each_clip(tmp_path: Path) -> None:
    sink = saving(tmp_path)
    for n in range(5):
        sink.write(event(n, time=MIDNIGHT + 100 * n), CLIP)
    saving(tmp_path, MIDNIGHT + 1000, max_age_s=800).open()
    assert [name.split("-")[1] for name in names(tmp_path)] == ["000002", "000003", "000004"]
    later = saving(tmp_path, MIDNIGHT + 1000, max_age_s=650)
    later.write(event(9, time=MIDNIGHT + 1000), CLIP)
    assert [name.split("-")[1] for name in names(tmp_path)] == ["000004", "000009"]


def test_nothing_but_clips_of_ours_is_counted_or_deleted(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "clips", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    ours = "20200101T000000.000Z-000001-joy.wav"
    kept = {
        "holiday.wav",
        "20200101T000000.000Z-000001-joy.wav.bak",
        "20200101T000000.000Z-000001-joy.flac",
        "2020-01-01-000001-joy.wav",
        "x20200101T000000.000Z-000001-joy.wav",
        "20200101T000000.000Z-000001-jo y.wav",
    }
    for path in [*(folder / name for name in kept), elsewhere / ours]:
        path.write_bytes(b"x" * 2_000_000)
    linked = ours.replace("joy", "link")
    (folder / linked).symlink_to(elsewhere / ours)
    inner = ours.replace("joy", "folder")
    (folder / inner).mkdir()
    (folder / ours).write_bytes(b"x")
    (folder / f".{ours}.part").write_bytes(b"x")
    saving(folder, max_bytes=1_000_000).write(event(), CLIP)
    new = "20261015T000000.000Z-000001-joy.wav"
    assert set(names(folder)) == kept | {linked, inner, new}
    assert (elsewhere / ours).exists()


def test_a_folder_may_be_a_link_itself(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "clips").symlink_to(tmp_path / "private")
    saving(tmp_path / "clips").write(event(), CLIP)
    assert len(names(tmp_path / "private")) == 1


def test_a_link_in_place_of_a_clip_is_replaced_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    folder = tmp_path / "clips"
    folder.mkdir()
    name = "20261015T000000.000Z-000001-joy.wav"
    (folder / name).symlink_to(target)
    (folder / f".{name}.part").symlink_to(target)
    saving(folder).write(event(), CLIP)
    assert target.read_text() == "precious"
    assert names(folder) == [name] and not (folder / name).is_symlink()


def test_a_clip_that_no_limit_allows_is_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink = saving(tmp_path, max_bytes=1_000_000)
    with caplog.at_level(logging.WARNING):
        sink.write(event(), Clip(np.zeros(500_000, np.float32), 16_000))
    assert names(tmp_path) == []
    assert "a clip of 1000044 bytes is over max_bytes: not kept" in caplog.text


def test_a_full_disk_leaves_no_part_of_a_clip(tmp_path: Path) -> None:
    sink = saving(tmp_path)
    with (
        room_for(1000),
        pytest.raises(StorageError, match="clips cannot be kept: File too large; make room"),
    ):
        sink.write(event(), CLIP)
    assert names(tmp_path) == []
    sink.write(event(), CLIP)
    assert len(names(tmp_path)) == 1


def test_a_folder_that_cannot_be_made_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="clips cannot be kept: Not a directory"):
        saving(tmp_path / "file" / "clips").open()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"folder": ""}, "folder is empty"),
        ({"max_bytes": 1}, "max_bytes is 1, expected 1000000 to 2"),
        ({"max_age_s": 0}, "max_age_s is 0, expected 1 to 1e10"),
        ({"max_age_s": float("nan")}, "max_age_s is nan"),
    ],
)
def test_options_of_clips_out_of_range_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^clips: {message}"):
        ClipOptions(**changes)


def test_clips_need_a_folder() -> None:
    with pytest.raises(ConfigError, match="folder is missing"):
        SaveClips(ClipOptions())


@given(st.text(min_size=1, max_size=60), st.floats(0, 4e9), st.integers(0, 10**9))
def test_every_name_is_one_of_ours_and_sorts_by_time(label: str, time: float, n: int) -> None:
    from edge_ser.sinks.clips import NAME, _name

    name = _name(dataclasses.replace(event(n), label=label, time=time))
    assert NAME.fullmatch(name)
    assert name < _name(dataclasses.replace(event(0), label="a", time=time + 0.0021))
