"""`Segmenter`: a stream goes in, the pieces that are to be classified come out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edge_ser.errors import CardError, ConfigError
from edge_ser.segment.cutters import Cutter, Span, UtteranceCutter, WindowCutter
from edge_ser.segment.history import History
from edge_ser.segment.pieces import Piece
from edge_ser.segment.stream_gate import Boundary, SpeechGate

__all__ = ["SegmentOptions", "Segmenter"]

Samples = NDArray[np.float32]
Mode = Literal["utterance", "window"]
GateName = Literal["energy", "silero"]

CHOICES = {"mode": get_args(Mode), "gate": get_args(GateName)}
BOUNDS = {
    "window_s": (0.05, 60.0),
    "hop_s": (0.001, 60.0),
    "overlap": (0.0, 0.9),
    "partial_s": (0.0, 60.0),
}
LEAST_PARTIAL_S = 0.1
STEP_S = 1.0
"""Seconds of a block that are taken at once, so that memory does not depend on the block."""


@dataclass(frozen=True)
class SegmentOptions:
    """How a stream is cut."""

    mode: Mode = "utterance"
    """utterance: one piece for each utterance; window: a window slides over speech."""
    gate: GateName = "energy"
    """What finds speech."""
    window_s: float | None = None
    """Seconds of a window; the model's clip without. Window mode only."""
    hop_s: float = 1.0
    """Seconds from window to window, rounded to whole STFT hops. Window mode only."""
    overlap: float = 0.25
    """Share of a piece that the next one repeats, where a long utterance is split."""
    partial_s: float = 0.0
    """Seconds between early results while an utterance is running; 0 for none. Utterance mode
    only."""

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise ConfigError(f"segment: {name} is {value!r}, expected {' or '.join(choices)}")
        for name, (low, high) in BOUNDS.items():
            value = getattr(self, name)
            if not (low <= value <= high if value is not None else name == "window_s"):
                raise ConfigError(f"segment: {name} is {value}, expected {low:g} to {high:g}")
        if 0 < self.partial_s < LEAST_PARTIAL_S:
            raise ConfigError(
                f"segment: partial_s is {self.partial_s}, expected at least {LEAST_PARTIAL_S}, or "
                "0 for none"
            )

    @classmethod
    def recommended(cls, values: Mapping[str, object]) -> SegmentOptions:
        """The options that a card recommends; what it does not name keeps its default.

        Raises:
            CardError: a value is of another type or out of range.
        """
        known = {f.name: values[f.name] for f in fields(cls) if f.name in values}
        try:
            return cls(**{name: _typed(name, value) for name, value in known.items()})
        except ConfigError as error:
            raise CardError(f"segmenting: {error}; correct the card") from error


class Segmenter:
    """Cuts a stream into pieces, as the speech gate opens and closes.

    Utterance mode: a piece is an utterance with its padding. One of more than 1.25 clips gives
    pieces as `split_pieces` cuts it, each as soon as it is certain that the utterance is that long:
    that is 1.25 clips, the gate's `hangover` and one of its frames after the piece's start.

    Window mode: windows end at whole hops after the start of the unbroken run, and are pieces if
    the gate is open there: at or after the sample at which its opening was decided, before that of
    its closing. Before the run's start a window holds zeros, and its `start` may lie there.

    What comes out does not depend on how the stream is cut into blocks. Kept is a buffer of at most
    twice the sum of one second and of what pieces can still need: 1.25 clips, `hangover` and a
    frame of an open utterance, `lookback` and a frame in silence; in window mode one window.
    """

    def __init__(
        self,
        gate: SpeechGate,
        options: SegmentOptions,
        rate: int,
        clip_samples: int,
        stft_hop: int,
    ) -> None:
        """Begin at position 0, in run 0.

        Args:
            gate: at the same rate, and at position 0.
            options: how to cut.
            rate: hertz.
            clip_samples: samples that the model takes.
            stft_hop: samples between frames of the model's features.
        """
        self.gate = gate
        self.options = options
        self.position = 0
        """Samples of the stream so far, lost ones included."""
        self._step = max(1, round(STEP_S * rate))
        self._cutter: Cutter
        if options.mode == "window":
            window = clip_samples if options.window_s is None else round(options.window_s * rate)
            hops = max(1, round(options.hop_s * rate / stft_hop))
            self._cutter = WindowCutter(max(1, window), hops * stft_hop)
        else:
            partial = round(options.partial_s * rate)
            delay = gate.hangover + gate.frame
            self._cutter = UtteranceCutter(clip_samples, options.overlap, delay, partial)
        self._utterance = 0
        self.run = -1
        """Number of the unbroken stretch of the stream, from 0."""
        self._begin()

    @property
    def is_open(self) -> bool:
        """Whether an utterance is running."""
        return self.gate.is_open

    def process(self, samples: Samples) -> list[Piece]:
        """Take the next samples, float32 of shape (n,), n may be 0; the pieces that are complete.

        The last piece of an utterance comes when the gate closes, and has `last`.
        """
        pieces: list[Piece] = []
        for first in range(0, len(samples), self._step):
            block = samples[first : first + self._step]
            self.position += len(block)
            self._history.append(block)
            pieces += self._followed(self.gate.process(block))
            pieces += self._pieces(self._cutter.due(self.position))
            # At the end of a run the newest samples may be less than a frame.
            opening = self.position - self.gate.lookback - self.gate.frame
            self._history.drop(self._cutter.oldest(self.position, opening))
        return pieces

    def skip(self, count: int) -> list[Piece]:
        """The stream breaks here: `count` samples are missing, and a new run follows them.

        Returns:
            What is left of an open utterance, its last piece with `cut`.
        """
        pieces = self._followed(self.gate.skip(count), cut=True)
        self.position += count
        self._begin()
        return pieces

    def finish(self) -> list[Piece]:
        """The stream ends. What is left of an open utterance; it is complete and not `cut`."""
        return self._followed(self.gate.finish())

    def _begin(self) -> None:
        """Begin a run at the current position."""
        self.run += 1
        self._origin = self.position
        self._history = History(self.position)
        self._cutter.begin(self.position)

    def _followed(self, boundaries: Iterable[Boundary], cut: bool = False) -> list[Piece]:
        """What the gate's openings and closings make of what is there."""
        pieces: list[Piece] = []
        for boundary in boundaries:
            # A gate that hears late may tell at the end of a run what it would have told after it.
            pieces += self._pieces(self._cutter.due(min(boundary.decided - 1, self.position)))
            if boundary.opens:
                self._utterance += 1
                self._cutter.open(max(self._origin, boundary.position), boundary.decided)
            else:
                pieces += self._pieces(self._cutter.close(boundary.position, cut))
        return pieces

    def _pieces(self, spans: Iterable[Span]) -> list[Piece]:
        return [
            Piece(
                kind=span.kind,
                samples=self._history.read(span.start, span.end),
                start=span.start,
                utterance=self._utterance,
                run=self.run,
                last=span.last,
                cut=span.cut,
            )
            for span in spans
        ]


def _typed(name: str, value: object) -> Any:
    """A card's value as its field's type.

    Raises:
        CardError: it is of another.
    """
    if name in CHOICES:
        good, wanted = isinstance(value, str), "a word"
    else:
        good = isinstance(value, int | float) and not isinstance(value, bool)
        good, wanted = good or (value is None and name == "window_s"), "a number"
    if not good:
        raise CardError(f"segmenting: {name} is {value!r}, expected {wanted}; correct the card")
    return float(str(value)) if isinstance(value, int) else value
