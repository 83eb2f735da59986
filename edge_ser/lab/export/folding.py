"""CkTIM for a board: kernels as constants, in the form in which they cost least.

Kernels depend on the weights and the length of the clip alone, so the generator never leaves the
workshop. Batch normalisation goes into the kernels too, and both streams run as one.

- low-rank: kernels are smooth, so a few curves over the lags span those of a whole model. One
  causal Toeplitz matrix of these curves serves every convolution; what is left of each is one
  matrix product over channels and curves. The file has the curves alone: the runtime makes the
  matrix of them once, as it loads.
- dft: transforms as matrix products, one small product a bin; exact, but with larger files.
- convolution: a plain one; exact, and slowest.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_ser.errors import DataError, ModelError
from edge_ser.lab.architectures.continuous import transform_length
from edge_ser.lab.architectures.tim import TemporalAwareBlock, TimNet

__all__ = ["FoldReport", "folded"]

Form = Literal["none", "low-rank", "dft", "convolution"]

RESIDUALS = (1e-5, 1e-6)
"""Of kernels, relative; the first that keeps the logits is taken."""
MAX_RANK = 24
"""Beyond it the DFT form takes less time at 188 frames, in many times larger a file."""
MAX_DIFFERENCE = 1e-3
"""Of logits."""
ROUNDING = 1e-5
"""Of the largest logit: what float32 makes of another order of sums. Untrained networks, whose
logits are thousands, are compared by it."""
STREAMS = 2


@dataclass(frozen=True)
class FoldReport:
    """How a network was folded."""

    form: Form
    """none: nothing was to be folded, as for TIM-Net."""
    frames: int
    """Length of the clips that the folded network takes."""
    rank: int
    """Curves over the lags; 0 but for low-rank."""
    residual: float
    """Largest relative error of a kernel (Frobenius norm); 0 but for low-rank."""
    difference: float
    """Largest difference of a logit from the network's own, over the examples."""


def folded(module: TimNet, frames: int, examples: Tensor) -> tuple[nn.Module, FoldReport]:
    """A network for inference on clips of `frames` frames, with the same logits.

    Args:
        module: TIM-Net or CkTIM-net, trained; left as it is.
        frames: any length of 2 or more; kernels are stretched to it as the network does itself.
        examples: features of real scale, shape (clips, filters, frames), to compare logits on.

    Returns:
        The folded network (of TIM-Net a copy) in evaluation mode, and how it was folded: in the
        low-rank form if some rank keeps the logits within 1e-3 (or 1e-5 of the largest, where that
        is more), else by DFT, else by convolution.

    Raises:
        DataError: examples of another shape, or kernel activations of another length.
        ModelError: the logits are not finite, or no form keeps them.
    """
    options = module.options
    if examples.ndim != 3 or tuple(examples.shape[1:]) != (options.filters, frames):
        raise DataError(
            f"examples have shape {tuple(examples.shape)}, expected (clips, {options.filters}, "
            f"{frames}): give features of clips of that length"
        )
    source = copy.deepcopy(module).cpu().eval()
    if not options.continuous:
        return source, FoldReport("none", frames, 0, 0.0, 0.0)
    with torch.no_grad():
        wanted = source(examples)
        if not wanted.isfinite().all():
            raise ModelError(
                "the network's logits are not all finite, expected a trained network and features "
                "of usual size: look at the training's losses"
            )
        stages = _stages(source, frames)
        allowed = max(MAX_DIFFERENCE, ROUNDING * float(wanted.abs().max()))
        for form, rank, residual, convolutions in _candidates(stages, frames):
            result = _Folded(convolutions, source).eval()
            difference = float((result(examples) - wanted).abs().max())
            if difference <= allowed:
                return result, FoldReport(form, frames, rank, residual, difference)
    raise ModelError(
        f"folded for {frames} frames the logits differ by {difference:.1e}, expected at most "
        f"{allowed:.1e}: see whether the examples are of the scale trained on"
    )


@dataclass(frozen=True)
class _Stage:
    """A convolution of both streams with its batch normalisation, as one affine map."""

    kernel: Tensor
    """Shape (streams, outputs, inputs, lags), float64; lag 0 first."""
    bias: Tensor
    """Shape (streams, outputs, 1)."""


