"""The published networks, rebuilt in Keras 3: `build(name, classes)`."""

from __future__ import annotations

import keras

from edge_ser.errors import DataError
from edge_ser.lab.architectures.capsules import improved_routing, plb, routing

__all__ = ["ARCHITECTURES", "build"]

ARCHITECTURES = {"plb": plb, "improved-routing": improved_routing, "routing": routing}


def build(name: str, classes: int, batch: int | None = None) -> keras.Model:
    """A freshly initialised network; a fixed `batch` is for export.

    Raises:
        DataError: no network has that name.
    """
    if name not in ARCHITECTURES:
        raise DataError(f"no architecture {name!r}, expected one of {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name](classes, batch)
