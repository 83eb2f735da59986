"""How a command ends: one line on standard error and the exit status of its cause."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING

import click

from edge_ser.cli.options import DEBUG
from edge_ser.errors import DependencyError, EdgeSerError, ExitCode, StorageError

if TYPE_CHECKING:
    from edge_ser.evaluation import Failure

__all__ = ["Terminated", "exit_code_of", "failure_lines", "one_line", "terminating"]

FAILURES_SHOWN = 10
LONGEST_LINE = 2000
"""Characters of a message."""


class Terminated(BaseException):
    """SIGTERM arrived: raised in the main thread so that part files and pipes are tidied."""


@contextmanager
def terminating() -> Iterator[None]:
    """Turn SIGTERM into `Terminated` within the block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def one_line(message: object) -> str:
    """The message with line breaks and control characters made harmless for a terminal."""
    text = " ".join(str(message).split())
    if len(text) > LONGEST_LINE:  # whatever a file put into it
        text = f"{text[: LONGEST_LINE // 2]} ... {text[-LONGEST_LINE // 2 :]}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _say(line: str) -> None:
    with suppress(OSError):  # nobody can be told that standard error is closed
        click.echo(line, err=True)


def _usage(error: click.ClickException) -> str:
    message = one_line(error.format_message()).rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    where = context.command_path if context else "edge-ser"
    return f"{where}: {message} (see '{where} --help')"


def _abandon_stdout() -> None:
    """Point descriptor 1 at nothing: Python would flush to the closed pipe or full disk at exit.

    Where that fails, some versions of CPython exit with 120 whatever was returned.
    """
    with suppress(OSError, ValueError, AttributeError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)


def exit_code_of(error: BaseException, context: click.Context | None) -> int:
    """Say what ended the command, where that needs saying, and return its exit status.

    context: the command's click context, whose meta says whether `--debug` was given; None while
        the arguments were still being read.
    """
    debug = context is not None and bool(context.meta.get(DEBUG))
    if debug and not isinstance(error, click.exceptions.Exit):
        _say("".join(traceback.format_exception(error)).rstrip())
    match error:
        case click.exceptions.Exit():
            return error.exit_code
        case BrokenPipeError():  # `edge-ser ... | head` had enough: nothing went wrong
            _abandon_stdout()
            return ExitCode.OK
        case KeyboardInterrupt() | click.Abort():
            return ExitCode.INTERRUPTED
        case Terminated():
            return ExitCode.TERMINATED
        case click.ClickException():
            _say(_usage(error))
            return ExitCode.USAGE
        case EdgeSerError():
            if isinstance(error, StorageError):
                _abandon_stdout()
            _say(f"edge-ser: {one_line(error)}{_whose_pip(error)}")
            return error.exit_code
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            _abandon_stdout()
            _say(f"edge-ser: {error.strerror}: make room, or write to another place")
            return ExitCode.STORAGE
        case Exception():
            advice = "" if debug else ": run again with --debug"
            _say(f"edge-ser: {type(error).__name__}: {one_line(error)} (this is a bug{advice})")
            return ExitCode.INTERNAL
        case _:
            raise error


def _whose_pip(error: EdgeSerError) -> str:
    """Where `pip` is another Python's, or none's, the one of the Python that runs this."""
    if not isinstance(error, DependencyError) or "pip install" not in str(error):
        return ""
    own = os.path.join(os.path.dirname(sys.executable), "pip")
    return "" if shutil.which("pip") == own else f" (its pip: {one_line(own)})"


def failure_lines(failures: Sequence[Failure], what: str) -> Iterator[str]:
    """Recordings that could not be read, a line each, of many the first; `what` became of them."""
    for failure in failures[:FAILURES_SHOWN]:
        named = "" if failure.path in failure.message else f"{failure.path}: "
        yield f"{what}: {one_line(named + failure.message)}"
    if len(failures) > FAILURES_SHOWN:
        yield f"and {len(failures) - FAILURES_SHOWN} more {what}"