def _stages(source: TimNet, frames: int) -> list[_Stage]:
    """All convolutions in the order in which they run."""
    net = source.ctim_net
    none = torch.nn.Identity()
    pairs = [((net.conv_forward, none), (net.conv_reverse, none))]
    for blocks in zip(net.TempAw_Blocks_forward, net.TempAw_Blocks_reverse, strict=True):
        ahead, back = cast(tuple[TemporalAwareBlock, TemporalAwareBlock], blocks)
        pairs.append(((ahead.conv1, ahead.batch_norm1), (back.conv1, back.batch_norm1)))
        pairs.append(((ahead.conv2, ahead.batch_norm2), (back.conv2, back.batch_norm2)))
    return [_stage(pair, frames) for pair in pairs]


def _stage(pair: Sequence[tuple[nn.Module, nn.Module]], frames: int) -> _Stage:
    kernels, biases = [], []
    for convolution, norm in pair:
        kernel = convolution.kernel(frames).flip(-1).double()
        bias = torch.zeros(len(kernel), dtype=torch.float64)
        if isinstance(norm, nn.BatchNorm1d):
            gain = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
            kernel = kernel * gain[:, None, None]
            bias = norm.bias.double() - norm.running_mean.double() * gain
        kernels.append(kernel)
        biases.append(bias[:, None])
    return _Stage(torch.stack(kernels), torch.stack(biases))


def _candidates(
    stages: Sequence[_Stage], frames: int
) -> Iterator[tuple[Form, int, float, list[nn.Module]]]:
    """Forms with rank, residual and the convolutions in it, cheapest first."""
    curves = _curves(stages)
    for wanted in RESIDUALS:
        rank, residual = _rank(stages, curves, wanted)
        if rank <= min(MAX_RANK, frames):
            basis = curves[:rank]
            toeplitz = _Toeplitz(basis)
            low = [_LowRank(toeplitz, stage, basis) for stage in stages]
            yield "low-rank", rank, residual, low
    analysis, synthesis = _transforms(frames)
    yield "dft", 0, 0.0, [_Dft(analysis, synthesis, stage) for stage in stages]
    yield "convolution", 0, 0.0, [_Direct(stage) for stage in stages]


def _curves(stages: Sequence[_Stage]) -> Tensor:
    """Orthonormal curves over the lags, shape (lags, lags), by how much of all kernels they carry.

    Each kernel counts alike, whatever its size: batch normalisation follows. From the kernels'
    Gram matrix, whose rounding (1e-8 of a kernel) is far below what is asked for.
    """
    lags = stages[0].kernel.shape[-1]
    gram = torch.zeros(lags, lags, dtype=torch.float64)
    for stage in stages:
        for kernel in stage.kernel.flatten(1, 2):
            gram += kernel.T @ kernel / kernel.square().sum().clamp_min(1e-300)
    vectors = cast(Tensor, torch.linalg.eigh(gram).eigenvectors)
    return vectors.flip(1).T.contiguous()


def _rank(stages: Sequence[_Stage], curves: Tensor, wanted: float) -> tuple[int, float]:
    """The least number of curves with which no kernel is off by more than `wanted`, and by what."""
    worst = torch.zeros(len(curves) + 1, dtype=torch.float64)
    for stage in stages:
        for kernel in stage.kernel.flatten(1, 2):
            energy = (kernel @ curves.T).square().sum(0)
            # What is left after the first r curves is summed from the small end, not subtracted.
            left = functional.pad(energy.flip(0).cumsum(0).flip(0), (0, 1))
            worst = torch.maximum(worst, (left / left[0].clamp_min(1e-300)).sqrt())
    rank = max(1, int((worst > wanted).sum()))
    return rank, float(worst[rank])


