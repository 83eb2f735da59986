"""What listening costs a hop: processor time of everything that a hop of audio needs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from edge_ser.audio import read_clip
from edge_ser.audio.clip import Samples
from edge_ser.bench.run import opened
from edge_ser.bench.workload import Workload
from edge_ser.classifier import Classifier
from edge_ser.listening import Block, Listening
from edge_ser.listening.front import Front
from edge_ser.listening.pipeline import Pipeline
from edge_ser.segment import GateOptions, SegmentOptions

__all__ = ["continuous", "stream_cost"]

RATE = 16_000
BLOCK_S = 0.05
MOST_CLIPS = 50
LEVEL = 0.05
"""RMS of the stream: -26 dBFS."""


def continuous(workload: Workload, seconds: float) -> Samples:
    """The clips of a workload end to end, again and again: mono float32 of 16 kHz.

    Clips at other rates are taken sample by sample: what they say does not matter here.
    """
    clips = [_levelled(read_clip(opened(item)).samples) for item in workload.items[:MOST_CLIPS]]
    stream = np.concatenate(clips)
    wanted = round(seconds * RATE)
    return np.resize(stream, wanted).astype(np.float32)


def stream_cost(
    classifier: Classifier,
    samples: Samples,
    hop_s: float,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Listen to a stream without a pause, in window mode, in this thread.

    Per hop: conversion, gate, cutting, rolling features, model, decision. Threads and drivers are
    not in it.

    Returns:
        what the document says of it: `cpu_ms_per_hop` the mean, `rtf` processor seconds a second
        of audio, `headroom` the hop's length over the 90th hundredth of its cost.
    """
    # Speech end to end has no silence from which a gate could learn what noise is.
    gate = GateOptions(enter_db=-200.0, leave_db=-200.0, minimum_dbfs=-200.0)
    segment = SegmentOptions(mode="window", hop_s=hop_s)
    pipeline = Pipeline(classifier, Listening(gate=gate, segment=segment))
    pipeline.warm_up()
    front = Front(pipeline)
    size = round(BLOCK_S * RATE)
    costs: list[float] = []
    starts: list[int] = []
    spent = 0.0
    for first in range(0, len(samples), size):
        began = time.thread_time()
        pieces = front.process(Block(samples[first : first + size], RATE, first / RATE))
        for piece in pieces:
            pipeline.decide(piece)
        spent += time.thread_time() - began
        if pieces:
            costs.append(1000 * spent)
            starts.append(pieces[-1].start)
            spent = 0.0
        progress(first + size, len(samples))
    return _summary(costs, starts, pipeline.rate, hop_s)


def _summary(costs: list[float], starts: list[int], rate: int, hop_s: float) -> dict[str, Any]:
    """The first window is dear: it holds all that was heard before it."""
    steady = costs[1:]
    hop = float(np.median(np.diff(starts))) / rate if len(starts) > 1 else hop_s
    if not steady:
        return {"mode": "window", "hop_s": hop, "hops": 0, "cpu_ms_per_hop": None, "rtf": None,
                "headroom": None}  # fmt: skip
    mean, p90 = float(np.mean(steady)), float(np.quantile(steady, 0.9))
    return {
        "mode": "window",
        "hop_s": hop,
        "hops": len(steady),
        "cpu_ms_per_hop": mean,
        "rtf": mean / 1000 / hop,
        "headroom": 1000 * hop / p90,
    }


def _levelled(samples: Samples) -> Samples:
    level = float(np.sqrt(np.mean(np.square(samples))))
    return samples * np.float32(LEVEL / max(level, 1e-6))
