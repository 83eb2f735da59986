"""What a newcomer meets first."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import click
import pytest

from edge_ser.cli import COMMANDS, cli, main

Run = Callable[..., Any]

LIGHT = """
import sys
from edge_ser.cli import main
assert main({arguments!r}) == 0
heavy = {{m.split(".")[0] for m in sys.modules}} & {{
    "numpy", "rich", "soundfile", "soxr", "sounddevice", "ai_edge_litert", "onnxruntime",
    "tflite_runtime", "tensorflow", "keras", "torch",
}}
assert not heavy, heavy
"""


def test_help_in_a_process_of_its_own(edge_ser: Run) -> None:
    ended = edge_ser("--help")
    assert ended.returncode == 0
    assert ended.stderr == ""
    assert all(name in ended.stdout for name in COMMANDS)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *[[name, "--help"] for name in COMMANDS]]
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    program = LIGHT.format(arguments=arguments)
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_inspect_needs_no_numpy(model: os.PathLike[str]) -> None:
    program = LIGHT.format(arguments=["inspect", str(model)])
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_has_a_sentence_examples_and_where_results_go(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    examples = re.findall(rf"^    (edge-ser {name}.*|.*\| edge-ser {name}.*)$", text, re.MULTILINE)
    assert len(examples) >= 2
    assert not re.search(r"\w-$", text, re.MULTILINE)
    assert re.search(r"\b(standard output|FILE|folder)\b", text)


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_use_arguments_that_exist(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.help is not None
    whole = re.sub(r"\\\n\s*", "", command.help)
    lines = re.findall(rf"(?<=edge-ser {name}) ?(.*)$", whole, re.MULTILINE)
    for line in lines:
        arguments = shlex.split(re.sub(r"  +\(.*\)|'$|<.*", "", line).strip())
        options = {a.split("=")[0] for a in arguments if a.startswith("-") and a != "-"}
        meant = [command]
        if isinstance(command, click.Group):  # of `bench`, `run` where no other is named
            named = command.commands.get(arguments[0] if arguments else "")
            meant += filter(None, [named or command.commands.get("run")])
        known = {o for c in meant for p in c.params for o in (*p.opts, *p.secondary_opts)}
        assert options <= known, line
