"""PortAudio, behind sounddevice, with patience: no call of it can hang its caller for ever."""

from __future__ import annotations

import atexit
import gc
import logging
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from edge_ser.errors import AudioError, DependencyError
from edge_ser.listening.ending import come_first

__all__ = ["PortAudio", "portaudio"]

log = logging.getLogger("edge_ser.listening")

OPEN_S = 5.0
"""Seconds for looking for devices or opening one; PortAudio itself waits 1 s for a busy one."""
CLOSE_S = 2.0

Result = TypeVar("Result")


_loaded: PortAudio | None = None
_loading = threading.Lock()


def portaudio() -> PortAudio:
    """The process's PortAudio, loaded: one, whose lock all threads share.

    Raises:
        DependencyError: sounddevice or PortAudio is not installed.
    """
    global _loaded
    with _loading:
        if _loaded is None:
            fresh = "sounddevice" not in sys.modules  # its import initialises PortAudio
            _loaded = PortAudio(_sounddevice(), fresh)
            come_first()
        return _loaded


def _sounddevice() -> Any:
    try:
        import sounddevice
    except ImportError as error:
        raise DependencyError(
            "a microphone needs sounddevice, which is not installed: pip install sounddevice, "
            "or pipe arecord into 'edge-ser listen --input -'"
        ) from error
    except OSError as error:  # what sounddevice raises where it finds no libportaudio
        raise DependencyError(
            "a microphone needs PortAudio, which is not installed: "
            "sudo apt-get install libportaudio2, or pipe arecord into 'edge-ser listen --input -'"
        ) from error
    return sounddevice


class PortAudio:
    """The few calls that are needed, each within a time limit.

    A sound server that does not answer lets PortAudio wait without end. Calls are therefore made
    in a thread of their own; one that does not come back is left behind, and until it does come
    back, PortAudio (which serves one thread at a time) is not called again.
    """

    def __init__(
        self,
        sounddevice: Any,
        fresh: bool = True,
        open_s: float = OPEN_S,
        close_s: float = CLOSE_S,
    ) -> None:
        """Take a `sounddevice` module; `fresh` where it has only just looked for devices."""
        self._sd = sounddevice
        self._fresh = fresh
        self._open_s, self._close_s = open_s, close_s
        self._lock = threading.RLock()
        self._hung: threading.Thread | None = None

    @property
    def error(self) -> type[Exception]:
        """What is raised when PortAudio refuses."""
        kind: type[Exception] = self._sd.PortAudioError
        return kind

    def devices(self) -> Sequence[dict[str, Any]]:
        """All devices, found anew, as `sounddevice.query_devices` gives them, with `api` and
        `default` (of inputs).

        PortAudio looks for devices when it is initialised and never again, so it is initialised
        anew. That ends every stream of the process: where there is one, of ours or of the
        application, the list stays the old one.

        Raises:
            AudioError: PortAudio does not answer, or fails.
        """
        return self._within(self._open_s, self._look, "look for microphones")

    def takes(self, device: int, rate: int) -> bool:
        """Whether an input of one channel could be opened now; it is not.

        Raises:
            AudioError: PortAudio does not answer.
        """

        def ask() -> None:
            self._sd.check_input_settings(device=device, channels=1, samplerate=rate)

        try:
            self._within(self._open_s, ask, "ask for a microphone")
        except self.error:
            return False
        return True

    def open(self, **settings: Any) -> Any:
        """A started `InputStream`.

        Raises:
            AudioError: PortAudio does not answer.
            `error`: it refuses the settings or the device.
        """
        return self._within(
            self._open_s, lambda: self._start(settings), "open a microphone", self._end
        )

    def close(self, stream: Any) -> None:
        """End a stream without waiting for audio: `stop` can wait for ever, `abort` does not."""
        try:
            self._within(self._close_s, lambda: self._end(stream), "close a microphone")
        except (AudioError, self.error) as error:
            log.warning("%s", error)

    def _look(self) -> Sequence[dict[str, Any]]:
        sd = self._sd
        if not self._fresh and not self._streams_are_open():
            while sd._initialized:
                sd._terminate()
        if not sd._initialized:
            sd._initialize()
        self._fresh = False
        apis = [api["name"] for api in sd.query_hostapis()]
        default = sd.default.device[0]
        return [
            {**device, "api": apis[device["hostapi"]], "default": device["index"] == default}
            for device in sd.query_devices()
        ]

    def _streams_are_open(self) -> bool:
        """Whether the process holds any stream of sounddevice; an application's count as well."""
        base = self._sd._StreamBase
        return any(issubclass(type(thing), base) and not thing.closed for thing in gc.get_objects())

    def _start(self, settings: dict[str, Any]) -> Any:
        stream = self._sd.InputStream(**settings)
        try:
            stream.start()
        except BaseException:
            stream.close()
            raise
        return stream

    def _end(self, stream: Any) -> None:
        stream.abort()
        stream.close()

    def _within(
        self,
        seconds: float,
        work: Callable[[], Result],
        doing: str,
        undo: Callable[[Result], None] | None = None,
    ) -> Result:
        """The result of `work`; where it comes too late, it is undone when it comes."""
        with self._lock:
            if self._hung is not None and self._hung.is_alive():
                raise AudioError(
                    f"cannot {doing}: PortAudio has not come back from an earlier call: "
                    "see whether the sound server hangs, or restart this program"
                )
            call = _Call(work, undo)
            self._hung = call
            try:
                call.start()
            except RuntimeError:  # the process ends: it begins no thread, and waits for none long
                call.run()
            else:
                call.join(seconds)
            if call.give_up():
                # sounddevice would wait for the same thing again when the process ends.
                with suppress(AttributeError):
                    atexit.unregister(self._sd._exit_handler)
                raise AudioError(
                    f"cannot {doing}: PortAudio does not answer within {seconds:g} s: "
                    "see whether the sound server (PulseAudio, PipeWire) hangs"
                )
            self._hung = None
            if call.failure is not None:
                raise call.failure
            result: Result = call.result
            return result


class _Call(threading.Thread):
    """A call whose caller may give up waiting."""

    def __init__(self, work: Callable[[], Any], undo: Callable[[Any], None] | None) -> None:
        super().__init__(name="portaudio", daemon=True)
        self._work, self._undo = work, undo
        self._settling = threading.Lock()
        self._settled = self._given_up = False
        self.result: Any = None
        self.failure: BaseException | None = None

    def run(self) -> None:
        result, failure = None, None
        try:
            result = self._work()
        except BaseException as error:  # noqa: BLE001 - it is raised where the call was made
            failure = error
        with self._settling:
            self.result, self.failure = result, failure
            self._settled = True
            late = self._given_up
        if late and failure is None and self._undo is not None:
            with suppress(Exception):
                self._undo(result)

    def give_up(self) -> bool:
        """True where the call has not ended; then what it will bring is undone."""
        with self._settling:
            self._given_up = not self._settled
            return self._given_up
