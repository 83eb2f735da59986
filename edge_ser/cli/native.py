"""What C++ libraries print on descriptor 2 is kept back unless the call fails."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

__all__ = ["quiet_runtime"]

KEPT = 16_384
"""Bytes of a failing runtime's own words that are shown, from the end."""


def _flush() -> None:
    with suppress(AttributeError, OSError, ValueError):
        sys.stderr.flush()


@contextmanager
def quiet_runtime(show: bool = False) -> Iterator[None]:
    """Catch what is written to descriptor 2 in the block; pass it on if the block raises.

    LiteRT announces its delegate and ONNX Runtime warns there, below `sys.stderr`, and no setting
    of theirs stops it. A file and not a pipe catches it, so that no amount of it can block.
    show: let everything through as it comes.
    """
    try:
        real = os.dup(2) if not show else -1
    except OSError:  # started without a standard error: there is nothing to protect
        real = -1
    if real < 0:
        yield
        return
    failed = True
    try:
        file = tempfile.TemporaryFile()  # noqa: SIM115
    except OSError:  # no folder for it: better noisy than not at all
        os.close(real)
        yield
        return
    with file as caught:
        _flush()
        os.dup2(caught.fileno(), 2)
        try:
            yield
            failed = False
        finally:
            _flush()
            os.dup2(real, 2)
            os.close(real)
            if failed:
                size = caught.seek(0, os.SEEK_END)
                caught.seek(max(0, size - KEPT))
                # What they announce explains no failure.
                lines = [s for s in caught.read().splitlines(True) if not s.startswith(b"INFO:")]
                with suppress(OSError):
                    os.write(2, b"".join(lines))
