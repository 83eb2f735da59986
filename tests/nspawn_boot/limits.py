"""Runs within the machine, confined as the service is, and writes what it could do."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def outcome(attempt: Callable[[], Any]) -> str:
    """ "done", or the kernel's word for why not."""
    try:
        attempt()
    except OSError as error:
        return os.strerror(error.errno or 0)
    return "done"


def make_namespace() -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(0x10000000) != 0:  # CLONE_NEWUSER
        raise OSError(ctypes.get_errno(), "unshare")


found = {
    "read what the group audio may read": outcome(Path("/run/for-the-group-audio").read_text),
    "write into the state folder": outcome(lambda: Path("here").write_text("x")),
    "write into /etc": outcome(lambda: Path("/etc/edge-ser-was-here").write_text("x")),
    "make a local socket": outcome(lambda: socket.socket(socket.AF_UNIX).close()),
    "make an internet socket": outcome(lambda: socket.socket(socket.AF_INET).close()),
    "make a namespace": outcome(make_namespace),
    "set the clock": outcome(lambda: time.clock_settime(time.CLOCK_REALTIME, 0)),
    "become root": outcome(lambda: os.setuid(0)),
}
Path("limits.json").write_text(json.dumps(found))
