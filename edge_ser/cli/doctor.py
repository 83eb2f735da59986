"""`edge-ser doctor`: what works on this machine, what does not, and the mend."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict

import click

from edge_ser.cli.options import debug_option
from edge_ser.cli.output import Record, output_options, rendered, write
from edge_ser.documents import printable
from edge_ser.errors import ExitCode

__all__ = ["command"]

SIGNS = {"ok": "ok", "note": "note", "problem": "MEND"}


def _table(records: Iterable[Record]) -> Iterator[str]:
    area = ""
    for record in records:
        if record["area"] != area:
            if area:
                yield ""
            area = str(record["area"])
            yield area
        yield f"  {SIGNS[str(record['status'])]:4}  {printable(record['what'])}"
        if record["mend"]:
            yield from (
                f"        -> {printable(line)}" for line in str(record["mend"]).splitlines()
            )


@click.command("doctor")
@output_options
@debug_option
def command(format_: str, output: str | None) -> None:
    """Look at this machine and say what works, what does not, and how to mend it.

    Every runtime is tried in a process of its own, so one that crashes is a line of the report.
    Nothing is changed and nothing is sent anywhere.

    \b
    Examples:
      edge-ser doctor
      edge-ser doctor --format json -o doctor.json     (to send with a bug report)

    The report goes to standard output, or to FILE with -o. Exit status: 0 all well, 1 something
    needs mending, 4 no runtime works.
    """
    from edge_ser.doctor import examine, has_problem, runtime_works

    findings = examine()
    write(
        rendered(
            map(asdict, findings),
            format_,
            fields=["area", "status", "what", "mend"],
            table=_table,
        ),
        output,
    )
    if not runtime_works(findings):
        click.get_current_context().exit(ExitCode.PROVIDER)
    if has_problem(findings):
        click.get_current_context().exit(ExitCode.SOME_FAILED)