def _transforms(frames: int) -> tuple[Tensor, Tensor]:
    """Real Fourier analysis (frames, 2 * bins) and synthesis (2 * bins, frames) without wrapping.

    Columns, and rows, are the real parts of all bins and then the imaginary ones.
    """
    length = transform_length(frames)
    bins = torch.arange(length // 2 + 1, dtype=torch.float64)
    angle = 2 * math.pi / length * torch.outer(bins, torch.arange(frames, dtype=torch.float64))
    # Bins between the ends stand for their mirror images too.
    weight = torch.where((bins == 0) | (2 * bins == length), 1.0, 2.0)[:, None] / length
    waves = torch.cat([angle.cos(), -angle.sin()])
    return waves.T.contiguous().float(), (waves * torch.cat([weight, weight])).float()


class _Toeplitz(nn.Module):  # type: ignore[misc]
    """(frames, rank * frames): row s, column (r, t) is curve r at lag t - s, or 0 before.

    By shapes alone, without an index: the curve and as many zeros, again and again, cut into rows
    one shorter, so that each begins one value earlier.
    """

    def __init__(self, basis: Tensor) -> None:
        super().__init__()
        self.rank, self.frames = basis.shape
        # With an axis of one to repeat along: the exporter would fold a new view to a new constant.
        self.register_buffer("curves", functional.pad(basis, (0, self.frames)).float()[:, None])

    def forward(self) -> Tensor:
        rank, frames = self.rank, self.frames
        again = self.curves.expand(rank, frames, 2 * frames).reshape(rank, -1)
        rows = again[:, : frames * (2 * frames - 1)].reshape(rank, frames, 2 * frames - 1)
        return rows[:, :, :frames].permute(1, 0, 2).reshape(frames, rank * frames)


class _LowRank(nn.Module):  # type: ignore[misc]
    """(clips, streams, channels, frames) to the same shape."""

    def __init__(self, toeplitz: _Toeplitz, stage: _Stage, basis: Tensor) -> None:
        super().__init__()
        streams, outputs, inputs, _ = stage.kernel.shape
        # For shapes that are fixed when traced.
        self.shape = (-1, streams, inputs * len(basis), basis.shape[1])
        self.toeplitz = toeplitz
        mixing = (stage.kernel @ basis.T).reshape(streams, outputs, inputs * len(basis))
        self.register_buffer("mixing", mixing.float())
        self.register_buffer("bias", stage.bias.float())

    def forward(self, x: Tensor) -> Tensor:
        return self.mixing @ (x @ self.toeplitz()).reshape(self.shape) + self.bias


class _Dft(nn.Module):  # type: ignore[misc]
    """(clips, streams, channels, frames) to the same shape."""

    def __init__(self, analysis: Tensor, synthesis: Tensor, stage: _Stage) -> None:
        super().__init__()
        self.channels = stage.kernel.shape[1]
        self.bins = len(synthesis) // 2
        self.register_buffer("analysis", analysis)
        self.register_buffer("synthesis", synthesis)
        transfer = torch.fft.rfft(stage.kernel, 2 * (self.bins - 1)).permute(0, 3, 2, 1)
        # (streams, bins, inputs, real and imaginary outputs): a row vector times this.
        self.register_buffer("transfer", torch.cat([transfer.real, transfer.imag], 3).float())
        self.register_buffer("bias", stage.bias.float())

    def forward(self, x: Tensor) -> Tensor:
        c = self.channels
        spectrum = (x @ self.analysis).reshape(-1, STREAMS, c, 2, self.bins)
        product = spectrum.permute(0, 1, 4, 3, 2) @ self.transfer
        real = product[:, :, :, 0, :c] - product[:, :, :, 1, c:]
        imaginary = product[:, :, :, 0, c:] + product[:, :, :, 1, :c]
        both = torch.cat([real, imaginary], 2).permute(0, 1, 3, 2)
        return both @ self.synthesis + self.bias


class _Direct(nn.Module):  # type: ignore[misc]
    """(clips, streams, channels, frames) to the same shape."""

    def __init__(self, stage: _Stage) -> None:
        super().__init__()
        streams, outputs, inputs, self.frames = stage.kernel.shape
        self.joined = (-1, streams * inputs, self.frames)
        self.parted = (-1, streams, outputs, self.frames)
        self.register_buffer("weight", stage.kernel.flip(-1).flatten(0, 1).float())
        self.register_buffer("bias", stage.bias.flatten().float())

    def forward(self, x: Tensor) -> Tensor:
        padded = functional.pad(x.reshape(self.joined), (self.frames - 1, 0))
        y = functional.conv1d(padded, self.weight, self.bias, groups=STREAMS)
        return y.reshape(self.parted)


class _Folded(nn.Module):  # type: ignore[misc]
    """CkTIM-net of constant convolutions: (clips, filters, frames) to (clips, classes)."""

    def __init__(self, convolutions: Sequence[nn.Module], source: TimNet) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(convolutions)
        self.register_buffer("fusion", source.ctim_net.weightsdyn_fun.detach().flatten())
        self.classifier = source.classifier

    def embed(self, x: Tensor) -> Tensor:
        """What the classifier sees, shape (clips, filters)."""
        first, *others = self.convolutions
        x = first(torch.stack([x, x.flip(2)], 1))
        means = []
        for inner, outer in zip(others[::2], others[1::2], strict=True):
            x = x * torch.sigmoid(functional.relu(outer(functional.relu(inner(x)))))
            means.append(x.mean(3).sum(1))
        return torch.stack(means, 2) @ self.fusion

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.classifier(self.embed(x))
