"""Whether what is timed also computes what it should: the goldens, and labelled clips."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from edge_ser import metrics
from edge_ser.bench.workload import Item, Workload
from edge_ser.card import ModelCard, read_model
from edge_ser.verification import StageResult, verify

__all__ = ["Protocol", "goldens", "labelled"]

Protocol = Literal["not in training", "seen in training", "unknown", "untrained", "no labels"]
"""What the figures of labelled clips are worth.

seen in training: the model has heard them all, so they prove nothing. unknown: its card does not
list what it has heard. untrained: its weights are random. no labels: the clips have none that the
model knows.
"""


def goldens(model: Path, provider: str = "cpu", threads: int = 1) -> dict[str, Any]:
    """Run the goldens of a model file as it is run when it is timed.

    Returns:
        `passed`: no stage failed; `detail`: one sentence on what was compared or which stage
        failed. A card without goldens passes, and the sentence says that nothing was compared.

    Raises:
        ModelNotFoundError: there is no such file.
    """
    stages = verify(model, provider, threads).stages
    failed = next((stage for stage in stages if stage.status == "failed"), None)
    if failed is not None:
        return {"passed": False, "detail": f"the model fails its check: {_failure(failed)}"}
    measured = [stage for stage in stages if stage.worst is not None]
    if not measured:
        return {"passed": True, "detail": "the card has no goldens: nothing was compared"}
    within = ", ".join(f"{s.stage} {s.worst:.2g} of {s.tolerance:.2g}" for s in measured)
    return {"passed": True, "detail": f"largest differences of what is allowed: {within}"}


def labelled(predictions: Mapping[str, str], workload: Workload, model: Path) -> dict[str, Any]:
    """Accuracy and UAR over the clips that were classified and that the model has not heard.

    Args:
        predictions: label by the clip's name; clips that are not in it do not count.
        workload: where labels and digests are.
        model: the file whose card lists the clips it was trained on.

    Returns:
        `accuracy` and `uar`, 0 to 1, or None; `clips` that they are over; `protocol`, see
        `Protocol`.
    """
    card = read_model(model).card
    known = [
        item
        for item in workload.items
        if item.label is not None and item.label in card.labels and item.name in predictions
    ]
    heard = frozenset(card.provenance.training_clips)
    unheard = [item for item in known if item.digest not in heard]
    protocol = _protocol(card, known, unheard)
    if protocol not in ("not in training", "unknown"):
        return {"accuracy": None, "uar": None, "clips": 0, "protocol": protocol}
    number = {label: at for at, label in enumerate(card.labels)}
    true = [number[str(item.label)] for item in unheard]
    guessed = [number.get(predictions[item.name], -1) for item in unheard]
    return {
        "accuracy": metrics.accuracy(true, guessed),
        "uar": metrics.uar(true, guessed),
        "clips": len(unheard),
        "protocol": protocol,
    }


def _protocol(card: ModelCard, known: list[Item], unheard: list[Item]) -> Protocol:
    if not known:
        return "no labels"
    if card.provenance.state == "untrained":
        return "untrained"
    if not card.provenance.training_clips:
        return "unknown"
    return "not in training" if unheard else "seen in training"


def _failure(stage: StageResult) -> str:
    """Which stage, by how much where it was measured, and the detail that `verify` gives."""
    if stage.worst is None:
        return f"{stage.stage}: {stage.detail}"
    return (
        f"{stage.stage} differ by {stage.worst:.2g}, {stage.tolerance:.2g} is allowed: "
        f"{stage.detail}"
    )
