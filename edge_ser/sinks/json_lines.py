"""JSON lines: one event a line, on a stream or in a file that is rotated."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from edge_ser.documents import CONTROLS
from edge_ser.errors import ConfigError, StorageError
from edge_ser.sinks.lines import LineWriter

if TYPE_CHECKING:
    from edge_ser.audio import Clip
    from edge_ser.events import Event

__all__ = ["JsonLines", "JsonLinesFile", "JsonLinesOptions", "json_line"]

START = b'{"sequence": '
"""How every line begins."""
LONGEST_LINE = 1 << 18
MODE = 0o640
"""What somebody felt is not for everybody on the machine; the umask may take more away."""


@dataclass(frozen=True)
class JsonLinesOptions:
    """A file of events."""

    path: str | None = None
    """The file; none without. What is there is kept and appended to."""
    max_bytes: int = 10_000_000
    """Size at which the file is renamed to PATH.1, PATH.1 to PATH.2, ... and a new one begun."""
    backups: int = 5
    """Renamed files that are kept."""

    def __post_init__(self) -> None:
        if self.path is not None and not self.path.strip():
            raise ConfigError("jsonl: path is empty, expected a file name; or leave it out")
        if not 10_000 <= self.max_bytes <= 1 << 50:
            raise ConfigError(f"jsonl: max_bytes is {self.max_bytes}, expected 10000 to 2^50")
        if not 0 <= self.backups <= 1000:
            raise ConfigError(f"jsonl: backups is {self.backups}, expected 0 to 1000")


def json_line(event: Event) -> str:
    """An event as JSON in one line."""
    line = json.dumps(event.to_dict(), ensure_ascii=False, allow_nan=False)
    return line.translate(CONTROLS)


class JsonLines:
    """Writes each event to an open text stream, in UTF-8."""

    wants_audio = False

    def __init__(self, stream: TextIO) -> None:
        self._lines = LineWriter(stream)
        self.name = self._lines.name

    def write(self, event: Event, clip: Clip | None = None) -> None:
        """Write one line, and have it out.

        Raises:
            StorageError: it cannot be written now.
            BrokenPipeError: the reader has gone.
        """
        self._lines.write(json_line(event))

    def close(self) -> None:
        """The stream is its owner's to close."""


class JsonLinesFile:
    """Appends each event to a file. Every line in it is whole, also after the disk was full.

    Lines reach the system at once, the disk when the system thinks fit. A file that somebody
    renamed, deleted or truncated, as logrotate does, is begun anew or gone on with.
    """

    wants_audio = False

    def __init__(self, options: JsonLinesOptions) -> None:
        """Open nothing yet: `open` or the first event does.

        Raises:
            ConfigError: no path.
        """
        if options.path is None:
            raise ConfigError("jsonl: path is missing, expected the file to write events to")
        self.name = options.path
        self._options = options
        self._path = Path(options.path)
        self._descriptor: int | None = None
        self._whole: int | None = None
        """Size without the part of a line that could not be taken back yet."""

    def open(self) -> None:
        """Open the file, so that a wrong path is said before there is an event.

        Raises:
            StorageError: the folder is missing, or it may not be written, or is no regular file;
                or what is not ours stands where a full file is renamed to.
        """
        with self._as_storage_error("cannot be opened"):
            if self._descriptor is None:
                self._check_backups()
                self._open()

    def write(self, event: Event, clip: Clip | None = None) -> None:
        """Append one line.

        Raises:
            StorageError: it cannot be written now; nothing of it is left in the file.
        """
        line = json_line(event).encode("utf-8", "backslashreplace") + b"\n"
        with self._as_storage_error("cannot be written"):
            self._take_back()
            self._append(self._ready(len(line)), line)

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):
            self._take_back()
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)

    def _append(self, descriptor: int, line: bytes) -> None:
        size, rest = os.fstat(descriptor).st_size, line
        try:
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        except OSError:
            self._whole = size
            with suppress(OSError):
                self._take_back()
            raise

    def _take_back(self) -> None:
        """Remove the part of a line that was written before an error."""
        if self._whole is None or self._descriptor is None:
            return
        if os.fstat(self._descriptor).st_size > self._whole:
            os.ftruncate(self._descriptor, self._whole)
        self._whole = None

    def _ready(self, count: int) -> int:
        """The descriptor of a file at the path that has room for `count` bytes."""
        if self._descriptor is not None and self._was_moved(self._descriptor):
            self.close()
        descriptor = self._open() if self._descriptor is None else self._descriptor
        size = os.fstat(descriptor).st_size
        if size == 0 or size + count <= self._options.max_bytes:
            return descriptor
        self._rotate()
        self.close()
        return self._open()

    def _was_moved(self, descriptor: int) -> bool:
        try:
            return not os.path.samestat(os.stat(self._path), os.fstat(descriptor))
        except FileNotFoundError:
            return True

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(self._path, flags, MODE)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise StorageError(
                    f"{self.name}: not a regular file, expected one that can be rotated; "
                    "for a pipe or device write to standard output"
                )
            _mend(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return descriptor

    def _check_backups(self) -> None:
        """What stands where a full file will be renamed to must be one of ours."""
        for number in range(1, self._options.backups + 1):
            place = Path(f"{self.name}.{number}")
            with suppress(FileNotFoundError):
                if not stat.S_ISREG(os.stat(place).st_mode) or not _is_ours(place):
                    raise StorageError(
                        f"{place}: holds something else than events, where {self.name} would be "
                        "renamed to when it is full: move it, or name another file"
                    )

    def _rotate(self) -> None:
        """Rename PATH.n to PATH.n+1 from the oldest down, PATH to PATH.1; the last one goes."""
        names = [self._path, *(Path(f"{self.name}.{n + 1}") for n in range(self._options.backups))]
        if len(names) == 1:
            os.unlink(self._path)
        for newer, older in reversed(list(pairwise(names))):
            with suppress(FileNotFoundError):
                os.replace(newer, older)

    @contextmanager
    def _as_storage_error(self, failed: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(
                f"{self.name}: {failed}: {error.strerror or error}; "
                "make room and permission in its folder, or name another file"
            ) from error


def _is_ours(path: Path) -> bool:
    with path.open("rb") as stream:
        begun = stream.read(len(START))
    return not begun or begun == START


def _mend(descriptor: int) -> None:
    """End the file with a whole line: a power cut may have left part of one of ours."""
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, LONGEST_LINE, max(0, size - LONGEST_LINE))
    part = tail[tail.rfind(b"\n") + 1 :]
    if not part:
        return
    if START.startswith(part[: len(START)]) and not _is_whole(part):
        os.ftruncate(descriptor, size - len(part))
    else:
        os.write(descriptor, b"\n")


def _is_whole(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
