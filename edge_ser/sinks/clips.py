"""Clips kept as WAV files, where somebody asked for that: bounded in size and age."""

from __future__ import annotations

import io
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edge_ser.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from edge_ser.audio import Clip
    from edge_ser.events import Event

__all__ = ["ClipOptions", "SaveClips"]

LOG = logging.getLogger("edge_ser.sinks")

NAME = re.compile(r"\.?\d{8}T\d{6}\.\d{3}Z-\d{6,}-[\w-]{1,40}\.wav(\.part)?", re.ASCII)
"""`20261121T140322.123Z-000042-anger.wav`, or a part file that a power cut left."""


@dataclass(frozen=True)
class ClipOptions:
    """Where clips are kept, how many and for how long. Without a folder none are."""

    folder: str | None = None
    """Made, readable for its owner alone, where it is missing."""
    max_bytes: int = 100_000_000
    """Bytes of all clips together; the oldest go first."""
    max_age_s: float = 7 * 86_400.0
    """Seconds after which a clip is deleted."""

    def __post_init__(self) -> None:
        if self.folder is not None and not self.folder.strip():
            raise ConfigError("clips: folder is empty, expected its name; or leave it out")
        if not 1_000_000 <= self.max_bytes <= 1 << 50:
            raise ConfigError(f"clips: max_bytes is {self.max_bytes}, expected 1000000 to 2^50")
        if not 1 <= self.max_age_s <= 1e10:
            raise ConfigError(f"clips: max_age_s is {self.max_age_s}, expected 1 to 1e10")


class SaveClips:
    """Keeps what was classified: 16-bit WAV files named by UTC time, sequence number and label.

    Only files named in this way are ever counted or deleted, and no link is followed to another
    folder. The limits are kept at `open` and at every clip.
    """

    wants_audio = True

    def __init__(self, options: ClipOptions, now: Callable[[], float] = time.time) -> None:
        """Touch nothing yet: `open` or the first clip does.

        Args:
            options: the folder and its limits.
            now: seconds since the epoch.

        Raises:
            ConfigError: no folder.
        """
        if options.folder is None:
            raise ConfigError("clips: folder is missing, expected where to keep clips")
        self.name = options.folder
        self._folder = Path(options.folder)
        self._options = options
        self._now = now

    def open(self) -> None:
        """Make the folder and delete what is too old or too much.

        Raises:
            StorageError: it cannot be made, read or written.
        """
        with self._as_storage_error():
            self._make_room(0)
            if not os.access(self._folder, os.W_OK | os.X_OK):
                raise OSError("may not be written")

    def write(self, event: Event, clip: Clip | None) -> None:
        """Keep the clip of an event; that of a partial result comes again with the whole one.

        Raises:
            StorageError: it cannot be kept now; nothing of it is left in the folder.
        """
        if clip is None or not len(clip.samples) or event.kind == "partial":
            return
        data = _wav(clip)
        if len(data) > self._options.max_bytes:
            LOG.warning("%s: a clip of %d bytes is over max_bytes: not kept", self.name, len(data))
            return
        with self._as_storage_error():
            self._make_room(len(data))
            _write_private(self._folder / _name(event), data)

    def close(self) -> None:
        """Nothing is held between clips."""

    def _make_room(self, count: int) -> None:
        """Delete what is too old, then the oldest until `count` bytes more are within the limit."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        oldest = _stamp(max(0.0, self._now() - self._options.max_age_s))
        kept = sorted(self._kept())
        total = count + sum(size for _, size, _ in kept)
        for stamp, size, path in kept:
            if stamp >= oldest and total <= self._options.max_bytes:
                return
            path.unlink(missing_ok=True)
            total -= size

    def _kept(self) -> Iterator[tuple[str, int, Path]]:
        """Stamp, bytes and path of every clip in the folder."""
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    size = entry.stat(follow_symlinks=False).st_size
                    yield entry.name.lstrip("."), size, Path(entry.path)

    @contextmanager
    def _as_storage_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(
                f"{self.name}: clips cannot be kept: {error.strerror or error}; "
                "make room and permission there, or name another folder"
            ) from error


def _wav(clip: Clip) -> bytes:
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, clip.samples, clip.rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def _stamp(seconds: float) -> str:
    """Time in UTC; as text in the order of time."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y%m%dT%H%M%S}.{moment.microsecond // 1000:03}Z"


def _name(event: Event) -> str:
    label = re.sub(r"[^\w-]", "_", event.label, flags=re.ASCII)[:40]
    return f"{_stamp(event.time)}-{event.sequence:06}-{label}.wav"


def _write_private(path: Path, data: bytes) -> None:
    """Write a file that its owner alone can read, beside and then renamed."""
    part = path.with_name(f".{path.name}.part")
    try:
        with suppress(FileNotFoundError):
            part.unlink()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(part, flags, 0o600), "wb") as file:
            file.write(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
