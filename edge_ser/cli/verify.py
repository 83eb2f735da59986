"""`edge-ser verify`: is this still the model that was exported, and does it compute the same?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_ser.cli.failures import one_line
from edge_ser.cli.native import quiet_runtime
from edge_ser.cli.options import complete_model, debug_option, debugging, use_threads
from edge_ser.cli.output import Record, grid, output_options, refuse_inputs, rendered, write
from edge_ser.cli.paths import recordings
from edge_ser.errors import ExitCode

if TYPE_CHECKING:
    from edge_ser.verification import ReferenceReport, StageResult

__all__ = ["command"]

FIELDS = ("check", "stage", "status", "worst", "tolerance", "detail")


def _record(check: str, result: StageResult) -> dict[str, Any]:
    values = {key: value for key, value in asdict(result).items() if key != "error"}
    return {"check": check, **values, "detail": one_line(result.detail)}


def _number(value: object) -> str:
    return "" if value is None else f"{value:.2g}"


def _table(records: Iterable[Record]) -> Iterator[str]:
    yield from grid(
        ["check", "stage", "status", "worst", "allowed", ""],
        [
            [
                *(r["check"], r["stage"], str(r["status"]).replace("failed", "FAILED")),
                *(_number(r["worst"]), _number(r["tolerance"]), r["detail"]),
            ]
            for r in records
        ],
        right=("worst", "allowed"),
    )


def _reference(path: Path, files: tuple[str, ...]) -> tuple[list[dict[str, Any]], int]:
    """The records of `--reference`, and the exit status that they come to."""
    from edge_ser.card import read_model
    from edge_ser.verification import compare_with_reference

    found = recordings(files)
    report: ReferenceReport = compare_with_reference(read_model(path).card, found.paths)
    name = " and ".join(filter(None, report.libraries)) or "no library"
    records = [_record(name, stage) for stage in report.stages]
    failed = [*found.failures, *report.failed]
    for file, error in failed:
        records.append(dict.fromkeys(FIELDS) | {
            "check": name, "stage": file, "status": "failed", "detail": one_line(error),
        })  # fmt: skip
    if any(stage.status == "failed" for stage in report.stages):
        return records, ExitCode.MODEL
    if failed:
        return records, ExitCode.SOME_FAILED if report.files else ExitCode.AUDIO
    return records, ExitCode.OK


@click.command("verify")
@click.argument("model", metavar="FILE|NAME", shell_complete=complete_model)
@click.option(
    "--reference",
    multiple=True,
    metavar="PATH",
    help="Also compare our features with the real library's (extra [reference]) on this file or "
    "folder of audio; may be given more than once.",
)
@click.option("--provider", default="cpu", show_default=True, metavar="NAME", help="What computes.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, metavar="N")
@output_options
@debug_option
def command(
    model: str,
    reference: tuple[str, ...],
    provider: str,
    threads: int,
    format_: str,
    output: str | None,
) -> None:
    """Check that a model file is whole and computes here what it computed at export.

    Both hashes are checked, then the test signal that the card describes is put through the path
    on this machine, stage by stage: a stage that differs is named, with how far it is off.

    \b
    Examples:
      edge-ser verify emotion-emodb
      edge-ser verify my.onnx --provider cuda
      edge-ser verify plb-emodb --reference recordings/

    The report goes to standard output, or to FILE with -o. Exit status: 0 it is, 3 the model
    differs, 4 its runtime or provider is not there.
    """
    use_threads(threads)
    from edge_ser.verification import verify
    from edge_ser.zoo import find_model

    path = find_model(model, provider)
    read = recordings(reference).paths if reference else []
    refuse_inputs(output, [path, *reference, *read])
    with quiet_runtime(show=debugging()):
        result = verify(path, provider, threads)
    records = [_record("model", stage) for stage in result.stages]
    code: int = result.exit_code
    if reference and not code:
        more, code = _reference(path, reference)
        records += more
    write(rendered(records, format_, fields=FIELDS, table=_table), output)
    click.get_current_context().exit(code)
