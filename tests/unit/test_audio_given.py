"""What is given as a recording: paths to files or to none, files that are cut, file objects."""

from __future__ import annotations

import io
import os
import socket
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from edge_ser.audio import given as audio_given
from edge_ser.audio import open_recording, read_clip
from edge_ser.errors import DependencyError

from .audio_samples import error_of, noise, whole_steps, written


def test_file_objects(tmp_path: Path) -> None:
    path = written(tmp_path / "clip.flac", whole_steps(3_000))
    stream = io.BytesIO(path.read_bytes())
    stream.seek(17)
    assert read_clip(stream).digest() == read_clip(path).digest()
    assert not stream.closed
    with path.open("rb") as file:
        assert read_clip(file).digest() == read_clip(path).digest()


def test_names_need_not_be_text(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/clip\xff\n.wav"))
    path.write_bytes(written(tmp_path / "clip.wav", noise(10)).read_bytes())
    assert read_clip(path).length == 10
    path.write_bytes(b"")
    message = error_of(path)
    message.encode()
    assert "an empty file" in message


def test_folder(tmp_path: Path) -> None:
    assert error_of(tmp_path).startswith(f"{tmp_path}: a folder, expected an audio file")


def test_missing(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    assert error_of(str(path)) == f"{path}: no such file, expected an audio file: check the path"


def test_dangling_link(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    path.symlink_to("gone.wav")
    assert f"{path}: a link to gone.wav, which is not there" in error_of(path)


def test_link_to_itself(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    path.symlink_to(path)
    assert error_of(path).startswith(f"{path}: Too many levels of symbolic links")


def test_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "clip.wav", noise(10))
    path.chmod(0)
    if os.access(path, os.R_OK):  # root reads everything

        def refuse(path: object, mode: str) -> None:
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(audio_given, "open", refuse, raising=False)
    assert error_of(path).startswith(f"{path}: permission denied, expected a readable file")


def test_pipe(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    os.mkfifo(path)
    assert "a pipe or device" in error_of(path)


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    assert "embedded null byte" in error_of(f"{tmp_path}/clip\0.wav")
    assert "File name too long" in error_of(tmp_path / ("a" * 300))


def test_streams_that_cannot_seek() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, ours.makefile("rb") as stream:
        assert "expected an open file that can seek" in error_of(stream)  # type: ignore[arg-type]
    closed = io.BytesIO(b"RIFF")
    closed.close()
    assert "expected an open file that can seek" in error_of(closed)


def test_without_soundfile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "clip.wav", noise(10))
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(DependencyError, match="pip install soundfile"):
        open_recording(path)


class Named:
    """A path that is neither text nor `Path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


def test_any_path_like_object(tmp_path: Path) -> None:
    path = written(tmp_path / "clip.wav", noise(10))
    assert read_clip(Named(path)).length == 10  # type: ignore[arg-type]


@pytest.mark.parametrize("source", [None, 5, b"RIFF", [0.5], memoryview(b"RIFF")])
def test_what_is_no_source(source: Any) -> None:
    assert f"a value of type {type(source).__name__}, expected a path" in error_of(source)


def test_a_file_that_is_open_as_text(tmp_path: Path) -> None:
    path = written(tmp_path / "clip.wav", noise(10))
    with path.open(encoding="latin-1") as text:
        assert "open as text" in error_of(text)  # type: ignore[arg-type]


def test_a_file_that_is_open_for_writing(tmp_path: Path) -> None:
    with (tmp_path / "clip.wav").open("wb") as sink:
        assert "expected an open file" in error_of(sink)  # type: ignore[arg-type]


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
