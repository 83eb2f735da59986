"""Results as table, JSON lines, JSON or CSV, on standard output or in a file."""

from __future__ import annotations

import csv
import io
import json
import os
import secrets
import stat
import sys
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, TypeVar, cast

import click
from click.core import ParameterSource

from edge_ser.documents import CONTROLS, printable
from edge_ser.errors import StorageError, UsageError

__all__ = [
    "Record",
    "check_places",
    "flattened",
    "format_option",
    "grid",
    "output_options",
    "percent",
    "refuse_inputs",
    "rendered",
    "write",
]

Record = Mapping[str, object]
FORMATS = ("jsonl", "json", "csv")
"""For programs; files of these formats are called so."""
Function = TypeVar("Function", bound=Callable[..., Any])


def output_options(function: Function) -> Function:
    """Add `--format` and `-o`, whose name tells the format where nothing else is said."""
    function = click.option(
        "--output",
        "-o",
        metavar="FILE",
        is_eager=True,  # `--format` looks at it
        help="Write here instead of standard output; the file appears when it is complete.",
    )(function)
    return format_option(
        "A table to read, or one of three formats for programs.",
        show_default="as FILE is called, else table",
        callback=_by_name,
    )(function)


def format_option(help_: str, **more: Any) -> Callable[[Function], Function]:
    """Add `--format` alone, for commands whose `-o` is something else."""
    return click.option(
        "--format",
        "format_",
        type=click.Choice(["table", *FORMATS]),
        default="table",
        help=help_,
        **{"show_default": True, **more},
    )


def _by_name(context: click.Context, parameter: click.Parameter, value: str) -> str:
    assert parameter.name is not None
    if context.get_parameter_source(parameter.name) is not ParameterSource.DEFAULT:
        return value
    suffix = Path(context.params.get("output") or "").suffix.lower().removeprefix(".")
    return suffix if suffix in FORMATS else value


def percent(share: object) -> str:
    """A share from 0 to 1 of a record, for a table; empty for none.

    >>> percent(0.8037)
    '80.4 %'
    """
    return "" if share is None else f"{100 * float(str(share)):.1f} %"


def _json(value: object, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent).translate(CONTROLS)


def _as_json(records: Iterable[Record]) -> Iterator[str]:
    """An array, one record a line, without holding them all."""
    before = "[\n "
    for record in records:
        yield before + _json(record)
        before = ",\n "
    yield "[]\n" if before.startswith("[") else "\n]\n"


def _as_csv(records: Iterable[Record], fields: Sequence[str]) -> Iterator[str]:
    row = io.StringIO()
    writer = csv.writer(row, lineterminator="\n")
    for values in ([list(fields)], ([r.get(f, "") for f in fields] for r in records)):
        for value in values:
            writer.writerow(value)
            yield row.getvalue()
            row.seek(0)
            row.truncate()


def rendered(
    records: Iterable[Record],
    format_: str,
    *,
    fields: Sequence[str],
    table: Callable[[Iterable[Record]], Iterable[str]],
    document: Callable[[Iterable[Record]], object] | None = None,
) -> Iterator[str]:
    """The text of `records`, piece by piece, so that the first is out before the last is made.

    fields: columns of CSV.
    table: makes the lines to read, without their ends.
    document: what json holds instead of an array of the records.
    """
    if format_ == "jsonl":
        return (_json(record) + "\n" for record in records)
    if format_ == "csv":
        return _as_csv(records, fields)
    if format_ == "table":
        return (printable(line) + "\n" for line in table(records))
    if document is not None:
        return iter([_json(document(records), indent=2) + "\n"])
    return _as_json(records)


def flattened(value: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """The leaves of nested mappings and lists, named like `input.rate` and `frontend.0.hop`."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flattened(inner, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, (list, tuple)) and any(isinstance(v, (Mapping, list)) for v in value):
        for index, inner in enumerate(value):
            yield from flattened(inner, f"{prefix}.{index}")
    else:
        leaf = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
        yield prefix, "" if leaf is None else leaf


def _width(text: str) -> int:
    """Columns that a terminal gives the text: two for wide characters, none for combining."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF")
        for c in text
    )


def grid(
    headers: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Collection[str] = (),
    widths: Sequence[int] | None = None,
) -> Iterator[str]:
    """Aligned columns under their headers.

    right: the headers of the columns that are aligned to the right.
    widths: least column widths, for rows that are still being made; without them all rows are
        read first and the columns fit.
    """
    named = [printable(h) for h in headers]
    cells: Iterable[list[str]] = ([printable(cell) for cell in row] for row in rows)
    if widths is None:
        cells = list(cells)
        widths = [max(map(_width, column)) for column in zip(named, *cells, strict=True)]
    least = [max(_width(h), w) for h, w in zip(named, widths, strict=True)]
    sides = [h in right for h in headers]

    def line(row: Sequence[str]) -> str:
        padded = []
        for cell, width, to_right in zip(row, least, sides, strict=True):
            space = " " * max(0, width - _width(cell))
            padded.append(space + cell if to_right else cell + space)
        return "  ".join(padded).rstrip()

    yield line(named)
    for row in cells:
        yield line(row)


