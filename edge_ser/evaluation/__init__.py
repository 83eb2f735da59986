"""How good models are on labelled speech that they have not heard, and what disturbs them."""

from __future__ import annotations

from edge_ser.evaluation.picture import draw_confusion, draw_report
from edge_ser.evaluation.report import (
    CoveragePoint,
    Failure,
    ModelResult,
    ReliabilityBin,
    Report,
    Robustness,
    RobustnessRow,
    Spread,
    spread,
)
from edge_ser.evaluation.scoring import Pick, Progress, evaluate, robustness_table, score

__all__ = [
    "CoveragePoint",
    "Failure",
    "ModelResult",
    "Pick",
    "Progress",
    "ReliabilityBin",
    "Report",
    "Robustness",
    "RobustnessRow",
    "Spread",
    "draw_confusion",
    "draw_report",
    "evaluate",
    "robustness_table",
    "score",
    "spread",
]
