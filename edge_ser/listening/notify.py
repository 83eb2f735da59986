"""Telling systemd how the service does: the sd_notify protocol, by the standard library alone.

Protocol: sd_notify(3) and sd_watchdog_enabled(3). A message is a datagram of `KEY=value` lines to
the socket that the service manager named in NOTIFY_SOCKET.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import MutableMapping
from contextlib import suppress

__all__ = ["Notifier"]

LONGEST_STATUS = 500
"""Characters of a status text; the rest is cut."""


class Notifier:
    """Speaks to the service manager that started this process; silent where there is none.

    Nothing here raises or waits: a message that the manager's queue has no room for is dropped,
    since a listener must not stall for the sake of a report. Safe to call from any thread.
    """

    def __init__(self, environ: MutableMapping[str, str] | None = None) -> None:
        """Take the manager's variables out of `environ`, the process's own without.

        They are meant for this process alone: a child that inherited them would report as us.
        """
        variables = os.environ if environ is None else environ
        address = variables.pop("NOTIFY_SOCKET", "")
        microseconds = variables.pop("WATCHDOG_USEC", "")
        watched = variables.pop("WATCHDOG_PID", "")
        # A leading @ stands for the zero byte of Linux's abstract names; others are not AF_UNIX.
        self._address = address.replace("@", "\0", 1) if address.startswith("@") else address
        self._heard = address.startswith(("/", "@"))
        ours = watched in ("", str(os.getpid()))
        self._interval_s = _half_in_seconds(microseconds) if self._heard and ours else None

    @property
    def interval_s(self) -> float | None:
        """Seconds between two calls of `watchdog`: half the time-out; None if none is watched."""
        return self._interval_s

    def ready(self) -> None:
        """The service is up, or up again after `reloading`."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """One line that `systemctl status` shows; longer or multi-line text is brought to one."""
        self._send("STATUS=" + " ".join(text.split())[:LONGEST_STATUS])

    def watchdog(self) -> None:
        """The service is alive; call it every `interval_s`."""
        if self._interval_s is not None:
            self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """Configuration is being read again; `ready` ends it."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={microseconds}")

    def stopping(self) -> None:
        """The service is on its way out."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._heard:
            return
        with (
            suppress(OSError, ValueError),  # full, gone, or a name that no socket can have
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours,
        ):
            ours.setblocking(False)
            ours.sendto(message.encode("utf-8", "replace"), self._address)


def _half_in_seconds(microseconds: str) -> float | None:
    """Half the watchdog's time-out; None unless it is a positive number."""
    # 64 bits have 20 digits; Python refuses thousands of them.
    if not re.fullmatch(r"[0-9]{1,20}", microseconds) or int(microseconds) == 0:
        return None
    return int(microseconds) / 2e6
