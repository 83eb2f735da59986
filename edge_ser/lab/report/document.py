"""A comparison as values for JSON and CSV, all figures in full."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from edge_ser.lab.report.compare import Comparison, Group
from edge_ser.lab.report.figures import WAYS
from edge_ser.lab.report.records import RunRecord

__all__ = ["document", "group_values"]


def document(comparison: Comparison) -> dict[str, Any]:
    """The whole comparison; shares are in [0, 1], intervals are [low, high]."""
    return {
        "told_apart_by": list(comparison.keys),
        "differ_along": list(comparison.along),
        "taken_together": list(comparison.varied),
        "common": dict(comparison.common),
        "experiments": [
            {**group_values(group), "runs": [_run(run) for run in group.runs]}
            for group in comparison.groups
        ],
    }


def group_values(group: Group) -> dict[str, Any]:
    """One experiment without its runs. A figure that it has not is null."""
    first = group.runs[0]
    return {
        **group.values,
        "protocol": first.protocol,
        "epochs": first.epochs,
        "parameters": first.parameters,
        "runs_finished": len(group.finished),
        "folds": len(group.folds),
        "seeds": len(group.seeds),
        **{way: _figures(group, way) for way in WAYS},
        "pooled": asdict(group.pooled) if group.pooled else None,
    }


def _figures(group: Group, way: str) -> Mapping[str, Any] | None:
    values: dict[str, float | None] = {}
    for figure in ("accuracy", "uar"):
        found = group.spread(way, figure)
        if found is None:
            return None
        values |= {
            f"{figure}_mean": found.mean,
            f"{figure}_std": found.std if len(group.tested) > 1 else None,
            f"{figure}_std_over_seeds": group.over_seeds(way, figure),
        }
    return values


def _run(run: RunRecord) -> dict[str, Any]:
    looks = {way: of(run) for way, of in WAYS.items()} if run.finished else {}
    return {
        "folder": str(run.folder),
        "fold": run.fold,
        "seed": run.seed,
        "speakers": list(run.speakers),
        "clips": len(run.test),
        "epochs_done": len(run.rows),
        "finished": run.finished,
        **{way: asdict(look) for way, look in looks.items() if look is not None},
    }
