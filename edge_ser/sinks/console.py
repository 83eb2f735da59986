"""For people: one plain line an event, or a view of what goes on that keeps still in a terminal."""

from __future__ import annotations

import logging
import sys
import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, TextIO

from edge_ser.documents import printable
from edge_ser.sinks.lines import LineWriter

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

    from edge_ser.audio import Clip
    from edge_ser.events import Event, Status

__all__ = ["LiveView", "PlainLines", "plain_line"]

LOG = logging.getLogger("edge_ser.sinks")

REFRESH_S = 0.2
REMEMBERED = 5
"""Events that the view shows besides the scores of the last one."""
STOP_S = 2.0
WIDEST = 1000
"""Columns; COLUMNS may say anything, and a picture of a hundred million is never done."""


def plain_line(event: Event) -> str:
    """An event in one line: local time, label, probability, length, level, latency, remarks."""
    moment = datetime.fromtimestamp(event.time).strftime("%Y-%m-%d %H:%M:%S")
    score = f"{event.scores[event.label]:.2f}" if event.label in event.scores else ""
    remarks = {"uncertain": event.uncertain, "cut": event.cut, "so far": event.kind == "partial"}
    cells = [
        moment,
        f"{printable(event.label):<12}",
        f"{score:>4}",
        f"{event.end_s - event.start_s:6.2f} s",
        f"{event.level_dbfs:6.1f} dBFS",
        f"{event.latency_ms:5.0f} ms",
        ", ".join(remark for remark, holds in remarks.items() if holds),
    ]
    return "  ".join(cells).rstrip()


class PlainLines:
    """Writes each event as a line to read."""

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
        self._lines.write(plain_line(event))

    def close(self) -> None:
        """The stream is its owner's to close."""


class LiveView:
    """Shows status and events in place, five times a second, in a thread of its own."""

    name = "terminal"
    wants_audio = False

    def __init__(self, stream: TextIO, status: Callable[[], Status]) -> None:
        """Prepare; `start` shows it.

        Args:
            stream: a terminal; nothing else is written to.
            status: what to show now; called in the view's thread.
        """
        self._stream = stream
        self._status = status
        self._events: deque[Event] = deque(maxlen=REMEMBERED)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._gone = False
        self._thread = threading.Thread(target=self._run, name="live view", daemon=True)

    def start(self) -> None:
        """Show it from now until `close`; does nothing where that was begun already."""
        if self._thread.ident is None:
            self._thread.start()

    def write(self, event: Event, clip: Clip | None = None) -> None:
        """Show the event at the next refresh.

        Raises:
            BrokenPipeError: the terminal has gone.
        """
        if self._gone:
            raise BrokenPipeError("the terminal has gone")
        with self._lock:
            self._events.append(event)

    def close(self) -> None:
        """Leave the last picture standing and give the terminal back as it was."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_S)

    def _run(self) -> None:
        from rich.live import Live

        try:
            with Live(
                console=_console(self._stream),
                auto_refresh=False,
                # Lines logged to the same terminal go above the view; a log file keeps its lines.
                redirect_stdout=False,
                redirect_stderr=sys.stderr is not None and sys.stderr.isatty(),
            ) as live:
                while not self._closing.wait(REFRESH_S):
                    self._show(live)
                self._show(live)
        except OSError:
            self._gone = True
        except Exception as error:  # a bug of the picture must not end listening
            LOG.warning("terminal: the view ended: %s: %s", type(error).__name__, error)
            LOG.debug("terminal", exc_info=error)

    def _show(self, live: Live) -> None:
        from edge_ser.sinks.screen import render

        with self._lock:
            events = tuple(self._events)
        live.update(render(self._status(), events), refresh=True)


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    class Terminal(Console):
        def on_broken_pipe(self) -> None:
            # rich's own would end the process.
            raise

    terminal = Terminal(file=stream, highlight=False, markup=False, emoji=False)
    if terminal.width > WIDEST:
        terminal.width = WIDEST
    return terminal
