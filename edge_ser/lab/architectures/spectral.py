"""A convolutional network with attention pooling on log-mel bands, in Torch. Our own choice.

The Wav2Vec2 study has a row "Base" of which only the training is known (Adam 1e-3, batch 128,
dropout 0.3); the papers it cites suggest a CNN with attention on spectral features. This is such a
network, small and quick; no count or accuracy of it is published.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edge_ser.errors import DataError
from edge_ser.lab.architectures.options import SpectralOptions

__all__ = ["SpectralNetwork", "build"]

MAX_CHANNELS = 4096
MAX_BLOCKS = 8


def build(options: SpectralOptions, classes: int, shape: tuple[int, ...]) -> SpectralNetwork:
    """The network for features of `shape`.

    Args:
        options: see the class.
        classes: number of outputs.
        shape: (frames, mels) of one clip, each at least 2 for every block of `options.channels`.

    Raises:
        DataError: a shape or an option that cannot be taken.
    """
    channels, heads = options.channels, options.heads
    if not 1 <= len(channels) <= MAX_BLOCKS or not all(1 <= c <= MAX_CHANNELS for c in channels):
        raise DataError(
            f"channels are {channels}, expected 1 to {MAX_BLOCKS} numbers up to {MAX_CHANNELS}"
        )
    if heads < 1 or channels[-1] % heads:
        raise DataError(f"heads is {heads}, expected a divisor of the last channels {channels[-1]}")
    if not 0 <= options.dropout < 1:
        raise DataError(f"dropout is {options.dropout}, expected 0 to below 1")
    if classes < 1:
        raise DataError(f"{classes} classes, expected 1 or more")
    smallest = 2 ** len(channels)
    if len(shape) != 2 or min(shape) < smallest:
        raise DataError(
            f"features of shape {shape}, expected (frames, mels) of at least {smallest} each for "
            f"{len(channels)} blocks; set a log-mel frontend, a longer clip or fewer channels"
        )
    return SpectralNetwork(options, classes, shape[1])


class SpectralNetwork(nn.Module):  # type: ignore[misc]
    """Log-mel bands (N, frames, mels) to logits (N, classes)."""

    def __init__(self, options: SpectralOptions, classes: int, mels: int) -> None:
        super().__init__()
        width = options.channels[-1]
        self.bands = nn.BatchNorm1d(mels)
        blocks: list[nn.Module] = []
        for fan_in, fan_out in zip((1, *options.channels), options.channels, strict=False):
            blocks += [
                nn.Conv2d(fan_in, fan_out, 3, padding=1, bias=False),
                nn.BatchNorm2d(fan_out),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
        self.blocks = nn.Sequential(*blocks)
        self.frame = nn.Linear(width * (mels >> len(options.channels)), width)
        self.pool = AttentionPooling(width, options.heads)
        self.dropout = nn.Dropout(options.dropout)
        self.scores = nn.Linear(width, classes)

    def embed(self, features: Tensor) -> Tensor:
        """What the last layer sees, (N, channels[-1])."""
        scaled = self.bands(features.mT).mT
        maps = self.blocks(scaled[:, None])
        frames = torch.relu(self.frame(maps.transpose(1, 2).flatten(2)))
        pooled: Tensor = self.pool(frames)
        return pooled

    def forward(self, features: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.scores(self.dropout(self.embed(features)))
        return logits


class AttentionPooling(nn.Module):  # type: ignore[misc]
    """(N, frames, width) to (N, width): each head weighs the frames for its part of the width.

    Weights are the softmax over time of a learned linear score of the whole frame.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.score = nn.Linear(width, heads)

    def forward(self, frames: Tensor) -> Tensor:
        """Weighted means."""
        weights = self.score(frames).softmax(1)
        parts = frames.unflatten(2, (self.heads, -1))
        return (weights[..., None] * parts).sum(1).flatten(1)
