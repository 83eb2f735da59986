"""`edge-ser export`: thin over `edge_ser.lab.jobs`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from edge_ser.cli.native import quiet_runtime
from edge_ser.cli.options import debug_option, debugging
from edge_ser.cli.output import printable
from edge_ser.errors import UsageError

if TYPE_CHECKING:
    from edge_ser.card import ModelFile
    from edge_ser.lab.export import Form

__all__ = ["command"]

ARCHITECTURES = ("plb", "improved-routing", "routing")
FORMS = ("float32", "float16", "dynamic")


def _export(
    run: Path | None,
    output: Path,
    corpus: str | None,
    form: str,
    folds: tuple[Path, ...],
    name: str | None,
    unfinished: bool,
    untrained: str | None,
    classes: int,
) -> ModelFile:
    from edge_ser.lab.jobs import export_run, export_untrained

    wanted = cast("Form", form)
    if untrained is not None:
        if run is not None:
            raise UsageError("RUN and --untrained: expected one of them")
        return export_untrained(untrained, classes, output, wanted)
    if run is None or corpus is None:
        raise UsageError("expected a RUN folder and --corpus, or --untrained NETWORK")
    from edge_ser.corpora import read_corpus

    return export_run(run, read_corpus(corpus), output, wanted, folds, name, unfinished)


@click.command("export")
@click.argument("run", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--output",
    "-o",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The model file: its name ends in .tflite or .onnx.",
)
@click.option("--corpus", metavar="CORPUS", help="What the run was trained on.")
@click.option(
    "--form",
    type=click.Choice(FORMS),
    default="float32",
    show_default=True,
    help="Of the weights; float16 and dynamic (int8) are smaller, for .tflite.",
)
@click.option(
    "--fold",
    "folds",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="RUN",
    help="A finished run of the same recipe on other speakers; give all of them: calibration and "
    "figures of the card come from their predictions.",
)
@click.option("--name", help="In the card. [default: NETWORK-CORPUS]")
@click.option("--unfinished", is_flag=True, help="Take a run before its last epoch.")
@click.option(
    "--untrained",
    type=click.Choice(ARCHITECTURES),
    help="Instead of a run: a network with random weights, to measure latency.",
)
@click.option(
    "--classes",
    type=click.IntRange(min=2),
    default=7,
    show_default=True,
    metavar="N",
    help="Labels of an --untrained network.",
)
@debug_option
def command(
    run: Path | None,
    output: Path,
    corpus: str | None,
    form: str,
    folds: tuple[Path, ...],
    name: str | None,
    unfinished: bool,
    untrained: str | None,
    classes: int,
) -> None:
    """Make one self-describing model file of a training run.

    RUN is a run folder of 'edge-ser train'. The file carries its card: labels, frontend,
    calibration, figures, licence. It is read again and compared with the original network on real
    clips before it appears; one that differs is not written.

    \b
    Examples:
      edge-ser export runs/whole --corpus emodb -o my.tflite
      edge-ser export runs/whole --corpus emodb --form dynamic -o small.tflite
      edge-ser export --untrained plb -o latency.onnx

    The model goes to FILE. Needs the extras: pip install 'edge-ser[train,export]'.
    """
    with quiet_runtime(show=debugging()):
        model = _export(run, output, corpus, form, folds, name, unfinished, untrained, classes)
    size = model.path.stat().st_size
    click.echo(f"{printable(model.path)}: {model.card.name}, {size} bytes, read again and compared")
    click.echo(f"'edge-ser inspect {printable(model.path)}' shows its card")
