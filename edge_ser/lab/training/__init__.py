"""Training: seeded, resumable at epoch boundaries, in a run folder.

`loop` knows neither framework; `keras_trainer` and `torch_trainer` each hold a network and its
optimiser, and are imported when a network of theirs is trained.
"""

from __future__ import annotations

from edge_ser.lab.training.loop import check, train
from edge_ser.lab.training.trainers import Trainer, open_trainer

__all__ = ["Trainer", "check", "open_trainer", "train"]
