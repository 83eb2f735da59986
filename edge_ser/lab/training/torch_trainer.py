"""Torch networks in training."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from edge_ser.errors import ConfigError, DataError
from edge_ser.lab.architectures.networks import build
from edge_ser.lab.compute import torch_device
from edge_ser.lab.experiment import Experiment, is_frozen

__all__ = ["TorchTrainer"]

Floats = NDArray[np.float32]


class TorchTrainer:
    """A module that gives logits, on the best device that is there."""

    suffix = ".pt"

    def __init__(self, experiment: Experiment, classes: int, shape: tuple[int, ...]) -> None:
        options = experiment.training
        if options.loss != "cross_entropy":
            raise ConfigError(
                f"[training]: loss is {options.loss}, expected cross_entropy: "
                f"{experiment.network.name} gives logits"
            )
        self.options = options
        self.device = torch.device(torch_device())
        self.module = _module(experiment, classes, shape).to(self.device)
        kind = torch.optim.AdamW if options.optimizer == "adamw" else torch.optim.Adam
        self.optimizer = kind(
            [weight for weight in self.module.parameters() if weight.requires_grad],
            options.learning_rate,
            betas=(options.beta_1, options.beta_2),
            eps=options.epsilon,
            weight_decay=options.weight_decay,
        )
        self._epochs = 0

    def epochs(self, examples: int) -> int:
        """As they were counted."""
        return self._epochs

    def begin(self, hear: Callable[[], Floats]) -> None:
        """Nothing to learn beforehand; see `Trainer`."""

    def run_epoch(
        self, features: Floats, targets: Floats, rate: float, seed: np.random.SeedSequence
    ) -> tuple[float, float]:
        """One pass; see `Trainer`."""
        torch.manual_seed(int(seed.generate_state(1, np.uint64)[0] >> 1))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.module.train()
        total, right = 0.0, 0
        batches = _batches(len(features), self.options.batch)
        for number, part in enumerate(batches):
            x, y = self._tensor(features[part]), self._tensor(targets[part])
            with self._precision():
                logits = self.module(x)
                loss = _cross_entropy(logits, y)
            # The last sum of an epoch may be of fewer steps than the others.
            first = number - number % self.options.accumulate
            (loss / min(self.options.accumulate, len(batches) - first)).backward()
            if (number + 1) % self.options.accumulate == 0 or number + 1 == len(batches):
                self.optimizer.step()
                self.optimizer.zero_grad(set_to_none=True)
            total += float(loss.detach()) * len(x)
            right += int((logits.argmax(1) == y.argmax(1)).sum())
        self._epochs += 1
        return total / len(features), right / len(features)

    def scores(self, features: Floats) -> Floats:
        """Probabilities; see `Trainer`."""
        self.module.eval()
        batch = self.options.batch
        with torch.inference_mode():
            parts = [
                torch.softmax(self.module(self._tensor(features[at : at + batch])).float(), dim=1)
                for at in range(0, len(features), batch)
            ]
        scores: Floats = torch.cat(parts).cpu().numpy()
        return scores

    def save(self, path: Path) -> None:
        """State of module and optimizer, and the epochs: tensors and numbers alone."""
        torch.save(
            {
                "model": self.module.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "epochs": self._epochs,
            },
            path,
        )

    def load(self, path: Path) -> None:
        """What `save` wrote; nothing but tensors and plain values is unpickled."""
        try:
            saved: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
            self.module.load_state_dict(saved["model"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self._epochs = int(saved["epochs"])
        except Exception as error:
            # torch raises RuntimeError, KeyError, UnpicklingError, EOFError and more.
            lines = str(error).splitlines() or [type(error).__name__]
            raise DataError(
                f"{path}: no checkpoint of this network ({' '.join(lines[:2])[:300].strip()}); "
                "give another folder, or remove the run folder to start afresh"
            ) from error

    def _tensor(self, values: Floats) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device)

    def _precision(self) -> contextlib.AbstractContextManager[Any]:
        enabled = self.options.mixed_precision and self.device.type != "cpu"
        precision: contextlib.AbstractContextManager[Any] = torch.autocast(
            self.device.type, torch.bfloat16, enabled
        )
        return precision


def _module(experiment: Experiment, classes: int, shape: tuple[int, ...]) -> Any:
    if is_frozen(experiment):
        from edge_ser.lab.frozen import build_frozen_head

        return build_frozen_head(experiment, classes, shape)
    return build(experiment.network, classes, shape, experiment.training.seed)


def _cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Of logits times what the targets add up to, among the classes whose target is not -1."""
    positive = targets.clamp(min=0)
    sharpness = positive.sum(dim=1, keepdim=True)
    # Not minus infinity, which times a target of 0 is no number.
    least = torch.finfo(logits.dtype).min
    known = (sharpness * logits).masked_fill(targets < 0, least)
    return functional.cross_entropy(known, positive / sharpness)


def _batches(examples: int, size: int) -> list[slice]:
    """Batches of `size`; a last single example, which has no variance, joins the batch before."""
    starts = list(range(0, examples, size))
    if len(starts) > 1 and examples - starts[-1] == 1:
        starts.pop()
    return [slice(a, b) for a, b in itertools.pairwise([*starts, examples])]
