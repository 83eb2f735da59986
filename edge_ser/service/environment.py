"""The Python environment that the service will run in, and what of it a stranger can read.

The service has a user of its own and sees no home. So each folder that this Python reads from is
looked at: its own environment, the interpreter behind it (pyenv and uv keep theirs under a home),
packages installed in editable form. What lies under a home is shown to the service read-only; what
is closed to others elsewhere is an error that says so now, not at three in the morning.
"""

from __future__ import annotations

import json
import os
import shlex
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_ser.errors import UsageError

__all__ = ["Environment", "running_environment", "visible_paths"]

HOMES = ("/home", "/root", "/run/user")
"""What ProtectHome= hides (systemd.exec(5))."""
EMPTIED = ("/tmp", "/var/tmp")  # noqa: S108 - nothing is written there
"""What PrivateTmp= replaces, and what others clean."""
ADVICE = "install edge-ser under /opt/edge-ser (python3 -m venv /opt/edge-ser)"

PROBE = """
import json, os, sys
import edge_ser, edge_ser.benchmarks, edge_ser.cli, edge_ser.deploy, edge_ser.models
packages = edge_ser, edge_ser.benchmarks, edge_ser.deploy, edge_ser.models
places = [sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix, *sys.path]
places += [os.path.dirname(package.__file__) for package in packages]
print(json.dumps({"prefix": sys.prefix, "places": places}))
"""


@dataclass(frozen=True)
class Environment:
    """A Python environment with edge-ser in it."""

    program: tuple[str, ...]
    """Absolute path of `edge-ser`, or of the interpreter with the arguments that run it."""
    places: tuple[str, ...]
    """Absolute paths of all files and folders that Python reads from."""


def running_environment(python: str = sys.executable) -> Environment:
    """What a service started by `python` needs.

    The interpreter is asked in a process of its own that sees neither PYTHONPATH nor the packages
    of one user, as the service will not see them either.

    Raises:
        UsageError: edge-ser is not found that way.
    """
    # -I: isolated from the environment, the user's packages and the working directory.
    asked = subprocess.run(
        [python, "-I", "-c", PROBE], capture_output=True, text=True, env={}, check=False
    )
    if asked.returncode != 0:
        raise UsageError(
            f"{python}: edge-ser is found by PYTHONPATH or for one user only, and a service has "
            f"neither: {ADVICE}"
        )
    answer = json.loads(asked.stdout)
    script = os.path.join(answer["prefix"], "bin", "edge-ser")
    found = os.access(script, os.X_OK)
    program = (script,) if found else (python, "-I", "-m", "edge_ser.cli")
    links = list(_link_chain(python))
    folders = [place for place in answer["places"] if os.path.isabs(place)]
    return Environment(program, tuple(dict.fromkeys([*folders, *links])))


def _link_chain(path: str) -> Iterator[str]:
    """`path`, what it links to, what that links to, and so on, as each is spelt."""
    for _ in range(40):  # the kernel's own limit
        yield path
        if not os.path.islink(path):
            return
        folder, target = os.path.dirname(path), os.readlink(path)
        # A folder that is a link itself will be a folder for the service: two ways to read "..".
        yield os.path.normpath(os.path.join(folder, target))
        path = os.path.normpath(os.path.join(os.path.realpath(folder), target))


def visible_paths(
    places: Iterable[str], homes: Iterable[str] = HOMES, emptied: Iterable[str] = EMPTIED
) -> list[str]:
    """Those of `places` that must be shown to a service that sees no home, without repetition.

    Each is named as it is spelt and as it really is, since links are followed by both.

    Raises:
        UsageError: one cannot be read by a user of no group, or lies where it will be cleared away.
    """
    hidden = {name for home in homes for name in (home, os.path.realpath(home))}
    cleared = {name for folder in emptied for name in (folder, os.path.realpath(folder))}
    there = [os.path.normpath(place) for place in places if os.path.exists(place)]
    shown: list[str] = []
    # Sorted: a folder comes before what lies in it.
    for place in sorted({name for spelt in there for name in (spelt, os.path.realpath(spelt))}):
        if _root_of(place, cleared):
            raise UsageError(
                f"{place}: a service cannot rely on a folder that is emptied now and then: {ADVICE}"
            )
        root = _root_of(place, shown)
        if root is None and _root_of(place, hidden):
            root = place
            shown.append(place)
        _refuse_closed(Path(place), Path(root or "/"))
    return shown


def _root_of(path: str, roots: Iterable[str]) -> str | None:
    """The folder of `roots` in which `path` lies, or which it is."""
    return next((root for root in roots if path == root or path.startswith(root + "/")), None)


def _refuse_closed(place: Path, root: Path) -> None:
    """Raise UsageError where a user of no group cannot come from `root` to `place` and read it."""
    for folder in reversed(place.parents):
        if folder.is_relative_to(root):
            _demand(folder, stat.S_IXOTH, place)
    if not place.is_dir():
        _demand(place, stat.S_IROTH, place)
        return
    _demand(place, stat.S_IROTH | stat.S_IXOTH, place)
    for package in place.iterdir():  # installed under a umask of its own
        if package.is_dir() and (package / "__init__.py").exists():
            _demand(package, stat.S_IROTH | stat.S_IXOTH, package)


def _demand(path: Path, bits: int, of: Path) -> None:
    mode = path.stat().st_mode
    if mode & bits != bits:
        raise UsageError(
            f"{path}: mode {stat.S_IMODE(mode):04o} keeps the service from reading {of}: "
            f"{ADVICE}, or run: chmod -R go+rX {shlex.quote(str(path))}"
        )
