"""`Inference`: the thread that classifies pieces and makes events of what is decided."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edge_ser.audio import Clip
from edge_ser.audio.clip import Samples
from edge_ser.errors import EdgeSerError
from edge_ser.events import Decision, Event
from edge_ser.listening.backlog import BoundedQueue
from edge_ser.listening.health import Health
from edge_ser.listening.pipeline import Pipeline, level_of
from edge_ser.segment import Piece

__all__ = ["Inference", "Job", "Subscriber", "least_missed"]

Subscriber = Callable[[Event, Clip], object]
"""Called with each event and what was classified, in the classifying thread: must not block.
One that raises ends listening; the error is logged, and raised where events are taken or joined."""


@dataclass(frozen=True, eq=False)
class Job:
    """A piece, or a moment of silence, on its way to the model."""

    piece: Piece | None
    """None: nobody speaks at `end_s`, or nothing was heard until then."""
    pipeline: Pipeline
    end_s: float
    """Seconds of the stream at its last sample."""
    time: float
    """Seconds since the epoch at its last sample."""
    age_s: float
    """Seconds from its last sample until it was cut."""
    cut_at: float
    """Seconds of `time.perf_counter` at which it was cut."""
    dropped: int
    """Samples lost until then."""
    run: int
    """Number of the unbroken stretch of the stream that it lies in."""
    source: str


def least_missed(jobs: Sequence[Job]) -> Job:
    """The oldest silence or partial result, which later ones replace, or else the oldest of all."""
    replaced = (job for job in jobs if job.piece is None or job.piece.kind == "partial")
    return next(replaced, jobs[0])


class Inference:
    """Takes jobs until their queue is closed, and gives events to whoever subscribed."""

    def __init__(
        self,
        jobs: BoundedQueue[Job],
        health: Health,
        subscribers: Sequence[Subscriber],
    ) -> None:
        self._jobs = jobs
        self._health = health
        self._subscribers = subscribers
        self._run = 0
        self.events = 0
        """Events made."""
        self.latency_ms = 0.0
        """Of the last event."""

    def run(self) -> None:
        """Classify until the queue is closed and empty; what cannot be classified is a fault."""
        while (job := self._jobs.get()) is not None:
            self._health.begin("inference")
            try:
                self._handle(job)
            finally:
                self._health.end("inference")

    def _handle(self, job: Job) -> None:
        try:
            decision, samples = self._decided(job)
        except EdgeSerError as error:
            self._health.fault("inference", f"a piece was not classified: {error}")
            return
        if decision is None:
            return
        event = self._event(decision, job)
        for subscriber in self._subscribers:
            subscriber(event, Clip(samples, job.pipeline.rate))

    def _decided(self, job: Job) -> tuple[Decision | None, Samples]:
        """What a job says, and what was classified for it."""
        pipeline = job.pipeline
        if job.run != self._run:  # nobody knows what was said in the gap
            self._run = job.run
            pipeline.decider.silence(job.end_s, speaking=True)
        if job.piece is None:
            silence = np.zeros(0, dtype=np.float32)
            return pipeline.decider.silence(job.end_s, speaking=False), silence
        return pipeline.decide(job.piece), job.piece.samples

    def _event(self, decision: Decision, job: Job) -> Event:
        self.events += 1
        self.latency_ms = 1000 * (job.age_s + time.perf_counter() - job.cut_at)
        card = job.pipeline.model.card
        return Event(
            sequence=self.events,
            kind=decision.kind,
            label=decision.label,
            uncertain=decision.uncertain,
            scores=decision.scores,
            start_s=decision.start_s,
            end_s=decision.end_s,
            time=job.time - (job.end_s - decision.start_s),
            level_dbfs=-120.0 if job.piece is None else level_of(job.piece),
            latency_ms=self.latency_ms,
            dropped_samples=job.dropped,
            cut=decision.cut,
            model=card.name,
            model_sha256=card.payload_sha256,
            source=job.source,
        )
