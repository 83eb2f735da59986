"""The frontend: samples to features, as the training library computed them.

`FrontendSpec` needs the standard library alone; `Frontend` needs numpy and is loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_ser.frontend.presets import PRESETS
from edge_ser.frontend.spec import FrontendSpec

if TYPE_CHECKING:
    from edge_ser.frontend.features import Frontend

__all__ = ["PRESETS", "Frontend", "FrontendSpec"]


def __getattr__(name: str) -> Any:
    if name == "Frontend":
        from edge_ser.frontend.features import Frontend

        return Frontend
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
