"""`Microphone`, a source over PortAudio that can be unplugged, stall, and be opened again."""

from __future__ import annotations

import logging
from collections import deque
from typing import Any

import numpy as np

from edge_ser.audio.clip import Samples, downmix
from edge_ser.errors import AudioError
from edge_ser.listening.cards import Roots
from edge_ser.listening.clock import Clock, SystemClock
from edge_ser.listening.devices import InputDevice, find_input, list_inputs, why_none
from edge_ser.listening.options import SourceOptions
from edge_ser.listening.portaudio import PortAudio, portaudio
from edge_ser.listening.ring import Ring, Taken
from edge_ser.listening.source import Block

__all__ = ["Microphone"]

log = logging.getLogger("edge_ser.listening")

RATES = (48_000, 44_100, 32_000, 16_000)
"""Hertz that are tried, in this order, where a device refuses the one it was asked for."""
FORMATS = ("float32", "int16")
MAX_NATIVE_CHANNELS = 8
"""A sound server claims 32 to 128 and mixes them itself; a card's own are taken up to this."""
RING_S = 10.0
PERIODS = 3
"""PortAudio makes its buffer 4/3 of the latency that is asked for, in 4 periods; so with three
blocks of latency a period is a block, and a callback may be late by three without a loss. Far
longer latencies let several blocks arrive at once, and late."""

INVALID_RATE, INVALID_CHANNELS, INVALID_FORMAT = -9997, -9998, -9994
UNAVAILABLE = -9985
BUSY = "end what uses it (fuser -v /dev/snd/*), or plug it in again"


class Microphone:
    """A live source of mono audio at the device's own rate.

    `open` looks for the device anew each time, so that one that comes back under another number is
    found by its name. One thread opens, reads and closes.
    """

    live = paced = True

    def __init__(
        self,
        options: SourceOptions | None = None,
        clock: Clock | None = None,
        *,
        audio: PortAudio | None = None,
        roots: Roots | None = None,
    ) -> None:
        """Name a microphone; nothing is opened yet.

        Args:
            options: `mic`, as `find_input` takes it; `rate` to ask for first; `channel`;
                `block_ms`.
            clock: gives the time of every block.
            audio: PortAudio; the process's own without.
            roots: where the kernel shows its devices.
        """
        options = options or SourceOptions()
        self._wanted, self._rate, self._channel = options.mic, options.rate, options.channel
        self._clock = clock or SystemClock()
        self._block_s = options.block_ms / 1000
        self._given_audio, self._roots = audio, roots or Roots()
        self._name = options.mic or "default microphone"
        self._stream: Any = None
        self._ring = Ring(1)
        self._timeline = Timeline(1)

    @property
    def name(self) -> str:
        """The name that was asked for; that of the device where none was."""
        return self._name

    def open(self) -> None:
        """Find the device and start listening.

        Raises:
            AudioError: there is none, it is not the only one of that name, it is busy, or it
                refuses every rate; the message says which and what to do.
            UsageError: it was named by a number.
            DependencyError: sounddevice or PortAudio is not installed.
        """
        self.close()
        audio = self._audio()
        device = find_input(self._wanted, list_inputs(audio, self._roots))
        if self._wanted is None:
            self._name = device.name
        if device.index is None:
            raise AudioError(f"microphone {self._name!r} {_why_not(device)}")
        if self._channel is not None and self._channel > device.channels:
            raise AudioError(
                f"microphone {self._name!r} has {device.channels} channels, expected at least "
                f"{self._channel}: choose another channel, from 1"
            )
        self._start(audio, device)

    def read(self, timeout: float) -> Block | None:
        """The next block; None where none came within `timeout` seconds.

        A device that was pulled out just falls silent, without an error: whoever reads counts
        the seconds, then closes and opens.

        Raises:
            AudioError: the stream has ended (the sound server, or its source, went away), or is
                not open.
        """
        stream = self._stream
        if stream is None:
            raise AudioError(f"microphone {self._name!r} is not open: open it first")
        taken = self._ring.get(timeout)
        if taken is not None:
            return self._block(taken)
        if self._ring.ended or not self._is_active(stream):
            raise AudioError(
                f"microphone {self._name!r} has ended its stream: the sound server or its source "
                "went away; it is opened again when it is back"
            )
        return None

    def close(self) -> None:
        """Let go of the device; comes back within seconds even where the driver does not."""
        stream, self._stream = self._stream, None
        if stream is not None:
            self._audio().close(stream)

    def _audio(self) -> PortAudio:
        return self._given_audio or portaudio()

    def _start(self, audio: PortAudio, device: InputDevice) -> None:
        """Open with the first settings that the device takes; each refusal strikes one off."""
        native = device.channels if device.channels <= MAX_NATIVE_CHANNELS else 1
        least = self._channel or 1
        rates = list(dict.fromkeys(filter(None, (self._rate, device.rate, *RATES))))
        channels = list(dict.fromkeys((max(native, least), least, device.channels)))
        formats = list(FORMATS)
        choices: dict[object, list[Any]] = {
            INVALID_RATE: rates,
            INVALID_CHANNELS: channels,
            INVALID_FORMAT: formats,
        }
        while True:
            try:
                stream = self._opened(audio, device, rates[0], channels[0], formats[0])
                break
            except audio.error as error:
                code = error.args[1] if len(error.args) > 1 else None
                if len(choices.get(code, ())) < 2:
                    raise self._refused(error, code, audio, device) from error
                choices[code].pop(0)
        self._stream = stream
        self._timeline = Timeline(rates[0])
        asked = f" ({self._rate} Hz is refused)" if self._rate not in (None, rates[0]) else ""
        log.info("%s: %d Hz%s, %d channels", device.handle, rates[0], asked, channels[0])

    def _opened(
        self, audio: PortAudio, device: InputDevice, rate: int, channels: int, kind: str
    ) -> Any:
        ring = self._ring = Ring(round(RING_S / self._block_s))
        now = self._clock.monotonic

        def copy(samples: Any, _frames: int, time: Any, status: Any) -> None:
            delay = time.currentTime - time.inputBufferAdcTime
            ring.put(samples.copy(), now(), delay, bool(status) and status.input_overflow)

        return audio.open(
            device=device.index,
            samplerate=rate,
            channels=channels,
            dtype=kind,
            blocksize=max(1, round(rate * self._block_s)),
            latency=PERIODS * self._block_s,
            callback=copy,
            finished_callback=ring.end,
        )

    def _refused(
        self, error: Exception, code: int | None, audio: PortAudio, device: InputDevice
    ) -> AudioError:
        if code == UNAVAILABLE:
            try:
                device = find_input(self._wanted, list_inputs(audio, self._roots))
            except AudioError as gone:
                return gone
            return AudioError(f"microphone {self._name!r} {_why_not(device)}")
        host = f" ({error.args[2][2]})" if len(error.args) > 2 and error.args[2][2] else ""
        said = error.args[0] if error.args else error
        advice = BUSY if device.stable_ids else why_none(reached=True)
        return AudioError(f"microphone {self._name!r} cannot be opened: {said}{host}: {advice}")

    def _is_active(self, stream: Any) -> bool:
        try:
            return bool(stream.active)
        except self._audio().error:
            return False

    def _block(self, taken: Taken) -> Block:
        rate = self._timeline.rate
        overflowed, captured = self._timeline.place(taken)
        lost = taken.lost + overflowed
        causes = ("overflow" if overflowed else "", "backlog" if taken.lost else "")
        cause = ", ".join(filter(None, causes))
        return Block(self._mono(taken.samples), rate, captured, lost, cause)

    def _mono(self, samples: Any) -> Samples:
        if samples.dtype == np.int16:
            samples = samples.astype(np.float32) / np.float32(32768)
        if self._channel is not None:
            samples = samples[:, self._channel - 1 : self._channel]
        return downmix(samples)


