"""Model cards: what a model file says of itself, and reading and writing files that carry one.

    model = read_model("plb-emodb.tflite")      # hashes checked, nothing opened yet
    model.card.labels, model.card.provenance.licence
    write_model("mine.onnx", model.payload, model.card)

Reading a card needs the standard library alone.
"""

from __future__ import annotations

from edge_ser.card.files import (
    ModelFile,
    describe_foreign,
    naming,
    read_model,
    sidecar_path,
    write_model,
    write_sidecar,
)
from edge_ser.card.goldens import GoldenFeatures, Goldens
from edge_ser.card.head import HEAD, Head
from edge_ser.card.model import (
    ConditionFigures,
    InputSpec,
    ModelCard,
    OutputSpec,
    Provenance,
)
from edge_ser.card.population import Population

__all__ = [
    "HEAD",
    "ConditionFigures",
    "GoldenFeatures",
    "Goldens",
    "Head",
    "InputSpec",
    "ModelCard",
    "ModelFile",
    "OutputSpec",
    "Population",
    "Provenance",
    "describe_foreign",
    "naming",
    "read_model",
    "sidecar_path",
    "write_model",
    "write_sidecar",
]
