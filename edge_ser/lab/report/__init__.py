"""Training runs compared: one mechanism for folds, seeds, ablations and augmentations."""

from __future__ import annotations

from edge_ser.lab.report.classification import Classification, classification
from edge_ser.lab.report.compare import Comparison, Group, compare
from edge_ser.lab.report.document import document
from edge_ser.lab.report.records import RunRecord, read_record

__all__ = [
    "Classification",
    "Comparison",
    "Group",
    "RunRecord",
    "classification",
    "compare",
    "document",
    "read_record",
]
