"""A Torch network, layer by layer, as a table of text."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

__all__ = ["layer_summary"]

Row = tuple[str, str, str, str]


def layer_summary(network: nn.Module, shape: tuple[int, ...], batch: int = 1) -> str:
    """Name, kind, output shape and own parameters of every layer, as they finish.

    The rows' parameters add up to the total, unless layers share some.

    The network is run once, in evaluation mode, on zeros where its parameters are: on
    `torch.device("meta")` nothing is computed and no memory is taken.

    Args:
        network: any module that takes (N, *shape).
        shape: of one clip, without a batch axis.
        batch: N.

    Returns:
        Lines: a head, one for each layer, the total.
    """
    rows: dict[str, Row] = {}
    layers = {n: m for n, m in network.named_modules() if ".parametrizations" not in f".{n}"}
    hooks = [m.register_forward_hook(_note(rows, name, m)) for name, m in layers.items() if name]
    training = network.training
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(batch, *shape, device=device))
    finally:
        for hook in hooks:
            hook.remove()
        network.train(training)
    for name, module in layers.items():
        if name not in rows and _own(module):
            rows[name] = (name, type(module).__name__, "not run", f"{_own(module):,}")
    total = sum(parameter.numel() for parameter in network.parameters())
    table = [("layer", "kind", "output", "parameters"), *rows.values()]
    widths = [max(len(row[column]) for row in table) for column in range(4)]
    lines = ["  ".join(_cells(row, widths)).rstrip() for row in table]
    return "\n".join([*lines, f"total: {total:,} parameters"])


def _note(rows: dict[str, Row], name: str, module: nn.Module) -> Any:
    """A hook that notes a layer the first time that it has run."""
    own = _own(module)

    def note(_module: nn.Module, _inputs: Any, output: Any) -> None:
        while isinstance(output, tuple | list | dict) and output:
            output = next(iter(output.values() if isinstance(output, dict) else output))
        size = str(tuple(output.shape)) if isinstance(output, torch.Tensor) else ""
        rows.setdefault(name, (name, type(module).__name__, size, f"{own:,}" if own else ""))

    return note


def _own(module: nn.Module) -> int:
    """Parameters of a layer itself, with those that a parametrisation computes its weights from."""
    return sum(
        p.numel()
        for name, p in module.named_parameters()
        if "." not in name or name.startswith("parametrizations.")
    )


def _cells(row: tuple[str, ...], widths: list[int]) -> list[str]:
    """Left-aligned, the number to the right."""
    *texts, number = zip(row, widths, strict=True)
    return [text.ljust(width) for text, width in texts] + [number[0].rjust(number[1])]
