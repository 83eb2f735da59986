"""What the runtimes share: tensors, features brought to an input's shape, quantisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_ser.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Tensor", "arranged", "dequantise", "one_line", "quantise", "unique"]

MAX_REASON = 300


@dataclass(frozen=True)
class Tensor:
    """An input or output of a graph."""

    name: str
    shape: tuple[int, ...]
    """A free batch axis is 1 here; -1 is another axis of free length."""
    dtype: str
    """As numpy names it."""


def arranged(
    features: Sequence[NDArray[Any]], inputs: Sequence[Tensor]
) -> list[NDArray[np.float32]]:
    """The features as float32, each in the shape of its input.

    A leading axis of 1 (batch) and a trailing one (channel) are added or dropped as needed; a
    channel axis of 1 behind the batch is added.

    Raises:
        ModelError: another number of arrays, or a shape that differs in more than that.
    """
    import numpy as np

    if len(features) != len(inputs):
        raise ModelError(
            f"{len(features)} feature blocks were given, the graph takes {len(inputs)}; "
            "give one for each input, in the order of the card"
        )
    blocks = []
    for block, tensor in zip(features, inputs, strict=True):
        block = np.asarray(block, dtype=np.float32)
        shape = next((s for s in _shapes(block.shape) if _fits(s, tensor.shape)), None)
        if shape is None:
            raise ModelError(
                f"features of shape {_shown(block.shape)}, input {tensor.name!r} takes "
                f"{_shown(tensor.shape)}; use the frontend that the model was trained with"
            )
        blocks.append(np.ascontiguousarray(block.reshape(shape)))
    return blocks


def quantise(values: NDArray[Any], dtype: str, scale: float, zero_point: int) -> NDArray[Any]:
    """round(values / scale) + zero_point, saturated to the range of `dtype`; ties to even."""
    import numpy as np

    limits = np.iinfo(dtype)
    steps = np.rint(np.asarray(values, np.float64) / scale) + zero_point
    saturated: NDArray[Any] = np.clip(steps, limits.min, limits.max).astype(dtype)
    return saturated


def dequantise(values: NDArray[Any], scale: float, zero_point: int) -> NDArray[np.float32]:
    """(values - zero_point) * scale as float32."""
    import numpy as np

    steps: NDArray[np.float64] = values.astype(np.float64) - zero_point
    return (steps * scale).astype(np.float32)


def unique(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The tensors, whose names `run` and cards go by.

    Raises:
        ModelError: two have one name, or there is none.
    """
    if not tensors or len({tensor.name for tensor in tensors}) != len(tensors):
        raise ModelError(
            f"the graph has outputs named {[tensor.name for tensor in tensors]}, expected one or "
            "more of different names; export it again"
        )
    return tuple(tensors)


def one_line(error: BaseException) -> str:
    """What a runtime said, for the end of a one-line message."""
    text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return text if len(text) <= MAX_REASON else text[: MAX_REASON - 3] + "..."


def _shapes(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The shape, and what it becomes by a leading or trailing 1 more or less, or two leading."""
    fronts = [shape, (1, *shape), *([shape[1:]] if shape[:1] == (1,) else []), (1, 1, *shape)]
    return [
        variant
        for front in fronts
        for variant in (front, (*front, 1), *([front[:-1]] if front[-1:] == (1,) else []))
    ]


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        n == m or (m == -1 and n > 0) for n, m in zip(shape, wanted, strict=True)
    )


def _shown(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join("any" if n == -1 else str(n) for n in shape) + ")"
