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
from edge_ser.cli.output import Record, output_options, refuse_inputs, rendered, write
from edge_ser.cli.progress import a_person_watches, phases
from edge_ser.errors import ModelError, UsageError

if TYPE_CHECKING:
    from edge_ser.bench.options import BenchOptions
    from edge_ser.bench.peers import Peer
    from edge_ser.bench.session import Plan, Session

__all__ = ["run"]


@click.command("run")
@model_options
@click.option(
    "--dataset",
    metavar="DIR|NAME",
    help="Clips to classify: a folder, a manifest, or emodb, ravdess, iemocap (EDGE_SER_DATA). "
    "[default: built-in synthetic speech]",
)
@click.option("--clips", type=click.IntRange(min=1), metavar="N", help="Take only N of them.")
@click.option(
    "--device",
    metavar="NAME",
    help="Set the published figures of this machine beside: rpi, i7-8700, i7-12700k, rtx2080ti, "
    "rtx3080ti. Changes nothing in the run.",
)
@click.option("--runs", type=click.IntRange(min=1), metavar="N", help="Clips to time, at least.")
@click.option("--seconds", type=float, metavar="S", help="Seconds to time, at least.")
@click.option("--mlperf", is_flag=True, help="MLPerf's single-stream rule: 1,024 clips and 600 s.")
@click.option("--cold-starts", type=click.IntRange(min=0), metavar="N", help="0 leaves them out.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N")
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
@click.option("--report", metavar="FILE.html", help="Also write a page with pictures.")
@output_options
@debug_option
def run(format_: str, output: str | None, report: str | None, **given: Any) -> None:
    """Time one clip after the other, from file to label, and set it beside what was published.

    Each clip is decoded, resampled, transformed and classified, batch 1; the next begins when the
    last has ended. Then: listening, matrix speed, fresh starts, memory, and whether the answers
    are those of the export. Takes about a minute; Ctrl-C keeps what was measured until then.

    \b
    Examples:
      edge-ser bench --device rpi
      edge-ser bench --dataset emodb --peers all --report speed.html
      edge-ser bench --model plb --provider cuda --device rtx3080ti
      edge-ser bench --format json -o speed.json

    The result goes to standard output, or to FILE with -o; the page to FILE.html.
    """
    use_threads(given["threads"])
    plan = _plan(given)
    for place in (output, report):
        refuse_inputs(place, _read(plan))
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
    """Measure; an interrupt is handed back, once the parts that are there are in order."""
    try:
        session.run()
    except (KeyboardInterrupt, Terminated) as stopped:
        session.finish()
        return stopped
    session.finish()
    return None


def _plan(given: dict[str, Any]) -> Plan:
    from edge_ser import zoo
    from edge_ser.bench.published import device
    from edge_ser.bench.session import Plan
    from edge_ser.bench.workload import open_workload

    named = given["device"]
    if named is not None:
        named = device(named).name
    model = zoo.find_model(given["model"], given["provider"])
    options = _options(given)
    return Plan(
        model=model,
        workload=open_workload(given["dataset"], given["clips"], options.seed),
        provider=given["provider"],
        threads=given["threads"],
        allow_untrained=given["allow_untrained"],
        device=named,
        peers=_peers(given, model),
        meter=Path(given["meter"]) if given["meter"] else None,
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
    known = {name: value for name, value in chosen.items() if value is not None}
    if given["seconds"] is not None:
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


def _read(plan: Plan) -> list[str | Path]:
    """All files that the run reads."""
    sources = [item.source for item in plan.workload.items]
    files: list[str | Path] = [source for source in sources if isinstance(source, Path)]
    return [*files, plan.model, *([plan.meter] if plan.meter else [])]


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
        write([html.render(document)], report)


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
