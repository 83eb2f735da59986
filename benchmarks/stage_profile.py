"""Processor time of each stage of listening, one after the other in one thread."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from edge_ser.classifier import Classifier, Prediction, RollingClassifier
from edge_ser.listening import Listening
from edge_ser.listening.pipeline import Pipeline
from edge_ser.listening.ring import Ring
from edge_ser.segment import Piece, SegmentOptions, make_gate

from .offline import Samples

__all__ = ["STAGES", "profile"]

BLOCK_S = 0.1
STAGES = ("callback", "convert", "gate", "cut", "frontend", "model", "decide")


def profile(
    samples: Samples, rate: int, model: Classifier, segment: SegmentOptions
) -> dict[str, float]:
    """Share of one processor that each stage takes of a stream, as listening hands on blocks.

    `callback` is the copy into the ring and out of it, `cut` the segmenter without its gate. What
    a stage costs only because threads take turns is not in here.
    """
    pipeline = Pipeline(model, Listening(segment=segment))
    pipeline.warm_up()
    converter, segmenter = model.converter(rate), pipeline.segmenter()
    gate = make_gate(pipeline.segment.gate, pipeline.rate, pipeline.gate)
    size = round(BLOCK_S * rate)
    ring = Ring(round(10 / BLOCK_S))
    spent: dict[str, float] = defaultdict(float)
    rolling: RollingClassifier | None = None
    for first in range(0, len(samples), size):
        block = samples[first : first + size].reshape(-1, 1)
        with _timed(spent, "callback"):
            ring.put(block.copy(), 0.0, 0.0, False)
            taken = ring.get(0.0)
        assert taken is not None
        with _timed(spent, "convert"):
            heard = converter.process(taken.samples[:, 0])
        with _timed(spent, "gate"):
            gate.process(heard)
        with _timed(spent, "cut"):
            pieces = segmenter.process(heard)
        for piece in pieces:
            if piece.kind == "window" and rolling is None:
                rolling = RollingClassifier(model, len(piece.samples))
            prediction = _classified(piece, model, rolling, spent)
            with _timed(spent, "decide"):
                pipeline.decider.decide(
                    piece.kind,
                    np.array(list(prediction.scores.values())),
                    piece.start / pipeline.rate,
                    piece.end / pipeline.rate,
                    piece.utterance,
                    piece.cut,
                )
    spent["cut"] -= spent["gate"]  # the segmenter's gate did the same again
    seconds = len(samples) / rate
    return {stage: max(0.0, spent[stage]) / seconds for stage in STAGES}


def _classified(
    piece: Piece, model: Classifier, rolling: RollingClassifier | None, spent: dict[str, float]
) -> Prediction:
    """Classify, and charge the frontend and the rest of it: the model and its calibration."""
    began = time.thread_time()
    if rolling is None:
        prediction = model.predict(piece.samples)
    else:
        prediction = rolling(piece.samples, piece.start, piece.run)
    took = time.thread_time() - began
    share = prediction.timings["frontend"] / prediction.timings["total"]
    spent["frontend"] += took * share
    spent["model"] += took * (1 - share)
    return prediction


@contextmanager
def _timed(spent: dict[str, float], stage: str) -> Iterator[None]:
    began = time.thread_time()
    yield
    spent[stage] += time.thread_time() - began
