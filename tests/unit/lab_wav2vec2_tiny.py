"""Tiny Wav2Vec2 networks of random weights, clips for them, and what such tests need."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge_ser.lab.architectures.options import Wav2Vec2Options

NEEDS = [
    pytest.mark.needs("torch", "transformers"),
    # Torch's exporter meets a deprecation of its own.
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"),
]

TINY = Wav2Vec2Options(size="tiny", hidden=(16, 8))
SAMPLES = 4000


def tiny(seed: int = 0, **options: Any) -> Any:
    import torch

    from edge_ser.lab.architectures import wav2vec2

    torch.manual_seed(seed)
    return wav2vec2.build(replace(TINY, **options), 4, (SAMPLES,))


def clip(length: int, seed: int = 0, start: int = 0) -> Any:
    """A clip of that many samples from `start` on, in zeros, with a batch axis."""
    import torch

    samples = np.zeros(SAMPLES, dtype=np.float32)
    samples[start : start + length] = np.random.default_rng(seed).normal(0.01, 0.1, length)
    return torch.from_numpy(samples)[None]
