"""`Front`: blocks of a source go in, pieces of the stream come out."""

from __future__ import annotations

import numpy as np

from edge_ser.audio import RateConverter
from edge_ser.listening.pipeline import Pipeline
from edge_ser.listening.source import Block
from edge_ser.segment import Piece

__all__ = ["Front"]


class Front:
    """Brings a source to the model's rate, cuts it, and knows when each sample was captured.

    Positions count samples at the model's rate from the first one heard, lost ones included, so
    they tell the time of the stream whatever is lost on the way.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.segmenter = pipeline.segmenter()
        self.dropped = 0
        """Samples lost, at the model's rate."""
        self._converter: RateConverter | None = None
        self._rate = 0
        self._heard = 0.0
        self._captured = 0.0

    @property
    def seconds(self) -> float:
        """Length of the stream: what was heard or lost until now."""
        return self._heard

    def process(self, block: Block) -> list[Piece]:
        """What a block adds: the pieces that are complete."""
        pieces: list[Piece] = []
        if block.lost:
            pieces += self.interrupt(block.lost / block.rate)
            self.dropped += round(block.lost * self.pipeline.rate / block.rate)
        if self._converter is None or block.rate != self._rate:
            pieces += self._drained()
            self._converter = self.pipeline.model.converter(block.rate)
            self._rate = block.rate
        samples = self._converter.process(block.samples)
        pieces += self.segmenter.process(samples)
        self._heard += len(block.samples) / block.rate
        self._captured = block.captured
        return pieces

    def interrupt(self, seconds: float = 0.0) -> list[Piece]:
        """The stream breaks off and goes on `seconds` later: end what is open."""
        pieces = self._drained()
        self._heard += seconds
        missing = round(self._heard * self.pipeline.rate) - self.segmenter.position
        return pieces + self.segmenter.skip(max(0, missing))

    def overhear(self, block: Block) -> list[Piece]:
        """A block that no notice is taken of: end what is open."""
        pieces = self.interrupt((len(block.samples) + block.lost) / block.rate)
        self._captured = block.captured
        return pieces

    def finish(self) -> list[Piece]:
        """The stream has ended."""
        return self._drained() + self.segmenter.finish()

    def replace(self, pipeline: Pipeline) -> list[Piece]:
        """Go on with another model; an utterance in hand is ended only where it must be."""
        before, self.pipeline = self.pipeline, pipeline
        if pipeline.cuts_like(before):
            return []
        pieces = self._drained() + self.segmenter.skip(0)
        self.dropped = round(self.dropped * pipeline.rate / before.rate)
        self.segmenter = pipeline.segmenter()
        self.segmenter.skip(round(self._heard * pipeline.rate))
        self._converter = None
        return pieces

    def captured_at(self, seconds: float) -> float:
        """Seconds of the clock at which the sample at `seconds` of the stream was there."""
        return self._captured - (self._heard - seconds)

    def _drained(self) -> list[Piece]:
        """What the converter's filters still hold, cut."""
        if self._converter is None:
            return []
        return self.segmenter.process(
            self._converter.process(np.zeros(0, dtype=np.float32), last=True)
        )
