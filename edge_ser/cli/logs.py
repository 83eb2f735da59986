"""Messages of a long-running command: on standard error, one line each.

Where standard error is the journal, a line begins with its priority as sd-daemon(3) has it, and
journald adds the time; elsewhere it begins with the time and the level.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TextIO

from edge_ser.cli.failures import one_line

__all__ = ["in_the_journal", "log_to_stderr"]

ROOT = "edge_ser"

PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))
"""Least level -> number of syslog."""


def log_to_stderr(level: str, environ: Mapping[str, str] = os.environ) -> None:
    """Have the messages of `edge_ser` and its rooms written to standard error.

    May be called again, as when a configuration is read anew: the last level counts.

    Args:
        level: `debug`, `info`, `warning` or `error`: nothing of less weight is written.
        environ: where `JOURNAL_STREAM` is looked for.
    """
    handler = _Stderr()
    journal = in_the_journal(sys.stderr, environ)
    handler.setFormatter(_JournalLines() if journal else _Lines(datefmt="%H:%M:%S"))
    logger = logging.getLogger(ROOT)
    for earlier in [h for h in logger.handlers if isinstance(h, _Stderr)]:
        logger.removeHandler(earlier)
    logger.addHandler(handler)
    logger.setLevel(level.upper())


def in_the_journal(stream: TextIO | None, environ: Mapping[str, str]) -> bool:
    """Whether a stream leads to journald: systemd names its device and inode in JOURNAL_STREAM.

    A shell behind a service passes the variable on although its own streams lead elsewhere, so the
    numbers are compared.
    """
    if stream is None:
        return False
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # closed, or a stream without a descriptor
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class _Stderr(logging.Handler):
    """Writes to whatever standard error is at the moment: a live view on the terminal replaces it
    so that messages land above it."""

    def emit(self, record: logging.LogRecord) -> None:
        stderr = sys.stderr
        if stderr is None:
            return
        with suppress(OSError, ValueError):  # closed or full: nobody can be told
            stderr.write(self.format(record) + "\n")
            stderr.flush()


class _Lines(logging.Formatter):
    """`14:03:22 warning message (OSError: what went wrong)`."""

    def format(self, record: logging.LogRecord) -> str:
        time = self.formatTime(record, self.datefmt)
        return f"{time} {record.levelname.lower()} {_message(record)}"


class _JournalLines(logging.Formatter):
    """`<4>message (OSError: what went wrong)`."""

    def format(self, record: logging.LogRecord) -> str:
        priority = next(number for least, number in PRIORITIES if record.levelno >= least)
        return f"<{priority}>{_message(record)}"


def _message(record: logging.LogRecord) -> str:
    """The message, and the exception that it was logged with, on one line."""
    text = record.getMessage()
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        text = f"{text} ({type(error).__name__}: {error}{_place(error)})"
    return one_line(text)


def _place(error: BaseException) -> str:
    """Where the exception was raised, for who mends it."""
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    return f", at {os.path.basename(code.co_filename)}:{trace.tb_lineno} in {code.co_name}"
