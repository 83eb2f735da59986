"""The frontend: samples to features, as the training library computed them.

`FrontendSpec` needs the standard library alone; `Frontend` and `RollingFrontend` need numpy and are
loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_ser.frontend.presets import PRESETS
from edge_ser.frontend.spec import FrontendSpec

if TYPE_CHECKING:
    from edge_ser.frontend.features import Frontend
    from edge_ser.frontend.rolling import RollingFrontend

__all__ = ["PRESETS", "Frontend", "FrontendSpec", "RollingFrontend"]


def __getattr__(name: str) -> Any:
    if name == "Frontend":
        from edge_ser.frontend.features import Frontend

        return Frontend
    if name == "RollingFrontend":
        from edge_ser.frontend.rolling import RollingFrontend

        return RollingFrontend
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
