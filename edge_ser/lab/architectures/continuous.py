"""Convolutions with continuous kernels: a small network gives the kernel's value at each lag.

The kernel is as long as the clip, so each output sees everything before it. After Romero et al.
2022 (CKConv, arXiv:2102.02611), in the form of the CkTIM project.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from edge_ser.lab.architectures.kaf import Kaf, sine_coefficients
from edge_ser.lab.architectures.kan import KanPointwise
from edge_ser.lab.architectures.options import TimOptions

__all__ = [
    "CkConv",
    "KernelGenerator",
    "causal_convolution",
    "grid_end",
    "transform_length",
]

BIAS_BOUND = 0.1


def grid_end(frames: int, trained: int) -> float:
    """Last position of the grid from -1 on which a kernel for `frames` frames is evaluated.

    1 for the length trained at. For another the same kernel is sampled more coarsely (a shorter
    clip) or more finely, and the grid ends where its last sample falls.

    >>> grid_end(188, 188), round(grid_end(94, 188), 5), round(grid_end(376, 188), 5)
    (1.0, 0.9893, 1.00535)
    """
    ratio = trained / frames
    step = 2 / (trained - 1)
    if ratio > 1:
        return 1 - ((trained - 1) % ratio) * step
    return 1 + ((frames - 1) % (1 / ratio)) * step * ratio


def transform_length(frames: int) -> int:
    """Length of a Fourier transform in which a causal convolution does not wrap around.

    At least 2 * frames - 1, and 1, 3 or 5 times a power of two: 384 takes a third of 376's time.
    """
    least = 2 * frames - 1
    return min(odd << max(0, math.ceil(math.log2(least / odd))) for odd in (1, 3, 5))


def causal_convolution(x: Tensor, kernel: Tensor) -> Tensor:
    """y[t] = sum over lags l of kernel[..., -1 - l] x[t - l], computed in frequency.

    Args:
        x: shape (clips, inputs, frames).
        kernel: shape (outputs, inputs, frames); the last sample is lag 0.

    Returns:
        Shape (clips, outputs, frames). Differentiable once.
    """
    return cast(Tensor, _Convolution.apply(x, kernel.flip(-1), transform_length(x.shape[-1])))


class _Convolution(torch.autograd.Function):  # type: ignore[misc]
    """The convolution and its gradients, which are correlations.

    For a batch of 64 clips a third of the time goes if autograd need not derive them: it pads real
    spectra to complex ones and transforms those.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, length: int) -> Tensor:
        # (bins, clips, inputs) and (bins, inputs, outputs): one matrix product a bin.
        signal = torch.fft.rfft(x, length).permute(2, 0, 1).contiguous()
        transfer = torch.fft.rfft(kernel, length).permute(2, 1, 0).contiguous()
        ctx.save_for_backward(signal, transfer)
        ctx.length = length
        product = (signal @ transfer).permute(1, 2, 0)
        return torch.fft.irfft(product, length)[..., : x.shape[-1]]

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        signal, transfer = ctx.saved_tensors
        frames = gradient.shape[-1]
        arriving = torch.fft.rfft(gradient, ctx.length).permute(2, 0, 1)
        to_x = to_kernel = None
        if ctx.needs_input_grad[0]:
            product = (arriving @ transfer.mH).permute(1, 2, 0)
            to_x = torch.fft.irfft(product, ctx.length)[..., :frames]
        if ctx.needs_input_grad[1]:
            product = (signal.mH @ arriving).permute(2, 1, 0)
            to_kernel = torch.fft.irfft(product, ctx.length)[..., :frames]
        return to_x, to_kernel, None


class KernelGenerator(nn.Module):  # type: ignore[misc]
    """Positions on the grid to kernel values.

    Three pointwise layers, weight-normalised convolutions or Kolmogorov-Arnold layers; each of the
    first two is followed by the factor omega_0, batch normalisation over the positions, and an
    activation. Weights start as those of a convolution do (the published SIREN initialisation
    writes into a temporary and has no effect), biases within +-0.1.
    """

    def __init__(
        self, outputs: int, options: TimOptions, omega_0: float, dropout: float, frames: int
    ) -> None:
        super().__init__()
        hidden = int(32 * options.hidden_scale)
        layer = KanPointwise if options.generator == "kan" else _pointwise
        self.linear_input = layer(1, hidden)
        self.batch_norm1 = nn.BatchNorm1d(hidden)
        self.linear_hidden = layer(hidden, hidden)
        self.batch_norm2 = nn.BatchNorm1d(hidden)
        self.linear_output = layer(hidden, outputs)
        self.activation = _activation(options.activation, frames)
        self.factor = 1.0 if options.activation == "relu" else omega_0
        self.dropout = dropout

    def forward(self, positions: Tensor) -> Tensor:
        """Shape (frames,) to (outputs, frames); in training some values are dropped."""
        x = positions[None, None]
        x = self.activation(self.batch_norm1(self.factor * self.linear_input(x)))
        x = self.activation(self.batch_norm2(self.factor * self.linear_hidden(x)))
        return functional.dropout(self.linear_output(x)[0], self.dropout, self.training)


class CkConv(nn.Module):  # type: ignore[misc]
    """Causal convolution (clips, channels, frames) with a kernel as long as the clip, no bias.

    The published code wraps a bias as a parameter and then moves it, which on any device but the
    CPU leaves a plain zero tensor: it was never trained or saved, so there is none here.
    """

    def __init__(self, options: TimOptions, omega_0: float, dropout: float, frames: int) -> None:
        super().__init__()
        self.channels = options.filters
        self.kernel_gen = KernelGenerator(self.channels**2, options, omega_0, dropout, frames)
        self.register_buffer("previous_length", torch.tensor([frames], dtype=torch.int32))

    def kernel(self, frames: int) -> Tensor:
        """The kernel for clips of so many frames, shape (outputs, inputs, frames), lag 0 last."""
        trained = int(self.previous_length.item())
        positions = torch.linspace(
            -1.0, grid_end(frames, trained), frames, device=self.previous_length.device
        )
        return self.kernel_gen(positions).view(self.channels, self.channels, frames)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve."""
        return causal_convolution(x, self.kernel(x.shape[-1]))


def _pointwise(inputs: int, outputs: int) -> nn.Module:
    layer = nn.Conv1d(inputs, outputs, 1)
    nn.init.uniform_(layer.bias, -BIAS_BOUND, BIAS_BOUND)
    return weight_norm(layer)


class _Sine(nn.Module):  # type: ignore[misc]
    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(x)


def _activation(name: str, frames: int) -> nn.Module:
    if name == "relu":
        return nn.ReLU()
    if name == "kaf":
        return Kaf(frames)
    return Kaf(frames, sine_coefficients()) if name == "kafsin" else _Sine()
