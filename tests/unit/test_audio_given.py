"""What is given as a recording: files that are cut, file objects with a file and without."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, cast

import pytest

from edge_ser.audio import open_recording, read_clip

from .test_audio_files import error_of, whole_steps, written


@pytest.mark.parametrize(
    ("declared", "cut", "said"),
    [
        (None, 1000, "ends 1000 bytes before what its WAV header declares"),
        (None, 0, None),
        (None, 1, None),
        (0, 1000, None),
        (0xFFFFFFFF, 1000, None),
        (0x7FFFFFFF, 1000, None),
    ],
)
def test_a_wav_file_that_is_cut_is_read_and_told(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    declared: int | None,
    cut: int,
    said: str | None,
) -> None:
    path = written(tmp_path / "clip.wav", whole_steps(3_000))
    data = bytearray(path.read_bytes())
    if declared is not None:
        data[4:8] = declared.to_bytes(4, "little")
    path.write_bytes(data[: len(data) - cut])
    assert len(read_clip(path).samples) >= 3_000 - cut
    assert [r.getMessage() for r in caplog.records] == ([f"{path}: {said}"] if said else [])


class Interrupted(io.BytesIO):
    """A file object that a signal interrupts while it is read."""

    def readinto(self, buffer: object) -> int:
        raise KeyboardInterrupt


def test_what_is_in_memory_or_a_file_is_read_without_calling_back(tmp_path: Path) -> None:
    """libsndfile would swallow what a signal raises in a call from it."""
    path = written(tmp_path / "clip.wav", whole_steps(3_000))
    before = len(os.listdir("/dev/fd"))
    for _ in range(3):
        assert read_clip(Interrupted(path.read_bytes())).digest() == read_clip(path).digest()
        with path.open("rb") as file:
            recording = open_recording(file)
        # Open for as long as it is wanted, whatever becomes of the file object.
        assert recording.read(2_990, 10).tobytes() == read_clip(path).samples[2_990:].tobytes()
        recording.close()
        assert error_of(io.BytesIO(b"no audio"))
    assert len(os.listdir("/dev/fd")) == before


class Wrapped:
    """A file object of others, without a file of its own."""

    def __init__(self, data: bytes) -> None:
        self._inner = io.BytesIO(data)

    def __getattr__(self, name: str) -> object:
        if name in ("fileno", "name"):
            raise AttributeError(name)
        return getattr(self._inner, name)


def test_what_has_no_descriptor_is_read_by_its_methods(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "clip.flac", whole_steps(3_000))
    expected = read_clip(path).digest()
    assert read_clip(cast(Any, Wrapped(path.read_bytes()))).digest() == expected
    monkeypatch.delattr(os, "memfd_create")  # as where there is no Linux
    assert read_clip(io.BytesIO(path.read_bytes())).digest() == expected
