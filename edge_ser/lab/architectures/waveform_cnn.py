"""1-D convolutional networks on raw samples, in Torch: 16 words of 1 s in the papers.

A network is a row of convolutions with "same" padding, each but one followed by a maximum over 3
values; their flattened output, which are the features; and one dense layer. Channels go with depth
by the schedule: for a width s they are

    custom            s s s s 2s 2s 2s 2s 4s
    steep             s s s 2s 2s 2s 4s 4s 4s
    shrinking         s s s s s/2 s/2 s/2 s/2 s/4
    steep+shrinking   s s s s/2 s/2 s/2 s/4 s/4 s/4

cut after `depth`, with 5 taps. `vgg` has 16 convolutions of 3 taps in pairs, 64 and then 128
channels, and a maximum after seven of the pairs; `baseline` has five of 25 taps without padding,
8 to 128 channels, a maximum over 4 values after each, and three dense layers.

The published counts of parameters decide all of that. Open in the papers, and our choice: ReLU
after every convolution and hidden dense layer; batch normalisation before it; the convolution that
no maximum follows (`unpooled`); of what is left of a row of the baseline when no 4 values remain, a
maximum too; and initial weights of the layers with ReLU as He (2015) has them, with biases of 0.
Torch's own make the signal smaller from layer to layer, and eight convolutions without
normalisation then learn nothing for many epochs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch import nn

from edge_ser.errors import DataError
from edge_ser.lab.architectures.options import WaveformCnnOptions

__all__ = ["Block", "Places", "WaveformCnn", "blocks", "build", "lengths", "shortest"]

Tensor = Any

MAX_DEPTH = 9
MAX_WIDTH = 4096
MAX_SAMPLES = 1 << 24


@dataclass(frozen=True)
class Places:
    """Where the values of a layer lie in the clip."""

    centre: float = 0.0
    """Sample at the centre of the first value."""
    step: int = 1
    """Samples between two values."""
    reach: int = 1
    """Samples that a value sees."""


@dataclass(frozen=True)
class Block:
    """A convolution and the maximum after it."""

    channels: int
    taps: int
    pool: int
    """Values that the maximum is taken over; 1 for none."""
    padded: bool = True
    """The convolution keeps the length, and the maximum leaves out values that do not fill it;
    without padding it shortens by `taps - 1`, and the last maximum is over what is left."""

    def length(self, length: int) -> int:
        """Values after the block; none or fewer if there are too few before it."""
        if self.padded:
            return length // self.pool
        return -((self.taps - 1 - length) // self.pool)

    def shortest(self, length: int) -> int:
        """Values before the block that give `length` (at least 1) after it."""
        if self.padded:
            return length * self.pool
        return (length - 1) * self.pool + self.taps

    def places(self, before: Places) -> Places:
        """Where the values after the block lie, by those before it."""
        aside = (self.pool - 1) / 2 + (0 if self.padded else (self.taps - 1) / 2)
        return Places(
            before.centre + aside * before.step,
            before.step * self.pool,
            before.reach + (self.taps - 1 + self.pool - 1) * before.step,
        )


def blocks(options: WaveformCnnOptions) -> tuple[Block, ...]:
    """The convolutions of a network.

    Raises:
        DataError: an option out of range.
    """
    _check(options)
    if options.schedule == "baseline":
        return tuple(Block(8 << n, 25, 4, padded=False) for n in range(5))
    if options.schedule == "vgg":
        pools = [1 if n == _unpooled(options, 8) else 3 for n in range(8)]
        return tuple(
            block
            for n, pool in enumerate(pools)
            for block in (Block(64 << n // 4, 3, 1), Block(64 << n // 4, 3, pool))
        )
    plain = _unpooled(options, options.depth)
    return tuple(
        Block(max(1, SCHEDULES[options.schedule](options.width, n)), 5, 1 if n == plain else 3)
        for n in range(options.depth)
    )


SCHEDULES: Mapping[str, Callable[[int, int], int]] = {
    "custom": lambda width, n: width << n // 4,
    "steep": lambda width, n: width << n // 3,
    "shrinking": lambda width, n: width >> n // 4,
    "steep+shrinking": lambda width, n: width >> n // 3,
}
"""Channels of convolution n (from 0) by width."""


def lengths(row: tuple[Block, ...], samples: int) -> list[int]:
    """Values after each block of what `samples` give."""
    found = []
    for block in row:
        samples = block.length(samples)
        found.append(samples)
    return found


def shortest(row: tuple[Block, ...]) -> int:
    """Samples of the shortest clip that leaves one value at the end."""
    length = 1
    for block in reversed(row):
        length = block.shortest(length)
    return length


def build(options: WaveformCnnOptions, classes: int, shape: tuple[int, ...]) -> WaveformCnn:
    """A network for clips of `shape` (samples,) and any number of classes.

    Raises:
        DataError: another shape, a clip too short for the network, or an option out of range.
    """
    if len(shape) != 1:
        raise DataError(
            f"features of shape {shape}, expected (samples,): "
            "give the network raw samples, frontend kind 'waveform'"
        )
    (samples,) = shape
    row = blocks(options)
    if not shortest(row) <= samples <= MAX_SAMPLES:
        raise DataError(
            f"clips of {samples} samples, {_title(options)} needs {shortest(row)} to "
            f"{MAX_SAMPLES}: take longer clips or fewer convolutions"
            if samples < shortest(row)
            else f"clips of {samples} samples, expected at most {MAX_SAMPLES}: take shorter clips"
        )
    return WaveformCnn(options, classes, samples)


class WaveformCnn(nn.Module):  # type: ignore[misc]
    """Samples (N, samples), float32 in [-1, 1], to logits (N, classes); `build` makes it."""

    def __init__(self, options: WaveformCnnOptions, classes: int, samples: int) -> None:
        super().__init__()
        self.row = blocks(options)
        self.samples = samples
        """Of one clip."""
        inputs = [1, *(block.channels for block in self.row[:-1])]
        normalised = options.normalise != "none"
        self.blocks = nn.ModuleList(
            _layers(channels, block, normalised)
            for channels, block in zip(inputs, self.row, strict=True)
        )
        size = self.row[-1].channels * lengths(self.row, samples)[-1]
        self.norm = (
            nn.BatchNorm1d(size) if options.normalise == "convolutions+features" else nn.Identity()
        )
        self.dropout = nn.Dropout(options.dropout)
        widths = (size, 1024, 512) if options.schedule == "baseline" else (size,)
        self.dense = nn.Sequential()
        for before, after in pairwise(widths):
            self.dense.extend([_initialised(nn.Linear(before, after)), nn.ReLU()])
        self.dense.append(nn.Linear(widths[-1], classes))

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.classify(self.convolve(x))

    def convolve(self, x: Tensor) -> Tensor:
        """What the last convolution gives: (N, channels, length)."""
        x = x[:, None]
        for block in self.blocks:
            x = block(x)
        return x

    def classify(self, maps: Tensor) -> Tensor:
        """Logits of what `convolve` gives."""
        return self.dense(self.dropout(self.norm(maps.flatten(1))))

    def embed(self, x: Tensor) -> Tensor:
        """Features (N, features): the flattened maps as the dense layer sees them, normalised
        where the network does so. For `shrinking` with 9 convolutions half as many as the width."""
        return self.norm(self.convolve(x).flatten(1))

    def activations(self, x: Tensor) -> dict[str, Tensor]:
        """Of each layer by name: `convolution1` and on, (N, channels, length), after ReLU and
        maximum; `features` as of `embed`; and `logits`."""
        found = {}
        x = x[:, None]
        for n, block in enumerate(self.blocks, 1):
            x = found[f"convolution{n}"] = block(x)
        features = self.norm(x.flatten(1))
        return found | {"features": features, "logits": self.dense(self.dropout(features))}

    def filters(self, convolution: int) -> Tensor:
        """Weights of a convolution, from 1: (channels, channels before, taps), a copy."""
        return self.blocks[convolution - 1].convolution.weight.detach().cpu().clone()

    def places(self, convolution: int) -> Places:
        """Where the values of `convolution1` and on lie; of 0, the samples themselves."""
        found = Places()
        for block in self.row[:convolution]:
            found = block.places(found)
        return found


def _layers(before: int, block: Block, normalised: bool) -> nn.Sequential:
    layers = nn.Sequential()
    padding = block.taps // 2 if block.padded else 0
    convolution = nn.Conv1d(before, block.channels, block.taps, padding=padding)
    layers.add_module("convolution", _initialised(convolution))
    if normalised:
        layers.add_module("norm", nn.BatchNorm1d(block.channels))
    layers.add_module("relu", nn.ReLU())
    if block.pool > 1:
        layers.add_module("pool", nn.MaxPool1d(block.pool, ceil_mode=not block.padded))
    return layers


def _initialised(layer: Any) -> Any:
    """The layer, to be followed by ReLU, with weights that keep the signal's power: He (2015)."""
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)
    return layer


def _unpooled(options: WaveformCnnOptions, count: int) -> int:
    return 0 if options.unpooled == "first" else count - 1


def _title(options: WaveformCnnOptions) -> str:
    if options.schedule in SCHEDULES:
        return f"a network of {options.depth} convolutions"
    return f"the network {options.schedule!r}"


def _check(options: WaveformCnnOptions) -> None:
    known = {
        "schedule": ("baseline", *SCHEDULES, "vgg"),
        "unpooled": ("first", "last"),
        "normalise": ("none", "convolutions", "convolutions+features"),
    }
    for name, choices in known.items():
        if getattr(options, name) not in choices:
            raise DataError(
                f"{name} is {getattr(options, name)!r}, expected one of {', '.join(choices)}"
            )
    for name, low, high in (("depth", 1, MAX_DEPTH), ("width", 1, MAX_WIDTH)):
        if not low <= getattr(options, name) <= high:
            raise DataError(f"{name} is {getattr(options, name)}, expected {low} to {high}")
    if not 0 <= options.dropout < 1:
        raise DataError(f"dropout is {options.dropout}, expected 0 to below 1")
