"""How the service does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_ser.errors import UsageError
from edge_ser.service.systemd import NAME, Run, need_systemd, run_command, shown

__all__ = ["ServiceStatus", "last_words", "service_status"]

PROPERTIES = (
    "LoadState",
    "UnitFileState",
    "ActiveState",
    "SubState",
    "Result",
    "NRestarts",
    "StatusText",
    "MainPID",
    "ActiveEnterTimestamp",
    "MemoryCurrent",
    "ExecMainStatus",
)


@dataclass(frozen=True)
class ServiceStatus:
    """What systemd and the journal know of the service."""

    active: bool
    """It runs and has said that it is ready."""
    state: str
    """As systemd calls it, such as "active (running)"."""
    enabled: bool
    """It starts with the machine."""
    said: str
    """What the service last said of itself, such as "listening"."""
    since: str
    """When it became active; empty if it never did."""
    restarts: int
    """How often systemd started it again since somebody last did."""
    result: str
    """"success", or how the last run ended, such as "watchdog", "signal", "exit-code"."""
    exit_status: int
    """Of the last run, by edge-ser's table of exit codes; 0 while it runs."""
    pid: int
    """0 while it does not run."""
    memory_mb: float | None
    """Megabytes that it holds now; None where that is not counted."""
    lines: tuple[str, ...]
    """The last lines of its log; none where the journal is not ours to read."""


def service_status(
    lines: int = 10, root: Path = Path("/"), run: Run = run_command
) -> ServiceStatus:
    """Ask systemd and the journal.

    Args:
        lines: how many lines of the log.
        root: folder that stands for `/`.
        run: runs systemd's commands.

    Raises:
        DependencyError: systemd does not run this machine.
        UsageError: the service is not installed.
    """
    need_systemd(root)
    found = shown(run, *PROPERTIES)
    if found["LoadState"] == "not-found":
        raise UsageError(f"{NAME} is not installed: run edge-ser service install")
    memory = found["MemoryCurrent"]
    return ServiceStatus(
        active=found["ActiveState"] in ("active", "reloading"),
        state=f"{found['ActiveState']} ({found['SubState']})",
        enabled=found["UnitFileState"] == "enabled",
        said=found["StatusText"],
        since=found["ActiveEnterTimestamp"],
        restarts=_number(found["NRestarts"]),
        result=found["Result"],
        exit_status=_number(found["ExecMainStatus"]),
        pid=_number(found["MainPID"]),
        # Not counted: "[not set]", or the largest number of 64 bits.
        memory_mb=int(memory) / 1e6 if memory.isdigit() and int(memory) < 2**63 else None,
        lines=tuple(_last_lines(run, lines)),
    )


def _last_lines(run: Run, count: int) -> list[str]:
    """The last lines of the service's log, with their times."""
    command = ["journalctl", f"--unit={NAME}", f"--lines={count}", "--no-pager", "--quiet"]
    ended = run([*command, "--output=short-iso"])
    return ended.stdout.splitlines() if ended.returncode == 0 else []


def last_words(run: Run) -> str:
    """The last line that the program itself wrote; empty where there is none."""
    command = ["journalctl", f"_SYSTEMD_UNIT={NAME}", "--lines=1", "--no-pager", "--quiet"]
    ended = run([*command, "--output=cat"])
    return ended.stdout.strip() if ended.returncode == 0 else ""


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0
