"""`edge-ser bench run`: the options of a measurement, its progress and its output."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_ser.cli.failures import Terminated
from edge_ser.cli.native import quiet_runtime
from edge_ser.cli.options import debug_option, debugging, model_options, use_threads
from edge_ser.cli.output import Record, check_places, output_options, rendered, write
from edge_ser.cli.progress import a_person_watches, phases
from edge_ser.errors import EdgeSerError, ModelError, UsageError

if TYPE_CHECKING:
    from edge_ser.bench.options import BenchOptions
    from edge_ser.bench.peers import Peer
    from edge_ser.bench.session import Plan, Session

__all__ = ["run"]

NAMED_MOST_S = 3600.0
"""Seconds after which timing ends where `--runs` is given."""


@click.command("run")
@model_options
@click.option(
    "--dataset",
    metavar="DIR|NAME",
    help="Clips to classify: a folder, a manifest, or a corpus in EDGE_SER_DATA, such as emodb. "
    "[default: built-in synthetic speech]",
)
@click.option("--clips", type=click.IntRange(min=1), metavar="N", help="Take only N of the clips.")
@click.option(
    "--device",
    metavar="NAME",
    help="Set the published figures of this machine beside: rpi, i7-8700, i7-12700k, rtx2080ti, "
    "rtx3080ti, apple-mps. Changes nothing in the run.",
)
@click.option(
    "--runs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Clips to time, at least: p90 takes 64, p99 takes 662.  [default: 128]",
)
@click.option(
    "--seconds",
    type=float,
    metavar="S",
    help="Seconds to time, at least; 60 or six times as many at most.  [default: 20]",
)
@click.option("--mlperf", is_flag=True, help="MLPerf's single-stream rule: 1,024 clips and 600 s.")
@click.option(
    "--cold-starts",
    type=click.IntRange(min=0),
    metavar="N",
    help="Fresh processes to time; 0 leaves them out.  [default: 5]",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Decides the order of the clips, and what synthetic speech says.",
)
@click.option(
    "--peers",
    metavar="LIST|all|none",
    default="none",
    show_default=True,
    help="Other ways of doing the same, in turn with ours; those installed of: keras-eager, "
    "keras-predict, tf-function, papers, librosa-litert, librosa-onnx.",
)
@click.option("--keras", metavar="FILE", help="The same network as .keras, for --peers.")
@click.option("--meter", metavar="FILE.csv", help="Readings of a power meter: time, watts.")
@click.option(
    "--report",
    metavar="FILE.html",
    help="Also write a page with pictures; Markdown where FILE ends in .md.",
)
@output_options
@debug_option
def run(format_: str, output: str | None, report: str | None, **given: Any) -> None:
    """Time one clip after the other, from file to label, and set it beside what was published.

    Each clip is decoded, resampled, transformed and classified, batch 1; the next begins when the
    last has ended. Then: listening, matrix speed, fresh starts, memory, and whether the answers
    are those of the export. Takes half a minute; Ctrl-C keeps what was measured until then.

    \b
    Examples:
      edge-ser bench --device rpi
      edge-ser bench --dataset emodb --peers all --report speed.html
      edge-ser bench --model plb-emodb --provider cuda --device rtx3080ti
      edge-ser bench --format json -o speed.json

    The result goes to standard output, or to FILE with -o; the page to FILE.html. Exit status 3
    where the model computes something wrong here.
    """
    use_threads(given["threads"])
    plan = _plan(given)
    check_places((output, report), _read(plan, given["dataset"]))
    from edge_ser.bench.session import Session

    with phases(a_person_watches()) as progress, quiet_runtime(show=debugging()):
        session = Session(plan, progress)
        stopped = _run(session)
    _write(session.document, format_, output, report)
    if stopped is not None:
        raise stopped
    goldens = session.document["correctness"]["goldens"]
    if not goldens["passed"]:
        raise ModelError(
            f"{plan.model}: what it computes here is wrong, so its speed means nothing: "
            f"{goldens['detail']}: 'edge-ser verify' says where"
        )


def _run(session: Session) -> BaseException | None:
    """Measure; what ends it early is handed back, once the parts that are there are in order."""
    try:
        session.run()
    except (KeyboardInterrupt, Terminated) as stopped:
        session.finish()
        return stopped
    except EdgeSerError as error:  # a clip that vanished, a GPU that was lost
        if session.document["warm_up"] is None:
            raise
        session.finish()
        return error
    session.finish()
    return None


def _plan(given: dict[str, Any]) -> Plan:
    from edge_ser import zoo
    from edge_ser.bench.meter import check_meter
    from edge_ser.bench.published import device
    from edge_ser.bench.session import Plan
    from edge_ser.bench.workload import open_workload

    named = given["device"]
    if named is not None:
        named = device(named).name
    meter = Path(given["meter"]) if given["meter"] else None
    if meter is not None:
        check_meter(meter)
    model = zoo.find_model(given["model"] or zoo.BENCHMARK_MODEL, given["provider"])
    options = _options(given)
    return Plan(
        model=model,
        workload=open_workload(given["dataset"], given["clips"], options.seed),
        provider=given["provider"],
        threads=given["threads"],
        allow_untrained=given["allow_untrained"],
        device=named,
        peers=_peers(given, model),
        meter=meter,
        options=options,
        command=("edge-ser", *sys.argv[1:]),
    )


def _options(given: dict[str, Any]) -> BenchOptions:
    from edge_ser.bench.options import BenchOptions, as_mlperf

    chosen = {
        "runs": given["runs"],
        "least_s": given["seconds"],
        "cold_starts": given["cold_starts"],
        "seed": given["seed"],
    }
    if given["mlperf"] and (given["runs"] or given["seconds"]) is not None:
        raise UsageError("--mlperf: it sets --runs and --seconds itself: leave them out")
    known = {name: value for name, value in chosen.items() if value is not None}
    if given["runs"] is not None:  # whoever names a number means it
        known["most_s"] = NAMED_MOST_S
    elif given["seconds"] is not None:
        known["most_s"] = max(6 * given["seconds"], BenchOptions.most_s)
    options = BenchOptions(**known)
    return as_mlperf(options) if given["mlperf"] else options


def _peers(given: dict[str, Any], model: Path) -> tuple[Peer, ...]:
    from edge_ser.bench.peers import available_peers

    wanted = given["peers"]
    if wanted == "none":
        if given["keras"] is not None:
            raise UsageError("--keras: only used by --peers: add it")
        return ()
    names = None if wanted == "all" else [name.strip() for name in wanted.split(",")]
    return available_peers(model, names, given["keras"], given["provider"])


def _read(plan: Plan, dataset: str | None) -> list[str | Path]:
    """All files that the run reads."""
    sources = [item.source for item in plan.workload.items]
    files: list[str | Path] = [source for source in sources if isinstance(source, Path)]
    files += [plan.model, *([plan.meter] if plan.meter else [])]
    return [*files, dataset, Path(dataset, "manifest.csv")] if dataset else files


def _write(document: dict[str, Any], format_: str, output: str | None, report: str | None) -> None:
    """The document in the form that was asked for, and the page."""
    from edge_ser.bench import html, markdown
    from edge_ser.bench.document import completed, document_text

    rows = list(_stage_rows(document))
    if format_ == "json":
        pieces = iter([document_text(document)])
    else:
        pieces = rendered(
            rows if format_ == "csv" else [completed(document)],
            format_,
            fields=list(rows[0]) if rows else [],
            table=lambda _: markdown.lines(document),
        )
    write(pieces, output)
    if report is not None:
        page = markdown.render if report.lower().endswith(".md") else html.render
        write([page(document)], report)


def _stage_rows(document: dict[str, Any]) -> Iterator[Record]:
    """For CSV: a line a stage."""
    for stage, summary in (document["stages"] or {}).items():
        plain = {name: value for name, value in summary.items() if not isinstance(value, dict)}
        row: dict[str, object] = {"stage": stage}
        for name, value in plain.items():
            if name.endswith("_interval"):
                low, high = value or (None, None)
                row |= {
                    name.replace("interval", "low"): low,
                    name.replace("interval", "high"): high,
                }
            else:
                row[name] = value
        yield row
