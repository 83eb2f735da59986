"""Kernel activation functions: a learned mixture of Gaussians in place of a fixed nonlinearity.

After Scardapane et al. 2019 (arXiv:1707.04035), as the CkTIM project uses them: 20 atoms on
[-4, 4], two spacings wide, with coefficients of their own for each position of the kernel.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edge_ser.errors import DataError

__all__ = ["Kaf", "sine_coefficients"]

ATOMS = 20
REACH = 4.0
DEVIATION = 0.8
"""Standard deviation of random coefficients."""
RIDGE = 1e-4
"""Keeps the fit to a sine well-posed: neighbouring atoms overlap."""


class Kaf(nn.Module):  # type: ignore[misc]
    """(1, channels, positions) to the same shape; the coefficients are shared by the channels.

    What of the published one is not reproduced: there a second, unused set of coefficients is
    created beside this one (the first serves both places, as here), the variant that should start
    as a sine never installs its fitted coefficients (here it does), and no weights or results were
    published. Other lengths than the one built for have no coefficients, there as here.
    """

    def __init__(self, positions: int, start: Tensor | None = None) -> None:
        """Coefficients for so many positions, all as `start` of shape (20,), or random."""
        super().__init__()
        self.register_buffer("atoms", torch.linspace(-REACH, REACH, ATOMS))
        coefficients = torch.randn(positions, ATOMS) * DEVIATION
        if start is not None:
            coefficients = start.repeat(positions, 1)
        self.coefficients = nn.Parameter(coefficients)

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate the mixture of each position at the values there.

        Raises:
            DataError: another number of positions than built for.
        """
        positions = len(self.coefficients)
        if x.shape[-1] != positions:
            raise DataError(
                f"clips have {x.shape[-1]} frames, expected {positions}: kernel activations have "
                "coefficients for each frame; build the network for the new length and train it"
            )
        return (_gaussians(x, self.atoms) * self.coefficients).sum(-1)


def sine_coefficients() -> Tensor:
    """Coefficients, shape (20,), with which the mixture is close to a sine on [-4, 4]."""
    atoms = torch.linspace(-REACH, REACH, ATOMS, dtype=torch.float64)
    mixing = _gaussians(atoms, atoms) + RIDGE * torch.eye(ATOMS, dtype=torch.float64)
    return torch.linalg.solve(mixing, atoms.sin()).float()


def _gaussians(x: Tensor, atoms: Tensor) -> Tensor:
    """exp(-(x - atom)^2 / (2 sigma^2)), shape (*x.shape, atoms), sigma two spacings."""
    sigma = 2 * (2 * REACH / (ATOMS - 1))
    return torch.exp(-((x[..., None] - atoms) ** 2) / (2 * sigma**2))
