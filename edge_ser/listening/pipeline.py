"""`Pipeline`: a model with how its stream is cut and its predictions are decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np

from edge_ser.audio import active_level
from edge_ser.card import naming
from edge_ser.classifier import Classifier, FollowingClassifier, Prediction, RollingClassifier
from edge_ser.errors import ConfigError
from edge_ser.events import DecideOptions, Decider, Decision
from edge_ser.segment import GateOptions, Piece, Segmenter, SegmentOptions, make_gate

__all__ = ["Listening", "Pipeline", "level_of"]


Options = TypeVar("Options", GateOptions, SegmentOptions, DecideOptions)


@dataclass(frozen=True)
class Listening:
    """How to listen with a model.

    What is None is as its card recommends. A dict of some fields, such as `{"enter_db": 12}`, is
    laid over that; options take its place as a whole.
    """

    gate: GateOptions | Mapping[str, Any] | None = None
    segment: SegmentOptions | Mapping[str, Any] | None = None
    decide: DecideOptions | Mapping[str, Any] | None = None
    follow: bool = False
    """Learn how the speaker sounds from each utterance, for the next ones."""


class Pipeline:
    """What is done with the pieces of a stream. Serves one thread at a time."""

    def __init__(self, model: Classifier, options: Listening | None = None) -> None:
        options = options or Listening()
        card = model.card
        self.model = model
        self.rate = card.input.rate
        with naming(model.path):  # what its card recommends may be out of range
            gate = GateOptions.recommended(card.segmenting)
            segment = SegmentOptions.recommended(card.segmenting)
            decide = DecideOptions.recommended(card.deciding)
        self.gate = _laid_over(gate, options.gate, "gate")
        self.segment = _laid_over(segment, options.segment, "segment")
        decide = _laid_over(decide, options.decide, "decide")
        self.decider = Decider(card.labels, decide, card.output.uncertain_below)
        self.reports_silence = decide.no_speech_after_s is not None
        self._rolling: RollingClassifier | None = None
        self._following: FollowingClassifier | None = None
        if options.follow:
            if self.segment.mode != "utterance":
                raise ConfigError(
                    "model: follow learns from whole utterances, and segment.mode is "
                    f"{self.segment.mode}: set it to utterance, or leave follow out"
                )
            self._following = FollowingClassifier(model)

    def segmenter(self) -> Segmenter:
        """A new segmenter for a stream at the model's rate."""
        return Segmenter(
            make_gate(self.segment.gate, self.rate, self.gate),
            self.segment,
            self.rate,
            self.model.card.input.clip_samples,
            self.model.card.frontend[0].hop_length,
        )

    def cuts_like(self, other: Pipeline) -> bool:
        """A stream that is being cut for `other` may go on as it is."""
        mine, theirs = self.model.card, other.model.card
        return (
            (self.gate, self.segment) == (other.gate, other.segment)
            and mine.input == theirs.input
            and mine.frontend == theirs.frontend
        )

    def decide(self, piece: Piece) -> Decision | None:
        """Classify a piece, and decide whether that is worth an event."""
        prediction = self._predict(piece)
        return self.decider.decide(
            piece.kind,
            np.array(list(prediction.scores.values())),
            piece.start / self.rate,
            piece.end / self.rate,
            piece.utterance,
            piece.cut,
        )

    def _predict(self, piece: Piece) -> Prediction:
        if piece.kind == "window":
            self._rolling = self._rolling or RollingClassifier(self.model, len(piece.samples))
            return self._rolling(piece.samples, piece.start, piece.run)
        if self._following is None:
            return self.model.predict(piece.samples)
        if piece.kind == "partial":
            return self._following.model.predict(piece.samples)
        return self._following(piece.samples)

    def warm_up(self) -> None:
        """Classify a test signal, so that the first event is not the slow one."""
        from edge_ser.signals import as_float, test_signal

        self.model.predict(as_float(test_signal(self.model.card.input.clip_samples, self.rate)))


def _laid_over(
    recommended: Options, given: Options | Mapping[str, Any] | None, name: str
) -> Options:
    """What was given, over what the card recommends.

    Raises:
        ConfigError: it is of another type, or names or sets what there is not.
    """
    kind = type(recommended)
    if given is None:
        return recommended
    if isinstance(given, kind):
        return given
    known = {field.name: getattr(recommended, field.name) for field in fields(recommended)}
    if not isinstance(given, Mapping):
        raise ConfigError(
            f"{name} is {given!r}, expected {kind.__name__}(...), or a dict of some of its fields, "
            f"such as {dict([next(iter(known.items()))])}"
        )
    for key in given:
        if key not in known:
            raise ConfigError(f"{name}: there is no {key!r}, expected one of {', '.join(known)}")
    try:
        return replace(recommended, **given)
    except TypeError as error:  # two values that cannot be compared
        raise ConfigError(f"{name}: {dict(given)}, expected values such as {known}") from error


def level_of(piece: Piece) -> float:
    """Active speech level of a piece, in dB re full scale; -120 for silence."""
    return max(-120.0, active_level(piece.samples))