class Timeline:
    """Where the blocks of a stream lie in time, and so how many samples an overflow took.

    A block's first frame was captured `delay` before its callback, by the driver's own account
    (where that is no sensible number: one block before). Less the time of all frames before it,
    this is when the stream began: the same moment for every block, but for the jitter of threads
    and of the sound server. After a loss it lies later, by the time that was lost.
    """

    KEPT, NEEDED = 32, 8
    """Blocks of which the beginning is remembered; the fewest that tell their jitter."""
    LONGEST_S = 5.0

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._frames = 0
        self._begins: deque[float] = deque(maxlen=self.KEPT)

    def place(self, taken: Taken) -> tuple[int, float]:
        """The samples that the driver lost before the block, and the capture of its last sample.

        The number is estimated where the step is larger than the jitter of the blocks before it
        (between the tenth and the ninetieth hundredth). Otherwise, and while too few blocks
        have come, an overflow counts as one block, which is about the least that a driver drops.
        """
        length = len(taken.samples)
        sensible = 0 < taken.delay <= self.LONGEST_S
        first = taken.arrived - (taken.delay if sensible else length / self.rate)
        self._frames += taken.lost
        begin = first - self._frames / self.rate
        lost = self._lost(begin, length) if taken.overflows else 0
        if lost:
            self._begins.clear()
        self._frames += lost
        self._begins.append(first - self._frames / self.rate)
        self._frames += length
        return lost, min(taken.arrived, first + length / self.rate)

    def _lost(self, begin: float, length: int) -> int:
        if len(self._begins) < self.NEEDED:
            return length
        low, middle, high = np.quantile(self._begins, (0.1, 0.5, 0.9))
        step = begin - float(middle)
        return max(1, round(step * self.rate)) if step > high - low else length


def _why_not(device: InputDevice) -> str:
    """Why a device that is there cannot be opened."""
    if device.busy:
        server = device.busy.startswith(("pulseaudio", "pipewire", "wireplumber"))
        advice = "--mic default goes through it" if server else "end that program"
        return f"is busy: {device.busy} has it open; {advice}, or choose another"
    if not device.permitted:
        return (
            "may not be opened by this user: sudo usermod -aG audio $USER and log in again "
            "(in a service: SupplementaryGroups=audio)"
        )
    if not device.stable_ids:
        return f"is unavailable: {why_none(reached=True)}"
    return f"is busy or does not answer: {BUSY}"
