"""`edge-ser report`: thin over `edge_ser.lab.report`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_ser.cli.failures import one_line
from edge_ser.cli.options import debug_option
from edge_ser.cli.output import (
    Record,
    flattened,
    grid,
    output_options,
    refuse_inputs,
    rendered,
    write,
)
from edge_ser.errors import DataError, ExitCode

if TYPE_CHECKING:
    from edge_ser.lab.report import Comparison, RunRecord

__all__ = ["command"]


@click.command("report")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path())
@click.option(
    "--by",
    "keys",
    multiple=True,
    metavar="KEY",
    help="Tell experiments apart by this key of the configuration alone, such as omega_0 or "
    "augmentation.mode; may be given more than once.  [default: all that differ]",
)
@output_options
@debug_option
def command(runs: tuple[str, ...], keys: tuple[str, ...], format_: str, output: str | None) -> None:
    """Compare training runs: folds and seeds summed up, experiments side by side.

    RUN is a run folder of 'edge-ser train'. Runs whose configurations differ only in their seeds
    and folds are one experiment; what else differs is found, and stands first in the tables: so
    runs of an ablation become its table. Figures are those of the weights that each run keeps;
    those of the best epoch, which the papers report, stand beside and are called leaky.

    \b
    Examples:
      edge-ser report runs/plb-emodb/*
      edge-ser report runs/cktim-*/* --by omega_0
      edge-ser report runs/*/* -o ablation.html

    The tables go to standard output, or to FILE with -o: a page with pictures where it ends in
    .html, Markdown where it ends in .md. A folder that holds no run is reported and left out, with
    exit status 1; files beside runs are passed over.
    """
    from edge_ser.lab.report import compare
    from edge_ser.lab.runs import RECORDS

    given = list(dict.fromkeys(Path(run) for run in runs))
    # RUNS/*/* names the cached features, too.
    folders = [path for path in given if not path.is_file()] or given
    refuse_inputs(output, [folder / name for folder in folders for name in RECORDS])
    found, failed = _read(folders)
    write(_pieces(compare(found, keys), format_, output), output)
    click.get_current_context().exit(ExitCode.SOME_FAILED if failed else ExitCode.OK)


def _read(folders: Sequence[Path]) -> tuple[list[RunRecord], int]:
    """The runs that can be read, and how many cannot; that is said, and of a lone one raised."""
    from edge_ser.lab.report import read_record

    found: list[RunRecord] = []
    errors: list[DataError] = []
    for folder in folders:
        try:
            found.append(read_record(folder))
        except DataError as error:
            errors.append(error)
    for said in errors if found else errors[:-1]:
        click.echo(f"edge-ser: {one_line(said)}", err=True)
    if not found:
        raise errors[-1]
    return found, len(errors)


def _pieces(comparison: Comparison, format_: str, output: str | None) -> Iterable[str]:
    from edge_ser.lab.report import document, html, markdown
    from edge_ser.lab.report.document import group_values
    from edge_ser.lab.report.terminal import lines

    suffix = Path(output or "").suffix.lower()
    if format_ == "table" and suffix in (".html", ".htm"):
        return [html.render(comparison)]
    if format_ == "table" and suffix in (".md", ".markdown"):
        return [markdown.render(comparison)]
    records: list[Record] = [group_values(group) for group in comparison.groups]
    if format_ == "csv":
        records = [dict(flattened(record)) for record in records]
    return rendered(
        records,
        format_,
        fields=list(dict.fromkeys(name for record in records for name in record)),
        table=lambda _: lines(comparison, lambda head, rows, right: grid(head, rows, right=right)),
        document=lambda _: document(comparison),
    )
