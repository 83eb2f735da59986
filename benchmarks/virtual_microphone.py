"""A microphone without a sound card: a PulseAudio of our own whose source reads a FIFO."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np

from .offline import Samples

__all__ = ["Player", "VirtualMicrophone", "as_int16", "available", "virtual_microphone"]

START_S = 10.0
WRITE_S = 0.05


@dataclass(frozen=True)
class VirtualMicrophone:
    """Where to speak, and how to listen."""

    fifo: Path
    """Takes s16le mono."""
    environment: Mapping[str, str]
    """Of programs that are to find it as their default microphone."""


def available() -> bool:
    """PulseAudio and its control program are installed."""
    return all(map(shutil.which, ("pulseaudio", "pactl")))


def as_int16(samples: Samples) -> bytes:
    """Samples as s16le."""
    return (np.clip(samples, -1, 32767 / 32768) * 32768).round().astype("<i2").tobytes()


@contextmanager
def virtual_microphone(folder: Path, rate: int) -> Iterator[VirtualMicrophone]:
    """Run a sound server in `folder` for as long as the context lasts."""
    runtime, home, fifo = folder / "run", folder / "home", folder / "microphone.fifo"
    for path in (runtime, home):
        path.mkdir(mode=0o700)
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(runtime), "HOME": str(home)}
    environment.pop("PULSE_SERVER", None)
    source = f"module-pipe-source source_name=microphone file={fifo} rate={rate} channels=1"
    command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
    command += ["--log-target=stderr", "-L", "module-native-protocol-unix"]
    command += ["-L", f"{source} format=s16le"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_for(["pactl", "set-default-source", "microphone"], environment)
            yield VirtualMicrophone(fifo, environment)
        finally:
            server.terminate()


def _wait_for(command: list[str], environment: Mapping[str, str]) -> None:
    """Until a command succeeds."""
    deadline = time.monotonic() + START_S
    while True:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if not done.returncode:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"{' '.join(command)}: {done.stderr.strip()}")
        time.sleep(0.1)


class Player(threading.Thread):
    """Writes into a FIFO at the pace of speech: silence, and from `play` on a stream, once.

    A source to which nobody listens lets its FIFO fill up; what it then holds is that silence.
    """

    def __init__(self, fifo: Path, samples: Samples, rate: int) -> None:
        super().__init__(name="player", daemon=True)
        self.began = 0.0
        """Seconds since the epoch at which the first sample of the stream was spoken."""
        self._fifo = fifo
        self._samples = samples
        self._rate = rate
        self._size = round(WRITE_S * rate)
        self._playing = threading.Event()
        self._stopping = threading.Event()

    def run(self) -> None:
        """Write until `stop`."""
        with suppress(BrokenPipeError), self._fifo.open("wb", buffering=0) as pipe:
            while not self._playing.wait(WRITE_S):
                pipe.write(bytes(2 * self._size))
            start, self.began = time.monotonic(), time.time()
            for number in count(1):  # a block is there when its last sample has been spoken
                due = start + number * self._size / self._rate
                if self._stopping.wait(max(0.0, due - time.monotonic())):
                    return
                block = self._samples[(number - 1) * self._size : number * self._size]
                pipe.write(as_int16(np.pad(block, (0, self._size - len(block)))))

    def play(self) -> None:
        """Begin with the stream."""
        self._playing.set()

    def stop(self) -> None:
        """End, and wait for it."""
        self._stopping.set()
        self._playing.set()
        self.join(5.0)
