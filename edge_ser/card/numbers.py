"""Numbers of a card as text: base64 of little-endian float32. Standard library only."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Sequence

from edge_ser.card.checks import require
from edge_ser.errors import CardError

__all__ = ["encoded", "floats"]


def encoded(numbers: Sequence[float]) -> str:
    """Base64 of the numbers as little-endian float32.

    Raises:
        CardError: one is beyond float32.
    """
    try:
        data = struct.pack(f"<{len(numbers)}f", *numbers)
    except OverflowError as error:
        raise CardError(f"card: a number is beyond float32 ({error}); scale it down") from error
    return base64.b64encode(data).decode("ascii")


def floats(name: str, text: str) -> tuple[float, ...]:
    """The numbers that `encoded` was given.

    Raises:
        CardError: no base64, half a number, or one that is not finite.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise CardError(f"card: {name} is no base64 ({error}); make the file again") from error
    require(len(data) % 4 == 0, f"{name} has {len(data)} bytes, expected 4 for each number")
    numbers = struct.unpack(f"<{len(data) // 4}f", data)
    require(all(map(math.isfinite, numbers)), f"{name} has a number that is not finite")
    return numbers
