"""`Intake`: the thread that takes audio, cuts it, and queues the pieces for the model."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from edge_ser.listening.backlog import BoundedQueue
from edge_ser.listening.capture import RECOVERED, Capture
from edge_ser.listening.clock import Clock
from edge_ser.listening.front import Front
from edge_ser.listening.health import Health
from edge_ser.listening.inference import Job
from edge_ser.listening.options import SourceOptions
from edge_ser.listening.pipeline import Pipeline
from edge_ser.listening.source import Block, Source
from edge_ser.segment import Piece

__all__ = ["Intake"]

CLOCK_STEP_S = 2.0
SILENCE_EVERY_S = 1.0
BEAT_S = 1.0


class Intake:
    """Reads a source through its faults until it ends or `stopping` is set."""

    def __init__(
        self,
        source: Source,
        options: SourceOptions,
        pipeline: Pipeline,
        jobs: BoundedQueue[Job],
        health: Health,
        clock: Clock,
    ) -> None:
        self.front = Front(pipeline)
        self.stopping = threading.Event()
        self.muted = threading.Event()
        self.replacement: Pipeline | None = None
        """The pipeline to go on with at the next block."""
        self.skipped_s = 0.0
        """Seconds of speech that were not classified for want of time."""
        self._source = source
        self._jobs = jobs
        self._health = health
        self._clock = clock
        self._letting_go = threading.Event()
        self._resumed = threading.Event()
        self._resumed.set()
        self._capture = Capture(
            source, clock, self._letting_go, self._report, options, self._beat, self._hurried
        )
        self._offset = clock.time() - clock.monotonic()
        self._last_silence = 0.0
        self._heard_at: float | None = None

    def stop(self) -> None:
        """End `run`, which finishes what is in hand. Any thread may call this and the next two."""
        self.stopping.set()
        self._resumed.set()
        self._letting_go.set()

    def pause(self) -> None:
        """Let go of a live source, also of one that is waited for; read no other one on."""
        self._resumed.clear()
        if self._source.live:
            self._letting_go.set()

    def resume(self) -> None:
        """Go on after `pause`."""
        self._resumed.set()

    def run(self) -> None:
        """Listen to the end.

        Raises:
            AudioError: a file cannot be read on.
        """
        self._beat()
        try:
            self.front.pipeline.warm_up()
            self._health.enter("warming")
            # `stop` sets `stopping` first: where it is not seen here, letting go is seen later.
            while not self.stopping.is_set() and self._listen():
                self._pause()
            stopped = self.stopping.is_set()
            self._queue(self.front.interrupt() if stopped else self.front.finish())
        finally:
            self._source.close()
            self._jobs.close()

    def _listen(self) -> bool:
        """Take blocks until the source ends (False) or has been let go of (True)."""
        for block in self._capture:
            self._take(block)
            if not self._source.live:
                self._await_resume()
        return self._letting_go.is_set()

    def _pause(self) -> None:
        """Stay without the source until it is wanted again; what comes then follows a gap."""
        # Cleared before the wait: a pause that is asked for from here on is not overlooked.
        self._letting_go.clear()
        in_trouble = self._health.forget("source")
        self._queue(self.front.interrupt())
        if self._heard_at is None:
            self._await_resume()
            return
        if in_trouble:  # what was missed until now was wanted
            lost_s = self._clock.monotonic() - self._heard_at
            self.front.dropped += round(lost_s * self.front.pipeline.rate)
        self._await_resume()
        before, self._heard_at = self._heard_at, self._clock.monotonic()
        self._queue(self.front.interrupt(self._heard_at - before))

    def _await_resume(self) -> None:
        if self._resumed.is_set():
            return
        self._health.enter("paused")
        while not (self.stopping.is_set() or self._resumed.wait(BEAT_S)):
            self._beat()
        self._health.enter("warming")

    def _take(self, block: Block) -> None:
        self._beat()
        self._heard_at = block.captured
        self._health.enter("listening")
        self._notice_clock_step()
        if self.replacement is not None:
            before, pipeline, self.replacement = self.front.pipeline, self.replacement, None
            self._queue(self.front.replace(pipeline), before)
        if self.muted.is_set():
            self._queue(self.front.overhear(block))
            return
        self._queue(self.front.process(block))
        self._queue_silence()

    def _queue(self, pieces: Sequence[Piece], pipeline: Pipeline | None = None) -> None:
        for piece in pieces:
            self._put(self._job(piece, pipeline or self.front.pipeline))

    def _put(self, job: Job) -> None:
        dropped = self._jobs.put(job)
        if dropped is not None:
            self._skip(dropped)

    def _queue_silence(self) -> None:
        front = self.front
        if not front.pipeline.reports_silence or front.segmenter.is_open:
            return
        if front.seconds - self._last_silence >= SILENCE_EVERY_S:
            self._last_silence = front.seconds
            self._put(self._job(None, front.pipeline))

    def _job(self, piece: Piece | None, pipeline: Pipeline) -> Job:
        end_s = self.front.seconds if piece is None else piece.end / pipeline.rate
        age_s = self._clock.monotonic() - self.front.captured_at(end_s)
        return Job(
            piece=piece,
            pipeline=pipeline,
            end_s=end_s,
            time=self._clock.time() - age_s,
            age_s=age_s,
            cut_at=time.perf_counter(),
            dropped=self.front.dropped,
            run=self.front.segmenter.run if piece is None else piece.run,
            source=self._source.name,
        )

    def _skip(self, job: Job) -> None:
        """Count a piece that was dropped for newer ones; windows overlap, so a hop each."""
        if job.piece is None or job.piece.kind == "partial":
            return
        seconds = len(job.piece.samples) / job.pipeline.rate
        if job.piece.kind == "window":
            seconds = min(seconds, job.pipeline.segment.hop_s)
        self.skipped_s += seconds
        self._health.fault(
            "slow",
            f"the model is slower than the speech, {self.skipped_s:.1f} s skipped so far: take a "
            "smaller model, a longer hop or a faster machine",
        )

    def _notice_clock_step(self) -> None:
        offset = self._clock.time() - self._clock.monotonic()
        step, self._offset = offset - self._offset, offset
        if abs(step) >= CLOCK_STEP_S:
            self._health.fault("clock_step", f"the clock was set by {step:+.1f} s: events follow")

    def _report(self, cause: str, message: str) -> None:
        """What the capture says: a fault, or that audio is back."""
        self._beat()
        if cause == RECOVERED:
            self._health.trouble("source", None)
            return
        if self._capture.state.startswith("waiting"):
            self._health.trouble("source", message)
        self._health.fault(cause, message)

    def _hurried(self) -> bool:
        """Somebody speaks, and may end; or we are muted, and unmuting is to find nothing old."""
        return self.front.segmenter.is_open or self.muted.is_set()

    def _beat(self) -> None:
        self._health.beat("audio")
