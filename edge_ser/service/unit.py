"""Text of the unit: the template of `deploy/` with this environment's paths, quoted for systemd.

Rules of quoting: systemd.syntax(7) and systemd.service(5), "Command lines"; of specifiers:
systemd.unit(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path

from edge_ser.errors import UsageError

__all__ = ["MARK", "bind_path", "command_line", "quoted", "render", "template"]

MARK = "# Written by 'edge-ser service install'."
"""First words of a unit that is ours to replace and to remove."""
UNQUOTED = re.compile(r"[A-Za-z0-9_@+=:,./-]+")
UNFIT_FOR_A_PATH = re.compile(r"[\x00-\x1f\x7f\"'\\:]")
ESCAPES = {"\\": r"\\", '"': r"\"", "\n": r"\n", "\t": r"\t", "\r": r"\r", "%": "%%"}


def template() -> str:
    """`deploy/edge-ser.service` as it is installed with the package."""
    return (files("edge_ser.deploy") / "edge-ser.service").read_text(encoding="utf-8")


def quoted(text: str) -> str:
    """One word of a command line that is not searched for $: systemd reads back just `text`.

    Raises:
        UsageError: a zero byte or something that is not UTF-8, which no unit can carry.
    """
    _refuse_unwritable(text)
    if UNQUOTED.fullmatch(text):
        return text
    escaped = (ESCAPES.get(c) or (c if c.isprintable() else _as_bytes(c)) for c in text)
    return f'"{"".join(escaped)}"'


def _as_bytes(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in character.encode())


def _refuse_unwritable(text: str) -> None:
    if re.search("[\0\ud800-\udfff]", text):
        raise UsageError(
            f"{text!r}: a systemd unit cannot carry it, expected UTF-8 text: use another name"
        )


def bind_path(path: str) -> str:
    """A path for BindReadOnlyPaths=, where % and blanks need care.

    Raises:
        UsageError: systemd takes no such path in a unit.
    """
    _refuse_unwritable(path)
    if UNFIT_FOR_A_PATH.search(path):
        raise UsageError(
            f"{path!r}: systemd takes no quotes, colons, backslashes or control characters in this "
            "path: install edge-ser in another folder, such as /opt/edge-ser"
        )
    escaped = path.replace("%", "%%")
    return f'"{escaped}"' if " " in escaped else escaped


def command_line(words: Sequence[str]) -> str:
    """Value of ExecStart= that runs exactly these words; the first is an absolute path.

    The colon in front keeps systemd from replacing what looks like `$VARIABLE`.
    """
    program, *arguments = words
    if not program.startswith("/"):
        raise UsageError(f"{program!r}: the service's program must be given by an absolute path")
    bind_path(program)
    return " ".join([quoted(f":{program}"), *map(quoted, arguments)])


def render(words: Sequence[str], visible: Iterable[str | Path] = ()) -> str:
    """The unit that runs `words`.

    Args:
        words: program and arguments.
        visible: files and folders under a home that the service must be able to read; they are
            shown to it read-only, with nothing else of the home.

    Raises:
        UsageError: a path or argument that a unit cannot carry.
    """
    lines = [
        f"{MARK} Change settings in /etc/edge-ser.toml,",
        "# and the unit by `systemctl edit edge-ser`.",
    ]
    body = template()
    body = body[body.index("[Unit]") :]
    body = re.sub(r"^ExecStart=.*$", lambda _: f"ExecStart={command_line(words)}", body, flags=re.M)
    shown = [f"BindReadOnlyPaths={bind_path(str(path))}" for path in visible]
    if shown:
        homes = "\n".join(["ProtectHome=tmpfs", *shown])
        body = re.sub(r"^ProtectHome=.*$", lambda _: homes, body, flags=re.M)
    return "\n".join(lines) + "\n" + body
