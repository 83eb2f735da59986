"""Running one probe in a process of its own, and saying how that process ended."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Outcome", "Runner", "run_probe"]

# TensorFlow's first import from a slow SD card takes the better part of a minute.
TIMEOUT_SECONDS = 120.0
# Longest piece of a library's own message that is repeated in a finding.
LONGEST_REASON = 240


@dataclass(frozen=True)
class Outcome:
    """How a probe's process ended."""

    status: int | None
    """Exit status; negative: ended by that signal; None: it did not end in time."""
    output: str
    error: str

    @property
    def answer(self) -> dict[str, Any] | None:
        """What the probe found; None when it failed."""
        if self.status != 0:
            return None
        for line in reversed(self.output.splitlines()):
            with suppress(ValueError):
                found = json.loads(line)
                return found if isinstance(found, dict) else None
        return None

    @property
    def signal(self) -> str:
        """Name of the signal that ended the process, such as SIGILL; empty when none did."""
        if self.status is None or self.status >= 0:
            return ""
        with suppress(ValueError):
            return signal.Signals(-self.status).name
        return f"signal {-self.status}"

    @property
    def reason(self) -> str:
        """Why it failed, in a few words."""
        if self.status is None:
            return f"did not end within {TIMEOUT_SECONDS:.0f} s"
        if self.signal:
            return f"crashed with {self.signal}"
        lines = [line.strip() for line in self.error.splitlines() if line.strip()]
        last = lines[-1] if lines else f"ended with status {self.status} and no answer"
        return re.sub(r"[^\x20-\x7e]+", " ", last)[:LONGEST_REASON]


Runner = Callable[[Sequence[str]], Outcome]
"""Takes a probe's name and its arguments."""


def run_probe(arguments: Sequence[str], timeout: float = TIMEOUT_SECONDS) -> Outcome:
    """Run a probe of `probes.py` by this Python, without a shell, for at most `timeout` seconds."""
    # -P: neither this folder nor the user's working directory may shadow a library.
    command = [sys.executable, "-P", str(Path(__file__).with_name("probes.py")), *arguments]
    try:
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        return Outcome(None, "", "")
    return Outcome(ended.returncode, ended.stdout, ended.stderr)
