"""What listening should find in a stream, computed without listening, as for a recording.

`offline_decisions` converts a stream chunk by chunk, runs the gate over all of it, cuts what that
finds by `split_pieces`, and classifies the pieces one by one. It shares the gate and the model with
listening, but neither threads, queues, blocks nor the buffers between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_ser.classifier import Classifier
from edge_ser.events import DecideOptions, Decider, Decision
from edge_ser.segment import EnergyGate, GateOptions, SegmentOptions, split_pieces

__all__ = ["Cut", "Stream", "converted", "cuts", "offline_decisions"]

Samples = NDArray[np.float32]
Stream = Callable[[], Iterable[Samples]]
"""Gives the chunks of the same stream each time it is called."""


class Cut(NamedTuple):
    """A piece that is to be classified, in samples at the model's rate."""

    utterance: int
    start: int
    end: int


def offline_decisions(stream: Stream, rate: int, model: Classifier) -> Iterator[Decision]:
    """What listening in utterance mode should report, as the model's card recommends it to be done.

    Args:
        stream: of chunks of any lengths; it is gone through twice.
        rate: its rate, hertz.
        model: classifies and, by its card, says how to cut and decide.
    """
    card = model.card
    decide = DecideOptions.recommended(card.deciding)
    decider = Decider(card.labels, decide, card.output.uncertain_below)
    planned = list(cuts(converted(stream(), rate, model), model))
    for cut, samples in _taken(converted(stream(), rate, model), planned):
        scores = np.array(list(model.predict(samples).scores.values()))
        start, end = cut.start / card.input.rate, cut.end / card.input.rate
        decision = decider.decide("utterance", scores, start, end, cut.utterance)
        if decision is not None:
            yield decision


def converted(chunks: Iterable[Samples], rate: int, model: Classifier) -> Iterator[Samples]:
    """A stream at the model's rate and bandwidth."""
    converter = model.converter(rate)
    for chunk in chunks:
        yield converter.process(chunk)
    yield converter.process(np.zeros(0, np.float32), last=True)


def cuts(chunks: Iterable[Samples], model: Classifier) -> Iterator[Cut]:
    """All pieces of a stream at the model's rate."""
    card = model.card
    gate = EnergyGate(card.input.rate, GateOptions.recommended(card.segmenting))
    overlap = SegmentOptions.recommended(card.segmenting).overlap
    found = [boundary for chunk in chunks for boundary in gate.process(chunk)]
    found += gate.finish()
    opened = [(left, right) for left, right in pairwise(found) if left.opens]
    for number, (left, right) in enumerate(opened, 1):
        for span in split_pieces(left.position, right.position, card.input.clip_samples, overlap):
            yield Cut(number, *span)


def _taken(chunks: Iterable[Samples], planned: Iterable[Cut]) -> Iterator[tuple[Cut, Samples]]:
    """The samples of each piece, in order; only what pieces to come may need is kept."""
    pieces = iter(planned)
    piece = next(pieces, None)
    kept, first = np.zeros(0, np.float32), 0
    for chunk in chunks:
        kept = np.concatenate([kept, chunk])
        while piece is not None and piece.end <= first + len(kept):
            yield piece, kept[piece.start - first : piece.end - first]
            piece = next(pieces, None)
        needed = first + len(kept) if piece is None else piece.start
        gone = min(max(0, needed - first), len(kept))
        kept, first = kept[gone:], first + gone
