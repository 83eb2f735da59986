"""Lines of text on an open stream, each out of our hands when `write` returns."""

from __future__ import annotations

import os
from typing import TextIO

from edge_ser.errors import StorageError

__all__ = ["LineWriter"]


class LineWriter:
    """Writes lines in UTF-8 past the buffer of a stream, where it has a descriptor.

    What a full disk took of a line is remembered, so that giving the line again completes it. A
    buffer would come out with it twice.
    """

    def __init__(self, stream: TextIO) -> None:
        name = str(getattr(stream, "name", "a stream"))
        self.name = "standard output" if name == "<stdout>" else name
        self._stream = stream
        self._line: str | None = None
        self._rest = b""

    def write(self, line: str) -> None:
        """Write a line and its end, or what is missing of it after an error.

        Raises:
            StorageError: it cannot be written now.
            BrokenPipeError: the reader has gone.
        """
        if line != self._line:
            self._line = line
            self._rest += line.encode("utf-8", "backslashreplace") + b"\n"
        try:
            self._flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise StorageError(
                f"{self.name}: {error.strerror or error}: cannot be written; "
                "free the space, or name another place"
            ) from error
        self._line = None

    def _flush(self) -> None:
        descriptor = _descriptor(self._stream)
        if descriptor is None:
            self._stream.write(self._rest.decode())
            self._rest = b""
        self._stream.flush()
        while descriptor is not None and self._rest:
            self._rest = self._rest[os.write(descriptor, self._rest) :]


def _descriptor(stream: TextIO) -> int | None:
    """None for a stream in memory."""
    try:
        return stream.fileno()
    except (AttributeError, OSError):
        return None
