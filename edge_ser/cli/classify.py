"""`edge-ser classify`: recordings in, one record each out."""

from __future__ import annotations

import select
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from edge_ser.cli.failures import one_line
from edge_ser.cli.options import debug_option, model_options, open_classifier, profile_option
from edge_ser.cli.output import Record, grid, output_options, refuse_inputs, rendered, write
from edge_ser.cli.paths import STDIN, Recordings, recordings
from edge_ser.cli.progress import Progress, a_person_watches, progress_bar, results_scroll_by
from edge_ser.errors import AudioError, EdgeSerError, ExitCode, StorageError, UsageError

if TYPE_CHECKING:
    from edge_ser.classifier import Classifier, Outcome

__all__ = ["command"]

NAMED_AT_THE_END = 10
WIDEST_PATH = 60
STDIN_BLOCK = 1 << 20
SIGNAL_SECONDS = 0.2
MAX_STDIN = 4 << 30
"""Bytes; the most that a WAV file declares."""
STAGES = ("load", "resample", "frontend", "model", "post", "total")


@dataclass
class Tally:
    """What came out so far."""

    files: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    """Path of each that failed -> exit status of its cause."""

    def exit_code(self) -> int:
        """0, or 1 when some failed, or the cause's own when all failed for one cause."""
        if not self.failed:
            return ExitCode.OK
        causes = set(self.failed.values())
        return causes.pop() if len(self.failed) == self.files and len(causes) == 1 else 1

    def summary(self) -> str:
        """Such as '2 of 9 files failed: a.wav, b.wav'."""
        names = [*self.failed][:NAMED_AT_THE_END]
        more = len(self.failed) - len(names)
        return f"{len(self.failed)} of {self.files} files failed: {', '.join(names)}" + (
            f" and {more} more" if more else ""
        )


def _from_stdin(classifier: Classifier) -> Outcome:
    """Standard input is kept in a temporary file, since audio files are read out of order."""
    from edge_ser.classifier import Outcome

    with ExitStack() as stack:
        try:
            try:
                file = stack.enter_context(tempfile.TemporaryFile())
                file.writelines(_stdin_blocks())
                file.seek(0)
            except OSError as error:
                raise StorageError(
                    f"standard input: {error.strerror or error}: it is kept in a temporary file "
                    "while it is read; set TMPDIR to a folder with room"
                ) from error
            return Outcome(STDIN, classifier(file), None)
        except EdgeSerError as error:
            return Outcome(STDIN, None, error)


def _stdin_blocks() -> Iterator[bytes]:
    taken = 0
    while True:
        try:
            block = _next_block()
        except OSError as error:
            raise AudioError(
                f"standard input: {error.strerror}, expected audio: name a file instead"
            ) from error
        if not block:
            return
        taken += len(block)
        if taken > MAX_STDIN:
            raise AudioError(
                f"standard input: more than {MAX_STDIN >> 30} GiB, expected a recording that "
                "ends: save it to a file and name that"
            )
        yield block


def _next_block() -> bytes:
    """What standard input holds next; empty at its end.

    It is waited for in short stretches: a signal that arrives just before a read blocks would be
    seen only when data came.
    """
    stdin: Any = sys.stdin.buffer
    with suppress(OSError, TypeError, ValueError):  # what has no descriptor does not block
        while not select.select([stdin], [], [], SIGNAL_SECONDS)[0]:
            pass
    block: bytes = stdin.read1(STDIN_BLOCK)
    return block


def _outcomes(classifier: Classifier, found: Recordings) -> Iterator[Outcome]:
    from edge_ser.classifier import Outcome

    for argument, error in found.failures:
        yield Outcome(argument, None, error)
    if STDIN in found.paths:
        yield _from_stdin(classifier)
    yield from classifier.classify_many([p for p in found.paths if p != STDIN])


def _records(
    outcomes: Iterable[Outcome], model: str, tally: Tally, total: int, progress: Progress
) -> Iterator[Record]:
    for outcome in outcomes:
        tally.files += 1
        progress(tally.files, total)
        record: dict[str, object] = {"path": outcome.path, "model": model}
        if outcome.prediction is not None:
            yield record | outcome.prediction.to_dict()
        elif outcome.error is not None:
            tally.failed[outcome.path] = outcome.error.exit_code
            yield record | {"error": one_line(outcome.error)}


