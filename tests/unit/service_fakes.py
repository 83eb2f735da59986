"""A systemd that answers what it is told to, a machine that it runs, and what it says."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from edge_ser.service.environment import Environment

SYSTEM = Environment(("/usr/bin/edge-ser",), ("/usr/lib",))


class Systemd:
    """Stands for systemctl and journalctl: remembers, and answers what it was told to."""

    def __init__(self, **answers: tuple[int, str]) -> None:
        self.called: list[list[str]] = []
        self.answers = answers

    def __call__(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        self.called.append(list(command))
        key = "journal" if command[0] == "journalctl" else command[1].replace("-", "_")
        status, text = self.answers.get(key, (0, ""))
        return subprocess.CompletedProcess(command, status, text, text if status else "")

    @property
    def verbs(self) -> list[str]:
        return [" ".join(command[1:]) for command in self.called if command[0] == "systemctl"]


@pytest.fixture(name="root")
def root_fixture(tmp_path: Path) -> Path:
    """A machine that systemd runs."""
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    return tmp_path


RUNNING = """\
LoadState=loaded
UnitFileState=enabled
ActiveState=active
SubState=running
Result=success
NRestarts=2
StatusText=listening = well
MainPID=812
ActiveEnterTimestamp=Sat 2026-11-21 04:00:00 UTC
MemoryCurrent=88080384
ExecMainStatus=0
"""
