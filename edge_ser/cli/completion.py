"""`edge-ser completion`: the script that teaches a shell our commands and options."""

from __future__ import annotations

import os
from pathlib import Path

import click

from edge_ser.cli.options import debug_option
from edge_ser.cli.output import write
from edge_ser.errors import UsageError

__all__ = ["command"]

PLACES = {
    "bash": "~/.local/share/bash-completion/completions/edge-ser",
    "zsh": "a file _edge-ser in a folder of $fpath, such as ~/.zfunc/_edge-ser",
    "fish": "~/.config/fish/completions/edge-ser.fish",
}
FIRST_LINE_OF_ZSH = "#compdef"


def _this_shell() -> str:
    name = Path(os.environ.get("SHELL", "")).name
    if name not in PLACES:
        raise UsageError(
            f"the shell is not told by $SHELL ({name!r}): name one: {', '.join(PLACES)}"
        )
    return name


@click.command("completion")
@click.argument("shell", required=False, type=click.Choice(list(PLACES)))
@click.option("--output", "-o", metavar="FILE", help="Write here instead of standard output.")
@debug_option
def command(shell: str | None, output: str | None) -> None:
    """Print the completion script for SHELL, by default the one in use.

    \b
    Examples:
      edge-ser completion bash >> ~/.bashrc
      edge-ser completion zsh -o ~/.zfunc/_edge-ser
      edge-ser completion fish -o ~/.config/fish/completions/edge-ser.fish

    The script goes to standard output, or to FILE with -o, and works in new shells.
    """
    from click.shell_completion import get_completion_class

    from edge_ser.cli import COMPLETION_VARIABLE, PROGRAM, cli

    name = shell or _this_shell()
    maker = get_completion_class(name)
    assert maker is not None
    script = maker(cli, {}, PROGRAM, COMPLETION_VARIABLE).source()
    comment = f"# Completion of edge-ser for {name}. Its place: {PLACES[name]}\n"
    if script.startswith(FIRST_LINE_OF_ZSH):  # zsh wants it first
        first, _, rest = script.partition("\n")
        script, comment = rest, f"{first}\n{comment}"
    write([comment, script if script.endswith("\n") else script + "\n"], output)
