"""How good models are on labelled speech that they have not heard, and what disturbs them."""

from __future__ import annotations

from edge_ser.evaluation.picture import draw_confusion
from edge_ser.evaluation.report import (
    Failure,
    ModelResult,
    Report,
    Robustness,
    RobustnessRow,
    Spread,
    spread,
)
from edge_ser.evaluation.scoring import Pick, Progress, evaluate, robustness_table, score

__all__ = [
    "Failure",
    "ModelResult",
    "Pick",
    "Progress",
    "Report",
    "Robustness",
    "RobustnessRow",
    "Spread",
    "draw_confusion",
    "evaluate",
    "robustness_table",
    "score",
    "spread",
]
