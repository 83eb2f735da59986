"""A fake sounddevice, and microphones on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edge_ser.listening.cards import Roots
from edge_ser.listening.clock import StreamClock
from edge_ser.listening.microphone import Microphone
from edge_ser.listening.options import SourceOptions
from edge_ser.listening.portaudio import PortAudio

HANG_S = 0.2
PATIENT_S = 60.0


class PortAudioError(Exception):
    """As sounddevice's: text, code, and what the host API said."""


class StreamBase:
    """What sounddevice's streams have in common; one that could not be opened is closed."""

    closed = True


class FakeSoundDevice:
    """The parts of sounddevice that are used, and what it would do."""

    PortAudioError = PortAudioError
    _StreamBase = StreamBase

    def __init__(self, *names: str, channels: int = 1, rate: float = 48_000.0) -> None:
        self.names = list(names)
        self.channels, self.rate = channels, rate
        self.default = SimpleNamespace(device=[0, -1])
        self._initialized = 1
        self.initialised = 0
        self.streams: list[Any] = []
        self.refuse: Callable[[dict[str, Any]], PortAudioError | None] = lambda settings: None
        self.on_start: Callable[[], None] = lambda: None
        self.on_abort: Callable[[], None] = lambda: None
        fake = self

        class InputStream(StreamBase):
            def __init__(self, **settings: Any) -> None:
                error = fake.refuse(settings)
                if error is not None:
                    raise error
                self.settings = settings
                self.closed = False
                self.active = False
                self.calls: list[str] = []
                fake.streams.append(self)

            def start(self) -> None:
                fake.on_start()
                self.active = True

            def abort(self) -> None:
                self.calls.append("abort")
                fake.on_abort()
                self.active = False
                self.settings["finished_callback"]()

            def stop(self) -> None:
                raise AssertionError("stop can wait for ever")

            def close(self) -> None:
                self.calls.append("close")
                self.closed = True

            def play(self, samples: Any, overflow: bool = False, delay: float = 0.0) -> None:
                """Call back with samples of shape (frames,) or (frames, channels)."""
                kind = self.settings["dtype"]
                block = np.asarray(samples, kind).reshape(-1, self.settings["channels"])
                time = SimpleNamespace(currentTime=1e9 + delay, inputBufferAdcTime=1e9)
                status = Flags(overflow)
                self.settings["callback"](block, len(block), time, status)
                block[:] = 0  # PortAudio uses its buffer again

        self.InputStream = InputStream

    def _terminate(self) -> None:
        self._initialized -= 1

    def _initialize(self) -> None:
        self._initialized += 1
        self.initialised += 1

    def query_hostapis(self) -> list[dict[str, Any]]:
        return [{"name": "ALSA"}]

    def query_devices(self) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "index": index,
                "hostapi": 0,
                "max_input_channels": self.channels,
                "default_samplerate": self.rate,
            }
            for index, name in enumerate(self.names)
        ]


class Flags:
    """As sounddevice.CallbackFlags."""

    def __init__(self, overflow: bool) -> None:
        self.input_overflow = overflow

    def __bool__(self) -> bool:
        return self.input_overflow


@pytest.fixture(name="sd")
def sd_fixture() -> Iterator[FakeSoundDevice]:
    fake = FakeSoundDevice("default")
    yield fake
    for stream in fake.streams:  # others must not find them open
        stream.closed = True


@pytest.fixture(name="clock")
def clock_fixture() -> StreamClock:
    return StreamClock(0.0)


def microphone(
    sd: FakeSoundDevice,
    clock: StreamClock,
    folder: Path = Path("/nonexistent"),
    **options: Any,
) -> Microphone:
    audio = PortAudio(sd, open_s=PATIENT_S, close_s=HANG_S)
    roots = Roots(folder / "proc", folder / "dev", folder / "sys")
    options = {"block_ms": 100.0, **options}
    return Microphone(SourceOptions(**options), clock, audio=audio, roots=roots)


def ramp(count: int, start: int = 0) -> np.ndarray:
    return (np.arange(start, start + count) / 65_536).astype(np.float32)
