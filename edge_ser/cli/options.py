"""Options that several commands share, and the model that they describe."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edge_ser.threads import THREAD_VARIABLES

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from edge_ser.classifier import Classifier

__all__ = [
    "DEBUG",
    "debug_option",
    "debugging",
    "model_options",
    "open_classifier",
    "profile_option",
    "use_threads",
]

Function = TypeVar("Function", bound=Callable[..., Any])

DEBUG = "edge_ser.debug"


def _remember_debug(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        ctx.meta[DEBUG] = True


def debug_option(function: Function) -> Function:
    """Add `--debug`, which works before and after the command's name."""
    return click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_remember_debug,
        help="Show tracebacks and what the runtimes print.",
    )(function)


def debugging() -> bool:
    """Whether the running command was given `--debug`."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(DEBUG))


def complete_model(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Installed models that start with what was typed, and files for the shell to complete."""
    from click.shell_completion import CompletionItem

    from edge_ser import zoo

    stems = sorted({file.stem for file in zoo.installed_files()})
    names = [name for name in stems if name.startswith(incomplete)]
    return [*map(CompletionItem, names), CompletionItem(incomplete, type="file")]


def model_options(function: Function) -> Function:
    """Add `--model`, `--provider`, `--threads` and `--allow-untrained`."""
    for option in (
        click.option(
            "--allow-untrained",
            is_flag=True,
            help="Take a model whose card says 'untrained' (its answers mean nothing).",
        ),
        click.option(
            "--threads",
            type=click.IntRange(min=1),
            default=1,
            show_default=True,
            metavar="N",
            help="Processor threads; one is fastest for small models.",
        ),
        click.option(
            "--provider",
            default="cpu",
            show_default=True,
            metavar="NAME",
            help="What computes: cpu, cuda, tensorrt. Used, or an error: never replaced silently.",
        ),
        click.option(
            "--model",
            "-m",
            metavar="NAME|FILE",
            shell_complete=complete_model,
            help="An installed model (see 'edge-ser models') or a .tflite or .onnx file. "
            "[default: emotion-emodb, for bench plb-emodb]",
        ),
    ):
        function = option(function)
    return function


def use_threads(threads: int) -> None:
    """Ask the libraries under numpy for `threads` threads, where the user has not asked already.

    Only has an effect before numpy is imported, so commands call it first.
    """
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, str(threads))


def profile_option(function: Function) -> Function:
    """Add `--profile`."""
    return click.option(
        "--profile",
        metavar="FILE",
        help="Of the person who is heard: what 'edge-ser adapt --unlabelled' wrote.",
    )(function)


def open_classifier(
    model: str | None,
    provider: str,
    threads: int,
    allow_untrained: bool,
    profile: str | None = None,
) -> Classifier:
    """The model that `model_options` describe, opened without its runtime's chatter."""
    from edge_ser.cli.native import quiet_runtime

    use_threads(threads)
    with quiet_runtime(show=debugging()):
        from edge_ser.classifier import load_model

        return load_model(
            model,
            provider=provider,
            threads=threads,
            allow_untrained=allow_untrained,
            profile=profile,
        )
