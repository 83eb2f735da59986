"""Putting the unit in place and taking it away, saying each thing that is done."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from edge_ser.card import sidecar_path
from edge_ser.errors import (
    AudioError,
    EdgeSerError,
    ModelError,
    ProviderError,
    StorageError,
    UsageError,
)
from edge_ser.service.environment import Environment, visible_paths
from edge_ser.service.state import last_words
from edge_ser.service.systemd import NAME, Run, demand, need_systemd, run_command, shown
from edge_ser.service.unit import MARK, render

__all__ = ["CONFIG", "UNIT", "Plan", "install", "make_plan", "need_root", "uninstall"]

UNIT = Path("/etc/systemd/system") / NAME
CONFIG = Path("/etc/edge-ser.toml")
STATE = Path("/var/lib/edge-ser")
READING = ("--config", "--input", "--model", "-m", "--profile")
"""Options of `edge-ser listen` that name a file to read."""
CAUSES: dict[int, type[EdgeSerError]] = {
    kind.exit_code: kind
    for kind in (UsageError, ModelError, ProviderError, AudioError, StorageError)
}


@dataclass(frozen=True)
class Plan:
    """What an installation will write."""

    unit: str
    """Text of the unit."""
    config: str
    """Text of the configuration that is written where there is none."""
    visible: tuple[str, ...]
    """What of a home the service will be shown, read-only."""


def need_root(again: Sequence[str]) -> None:
    """Raise UsageError unless root runs this; `again` is the command that root would run."""
    if os.geteuid() != 0:
        raise UsageError(
            f"a service is managed by root, and this is user {os.geteuid()}: "
            f"run sudo {shlex.join(again)}"
        )


def make_plan(
    environment: Environment, arguments: Sequence[str] = (), read: Iterable[str | Path] = ()
) -> Plan:
    """What `install` will write.

    Args:
        environment: that the service will run in.
        arguments: of `edge-ser listen`; `--config` is put in front unless it is among them. A file
            that one of them reads is spelt from the root.
        read: files that the service reads besides, such as a model that the configuration names.

    Raises:
        UsageError: the service could not read something, or a unit cannot carry it.
    """
    given, named = _with_files_from_the_root(arguments)
    if not any(word == "--config" or word.startswith("--config=") for word in given):
        given = ["--config", str(CONFIG), *given]
    named += map(str, read)
    cards = [str(sidecar_path(Path(name))) for name in named]
    visible = visible_paths([*environment.places, *named, *cards])
    return Plan(
        unit=render([*environment.program, "listen", *given], visible),
        config=(files("edge_ser.deploy") / "edge-ser.toml").read_text(encoding="utf-8"),
        visible=tuple(visible),
    )


def _with_files_from_the_root(arguments: Iterable[str]) -> tuple[list[str], list[str]]:
    """The arguments with each file that is read spelt from the root, and those files.

    The service runs in another folder. What it writes is left as it is, and lands there.
    """
    given: list[str] = []
    named: list[str] = []
    before = ""
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if argument.startswith("-m"):  # -mFILE
            option, value = argument[:2], argument[2:]
        elif not equals:
            option, value = before, argument
        if option in READING and os.path.isfile(value):
            named.append(os.path.abspath(value))
            argument = argument.removesuffix(value) + named[-1]
        given.append(argument)
        before = argument
    return given, named


def install(plan: Plan, root: Path = Path("/"), run: Run = run_command) -> Iterator[str]:
    """Write unit and configuration, enable the service and start it, or start it anew.

    Args:
        plan: of `make_plan`.
        root: folder that stands for `/`.
        run: runs systemd's commands.

    Yields:
        One line on each thing, when it is done.

    Raises:
        DependencyError: systemd does not run this machine.
        UsageError: a unit of that name is there that this command did not write.
        StorageError: something cannot be written.
        EdgeSerError: the service does not start; of the kind that says why.
    """
    need_systemd(root)
    unit, config = _below(root, UNIT), _below(root, CONFIG)
    replaced = _is_there_and_ours(unit)
    if config.exists():
        yield f"kept {CONFIG}"
    else:
        _write(config, plan.config)
        yield f"wrote {CONFIG}: settings, all of them with their defaults in comments"
    _write(unit, plan.unit)
    yield f"{'replaced' if replaced else 'wrote'} {UNIT}"
    for path in plan.visible:
        yield f"the service is shown {path}, read-only, and nothing else of that home"
    demand(run, "systemctl", "daemon-reload")
    yield "told systemd to read it"
    demand(run, "systemctl", "enable", NAME)
    yield "enabled it: it starts with the machine"
    # Not `enable --now`: a service that runs already would go on with the old unit.
    if run(["systemctl", "restart", NAME]).returncode != 0:
        raise _start_failure(run)
    yield "started it: it is ready"


def _start_failure(run: Run) -> EdgeSerError:
    """Why the service did not start, as an error of the kind of its exit status."""
    state = shown(run, "Result", "ExecMainStatus")
    status = int(state["ExecMainStatus"] or 0)
    return CAUSES.get(status, ProviderError)(
        f"the service is installed and does not start ({state['Result']}, exit status {status}): "
        f"{last_words(run) or 'it said nothing'}: mend that, then run systemctl restart edge-ser "
        "(more: journalctl -u edge-ser -n 30)"
    )


def uninstall(root: Path = Path("/"), run: Run = run_command) -> Iterator[str]:
    """Stop and disable the service and remove the unit; settings and results stay.

    Yields and raises as `install` does.
    """
    need_systemd(root)
    unit = _below(root, UNIT)
    if not _is_there_and_ours(unit):
        raise UsageError(f"{UNIT}: there is none, so there is nothing to uninstall")
    demand(run, "systemctl", "disable", "--now", NAME)
    yield "stopped it and disabled it"
    try:
        unit.unlink()
    except OSError as error:
        raise StorageError(f"{UNIT}: {error.strerror}: cannot be removed") from error
    yield f"removed {UNIT}"
    demand(run, "systemctl", "daemon-reload")
    run(["systemctl", "reset-failed", NAME])  # nothing to reset is fine
    yield "told systemd that it is gone"
    for path, what in ((CONFIG, "settings"), (UNIT.with_name(f"{NAME}.d"), "changes to the unit")):
        if _below(root, path).exists():
            yield f"left {path}: {what}"
    if _below(root, STATE).is_symlink() or _below(root, STATE).exists():
        yield f"left {STATE} and /var/lib/private/edge-ser: what it recorded"


def _below(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")


def _is_there_and_ours(unit: Path) -> bool:
    """Whether the unit is there; raises UsageError if somebody else wrote it."""
    try:
        text = unit.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StorageError(f"{unit}: {error.strerror}: cannot be read") from error
    if not text.startswith(MARK):
        raise UsageError(
            f"{unit}: not written by 'edge-ser service install', so it is left alone: "
            "remove it yourself if it is not wanted"
        )
    return True


def _write(path: Path, text: str) -> None:
    """Write a file that all may read, whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.chmod(0o644)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StorageError(f"{path}: {error.strerror}: cannot be written") from error
