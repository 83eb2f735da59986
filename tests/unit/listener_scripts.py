"""Scripted sources, and listeners and models that hear them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from edge_ser.card import ModelFile
from edge_ser.classifier import Classifier
from edge_ser.listening.clock import StreamClock
from edge_ser.listening.listener import Listener
from edge_ser.listening.source import Block, SourceEnded
from edge_ser.runtime import Tensor
from edge_ser.testing import FakeInterpreter, tiny_card

RATE = 16_000
BLOCK = RATE // 10
LABELS = ("calm", "angry")
GUARD_S = 30.0
"""Only keeps a test that hangs from hanging for ever."""


class Scripted:
    """A source that plays a script: samples, faults, and things to do between blocks."""

    name = "scripted"

    def __init__(self, script: Iterable[Any], clock: StreamClock, live: bool = True) -> None:
        self.live = self.paced = live
        self.opened = 0
        self.closed = 0
        self._script = iter(script)
        self._clock = clock
        self._until = clock.monotonic()

    def open(self) -> None:
        self.opened += 1
        self._until = self._clock.monotonic()

    def read(self, timeout: float) -> Block | None:
        for step in self._script:
            if isinstance(step, Exception):
                raise step
            if step is None:
                self._clock.advance(timeout)
                self._until = self._clock.monotonic()
                return None
            if callable(step):
                step()
                continue
            due, now = self._until + len(step) / RATE, self._clock.monotonic()
            if due > now + timeout + 1e-9:
                self._script = chain([step], self._script)
                self._clock.advance(timeout)
                return None
            self._until = due
            self._clock.advance(max(0.0, due - now))
            return Block(step, RATE, due)
        raise SourceEnded("the script")

    def close(self) -> None:
        self.closed += 1


def noise(seconds: float, dbfs: float, seed: int = 0) -> Iterator[np.ndarray]:
    """Blocks of steady noise."""
    rng = np.random.default_rng(seed)
    for _ in range(round(seconds * RATE / BLOCK)):
        yield (rng.standard_normal(BLOCK) * 10 ** (dbfs / 20)).astype(np.float32)


def speech(seconds: float = 1.0) -> Iterator[np.ndarray]:
    return noise(seconds, -20.0, seed=1)


def silence(seconds: float = 2.0) -> Iterator[np.ndarray]:
    return noise(seconds, -75.0)


def utterances(count: int) -> Iterator[np.ndarray]:
    yield from silence()
    for _ in range(count):
        yield from speech()
        yield from silence()


def model(answer: Any = None, **changes: Any) -> Classifier:
    """A classifier that always says the same, or what `answer` makes of the features."""
    card = tiny_card(LABELS, **changes)
    (spec,) = card.frontend
    shape = (1, *spec.shape(card.input.clip_samples), 1)
    interpreter = FakeInterpreter(
        answer or {"scores": [[0.2, 0.8]]},
        inputs=(Tensor("features", shape, "float32"),),
        output_tensors=(Tensor("scores", (1, 2), "float32"),),
    )
    return Classifier(ModelFile(Path("tiny.onnx"), "onnx", b"", card), interpreter)


def listener(
    script: Iterable[Any], live: bool = True, classifier: Classifier | None = None, **given: Any
) -> Listener:
    clock = given.pop("clock", None) or StreamClock(1_000_000.0)
    return Listener(classifier or model(), Scripted(script, clock, live), clock=clock, **given)


def scripted(make: Any, **given: Any) -> tuple[Listener, Scripted]:
    """A listener whose script is made of steps that control it."""
    clock = StreamClock()
    source = Scripted([], clock)
    listening = Listener(given.pop("classifier", None) or model(), source, clock=clock, **given)
    source._script = iter(make(listening))
    return listening, source