def _flat(records: Iterable[Record]) -> Iterator[Record]:
    """For CSV: a column a label and a stage, the segments counted."""
    for record in records:
        row = dict(record)
        for name, inner in (("score", row.pop("scores", {})), ("ms", row.pop("timings_ms", {}))):
            assert isinstance(inner, dict)
            row.update({f"{name}_{key}": value for key, value in inner.items()})
        row["segments"] = len(row.get("segments", ()))  # type: ignore[arg-type]
        yield row


def _fields(labels: Iterable[str]) -> list[str]:
    """The columns of CSV."""
    return [
        *("path", "model", "label", "uncertain", "seconds", "gain_db", "segments"),
        *(f"score_{label}" for label in labels),
        *(f"ms_{stage}" for stage in STAGES),
        "error",
    ]


def _row(record: Record) -> list[str]:
    if "error" in record:
        return [str(record["path"]), "-", "", "", "", f"error: {record['error']}"]
    scores, timings, segments = record["scores"], record["timings_ms"], record.get("segments")
    assert isinstance(scores, dict)
    assert isinstance(timings, dict)
    score = scores.get(record["label"])
    flags = ["uncertain"] if record["uncertain"] else []
    if segments:
        assert isinstance(segments, list)
        flags.append(f"long: {len(segments)} segments")
    return [
        str(record["path"]),
        str(record["label"]),
        "" if score is None else f"{score:.2f}",
        f"{record['seconds']:.2f}",
        f"{timings['total']:.1f}",
        ", ".join(flags),
    ]


def _table(
    records: Iterable[Record], classifier: Classifier, found: Recordings, tally: Tally
) -> Iterator[str]:
    card = classifier.card
    licence = card.provenance.licence or "licence unknown"
    yield f"model {card.name} ({licence}), {classifier.provider}: {classifier.path}"
    yield ""
    widest = min(max(map(len, found.paths), default=0), WIDEST_PATH)
    yield from grid(
        ["file", "label", "score", "seconds", "ms", "notes"],
        map(_row, records),
        right=("score", "seconds", "ms"),
        widths=[widest, max(map(len, card.labels)), 5, 7, 7, 0],
    )
    if tally.failed and tally.files > 1:
        yield ""
        yield tally.summary()


def _check_stdin(paths: Iterable[str]) -> None:
    if STDIN in paths and sys.stdin is None:
        raise UsageError("-: standard input is closed: pipe audio into it, or name a file")
    if STDIN in paths and sys.stdin.isatty():
        raise UsageError(
            "-: standard input is a terminal: pipe audio into it, as in "
            "'edge-ser classify - < clip.wav'"
        )


@click.command("classify")
@click.argument("path", nargs=-1, required=True, type=click.Path())
@model_options
@profile_option
@output_options
@debug_option
def command(
    path: tuple[str, ...],
    model: str | None,
    provider: str,
    threads: int,
    allow_untrained: bool,
    profile: str | None,
    format_: str,
    output: str | None,
) -> None:
    """Name the emotion in each recording, with a calibrated score.

    PATH is a file, a folder (searched for audio, subfolders included), a quoted pattern, or - for
    standard input. A recording much longer than the model's clips is cut where speech pauses, and
    its record carries each segment with its times.

    \b
    Examples:
      edge-ser classify interview.wav
      edge-ser classify recordings/ 'more/*.flac' --format csv -o emotions.csv
      ffmpeg -v error -i talk.mp4 -f wav - | edge-ser classify - --format jsonl

    Results go to standard output, or to FILE with -o. A file that cannot be read gets a record
    that says why, and the rest is still done: the exit status is then 1 (or that of the cause, 5
    for audio, when all failed for one).
    """
    found = recordings(path)
    _check_stdin(found.paths)
    classifier = open_classifier(model, provider, threads, allow_untrained, profile)
    refuse_inputs(output, [classifier.path, *([profile] if profile else []), *found.paths])
    tally = Tally()
    outcomes = _outcomes(classifier, found)
    with progress_bar(a_person_watches() and not results_scroll_by(output)) as progress:
        records = _records(outcomes, classifier.card.name, tally, len(found), progress)
        pieces = rendered(
            _flat(records) if format_ == "csv" else records,
            format_,
            fields=_fields(classifier.card.labels),
            table=lambda rows: _table(rows, classifier, found, tally),
        )
        write(pieces, output)
    if tally.failed and a_person_watches() and not results_scroll_by(output):
        click.echo(f"edge-ser: {one_line(tally.summary())}", err=True)
    click.get_current_context().exit(tally.exit_code())
