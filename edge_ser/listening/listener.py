"""`Listener`: the loop from a source to events. `for event in edge_ser.listen(): ...`"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

from edge_ser.audio import Clip
from edge_ser.classifier import Classifier
from edge_ser.errors import EdgeSerError
from edge_ser.events import Event, Status
from edge_ser.listening.backlog import BoundedQueue
from edge_ser.listening.clock import Clock, SystemClock
from edge_ser.listening.ending import end_at_exit
from edge_ser.listening.health import Health
from edge_ser.listening.inference import Inference, Job, Subscriber, least_missed
from edge_ser.listening.intake import Intake
from edge_ser.listening.options import SourceOptions
from edge_ser.listening.pipeline import Listening, Pipeline
from edge_ser.listening.source import Source

__all__ = ["Listener"]

LOG = logging.getLogger("edge_ser.listening")

PIECES_WAITING = 8
EVENTS_WAITING = 1024
CLOSE_S = 10.0
"""Seconds that whoever leaves waits for both threads."""


class Listener:
    """Listens to a source in two threads of its own and gives events. Any thread may call.

    One thread takes audio and cuts it, the other classifies and decides. Between them wait at most
    eight pieces: of a live source the oldest is dropped (and counted) where the model is too slow;
    a file waits instead. No audio is kept longer than its piece takes.
    """

    def __init__(
        self,
        model: Classifier,
        source: Source,
        options: Listening | None = None,
        source_options: SourceOptions | None = None,
        clock: Clock | None = None,
        subscribers: Sequence[Subscriber] = (),
    ) -> None:
        """Prepare; nothing is opened before `start`, or before the first event is asked for.

        Raises:
            ConfigError: options do not fit the model.
            CardError: the card recommends what is out of range.
            DependencyError: the chosen gate is not installed.
        """
        clock = clock or SystemClock()
        self.health = Health(clock)
        self.source = source
        self._options = options
        self._events: BoundedQueue[Event] = BoundedQueue(EVENTS_WAITING, not source.live)
        self._iterated = False
        self._jobs: BoundedQueue[Job] = BoundedQueue(PIECES_WAITING, not source.live, least_missed)
        self._intake = Intake(
            source,
            source_options or SourceOptions(),
            Pipeline(model, options),
            self._jobs,
            self.health,
            clock,
        )
        self._inference = Inference(self._jobs, self.health, [*subscribers, self._keep])
        self._threads: list[threading.Thread] = []
        self._starting = threading.Lock()
        self._error: Exception | None = None

    def start(self) -> None:
        """Begin to listen; does nothing where it has begun already. Who calls this also ends it.

        What still listens when the process ends is stopped then.
        """
        self._begun()

    def stop(self) -> None:
        """End listening; an utterance in hand is still classified and comes as the last event."""
        self._intake.stop()

    def close(self, timeout: float = CLOSE_S) -> bool:
        """End listening and let go of the source; events that nobody has taken are forgotten.

        Returns:
            Whether that was done within `timeout` seconds. It cannot be started again.
        """
        if self._threads and not any(thread.is_alive() for thread in self._threads):
            return True  # as in a child of fork, where locks may be held for ever
        self.stop()
        self._events.close()
        return self._ended_within(timeout)

    def join(self, timeout: float | None = None) -> bool:
        """Wait until all is classified; whether that was so within `timeout` seconds.

        Raises:
            EdgeSerError: what ended listening before its time, as a file that cannot be read.
        """
        ended = self._ended_within(timeout)
        if self._error is not None:
            raise self._error
        return ended

    def __iter__(self) -> Iterator[Event]:
        """Events as they come, until the source ends or `stop` is called.

        Begins to listen where nothing has; then leaving the loop, also by `break` or an exception,
        ends it as `close` does. After `start` and within `with` it goes on, to be iterated again.
        Of a live source the oldest of 1024 events is dropped where nobody takes them.

        Raises:
            EdgeSerError: what ended listening before its time.
        """
        self._iterated = True
        begun_here = self._begun()
        try:
            while (event := self._events.get()) is not None:
                yield event
            self.join()
        finally:
            if begun_here:
                self.close()

    def __enter__(self) -> Self:
        self._iterated = True
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def mute(self) -> None:
        """Take no notice of what is heard: a robot must not hear itself."""
        self._intake.muted.set()

    def unmute(self) -> None:
        """Take notice again."""
        self._intake.muted.clear()

    def pause(self) -> None:
        """Let go of the microphone until `resume`, or stop waiting for one that is missing.

        Takes effect within half a second, unless the audio system itself hangs; an utterance in
        hand ends. A file or pipe stays open and is not read on.
        """
        self._intake.pause()

    def resume(self) -> None:
        """Open the microphone again, or read on."""
        self._intake.resume()

    def replace(self, model: Classifier, options: Listening | None = None) -> None:
        """Go on with another model or other options, without a gap in the audio.

        Args:
            model: may be the one that listens already.
            options: in place of those of before, all of them; those of before without.

        Raises:
            EdgeSerError: as on construction; then nothing has changed.
        """
        options = options or self._options
        pipeline = Pipeline(model, options)
        pipeline.warm_up()
        self._options = options
        self._intake.replacement = pipeline

    def status(self) -> Status:
        """What it is doing now."""
        front = self._intake.front
        gate = front.segmenter.gate
        return Status(
            state=self.health.state,
            causes=self.health.causes,
            source=self.source.name,
            stream_s=front.seconds,
            level_dbfs=gate.level_dbfs,
            floor_dbfs=gate.floor_dbfs,
            speaking=gate.is_open,
            muted=self._intake.muted.is_set(),
            events=self._inference.events,
            dropped_samples=front.dropped,
            skipped_s=self._intake.skipped_s,
            faults=self.health.faults,
            latency_ms=self._inference.latency_ms,
        )

    def _begun(self) -> bool:
        """Begin to listen; False where that was done before."""
        with self._starting:
            if self._threads:
                return False
            self._threads = [
                threading.Thread(target=self._guarded, args=(work,), name=name, daemon=True)
                for name, work in (("listen", self._intake.run), ("classify", self._classify))
            ]
            for thread in self._threads:
                thread.start()
        end_at_exit(self)
        return True

    def _ended_within(self, timeout: float | None) -> bool:
        """Whether both threads have ended, after waiting for them."""
        deadline = None if timeout is None else time.monotonic() + timeout
        others = [thread for thread in self._threads if thread is not threading.current_thread()]
        for thread in others:
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _keep(self, event: Event, _: Clip) -> None:
        """For whoever iterates; where nobody does, events go to the subscribers alone."""
        if self._iterated:
            self._events.put(event)

    def _classify(self) -> None:
        try:
            self._inference.run()
            self.health.enter("ended")
        finally:
            self._jobs.close()  # whoever waits for room there would wait for ever
            self._events.close()
            self.stop()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001  # it is raised where events are taken
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        """Keep what ends listening for whoever iterates, joins or asks for the status."""
        self._error = self._error or error
        self.health.enter("failed")
        if isinstance(error, EdgeSerError):
            self.health.trouble("listening", str(error))
            LOG.debug("listening has ended", exc_info=error)
        else:  # a bug, ours or a subscriber's, that perhaps nobody asks about
            self.health.trouble("listening", f"{type(error).__name__}: {error}")
            LOG.error("listening has ended, by what must be mended", exc_info=error)