@contextmanager
def _as_storage_error(place: str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StorageError(
            f"{place}: {error.strerror or error}: cannot be written; "
            "name a place with room and permission with -o FILE"
        ) from error


def _feed(stream: TextIO, pieces: Iterable[str], place: str) -> None:
    """Write the pieces; errors of the disk are told from errors of whoever makes the pieces."""
    for piece in pieces:
        with _as_storage_error(place):
            stream.write(piece)
            stream.flush()


@contextmanager
def _opened(path: Path, mode: str, place: str) -> Iterator[TextIO]:
    with _as_storage_error(place):
        stream = path.open(mode, encoding="utf-8", errors="backslashreplace", newline="")
    try:
        yield cast(TextIO, stream)
    finally:
        with suppress(OSError):  # what a full disk did not take was reported by `_feed`
            stream.close()


def _write_beside(path: Path, pieces: Iterable[str], place: str) -> None:
    """Fill a part file and rename it; it vanishes when that does not end well."""
    part = path.with_name(f".edge-ser-{secrets.token_hex(4)}.part")
    try:
        with _opened(part, "x", place) as stream:
            _feed(stream, pieces, place)
            with _as_storage_error(place):
                os.fsync(stream.fileno())
                part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write(pieces: Iterable[str], output: str | None) -> None:
    """Send the pieces of `rendered` to a file, or to standard output when `output` is None or -.

    A regular file is written beside its place and renamed, so no reader meets half of one.
    Raises StorageError when the disk is full or the place cannot be written, BrokenPipeError when
    a reader of standard output has gone.
    """
    if output is None or output == "-":
        stdout = sys.stdout
        if stdout is None:
            raise StorageError("standard output is closed: name a file with -o FILE")
        if isinstance(stdout, io.TextIOWrapper):
            stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
        _feed(stdout, pieces, "standard output")
        return
    path = Path(output)
    with _as_storage_error(output):
        in_place = _is_special(path)
        target = Path(os.path.realpath(path))
    if in_place:
        with _opened(path, "w", output) as stream:
            _feed(stream, pieces, output)
    else:
        _write_beside(target, pieces, output)


def refuse_inputs(output: str | None, inputs: Iterable[str | Path]) -> None:
    """Raise UsageError if writing `output` would replace one of the files that are read.

    The card that may stand beside a model of others is read with it. A recording is never what is
    meant, whether it is read or not.
    """
    if output is None or output == "-":
        return
    from edge_ser.card import sidecar_path
    from edge_ser.corpora.utterances import AUDIO_SUFFIXES

    read = [place for each in inputs for place in (each, sidecar_path(Path(each)))]
    with suppress(OSError):  # not there yet, or `write` says what is wrong with it
        there = os.stat(output)
        if stat.S_ISREG(there.st_mode) and any(_is_same(there, path) for path in read):
            raise UsageError(
                f"{output}: the place to write to is one of the inputs: name another file"
            )
        if stat.S_ISREG(there.st_mode) and Path(output).suffix.lower() in AUDIO_SUFFIXES:
            raise UsageError(f"{output}: there is a recording of that name: name another file")


def check_places(places: Iterable[str | None], inputs: Sequence[str | Path]) -> None:
    """Before minutes of work: all that will be written can be, replaces no input nor each other.

    Raises:
        UsageError: a place is one of the inputs, or named twice.
        StorageError: one is a folder, or its folder is missing or cannot be written.
    """
    named = [place for place in places if place is not None and place != "-"]
    for place in named:
        refuse_inputs(place, inputs)
        _check_folder(place)
    if len(set(map(os.path.realpath, named))) < len(named):
        raise UsageError(f"{named[-1]}: named for two results, expected two files: rename one")


def _check_folder(place: str) -> None:
    """Raise StorageError if no file of that name can be written."""
    if not os.path.isdir(Path(place).absolute().parent):
        raise StorageError(f"{place}: no such folder, expected one: make it or name another")
    if os.path.isdir(place):
        raise StorageError(f"{place}: a folder, expected the name of a file: name one in it")
    with _as_storage_error(place):
        in_place = _is_special(Path(place))
    # A file is written beside its place and renamed: its folder has to take it, not the file.
    folder = os.path.dirname(os.path.realpath(place))
    if not in_place and not os.access(folder, os.W_OK | os.X_OK):
        raise StorageError(
            f"{place}: its folder cannot be written; name a place with room and permission"
        )


def _is_same(there: os.stat_result, path: str | Path) -> bool:
    try:
        return os.path.samestat(there, os.stat(path))
    except (OSError, ValueError):
        return False


def _is_special(path: Path) -> bool:
    """Whether something is there that is no regular file: a named pipe, a device, a folder."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        return False
