"""A process that answers a line with a line, within limits of time and size."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from edge_ser.bench.schema import STAGES

__all__ = ["Limits", "Worker", "WorkerError"]

MAX_ANSWER = 1 << 16
"""Bytes of one answer."""
MAX_NOISE = 1 << 14
"""Bytes from the end of standard error in which its last line is looked for."""
MAX_REASON = 240
DEATH_S = 5.0
"""How long a process that closed its output may take to end."""

QUIET = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    # Left off on CPUs without AVX-512, where Keras is then four times slower than it could be.
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "PYTHONWARNINGS": "ignore",
}
"""One thread each, and no more on standard error than what matters."""


@dataclass(frozen=True)
class Limits:
    """How long a worker may be silent."""

    start_s: float = 300.0
    """Seconds until it is ready, and for its first clip: libraries load and compile."""
    clip_s: float = 60.0
    """Seconds for any other clip."""


class WorkerError(Exception):
    """A worker failed; the message says how, in one line."""


class Worker:
    """A process that is asked and answers; `kill` must be called in the end, and may be twice."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], limits: Limits
    ) -> None:
        """Start it.

        Raises:
            WorkerError: it cannot be started.
        """
        self._limits = limits
        self._answered = 0
        self._buffer = b""
        self._noise = tempfile.TemporaryFile()  # noqa: SIM115 - closed by kill
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._noise,
                env={**os.environ, **QUIET, **environment},
                bufsize=0,
                start_new_session=True,  # Ctrl-C is for us, who then end it
            )
        except OSError as error:
            self._noise.close()
            raise WorkerError(f"cannot be started: {error.strerror or error}") from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout

    def wait_until_ready(self) -> bool:
        """Wait for its first line; whether its weights are untrained.

        Raises:
            WorkerError: it ended, takes too long or says something else.
        """
        answer = self._answer(self._limits.start_s)
        if answer.get("ready") is not True:
            raise WorkerError(f"said {_shown(answer)}, expected that it is ready")
        return answer.get("untrained") is True

    def ask(self, path: str) -> tuple[dict[str, float], str]:
        """Milliseconds by stage, and label, of a file.

        Raises:
            WorkerError: it ended, takes too long or answers something else.
        """
        with suppress(BrokenPipeError):  # it ended: reading will say so
            self._input.write(json.dumps(path).encode() + b"\n")
        limit = self._limits.clip_s if self._answered else self._limits.start_s
        answer = self._answer(limit)
        ms, label = answer.get("ms"), answer.get("label")
        if not (isinstance(label, str) and isinstance(ms, dict) and _are_times(ms)):
            raise WorkerError(f"answered {_shown(answer)}, expected times and a label")
        self._answered += 1
        return {stage: float(value) for stage, value in ms.items()}, label

    def end(self) -> None:
        """Close its input, by which it ends, and give it a moment to do so."""
        self._input.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(DEATH_S)

    def kill(self) -> None:
        """End it, and whatever it has started, at once; nothing where it has ended."""
        if self._process.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for file in (self._input, self._output, self._noise):
            file.close()

    def _answer(self, limit_s: float) -> dict[str, Any]:
        """Its next line, a JSON object."""
        line = self._line(time.monotonic() + limit_s, limit_s)
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise WorkerError(f"answered {_shown(line)}, expected a JSON object")
        return answer

    def _line(self, deadline: float, limit_s: float) -> bytes:
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._output, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if len(self._buffer) > MAX_ANSWER:
                    raise WorkerError(f"answered more than {MAX_ANSWER} bytes, expected one line")
                if not waiting.select(max(0.0, deadline - time.monotonic())):
                    raise WorkerError(f"no answer within {limit_s:g} s")
                read = os.read(self._output.fileno(), MAX_ANSWER)
                if not read:
                    raise WorkerError(self._obituary())
                self._buffer += read
        line, _, self._buffer = self._buffer.partition(b"\n")
        if self._buffer:
            raise WorkerError(f"answered {_shown(self._buffer)} unasked, expected one line")
        return line

    def _obituary(self) -> str:
        """How it ended, and the last it said on standard error."""
        try:
            status = self._process.wait(DEATH_S)
        except subprocess.TimeoutExpired:
            return "closed its output without an answer"
        end = self._noise.seek(0, os.SEEK_END)
        self._noise.seek(max(0, end - MAX_NOISE))
        said = [line.strip() for line in self._noise.read().decode(errors="replace").splitlines()]
        reason = next((line for line in reversed(said) if line), "and said nothing")
        how = f"ended with status {status}" if status >= 0 else f"was ended by {_signal(-status)}"
        return f"{how}: {reason[:MAX_REASON]}"


def _are_times(ms: Mapping[str, object]) -> bool:
    """Whether all are milliseconds of known stages, with the total among them."""
    return (
        "total" in ms
        and ms.keys() <= set(STAGES)
        and all(type(v) in (int, float) and 0 <= v < float("inf") for v in ms.values())  # type: ignore[operator]
    )


def _shown(answer: object) -> str:
    return repr(answer)[:MAX_REASON]


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
