"""A sound server of one's own with one microphone, whose sound a test decides sample by sample.

PulseAudio with a pipe as its only source, at 16 kHz, mono, 16 bits. What is written into the pipe
arrives bit by bit the same behind PortAudio. The microphone never falls silent as a driver does
that has died: between what is played comes digital silence, at the pace of a real microphone.
"""

from __future__ import annotations

import errno
import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
CHUNK = 320
MIC = "module-pipe-source"
PATIENCE_S = 30.0


class SoundServer:
    """One PulseAudio. `environ` is what a program needs in order to reach it, and no other."""

    def __init__(self, folder: Path) -> None:
        self._fifo = folder / "mic.fifo"
        self._log = folder / "pulse.log"
        self._runtime = folder / "run"
        home = folder / "home"
        for made in (self._runtime, home):
            made.mkdir(mode=0o700)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PULSE_", "DBUS_"))}
        self.environ = {**kept, "XDG_RUNTIME_DIR": str(self._runtime), "HOME": str(home)}
        self._process: subprocess.Popen[bytes] | None = None
        self._speaker = Speaker(self._fifo)

    def start(self) -> None:
        """Start the server, the microphone with it."""
        # A server that was killed leaves files with which the next one would not start.
        (self._runtime / "pulse" / "pid").unlink(missing_ok=True)
        self._fifo.unlink(missing_ok=True)
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1"]
        command += [f"--log-target=newfile:{self._log}", "-L", "module-native-protocol-unix"]
        self._process = subprocess.Popen(
            [*command, "-L", f"{MIC} {self._mic}"],
            env=self.environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.wait_for(lambda: "mic" in self._pactl("list", "short", "sources"), "a microphone")

    def kill(self) -> None:
        """End the server without a warning."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def unload_source(self) -> None:
        """Take the microphone away."""
        self._pactl("unload-module", MIC)

    def load_source(self) -> None:
        """Bring it back."""
        self._pactl("load-module", MIC, *self._mic.split())

    def play(self, samples: NDArray[np.int16]) -> None:
        """Let the microphone hear int16 samples at 16 kHz; returns when they have been heard."""
        self.begin(samples)
        self.wait_until_played()

    def begin(self, samples: NDArray[np.int16]) -> None:
        """Let the microphone hear samples, and do not wait for that."""
        self._speaker.begin(samples)

    def wait_until_played(self) -> None:
        """Return when all that was to be played has been."""
        self._speaker.wait()

    def hold(self) -> None:
        """Let the driver give nothing at all, not even silence, without saying why."""
        self._speaker.held.set()

    def release(self) -> None:
        """Let it give sound again."""
        self._speaker.held.clear()

    def listeners(self) -> int:
        """How many programs record from the microphone now."""
        return len(self._pactl("list", "short", "source-outputs").splitlines())

    def wait_for_listener(self) -> None:
        """Return when a program has begun to record."""
        self.wait_for(lambda: self.listeners() > 0, "a program that records")

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Return when `condition` holds; fail after a long time."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > deadline:
                log = self._log.read_text(errors="replace") if self._log.exists() else ""
                raise AssertionError(f"no {what} within {PATIENCE_S:.0f} s; {log[-2000:]}")
            time.sleep(0.05)

    def close(self) -> None:
        """End the server and what it hears."""
        self._speaker.close()
        self.kill()

    @property
    def _mic(self) -> str:
        return f"source_name=mic file={self._fifo} rate={RATE} channels=1 format=s16le"

    def _pactl(self, *arguments: str) -> str:
        ended = subprocess.run(
            ["pactl", *arguments], env=self.environ, capture_output=True, timeout=PATIENCE_S
        )
        return ended.stdout.decode()


class Speaker:
    """Writes 20 ms every 20 ms into the pipe: what is to be played, else silence."""

    def __init__(self, fifo: Path) -> None:
        self._fifo = fifo
        self._fd: int | None = None
        self.held = threading.Event()
        """While it is set nothing is written."""
        self._closing = threading.Event()
        self._waiting: queue.Queue[bytes] = queue.Queue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def begin(self, samples: NDArray[np.int16]) -> None:
        """Write samples after those that wait already."""
        padded = np.pad(samples, (0, -len(samples) % CHUNK)).astype("<i2")
        for chunk in padded.reshape(-1, CHUNK):
            self._waiting.put(chunk.tobytes())

    def wait(self) -> None:
        """Return when all has been written."""
        self._waiting.join()

    def close(self) -> None:
        """Fall silent for good."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        silence = bytes(2 * CHUNK)
        begin, written = time.perf_counter(), 0
        while not self._closing.is_set():
            wait = begin + written * CHUNK / RATE - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            written += 1
            if self.held.is_set():
                continue
            try:
                chunk = self._waiting.get_nowait()
            except queue.Empty:
                self._write(silence)
            else:
                self._write(chunk)
                self._waiting.task_done()
        self._let_go()

    def _write(self, chunk: bytes) -> None:
        """Into the pipe, or into the void where no server holds its other end."""
        while not self._closing.is_set():
            try:
                if self._fd is None:
                    self._fd = os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK)
                os.write(self._fd, chunk)  # whole or not at all: shorter than PIPE_BUF
                return
            except OSError as error:
                if error.errno == errno.EAGAIN:  # a server that is late: nothing is to be lost
                    time.sleep(0.005)
                    continue
                self._let_go()
                return

    def _let_go(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)
