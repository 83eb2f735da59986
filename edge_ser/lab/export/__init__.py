"""From a trained model to one self-describing file, re-read and compared before it stays."""

from __future__ import annotations

from edge_ser.lab.export.files import Exported, Stages, export_model
from edge_ser.lab.export.forms import FORMS, Form
from edge_ser.lab.export.goldens import make_goldens
from edge_ser.lab.export.reference import Source
from edge_ser.lab.export.tensorflow_files import load_keras

__all__ = [
    "FORMS",
    "Exported",
    "Form",
    "Source",
    "Stages",
    "export_model",
    "load_keras",
    "make_goldens",
]
