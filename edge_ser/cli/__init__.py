"""The command line: `edge-ser COMMAND`. Each command is a file of this folder, loaded when called.

The commands parse, call the library and print; what they know of audio and models is in the rooms
below. Only the standard library and click are imported here, so that `edge-ser --help` is instant.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from difflib import get_close_matches
from importlib import import_module

import click

from edge_ser.cli.failures import exit_code_of, terminating
from edge_ser.cli.helping import HelpContext
from edge_ser.cli.options import debug_option
from edge_ser.errors import ExitCode

__all__ = ["COMMANDS", "cli", "main"]

PROGRAM = "edge-ser"

COMMANDS = {
    "classify": "Name the emotion in recordings: files, folders or standard input.",
    "listen": "Name the emotion in what a microphone hears, as it is spoken.",
    "mics": "List the microphones, judge one, or record from it.",
    "service": "Run listening as a system service: install, uninstall, status.",
    "bench": "Measure how fast this machine is, beside the published table.",
    "models": "List the installed models with licence and measured accuracy.",
    "inspect": "Show what a model file says of itself: labels, input, training, limits.",
    "verify": "Check that a model file is whole and computes here what it computed at export.",
    "adapt": "Teach a model a voice or labels of your own, from a few clips.",
    "evaluate": "Measure a model on labelled speech: accuracy, confusion, robustness.",
    "doctor": "Look at this machine and say what to mend.",
    "preview": "Draw training data: clips of each label, features, augmentations.",
    "train": "Train a network as an experiment file says, resumable, with progress.",
    "report": "Compare training runs: folds, seeds, ablations, with spread.",
    "export": "Make one self-describing .tflite or .onnx file of a trained model.",
    "completion": "Print the completion script for bash, zsh or fish.",
}
"""Command names in the order of `--help`, with the line that stands beside each there."""


class LazyGroup(click.Group):
    """A group whose commands are imported when one is called, not for `--help`."""

    context_class = HelpContext

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"edge_ser.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        command.context_class = HelpContext
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = get_close_matches(name, COMMANDS, n=1)
            advice = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(COMMANDS)}"
            raise click.UsageError(f"no command is called '{name}': {advice}", ctx)
        return super().resolve_command(ctx, args)


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version(PROGRAM)
    except PackageNotFoundError:
        number = "(not installed: run from a source tree)"
    click.echo(f"{PROGRAM} {number}")
    ctx.exit()


@click.group(
    PROGRAM,
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  edge-ser classify interview.wav
  edge-ser classify recordings/ --format jsonl -o emotions.jsonl
  edge-ser listen --mic USB
  edge-ser models
  edge-ser doctor

\b
Exit status: 0 fine, 1 some inputs failed, 2 usage, 3 model, 4 runtime,
5 audio, 6 cannot write, 7 data or training, 70 a bug, 130 interrupted.

'edge-ser COMMAND --help' explains a command. Results go to standard output.""",
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Print the version and exit.",
)
@debug_option
def cli() -> None:
    """Recognise emotion in speech, on this machine: a Raspberry Pi or a desktop.

    Audio is classified locally and never leaves the machine.
    """


def _complete(instruction: str) -> int:
    from click.shell_completion import shell_complete

    try:
        return shell_complete(cli, {}, PROGRAM, COMPLETION_VARIABLE, instruction)
    except Exception:  # a message would land in the line that is being typed
        return ExitCode.USAGE


COMPLETION_VARIABLE = "_EDGE_SER_COMPLETE"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status (see `edge_ser.errors.ExitCode`).

    arguments: without the program's name; None takes those of the process.
    Every failure becomes one line on standard error; a traceback only with `--debug`.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if instruction := os.environ.get(COMPLETION_VARIABLE):
        return _complete(instruction)
    if not given:
        given = ["--help"]
    with ExitStack() as stack:
        context: click.Context | None = None
        try:
            stack.enter_context(terminating())
            context = stack.enter_context(cli.make_context(PROGRAM, given))
            cli.invoke(context)
            if sys.stdout is not None:
                sys.stdout.flush()
        except BaseException as error:
            return exit_code_of(error, context)
        return 0
