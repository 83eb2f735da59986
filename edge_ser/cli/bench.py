"""`edge-ser bench`: run, compare, profile."""

from __future__ import annotations

from pathlib import Path

import click

from edge_ser import zoo
from edge_ser.cli.bench_run import run
from edge_ser.cli.helping import HelpContext
from edge_ser.cli.options import debug_option, debugging, model_options, use_threads
from edge_ser.cli.output import Record, flattened, output_options, refuse_inputs, rendered, write
from edge_ser.errors import ExitCode

__all__ = ["command"]


class RunByDefault(click.Group):
    """A group that runs `run` where no other of its commands is named."""

    context_class = HelpContext

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        first = next((arg for arg in args if arg != "--debug"), "")
        if first not in ("-h", "--help") and (not first or first.startswith("-")):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group("bench", cls=RunByDefault)
@debug_option
def command() -> None:
    """Measure how fast this machine is, beside the published table.

    Without a command it is 'run': one clip after the other from file to label, by stage, with
    cold start, memory, listening, and whether the answers are right.

    \b
    Examples:
      edge-ser bench
      edge-ser bench --device rpi
      edge-ser bench --dataset emodb --report speed.html
      edge-ser bench compare before.json after.json
      edge-ser bench profile --model plb-emodb

    What can be set is listed by 'bench run' with --help. Results go to standard output, or to FILE
    with -o.
    """


command.add_command(run)


@command.command("compare")
@click.argument("before", type=click.Path())
@click.argument("after", type=click.Path())
@click.option(
    "--fail-if-slower",
    is_flag=True,
    help="Exit with 1 where AFTER is slower: for scripts. 0 where no verdict can be given.",
)
@output_options
@debug_option
def compare(
    before: str, after: str, fail_if_slower: bool, format_: str, output: str | None
) -> None:
    """Say whether AFTER is slower or faster than BEFORE, or whether that is only noise.

    BEFORE and AFTER are JSON files of 'edge-ser bench --format json -o FILE'. A verdict is given
    where the interval of the ratio excludes 1 by more than noise and 3 % (6 % where the machine had
    other work).

    \b
    Examples:
      edge-ser bench compare monday.json tuesday.json
      edge-ser bench compare old.json new.json --fail-if-slower

    The verdicts go to standard output, or to FILE with -o.
    """
    use_threads(1)
    from edge_ser.bench.compare import compare as compared
    from edge_ser.bench.compare import comparison_lines
    from edge_ser.bench.document import read_document

    refuse_inputs(output, [before, after])
    comparison = compared(read_document(Path(before)), read_document(Path(after)))
    document = comparison.to_dict()
    rows: list[Record] = [dict(flattened(stage)) for stage in document["stages"]]
    pieces = rendered(
        rows if format_ == "csv" else [document],
        format_,
        fields=list(rows[0]) if rows else [],
        table=lambda _: comparison_lines(comparison),
        document=lambda _: document,
    )
    write(pieces, output)
    slower = comparison.verdict == "slower"
    click.get_current_context().exit(ExitCode.SOME_FAILED if fail_if_slower and slower else 0)


@command.command("profile")
@model_options
@click.option(
    "--runs",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    metavar="N",
    help="Timed runs of each operator.",
)
@output_options
@debug_option
def profile(
    model: str | None,
    provider: str,
    threads: int,
    allow_untrained: bool,  # any graph can be looked at
    runs: int,
    format_: str,
    output: str | None,
) -> None:
    """Show what each operator of a model costs, and what the accelerator did not take.

    ONNX Runtime tells times itself. LiteRT for Python does not: there each operator is cut out of
    the graph and timed alone, with its error. Untrained models may be looked at too.

    \b
    Examples:
      edge-ser bench profile --model plb-emodb
      edge-ser bench profile --model plb-emodb.onnx --format csv -o operators.csv

    The table goes to standard output, or to FILE with -o.
    """
    use_threads(threads)
    from edge_ser.cli.bench_profile import profiled

    path = zoo.find_model(model or zoo.BENCHMARK_MODEL, provider)
    refuse_inputs(output, [path])
    rows, table = profiled(path, provider, threads, runs, debugging())
    write(
        rendered(rows, format_, fields=list(rows[0]) if rows else [], table=lambda _: table),
        output,
    )
