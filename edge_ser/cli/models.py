"""`edge-ser models`: what is installed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from edge_ser.cli.failures import one_line
from edge_ser.cli.options import debug_option
from edge_ser.cli.output import Record, flattened, grid, output_options, rendered, write
from edge_ser.errors import EdgeSerError, ExitCode

__all__ = ["command"]


def _record(path: Path) -> Record:
    from edge_ser.card import read_model

    place = {"name": path.stem, "file": path.name, "path": str(path), "bytes": path.stat().st_size}
    try:
        card = read_model(path).card
    except EdgeSerError as error:
        return {**place, "error": one_line(error)}
    known = card.provenance
    return {
        **place,
        "task": card.task,
        "labels": list(card.labels),
        "state": known.state,
        "licence": known.licence,
        "protocol": known.protocol,
        "metrics": known.metrics,
    }


def _headline(metrics: Record) -> str:
    """Accuracy and UAR with their spread over folds, where the card has them; else all it has."""
    shown = []
    for name, title in (("accuracy", "accuracy"), ("uar", "UAR")):
        mean, deviation = metrics.get(name), metrics.get(f"{name}_std")
        if isinstance(mean, float):
            spread = f" ± {deviation:.2f}" if isinstance(deviation, float) else ""
            shown.append(f"{title} {mean:.2f}{spread}")
    return ", ".join(shown or (f"{name} {value}" for name, value in metrics.items()))


def _table(records: Iterable[Record]) -> Iterator[str]:
    rows = []
    for record in records:
        size = f"{int(str(record['bytes'])) / 1e6:.2f} MB"
        if "error" in record:
            rows.append([record["file"], size, "", f"error: {record['error']}"])
            continue
        metrics = _headline(dict(flattened(record["metrics"])))
        rows.append(
            [record["file"], size, record["licence"] or "unknown", metrics or record["state"]]
        )
    if not rows:
        yield "no models are installed: name a file with --model FILE"
        return
    yield from grid(["model", "size", "licence", "measured"], rows, right=("size",))


@click.command("models")
@output_options
@debug_option
def command(format_: str, output: str | None) -> None:
    """List the installed models: size, licence and what they were measured at.

    Any of these names works with --model, with or without its suffix. More distributions, such as
    edge-ser-models-nc, add theirs to the list.

    \b
    Examples:
      edge-ser models
      edge-ser models --format json
      edge-ser inspect emotion-emodb  (all that a model says of itself)

    The list goes to standard output, or to FILE with -o. Exit
    status: 3 when a file is damaged.
    """
    from edge_ser.zoo import installed_files

    records = [_record(path) for path in installed_files()]
    fields = ["name", "file", "path", "bytes", "task", "labels", "state", "licence", "protocol"]
    flat = [{**r, **dict(flattened(r))} for r in records] if format_ == "csv" else records
    measured = sorted({key for r in flat for key in r if key.startswith("metrics.")})
    write(rendered(flat, format_, fields=[*fields, *measured, "error"], table=_table), output)
    if any("error" in record for record in records):
        click.get_current_context().exit(ExitCode.MODEL)
