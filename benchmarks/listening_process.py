"""`edge-ser listen` as a process on one core: its lines as they come, its processor time."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from .conditions import ONE_THREAD

__all__ = ["Line", "listening", "processor_s"]

END_S = 15.0


@dataclass(frozen=True)
class Line:
    """An event, and the time since the epoch at which its line was there."""

    event: Mapping[str, Any]
    at: float

    @property
    def began(self) -> float:
        """Seconds since the epoch at which the stream began, by the event's account."""
        return datetime.fromisoformat(self.event["time"]).timestamp() - float(self.event["start_s"])


def processor_s(pid: int) -> float:
    """Processor time of a process until now, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def listening(
    options: Sequence[str], core: int, environment: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[str], list[Line]]]:
    """`edge-ser listen` on one core, and the lines that it prints."""
    command = [sys.executable, "-m", "edge_ser.cli", "listen", "--format", "jsonl", *options]
    lines: list[Line] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**environment, **ONE_THREAD}
    ) as process:
        os.sched_setaffinity(process.pid, {core})  # before it starts a thread
        reader = threading.Thread(target=_read, args=(process, lines), daemon=True)
        reader.start()
        try:
            yield process, lines
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
            reader.join()


def _read(process: subprocess.Popen[str], lines: list[Line]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        at = time.time()
        lines.append(Line(json.loads(line), at))
