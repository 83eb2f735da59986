"""From a trained Keras model to one self-describing file, re-read and compared before it stays."""

from __future__ import annotations

from edge_ser.lab.export.convert import FORMS, Form, convert, fixed_batch, load_keras
from edge_ser.lab.export.files import export_keras
from edge_ser.lab.export.goldens import make_goldens

__all__ = [
    "FORMS",
    "Form",
    "convert",
    "export_keras",
    "fixed_batch",
    "load_keras",
    "make_goldens",
]
