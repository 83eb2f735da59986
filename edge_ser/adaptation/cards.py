"""The card of an adapted model: the original's, but for what is no longer true."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser import __version__
from edge_ser.adaptation.fitting import Layer
from edge_ser.audio import fit
from edge_ser.card import HEAD, Head, ModelCard
from edge_ser.classifier import Outputs
from edge_ser.frontend import Frontend
from edge_ser.runtime import Interpreter
from edge_ser.signals import as_float, test_signal

__all__ = ["Told", "adapted_card", "signal_features"]

MOST_TEXT = 10_000
"""Characters of a text of the card: what it says of the original's data is cut there."""
LABELS_NAMED = 50
SUFFIX = "-adapted"
UNCERTAIN_SHARE = 0.2
"""Of clips left out, the least confident: called uncertain, as in cards of the zoo."""
UNCERTAIN_CLIPS = 20
"""Fewer tell nothing of a share of a fifth."""
PROTOCOL = (
    "Each clip answered by a last layer fitted without it: an estimate from few clips, for these "
    "voices and this microphone."
)


@dataclass(frozen=True, eq=False)
class Told:
    """What a card is to say of the clips."""

    clips: Mapping[str, int]
    """How many of each label."""
    digests: tuple[str, ...]
    speakers: tuple[str, ...]
    """As far as known."""
    accuracy: float
    """Of clips left out."""
    uar: float
    confidences: NDArray[np.float64]
    """Highest score of each clip left out, shape (n,)."""


def signal_features(card: ModelCard, frontends: Sequence[Frontend]) -> list[NDArray[Any]]:
    """Features of the test signal, of which goldens are made."""
    length = card.goldens.samples if card.goldens else card.input.clip_samples
    samples = as_float(test_signal(length, card.input.rate))
    fitted = fit(samples, card.input.clip_samples, card.input.pad_side)
    return [frontend(fitted) for frontend in frontends]


def adapted_card(
    card: ModelCard,
    labels: tuple[str, ...],
    layer: Layer,
    told: Told,
    interpreter: Interpreter,
    signal: Mapping[str, NDArray[Any]],
) -> ModelCard:
    """The card of the model with another last layer.

    Figures, calibration and thresholds of the original are not its own and are left out; what the
    graph was trained on, its licence and what it may be used for stay.

    Args:
        card: the original's.
        labels: of the layer.
        layer: what the head is to compute.
        told: of the clips.
        interpreter: that of the graph.
        signal: the graph's outputs for the test signal, of which goldens are made.
    """
    old = card.provenance
    enough = len(told.confidences) >= UNCERTAIN_CLIPS
    threshold = float(np.quantile(told.confidences, UNCERTAIN_SHARE)) if enough else None
    made = dataclasses.replace(
        card,
        name=card.name.removesuffix(SUFFIX) + SUFFIX,
        labels=labels,
        head=Head.of(layer.weights.tolist(), layer.bias.tolist()),
        requires=tuple(sorted({*card.requires, HEAD})),
        goldens=None,
        deciding={key: value for key, value in card.deciding.items() if key != "thresholds"},
        output=dataclasses.replace(
            card.output,
            temperature=1.0,
            ece=None,
            uncertain_below=None if threshold is None else round(threshold, 4),
        ),
        provenance=dataclasses.replace(
            old,
            state="adapted",
            data=_data(card, told),
            protocol=PROTOCOL,
            metrics={
                "accuracy_left_out": round(told.accuracy, 4),
                "uar_left_out": round(told.uar, 4),
                "clips": sum(told.clips.values()),
            },
            robustness=(),
            tools={**old.tools, "edge-ser adapt": __version__},
            training_clips=tuple(sorted({*old.training_clips, *told.digests})),
            speakers=tuple(sorted({*old.speakers, *told.speakers})),
        ),
    )
    if card.goldens is None:
        return made
    scores = Outputs(made, interpreter).scores(signal)
    goldens = dataclasses.replace(card.goldens, scores=tuple(round(float(s), 7) for s in scores))
    return dataclasses.replace(made, goldens=goldens)


def _data(card: ModelCard, told: Told) -> str:
    """What the adapted model was made of."""
    counts = [f"{label} {count}" for label, count in told.clips.items()]
    named = ", ".join(counts[:LABELS_NAMED])
    if len(counts) > LABELS_NAMED:
        named += f" and {len(counts) - LABELS_NAMED} more labels"
    who = f"speakers {', '.join(told.speakers)}" if told.speakers else "speakers unknown"
    text = (
        f"Adapted from {card.name} (payload_sha256 {card.payload_sha256}) on "
        f"{sum(told.clips.values())} clips: {named}; {who}. {card.name}: {card.provenance.data}"
    )
    return text[:MOST_TEXT]
