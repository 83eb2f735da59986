"""What a check of a model, or of its features, comes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge_ser.errors import EdgeSerError, ExitCode

__all__ = ["ReferenceReport", "StageResult", "Status", "Verification"]

Status = Literal["ok", "failed", "not run", "no goldens"]


@dataclass(frozen=True)
class StageResult:
    """One stage of a check."""

    stage: str
    status: Status
    """not run: an earlier stage failed, or nothing called for it; no goldens: the card has none."""
    worst: float | None = None
    """Largest difference from what was expected; None where nothing was measured."""
    tolerance: float | None = None
    """In the unit of `worst`, which `detail` names where it is not plain."""
    detail: str = ""
    """One line: what was compared, where the worst difference is, or why it failed."""
    error: EdgeSerError | None = None
    """What stopped the stage, if something was raised."""

    @property
    def ok(self) -> bool:
        """Whether it ran and held."""
        return self.status == "ok"


@dataclass(frozen=True)
class Verification:
    """Whether a file is still the model that was exported, and computes the same here."""

    path: str
    stages: tuple[StageResult, ...]

    @property
    def ok(self) -> bool:
        """No stage failed. A card without goldens passes: its hashes hold, and that is all."""
        return not any(stage.status == "failed" for stage in self.stages)

    @property
    def exit_code(self) -> ExitCode:
        """That of the first failure: the model's, unless a runtime or provider was missing."""
        for stage in self.stages:
            if stage.status == "failed":
                return stage.error.exit_code if stage.error else ExitCode.MODEL
        return ExitCode.OK


@dataclass(frozen=True)
class ReferenceReport:
    """Our features beside those of the library that the spec is modelled on."""

    stages: tuple[StageResult, ...]
    """The worst of all files, in the order of the path."""
    libraries: tuple[str, ...]
    """Name and version of the library of each feature block; empty text where none computes it."""
    files: int
    """How many were compared."""
    failed: tuple[tuple[str, EdgeSerError], ...] = ()
    """Files that could not be read, and why."""

    @property
    def ok(self) -> bool:
        """No difference above its tolerance, and at least one file was compared."""
        return self.files > 0 and not any(stage.status == "failed" for stage in self.stages)
