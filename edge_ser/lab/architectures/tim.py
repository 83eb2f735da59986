"""TIM-Net and CkTIM-net: MFCCs (39, frames) to logits, forwards and backwards in time.

TIM-Net (Ye et al. 2023, arXiv:2211.08233) in the form that the CkTIM project gave it in Torch;
CkTIM-net has convolutions with continuous kernels in place of all others. Parameters have the names
of the published state dicts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args, get_type_hints

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_ser.errors import DataError
from edge_ser.lab.architectures.continuous import CkConv
from edge_ser.lab.architectures.networks import networks
from edge_ser.lab.architectures.options import TimOptions

__all__ = ["FRAMES", "TimNet", "build", "hint"]

FRAMES = 188
"""Of the published networks' clips: 96,000 samples at 22,050 Hz, one frame in 512."""
INPUT_OMEGA = 1.0
INPUT_DROPOUT = 0.1
MAX_BLOCKS = 10


class CausalConv(nn.Conv1d):  # type: ignore[misc]
    """A convolution that sees the past only."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve, after zeros on the left."""
        past = (self.kernel_size[0] - 1) * self.dilation[0]
        return super().forward(functional.pad(x, (past, 0)) if past else x)


class TemporalAwareBlock(nn.Module):  # type: ignore[misc]
    """The input times a gate of two convolutions: (clips, filters, frames) to the same shape.

    The gate is a sigmoid of what is never negative, so it lies from 0.5 to 1.
    """

    def __init__(self, options: TimOptions, frames: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = _convolution(options, frames, dilation)
        self.batch_norm1 = nn.BatchNorm1d(options.filters)
        self.conv2 = _convolution(options, frames, dilation)
        self.batch_norm2 = nn.BatchNorm1d(options.filters)
        self.dropout = nn.Dropout1d(options.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Gate."""
        y = self.dropout(functional.relu(self.batch_norm1(self.conv1(x))))
        y = self.dropout(functional.relu(self.batch_norm2(self.conv2(y))))
        return x * torch.sigmoid(y)


class Streams(nn.Module):  # type: ignore[misc]
    """(clips, filters, frames) to (clips, filters): both streams, fused over their blocks.

    The reverse stream is not turned back before it is added: the mean over time does not care.
    """

    def __init__(self, options: TimOptions, frames: int) -> None:
        super().__init__()
        self.conv_forward = _input_convolution(options, frames)
        self.conv_reverse = _input_convolution(options, frames)
        self.TempAw_Blocks_forward = _blocks(options, frames)
        self.TempAw_Blocks_reverse = _blocks(options, frames)
        self.weightsdyn_fun = nn.Parameter(torch.rand(options.blocks, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Run both streams and sum the blocks' means over time, weighted."""
        forward = self.conv_forward(x)
        reverse = self.conv_reverse(x.flip(2))
        means = []
        for ahead, back in zip(self.TempAw_Blocks_forward, self.TempAw_Blocks_reverse, strict=True):
            forward, reverse = ahead(forward), back(reverse)
            means.append((forward + reverse).mean(2))
        return (torch.stack(means, 2) @ self.weightsdyn_fun)[..., 0]


class TimNet(nn.Module):  # type: ignore[misc]
    """TIM-Net, or CkTIM-net where `options.continuous`: (clips, 39, frames) to (clips, classes)."""

    def __init__(self, options: TimOptions, classes: int, frames: int) -> None:
        super().__init__()
        self.options = options
        self.frames = frames
        self.ctim_net = Streams(options, frames)
        self.classifier = nn.Linear(options.filters, classes)

    def embed(self, x: Tensor) -> Tensor:
        """What the classifier sees, shape (clips, filters)."""
        return self.ctim_net(x)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.classifier(self.embed(x))


def build(options: TimOptions, classes: int, shape: tuple[int, ...] = (39, FRAMES)) -> TimNet:
    """TIM-Net or CkTIM-net for clips of shape (filters, frames).

    The result takes clips of other lengths too, except with kernel activations (`kaf`, `kafsin`);
    continuous kernels are stretched to the clip, however long.

    Raises:
        DataError: a shape that is not (filters, 2 or more frames), fewer than 2 classes, or an
            option out of range.
    """
    if len(shape) != 2 or shape[0] != options.filters or shape[1] < 2:
        raise DataError(
            f"features have shape {shape}, expected ({options.filters}, frames) with 2 or more "
            f"frames: take a frontend of {options.filters} coefficients, layout time_last"
        )
    _require(classes >= 2, f"classes = {classes}", "2 or more")
    _require(1 <= options.blocks <= MAX_BLOCKS, f"blocks = {options.blocks}", f"1 to {MAX_BLOCKS}")
    _require(
        1 <= int(32 * options.hidden_scale) <= 1024,
        f"hidden_scale = {options.hidden_scale}",
        "1/32 to 32",
    )
    _require(1 <= options.kernel_size <= 64, f"kernel_size = {options.kernel_size}", "1 to 64")
    _require(0 <= options.dropout < 1, f"dropout = {options.dropout}", "0 to below 1")
    hints = get_type_hints(TimOptions)
    for name in ("generator", "activation"):
        value, choices = getattr(options, name), get_args(hints[name])
        _require(value in choices, f"{name} = {value!r}", ", ".join(choices))
    return TimNet(options, classes, shape[1])


def hint(found: Mapping[str, tuple[int, ...]]) -> str | None:
    """Which network of this family fits a state dict of these shapes; None if it cannot be told."""
    blocks = found.get("ctim_net.weightsdyn_fun", ())
    classes = found.get("classifier.weight", ())
    if len(blocks) != 2 or len(classes) != 2:
        return None
    if "ctim_net.conv_forward.bias" in found and any("kernel_gen" in key for key in found):
        return "it has biases of continuous convolutions, which the published networks never have"
    hidden = found.get("ctim_net.conv_forward.kernel_gen.batch_norm1.weight", (0,))[0]
    kan = "ctim_net.conv_forward.kernel_gen.linear_input.base_weight" in found
    for name, row in networks().items():
        options = row.options
        if row.family == "tim" and (
            options.blocks,
            options.continuous,
            options.generator == "kan",
            int(32 * options.hidden_scale) if options.continuous else 0,
        ) == (blocks[0], hidden > 0, kan, hidden):
            return f"it fits {name} with {classes[0]} classes"
    kind = f"continuous kernels and {hidden} hidden channels" if hidden else "plain convolutions"
    return f"it fits a network with blocks = {blocks[0]}, {kind} and {classes[0]} classes"


def _require(condition: bool, given: str, expected: str) -> None:
    if not condition:
        raise DataError(f"TIM networks: {given}, expected {expected}; correct the configuration")


def _convolution(options: TimOptions, frames: int, dilation: int) -> nn.Module:
    if options.continuous:
        return CkConv(options, options.omega_0, options.dropout, frames)
    return CausalConv(options.filters, options.filters, options.kernel_size, dilation=dilation)


def _input_convolution(options: TimOptions, frames: int) -> nn.Module:
    if options.continuous:
        return CkConv(options, INPUT_OMEGA, INPUT_DROPOUT, frames)
    return CausalConv(options.filters, options.filters, 1)


def _blocks(options: TimOptions, frames: int) -> nn.ModuleList:
    return nn.ModuleList(
        TemporalAwareBlock(options, frames, 2**block) for block in range(options.blocks)
    )
