"""edge-ser: speech emotion on the device, from one self-describing model file.

The public names are loaded on first use, so that `import edge_ser` costs almost nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_ser import errors
    from edge_ser.audio import Clip
    from edge_ser.classifier import Classifier, Prediction, load_model
    from edge_ser.events import Event
    from edge_ser.listening import listen

__version__ = "0.1.0"

__all__ = ["Classifier", "Clip", "Event", "Prediction", "errors", "listen", "load_model"]

_HOMES = {
    "Classifier": "edge_ser.classifier",
    "Clip": "edge_ser.audio",
    "Event": "edge_ser.events",
    "Prediction": "edge_ser.classifier",
    "listen": "edge_ser.listening",
    "load_model": "edge_ser.classifier",
}


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("edge_ser.errors")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
