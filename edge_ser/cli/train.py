"""`edge-ser train`: thin over `edge_ser.lab.jobs.train_job`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import click

from edge_ser.cli.native import quiet_runtime
from edge_ser.cli.options import debug_option, debugging, use_threads
from edge_ser.cli.output import Record, grid, output_options, rendered, write
from edge_ser.cli.progress import a_person_watches, progress_bar
from edge_ser.lab.protocols import PROTOCOLS
from edge_ser.lab.recipe import Recipe, recipe_for

__all__ = ["command"]

ARCHITECTURES = ("plb", "improved-routing", "routing")
DEFAULTS = Recipe()
FIELDS = ("run", "epochs", "loss", "test_accuracy", "test_uar", "folder")


def _record(folder: Path) -> dict[str, object]:
    from edge_ser.lab.runs import read_run

    run = read_run(folder)
    last: Mapping[str, object] = run.rows[-1] if run.rows else {}
    figures = {name: last[name] for name in FIELDS if name in last}
    return {"run": run.split.name, "epochs": len(run.rows), **figures, "folder": str(folder)}


def _table(records: Iterable[Record]) -> Iterator[str]:
    numbers = FIELDS[1:-1]
    rows = [
        [r["run"], r["epochs"]]
        + [f"{r[name]:.3f}" if name in r else "" for name in numbers[1:]]
        + [r["folder"]]
        for r in records
    ]
    yield from grid(FIELDS, rows, right=numbers)


@click.command("train")
@click.argument("corpus")
@click.option(
    "--architecture",
    type=click.Choice(ARCHITECTURES),
    default=DEFAULTS.architecture,
    show_default=True,
    help="The network.",
)
@click.option(
    "--protocol",
    type=click.Choice(list(PROTOCOLS)),
    metavar="NAME",
    default="grouped",
    show_default=True,
    help="Who trains and who is tested; see above.",
)
@click.option(
    "--fold",
    "folds",
    type=click.IntRange(min=1),
    multiple=True,
    metavar="N",
    help="Train this fold only; may be given more than once.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Passes over the training clips, set beforehand: none is picked by its test result. "
    f"[default: {DEFAULTS.epochs}; 300 for published]",
)
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    default=DEFAULTS.batch,
    show_default=True,
    metavar="N",
    help="Clips a step.",
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    default=DEFAULTS.learning_rate,
    show_default=True,
    metavar="RATE",
    help="At the start; it decays as published.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=DEFAULTS.seed,
    show_default=True,
    metavar="N",
    help="The same seed gives the same weights.",
)
@click.option(
    "--runs",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Where run folders go. [default: CORPUS-ARCHITECTURE in the user's cache]",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    metavar="N",
    help="Processor threads.",
)
@output_options
@debug_option
def command(
    corpus: str,
    architecture: str,
    protocol: str,
    folds: tuple[int, ...],
    epochs: int | None,
    batch: int,
    learning_rate: float,
    seed: int,
    runs: Path | None,
    threads: int,
    format_: str,
    output: str | None,
) -> None:
    """Train a network on labelled speech with the published recipe. Takes hours on a CPU.

    CORPUS is a folder, a CSV manifest, or a known corpus (see 'edge-ser evaluate --help'). A run
    that was stopped goes on from its last whole epoch when the same command is given again.

    \b
    Protocols:
      grouped    five folds; a model is tested on speakers that it never heard
      loso       one fold a speaker
      holdout    one split by speaker, with speakers apart to choose by
      whole      all clips train, none is tested: for weights to ship
      published  ten folds over clips, as in the papers; leaky: shares speakers

    \b
    Examples:
      edge-ser train emodb
      edge-ser train emodb --protocol published --fold 1 --fold 2
      edge-ser train my_corpus/ --fold 1 --runs runs/

    Each fold gets a run folder with its recipe, split, metrics by epoch, weights and predictions;
    'edge-ser export' makes a model file of it. The summary goes to standard output, or to FILE
    with -o. Needs the extra [train]: pip install 'edge-ser[train]'.
    """
    use_threads(threads)
    from edge_ser.corpora import read_corpus
    from edge_ser.lab import compute
    from edge_ser.lab.jobs import splits, train_job

    clips = read_corpus(corpus)
    recipe = recipe_for(
        protocol,
        epochs,
        architecture=architecture,
        batch=batch,
        learning_rate=learning_rate,
        seed=seed,
    )
    planned = len(folds or splits(clips, protocol))
    with quiet_runtime(show=debugging()):
        compute.prepare(threads)
    begun: list[str] = []
    with progress_bar(a_person_watches()) as progress:

        def epoch_done(run: str, row: Mapping[str, float]) -> None:
            if run not in begun:
                begun.append(run)
            done = (len(begun) - 1) * recipe.epochs + int(row["epoch"]) + 1
            progress(done, planned * recipe.epochs)

        folders = train_job(clips, recipe, protocol, folds or None, epoch_done, runs, threads)
    pieces = rendered(map(_record, folders), format_, fields=FIELDS, table=_table)
    write(pieces, output)
