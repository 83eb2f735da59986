"""Clips that are kept: whole, bounded, private."""

from __future__ import annotations

import dataclasses
import logging
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.audio import Clip, read_clip
from edge_ser.errors import ConfigError, StorageError
from edge_ser.sinks import ClipOptions, SaveClips

from .sink_events import MIDNIGHT, event, room_for

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
