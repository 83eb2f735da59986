"""A CSV manifest: one line a recording, in columns path, label and, if known, speaker and split."""

from __future__ import annotations

import csv
import difflib
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from edge_ser.corpora.utterances import Utterance, refuse_alike
from edge_ser.errors import DataError

__all__ = ["read_manifest"]

COLUMNS = ("path", "label", "speaker", "split")
ALIASES = {"file": "path"}
NEARNESS = 0.75
MAX_BYTES = 64 << 20
MAX_ROWS = 1_000_000
MAX_COLUMNS = 1000


def read_manifest(manifest: Path) -> list[Utterance]:
    """Utterances in the manifest's order.

    The first line names the columns, in any order: `path` (or `file`) and `label`, and if wanted
    `speaker` and `split`. Paths are relative to the manifest. Further columns are ignored, unless
    one looks like a misspelt name of a column that is missing.

    Raises:
        DataError: a file that is no such CSV or is over 64 MiB or a million rows, a misspelt or
            missing column, a row without path or label, a recording that is not there or listed
            twice, or two labels that are all but alike.
    """
    rows = _rows(manifest)
    columns = _columns(manifest, rows[0][1])
    utterances = [_utterance(manifest, line, row, columns) for line, row in rows[1:]]
    if not utterances:
        raise DataError(f"{manifest}: no rows below the column names: add one for each recording")
    _refuse_repeated(manifest, [line for line, _ in rows[1:]], utterances)
    refuse_alike(manifest, utterances)
    return utterances


def _refuse_repeated(manifest: Path, lines: Iterable[int], utterances: Iterable[Utterance]) -> None:
    first: dict[str, int] = {}
    for line, utterance in zip(lines, utterances, strict=True):
        place = os.path.abspath(utterance.path)
        if place in first:
            raise DataError(
                f"{manifest}, line {line}: {utterance.path} is there twice (also in line "
                f"{first[place]}): keep one of them"
            )
        first[place] = line


def _rows(manifest: Path) -> list[tuple[int, list[str]]]:
    """Line number and fields of every row that is not blank; the first names the columns."""
    try:
        if manifest.stat().st_size > MAX_BYTES:
            raise DataError(f"{manifest}: more than 64 MiB, expected a CSV manifest: split it")
        text = manifest.read_bytes().decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        rows = [(reader.line_num, row) for row in _bounded(manifest, reader) if row]
    except UnicodeDecodeError as error:
        raise DataError(
            f"{manifest}: byte {error.start} is not UTF-8, expected a CSV manifest: name a folder "
            "for recordings, or save the manifest as UTF-8"
        ) from error
    except (OSError, csv.Error) as error:
        raise DataError(
            f"{manifest}: {error}; expected a CSV manifest in UTF-8: see its columns with --help"
        ) from error
    if not rows:
        raise DataError(f"{manifest}: empty, expected a first line like path,label,speaker,split")
    return rows


def _bounded(manifest: Path, reader: Iterable[list[str]]) -> Iterator[list[str]]:
    """The rows, as long as they are no more than a corpus has; blank ones count."""
    for number, row in enumerate(reader, 1):
        if number > MAX_ROWS:
            raise DataError(f"{manifest}: more than {MAX_ROWS:,} rows, expected fewer: split it")
        yield row


def _columns(manifest: Path, names: Sequence[str]) -> dict[str, int]:
    """Position of each of our columns that the manifest has."""
    if len(names) > MAX_COLUMNS:
        raise DataError(f"{manifest}: more than {MAX_COLUMNS} columns, expected a few: remove some")
    cleaned = [ALIASES.get(name.strip().lower(), name.strip().lower()) for name in names]
    for name in COLUMNS:
        if cleaned.count(name) > 1:
            raise DataError(f"{manifest}: column '{name}' is there twice: keep one of them")
    absent = [name for name in COLUMNS if name not in cleaned]
    for name in cleaned:
        near = difflib.get_close_matches(name, absent, 1, NEARNESS) if name not in COLUMNS else []
        if near:
            raise DataError(
                f"{manifest}: column '{name}' is not known, did you mean '{near[0]}'? Rename it"
            )
    for name in COLUMNS[:2]:
        if name in absent:
            raise DataError(
                f"{manifest}: no column '{name}' among {', '.join(cleaned)[:200]}, expected "
                "path,label[,speaker][,split]: add it to the first line"
            )
    return {name: cleaned.index(name) for name in COLUMNS if name in cleaned}


def _utterance(manifest: Path, line: int, row: Sequence[str], columns: dict[str, int]) -> Utterance:
    value = {name: row[at].strip() if at < len(row) else "" for name, at in columns.items()}
    for name in COLUMNS[:2]:
        if not value[name]:
            raise DataError(f"{manifest}, line {line}: no {name}: fill it in or remove the line")
    path = manifest.parent / value["path"]
    try:
        found = path.is_file()
    except (OSError, ValueError):  # a name too long, or with a NUL: Python 3.11 raises
        found = False
    if not found:
        raise DataError(
            f"{manifest}, line {line}: {path}: no such file (paths are relative to the manifest)"
        )
    return Utterance(path, value["label"], value.get("speaker") or None, value.get("split") or None)
