"""Networks with a frozen backbone: a corpus goes through it once, and the head alone is trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch

from edge_ser.lab.architectures.wav2vec2 import build_backbone, build_head
from edge_ser.lab.datasets import Dataset
from edge_ser.lab.embedding import cached_embeddings
from edge_ser.lab.experiment import Experiment

__all__ = ["build_frozen_head", "embedded"]


def embedded(
    data: Dataset, experiment: Experiment, progress: Callable[[int], None] = lambda done: None
) -> Dataset:
    """The same clips with the backbone's vectors, shape (clips, hidden), as features; cached."""
    vectors = cached_embeddings(
        [data.utterances[name] for name in data.names],
        _backbone(experiment),
        experiment.data.clip_samples,
        experiment.data.pad_side,
        progress,
    )
    return dataclasses.replace(data, features=vectors)


def build_frozen_head(experiment: Experiment, classes: int, shape: tuple[int, ...]) -> Any:
    """What the optimiser moves: the head, for vectors of `shape`."""
    torch.manual_seed(experiment.training.seed)
    return build_head(experiment.network.options, shape[0], classes)


def _backbone(experiment: Experiment) -> Any:
    # Random weights, where there is no folder, are those of the experiment's seed.
    torch.manual_seed(experiment.training.seed)
    return build_backbone(experiment.network.options, (experiment.data.clip_samples,))
