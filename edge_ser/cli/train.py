"""`edge-ser train`: thin over `edge_ser.lab.jobs`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_ser.cli.native import quiet_runtime
from edge_ser.cli.options import debug_option, debugging, use_threads
from edge_ser.cli.output import Record, grid, output_options, refuse_inputs, rendered, write
from edge_ser.cli.progress import a_person_watches, progress_bar
from edge_ser.errors import UsageError
from edge_ser.threads import MAX_THREADS

if TYPE_CHECKING:
    from edge_ser.lab.experiment import Experiment
    from edge_ser.lab.jobs import Plan

__all__ = ["command"]

FIELDS = ("run", "epochs", "loss", "accuracy", "test_accuracy", "test_uar", "folder")


def _listed() -> Iterator[str]:
    """The experiments and networks that there are, with what their files say of them."""
    from edge_ser.lab.architectures.networks import networks
    from edge_ser.lab.experiment import shipped

    yield "experiments:"
    rows = []
    for name, path in shipped().items():
        lines = [line[1:].strip() for line in path.read_text().split("\n\n")[0].splitlines()]
        rows.append([f"  {name}", " ".join(line for line in lines)])
    yield from grid(["", ""], rows)
    yield ""
    yield "networks (--set network.name=NAME): " + ", ".join(networks())


def _experiment(name: str, corpus: str | None, settings: tuple[str, ...]) -> Experiment:
    from edge_ser.lab.experiment import find_experiment, from_tables, name_with, with_settings

    found, values, where = find_experiment(name)
    values = with_settings(values, settings)
    if corpus is not None:
        data = values.get("data")
        before = dict(data) if isinstance(data, dict) else {}
        values["data"] = {**before, "corpus": corpus}
        if corpus != before.get("corpus"):
            # Its runs are others, and so is their folder.
            settings = (*settings, f"data.corpus={Path(corpus).resolve().name}")
            if isinstance(values.get("name"), str):
                values["name"] = name_with(str(values["name"]), settings[-1:])
    return from_tables(values, name_with(found, settings), where)


def _record(folder: Path) -> dict[str, object]:
    from edge_ser.lab.runs import read_run

    run = read_run(folder)
    last: Mapping[str, object] = run.rows[-1] if run.rows else {}
    figures = {name: last[name] for name in FIELDS if name in last}
    return {"run": folder.name, "epochs": len(run.rows), **figures, "folder": str(folder)}


def _table(records: Iterable[Record]) -> Iterator[str]:
    numbers = FIELDS[1:-1]
    rows = [
        [r["run"], r["epochs"]]
        + [f"{r[name]:.3f}" if name in r else "" for name in numbers[1:]]
        + [r["folder"]]
        for r in records
    ]
    yield from grid(FIELDS, rows, right=numbers)


def _described(plan: Plan, device: str) -> Iterator[str]:
    """What would be trained: for --check, and for a person who waits."""
    chosen = plan.experiment
    yield f"{chosen.name}: {chosen.network.name} on {plan.corpus.name}, computed on {device}"
    for split in plan.splits:
        sides = [
            f"{len(clips)} {side}"
            for side, clips in (
                ("train", split.train),
                ("validate", split.validation),
                ("test", split.test),
            )
            if clips
        ]
        people = f" (speakers {', '.join(split.speakers)})" if split.speakers else ""
        yield f"  {split.name}: {', '.join(sides)}{people}"
    counts = Counter(utterance.label for utterance in plan.corpus.utterances)
    labels = ", ".join(f"{label} {counts[label]}" for label in chosen.data.labels)
    yield f"clips of each label: {labels}"
    yield f"run folders in {plan.folder}"


def _device(plan: Plan, threads: int) -> str:
    """Set the framework up, quietly, and tell what it computes on."""
    from edge_ser.lab import compute
    from edge_ser.lab.jobs import prepare

    with quiet_runtime(show=debugging()):
        framework = plan.experiment.network.kind.framework
        prepare(framework, threads)
        if framework == "keras":
            return compute.keras_device()
        return compute.torch_device()


def _refuse_among_clips(runs: Path, corpus: Path) -> None:
    """A folder in a corpus is a label of it, the next time that it is read."""
    if corpus.is_dir() and runs.resolve().is_relative_to(corpus.resolve()):
        raise UsageError(f"--runs {runs}: lies among the clips of {corpus}: name one elsewhere")


def _check(plan: Plan, seeds: tuple[int, ...], threads: int) -> None:
    from edge_ser.lab.jobs import check_job

    with progress_bar(a_person_watches()) as progress:
        clips = len(plan.corpus.utterances)
        check_job(plan, seeds, lambda done: progress(done, clips), threads)


def _train(plan: Plan, seeds: tuple[int, ...], threads: int) -> list[Path]:
    from edge_ser.lab.jobs import train_job

    epochs = plan.experiment.training.epochs
    total = epochs * len(plan.splits) * max(1, len(seeds))
    begun: list[str] = []
    with progress_bar(a_person_watches()) as progress:

        def epoch_done(run: str, row: Mapping[str, float]) -> None:
            if run not in begun:
                begun.append(run)
            progress((len(begun) - 1) * epochs + int(row["epoch"]) + 1, total)

        def clip_read(done: int) -> None:
            progress(done, len(plan.corpus.utterances))

        try:
            return train_job(plan, seeds, epoch_done, clip_read, threads)
        except KeyboardInterrupt:
            again = "the same command goes on after the last whole epoch"
            click.echo(f"stopped: {again} in {plan.folder}", err=True)
            raise


@click.command("train")
@click.argument("experiment", required=False)
@click.option(
    "--corpus",
    metavar="CORPUS",
    help="Labelled speech in place of the experiment's: a folder, a CSV manifest, or a name.",
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
    "--seed",
    "seeds",
    type=click.IntRange(0, 2**32 - 1),
    multiple=True,
    metavar="N",
    help="In place of the experiment's; may be given more than once.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Another value, such as network.omega_0=24; may be given more than once.",
)
@click.option(
    "--runs",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Where run folders go. [default: the experiment's name in the user's cache]",
)
@click.option(
    "--threads",
    type=click.IntRange(1, MAX_THREADS),
    default=2,
    show_default=True,
    metavar="N",
    help="Processor threads.",
)
@click.option("--list", "list_", is_flag=True, help="Show the experiments and networks.")
@click.option("--check", is_flag=True, help="Read everything and show the plan; train nothing.")
@output_options
@debug_option
def command(
    experiment: str | None,
    corpus: str | None,
    folds: tuple[int, ...],
    seeds: tuple[int, ...],
    settings: tuple[str, ...],
    runs: Path | None,
    threads: int,
    list_: bool,
    check: bool,
    format_: str,
    output: str | None,
) -> None:
    """Train a network on labelled speech, as an experiment file says. May take hours.

    EXPERIMENT is a TOML file with the sections data, network, protocol, training and augmentation,
    or the name of one that comes with edge-ser. A run that was stopped goes on from its last whole
    epoch when the same command is given again. A GPU is used where the framework finds one.

    \b
    Protocols (protocol.name):
      grouped     folds of speakers; each is tested by a model that never heard it
      loso        one fold a speaker
      loco        one fold a corpus, of several that are joined
      holdout     one split by speaker, with speakers apart to choose by
      official    the corpus's own split
      whole       all clips train, none is tested: for weights to ship
      published   folds over clips, as in the papers; leaky: shares speakers
      stratified  70, 20 and 10 % of each class at random; leaky likewise

    \b
    Examples:
      edge-ser train --list
      edge-ser train plb-emodb
      edge-ser train tim-emovo --set network.name=cktim-tab1 --fold 1
      edge-ser train mine.toml --corpus my_recordings/ --check

    Each fold gets a run folder with its configuration, split, metrics by epoch, checkpoints and
    predictions: 'edge-ser report' compares them, 'edge-ser export' makes a model file of one. The
    summary goes to standard output, or to FILE with -o. Needs the extra [train], and [torch] for
    networks in Torch.
    """
    if list_:
        write((f"{line}\n" for line in _listed()), output)
        return
    if experiment is None:
        raise UsageError("no experiment, expected a TOML file or a name: --list shows the names")
    use_threads(threads)
    from edge_ser.corpora import read_corpus
    from edge_ser.lab.jobs import plan

    chosen = _experiment(experiment, corpus, settings)
    clips = read_corpus(chosen.data.corpus)
    named = (experiment, chosen.data.corpus, Path(chosen.data.corpus, "manifest.csv"))
    refuse_inputs(output, [*named, *(each.path for each in clips.utterances)])
    planned = plan(chosen, clips, folds or None, runs)
    _refuse_among_clips(planned.folder, Path(chosen.data.corpus))
    lines = list(_described(planned, _device(planned, threads)))
    if check:
        _check(planned, seeds, threads)
        write((f"{line}\n" for line in lines), output)
        return
    if a_person_watches():
        click.echo("\n".join(lines), err=True)
    folders = _train(planned, seeds, threads)
    write(rendered(map(_record, folders), format_, fields=FIELDS, table=_table), output)
