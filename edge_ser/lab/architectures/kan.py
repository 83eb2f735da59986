"""A pointwise Kolmogorov-Arnold layer: a learned curve for each pair of channels.

Each curve is a multiple of SiLU plus a cubic spline over [-1, 1] (Liu et al. 2024,
arXiv:2404.19756), on a uniform knot vector.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["KanPointwise", "spline_basis"]

INTERVALS = 5
ORDER = 3
SPLINES = INTERVALS + ORDER
NOISE = 0.1
"""Of the initial curves: small beside SiLU's share."""


def spline_basis(values: Tensor, knots: Tensor, order: int = ORDER) -> Tensor:
    """B-splines at given values (Cox and de Boor's recursion).

    Args:
        values: any shape.
        knots: increasing, shape (n,).
        order: degree of the polynomials.

    Returns:
        Shape (*values.shape, n - 1 - order). The splines sum to 1 between the knots `order` and
        `-1 - order`, and are 0 outside all knots.
    """
    x = values[..., None]
    basis = ((x >= knots[:-1]) & (x < knots[1:])).to(values.dtype)
    for k in range(1, order + 1):
        rising = (x - knots[: -k - 1]) / (knots[k:-1] - knots[: -k - 1])
        falling = (knots[k + 1 :] - x) / (knots[k + 1 :] - knots[1:-k])
        basis = rising * basis[..., :-1] + falling * basis[..., 1:]
    return basis


class KanPointwise(nn.Module):  # type: ignore[misc]
    """(1, inputs, length) to (1, outputs, length) with 10 * inputs * outputs parameters, no bias.

    Shapes are the published ones; how those were initialised is not known, so the curves start as
    SiLU with the usual bound of a linear layer, plus splines of uniform noise.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        step = 2.0 / INTERVALS
        knots = -1.0 + step * torch.arange(-ORDER, INTERVALS + ORDER + 1)
        self.register_buffer("grid", knots.repeat(1, inputs, 1))
        bound = 1.0 / math.sqrt(inputs)
        shape = (1, outputs, inputs)
        self.base_weight = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
        noise = NOISE / INTERVALS / 2
        self.spline_weight = nn.Parameter(torch.empty(*shape, SPLINES).uniform_(-noise, noise))
        self.spline_scaler = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Sum each output's curves over the inputs."""
        # All inputs have the same knots; the buffer repeats them as the published one does.
        splines = spline_basis(x[0], self.grid[0, 0]).permute(0, 2, 1).flatten(0, 1)
        weight = (self.spline_weight * self.spline_scaler[..., None])[0].flatten(1)
        return (self.base_weight[0] @ functional.silu(x[0]) + weight @ splines)[None]
