"""Talking to systemd by its own programs."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from edge_ser.errors import DependencyError, ProviderError

__all__ = ["NAME", "Run", "demand", "need_systemd", "run_command", "shown"]

NAME = "edge-ser.service"
TIMEOUT_S = 300
"""Seconds that one command may take; a start waits until the service is ready."""

Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]
"""Runs a command of systemd to its end, without a shell."""


def run_command(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run one command and keep what it prints.

    Raises:
        DependencyError: there is no such program.
        ProviderError: it does not end.
    """
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError as error:
        raise DependencyError(f"{command[0]}: not found, expected systemd's program") from error
    except subprocess.TimeoutExpired as error:
        raise ProviderError(
            f"{' '.join(command)}: no answer within {TIMEOUT_S} s: see systemctl list-jobs"
        ) from error


def need_systemd(root: Path) -> None:
    """Raise DependencyError where systemd does not run the machine (sd_booted(3))."""
    if not (root / "run/systemd/system").is_dir():
        raise DependencyError(
            "systemd does not run this machine, and edge-ser's service is a unit of systemd: let "
            "what starts programs here run 'edge-ser listen' and start it again when it ends"
        )


def demand(run: Run, *command: str) -> str:
    """Run a command that must succeed; what it printed.

    Raises:
        ProviderError: it failed; with its own last words.
    """
    ended = run(command)
    if ended.returncode != 0:
        words = (ended.stderr or ended.stdout).strip().splitlines() or ["no message"]
        raise ProviderError(
            f"{' '.join(command)}: failed with status {ended.returncode}: {words[-1]}"
        )
    return ended.stdout


def shown(run: Run, *properties: str) -> dict[str, str]:
    """Properties of the unit as `systemctl show` gives them; all empty where it is unknown."""
    text = demand(run, "systemctl", "show", NAME, f"--property={','.join(properties)}")
    pairs = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {name: pairs.get(name, "") for name in properties}
