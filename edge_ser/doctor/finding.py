"""`Finding`: one line of the examination."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "Status", "has_problem", "runtime_works"]


Status = Literal["ok", "note", "problem"]
"""note: worth knowing, nothing is broken; problem: something installed or needed fails."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    area: Literal["system", "runtime", "provider", "audio", "microphone"]
    status: Status
    what: str
    """One line."""
    mend: str = ""
    """What to do about it, a command where there is one; empty when nothing needs doing."""


def has_problem(findings: Iterable[Finding]) -> bool:
    """Whether anything needs mending."""
    return any(finding.status == "problem" for finding in findings)


def runtime_works(findings: Iterable[Finding]) -> bool:
    """Whether at least one runtime ran a model here."""
    return any(finding.area == "runtime" and finding.status == "ok" for finding in findings)
