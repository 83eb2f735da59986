"""What C and C++ libraries print on descriptor 2 is kept back: for a call, or for a whole command.

They print below `sys.stderr`, and no setting of theirs stops it. Only a program may do this: the
descriptor belongs to the process.
"""

from __future__ import annotations

import faulthandler
import fcntl
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from types import TracebackType
from typing import IO, TextIO

__all__ = ["quiet_libraries", "quiet_runtime"]

KEPT = 16_384
"""Bytes of a failing runtime's own words that are shown, from the end."""
NOT_A_STANDARD_ONE = 3
"""Lowest number for a descriptor of ours: 0 or 1 may be free, and would be taken for stdin."""


@contextmanager
def quiet_runtime(show: bool = False) -> Iterator[None]:
    """Catch what is written to descriptor 2 in the block; pass it on if the block raises.

    LiteRT announces its delegate and ONNX Runtime warns there. A file and not a pipe catches it, so
    that no amount of it can block.
    show: let everything through as it comes.
    """
    with ExitStack() as stack:
        if not show:
            with suppress(OSError):  # no standard error, or no folder: better noisy than not at all
                caught = stack.enter_context(tempfile.TemporaryFile())
                stack.push(partial(_pass_on, caught))
                stack.enter_context(_diverted(caught))
        yield


@contextmanager
def quiet_libraries(show: bool = False) -> Iterator[None]:
    """Let what is written to descriptor 2 go nowhere: for a command that runs for months.

    PortAudio and ALSA print several lines there each time that a microphone breaks off or cannot be
    opened, which is for ever where one is missing. Python's standard error gets a descriptor of its
    own for the time, so that messages, warnings and tracebacks come out as before, and so does the
    place in the code where the process crashed or was aborted.
    show: let everything through.
    """
    with ExitStack() as stack:
        if not show:
            with suppress(OSError):  # there is no standard error to protect
                with open(os.devnull, "wb") as nothing:
                    real = stack.enter_context(_diverted(nothing))
                if _python_speaks_through_2():
                    stack.enter_context(_speaking_through(real))
        yield


@contextmanager
def _diverted(target: IO[bytes]) -> Iterator[int]:
    """Let descriptor 2 lead to a file; yields another one that leads where it led.

    Raises:
        OSError: descriptor 2 is closed.
    """
    real = fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, NOT_A_STANDARD_ONE)
    try:
        _flush()
        os.dup2(target.fileno(), 2)
        try:
            yield real
        finally:
            _flush()
            os.dup2(real, 2)
    finally:
        os.close(real)


def _python_speaks_through_2() -> bool:
    try:
        return sys.stderr.fileno() == 2
    except (AttributeError, OSError, ValueError):  # none, or one without a descriptor
        return False


@contextmanager
def _speaking_through(descriptor: int) -> Iterator[None]:
    """Let Python's standard error, and its words at a crash, go to a descriptor."""
    before: TextIO = sys.stderr
    told_of_crashes = faulthandler.is_enabled()
    voice = open(  # noqa: SIM115
        descriptor, "w", 1, before.encoding, "backslashreplace", closefd=False
    )
    sys.stderr = voice
    faulthandler.enable(voice)
    try:
        yield
    finally:
        sys.stderr = before
        if told_of_crashes:
            faulthandler.enable(before)
        else:
            faulthandler.disable()
        with suppress(OSError):
            voice.close()


def _pass_on(
    caught: IO[bytes], kind: type[BaseException] | None, *_: BaseException | TracebackType | None
) -> None:
    """As `__exit__` is called: where the block has raised, show what was caught in it."""
    if kind is None:
        return
    size = caught.seek(0, os.SEEK_END)
    caught.seek(max(0, size - KEPT))
    # What they announce explains no failure.
    lines = [line for line in caught.read().splitlines(True) if not line.startswith(b"INFO:")]
    with suppress(AttributeError, OSError, ValueError):
        sys.stderr.write(b"".join(lines).decode(errors="backslashreplace"))
        sys.stderr.flush()


def _flush() -> None:
    with suppress(AttributeError, OSError, ValueError):
        sys.stderr.flush()
