"""Torch networks in training."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from edge_ser.errors import ConfigError, DataError
from edge_ser.lab.architectures.networks import build
from edge_ser.lab.compute import torch_device
from edge_ser.lab.experiment import Experiment

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
        self.module = build(experiment.network, classes, shape, options.seed).to(self.device)
        kind = torch.optim.AdamW if options.optimizer == "adamw" else torch.optim.Adam
        self.optimizer = kind(
            [weight for weight in self.module.parameters() if weight.requires_grad],
            options.learning_rate,
            betas=(options.beta_1, options.beta_2),
            eps=options.epsilon,
            weight_decay=options.weight_decay,
        )
        self._steps = 0

    @property
    def steps(self) -> int:
        """Batches so far."""
        return self._steps

    def run_epoch(
        self, features: Floats, targets: Floats, rate: float, seed: np.random.SeedSequence
    ) -> tuple[float, float]:
        """One pass; see `Trainer`."""
        torch.manual_seed(int(seed.generate_state(1, np.uint64)[0] >> 1))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.module.train()
        batch, share = self.options.batch, self.options.accumulate
        starts = range(0, len(features), batch)
        total, right = 0.0, 0
        for number, start in enumerate(starts, 1):
            x, y = (self._tensor(values[start : start + batch]) for values in (features, targets))
            with self._precision():
                logits = self.module(x)
                loss = functional.cross_entropy(logits, y)
            (loss / share).backward()
            if number % share == 0 or number == len(starts):
                self.optimizer.step()
                self.optimizer.zero_grad(set_to_none=True)
            self._steps += 1
            total += float(loss.detach()) * len(x)
            right += int((logits.argmax(1) == y.argmax(1)).sum())
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
        """State of module and optimizer, and the steps: tensors and numbers alone."""
        torch.save(
            {
                "model": self.module.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "steps": self._steps,
            },
            path,
        )

    def load(self, path: Path) -> None:
        """What `save` wrote; nothing but tensors and plain values is unpickled."""
        try:
            saved: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
            self.module.load_state_dict(saved["model"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self._steps = int(saved["steps"])
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
