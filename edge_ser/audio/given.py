"""What is given as a recording, before libsndfile is asked: a path, a file object, or neither."""

from __future__ import annotations

import io
import logging
import os
import stat
from pathlib import Path
from typing import BinaryIO

from edge_ser.errors import AudioError

__all__ = ["check_source", "descriptor_of", "shown_name"]

LOG = logging.getLogger("edge_ser.audio")

RIFF = b"RIFF"
OPEN_ENDED = 0x7FFF0000
"""From this size on, and 0, a writer to a pipe means that it does not know yet."""


def descriptor_of(source: BinaryIO) -> int | None:
    """One of our own for a file object's file, or for what is in memory; None where neither is.

    libsndfile would call a file object back, and what a signal raises in there is lost.
    """
    if isinstance(source, io.BytesIO):
        if not hasattr(os, "memfd_create"):
            return None
        with open(os.memfd_create("edge-ser"), "wb") as memory:
            memory.write(source.getbuffer())
            memory.flush()
            return os.dup(memory.fileno())
    try:
        return os.dup(source.fileno())
    except (AttributeError, OSError, ValueError):
        return None


def check_source(source: str | Path | BinaryIO, shown: str) -> None:
    """Tell apart what libsndfile reports as one and the same failure to open."""
    if not isinstance(source, str | Path):
        if not hasattr(source, "seek"):
            raise AudioError(
                f"a value of type {type(source).__name__}, expected a path or an open binary file: "
                "give samples as a numpy array with their rate"
            )
        try:
            size = source.seek(0, os.SEEK_END)
            if isinstance(source.read(0), str):
                raise AudioError(f"{shown}: open as text, expected bytes: open it with mode 'rb'")
        except (OSError, ValueError) as error:
            raise AudioError(
                f"{shown}: {error}, expected an open file that can seek: spool it to one"
            ) from error
    else:
        size = _size(source, shown)
    if size == 0:
        raise AudioError(f"{shown}: an empty file, expected audio: copy or record it again")


def _size(path: str | Path, shown: str) -> int:
    """Size in bytes of a regular file that can be opened."""
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise AudioError(f"{shown}: a folder, expected an audio file: name the files in it")
        if not stat.S_ISREG(status.st_mode):
            raise AudioError(
                f"{shown}: a pipe or device, expected an audio file: save its output to a file"
            )
        with open(path, "rb") as file:
            _say_if_cut(file.read(8), status.st_size, shown)
        return status.st_size
    except FileNotFoundError as error:
        if os.path.islink(path):
            target = _printable(os.readlink(path))
            raise AudioError(
                f"{shown}: a link to {target}, which is not there: restore the file or the link"
            ) from error
        raise AudioError(
            f"{shown}: no such file, expected an audio file: check the path"
        ) from error
    except PermissionError as error:
        raise AudioError(
            f"{shown}: permission denied, expected a readable file: check its owner and mode"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise AudioError(f"{shown}: {reason}, expected an audio file: check the path") from error


def _say_if_cut(head: bytes, size: int, shown: str) -> None:
    """Warn of a WAV file that is shorter than it declares; libsndfile reads what is there."""
    if len(head) < 8 or head[:4] != RIFF:
        return
    declared = int.from_bytes(head[4:], "little")
    missing = declared + 8 - size
    # One byte of padding is often counted and not written.
    if 0 < declared < OPEN_ENDED and missing > 1:
        LOG.warning("%s: ends %d bytes before what its WAV header declares", shown, missing)


def shown_name(source: str | Path | BinaryIO) -> str:
    """What messages call it."""
    name = source if isinstance(source, str | Path) else getattr(source, "name", None)
    return _printable(str(name)) if isinstance(name, str | Path) else "audio stream"


def _printable(name: str) -> str:
    return name if name.isprintable() else ascii(name)
