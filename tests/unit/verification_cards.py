"""A card for the smallest model, to check it and what differs from it."""

from __future__ import annotations

import hashlib

from edge_ser.card import GoldenFeatures, Goldens, InputSpec, ModelCard, OutputSpec, Provenance
from edge_ser.frontend import FrontendSpec
from edge_ser.signals import as_float, test_signal

RATE = 1_000


def card_of(signal_of: int = 4) -> ModelCard:
    """The card of y = 2 x, with goldens that hold."""
    signal = test_signal(signal_of, RATE)
    values = tuple(map(float, as_float(signal)))
    features = GoldenFeatures((4,), (3, 1), (values[3], values[1]), 1e-6)
    return ModelCard(
        name="double",
        task="test",
        labels=("a", "b", "c", "d"),
        input=InputSpec(rate=RATE, clip_samples=4, layout="NT"),
        frontend=(FrontendSpec(kind="waveform", rate=RATE),),
        output=OutputSpec(kind="logits"),
        provenance=Provenance(state="trained"),
        goldens=Goldens(
            signal="test_signal",
            signal_sha256=hashlib.sha256(signal.astype("<i2").tobytes()).hexdigest(),
            samples=signal_of,
            features=(features,),
            scores=tuple(2 * value for value in values),
            scores_tolerance=1e-6,
        ),
    )
