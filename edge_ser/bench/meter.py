"""A power meter's CSV file, and the energy between two moments in it.

The first line names the columns. `time_s` or `time` holds seconds since 1970 or an ISO 8601 time
(without a zone: this machine's), `watts` the power at that moment; other columns are passed over.
A last line that is not finished is passed over too: the meter may still be writing.
"""

from __future__ import annotations

import csv
import math
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TextIO

from edge_ser.errors import DataError, UsageError

__all__ = ["check_meter", "meter_joules"]

MOST_BYTES = 64_000_000
LONGEST_LINE = 4096
FEWEST_READINGS = 10
"""A gap longer than the measured span over this says too little about what lies in it."""

Reading = tuple[float, float]
"""Seconds since 1970, and watts."""


def check_meter(path: Path) -> None:
    """See that the file is there and names its columns, before anything is measured.

    Raises:
        DataError: it is not a meter's.
        UsageError: it is not there or cannot be read.
    """
    with _opened(path) as file:
        _columns(path, next(_lines(path, file), []))


def meter_joules(path: Path, start: float, end: float) -> float:
    """Energy between two moments: the trapezoidal rule, power in between on straight lines.

    Args:
        path: of the CSV file.
        start: seconds since 1970.
        end: seconds since 1970, after `start`.

    Raises:
        DataError: the file is not a meter's, does not cover the span, or has too long a gap in it.
        UsageError: it is not there or cannot be read.
    """
    joules, first, previous = 0.0, math.inf, None
    with _opened(path) as file:
        for reading in _readings(path, file):
            first = min(first, reading[0])
            if previous is not None:
                joules += _between(path, previous, reading, (start, end))
            previous = reading
    last = -math.inf if previous is None else previous[0]
    if first > start or last < end:
        raise DataError(
            f"{path.name}: {_coverage(first, last, start, end)}, expected readings of the whole "
            "run: compare the meter's clock with this machine's, and let it write without a delay"
        )
    return joules


def _between(path: Path, left: Reading, right: Reading, span: tuple[float, float]) -> float:
    """Joules of the part of `span` that lies between two readings."""
    (t0, watts0), (t1, watts1) = left, right
    begin, finish = max(t0, span[0]), min(t1, span[1])
    if finish <= begin:
        return 0.0
    length = span[1] - span[0]
    if t1 - t0 > length / FEWEST_READINGS:
        raise DataError(
            f"{path.name}: a gap of {t1 - t0:.1f} s in a run of {length:.1f} s, expected at most "
            f"{length / FEWEST_READINGS:.1f} s: let the meter write more often, or run longer"
        )
    slope = (watts1 - watts0) / (t1 - t0)
    middle = watts0 + slope * ((begin + finish) / 2 - t0)
    return middle * (finish - begin)


def _coverage(first: float, last: float, start: float, end: float) -> str:
    if first > last:
        return "no readings"
    if first > end or last < start:
        return f"its readings are {max(first - end, start - last):.1f} s away from the run"
    if first > start:
        return f"its readings begin {first - start:.1f} s after the run"
    return f"its readings end {end - last:.1f} s before the run"


def _opened(path: Path) -> TextIO:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{path}: not a file, expected a power meter's CSV file: name one")
        if status.st_size > MOST_BYTES:
            raise DataError(
                f"{path}: {status.st_size / 1e6:.0f} MB, expected at most {MOST_BYTES / 1e6:.0f} "
                "MB: keep the part around the run"
            )
        return path.open(encoding="utf-8-sig", errors="replace", newline="")
    except OSError as error:
        raise UsageError(
            f"{path}: {error.strerror or error}, expected a power meter's CSV file: check the path"
        ) from error


def _lines(path: Path, file: TextIO) -> Iterator[list[str]]:
    """Fields of each finished line, none for an empty one."""
    while line := file.readline(LONGEST_LINE):
        if not line.endswith(("\n", "\r")):
            if len(line) < LONGEST_LINE:
                return
            raise DataError(
                f"{path.name}: a line of {LONGEST_LINE} characters or more, expected a power "
                "meter's CSV file: name another"
            )
        try:
            yield next(csv.reader([line]))
        except csv.Error as error:
            raise DataError(f"{path.name}: not CSV ({error}): name another file") from error


def _columns(path: Path, names: list[str]) -> tuple[int, int]:
    """Where the time and the power are."""
    cleaned = [name.strip().lower() for name in names]
    for time in ("time_s", "time"):
        if time in cleaned and "watts" in cleaned:
            return cleaned.index(time), cleaned.index("watts")
    shown = ", ".join(cleaned)[:80] or "nothing"
    raise DataError(
        f"{path.name}: the first line names {shown!r}, expected the columns time_s (or time) and "
        "watts: name them"
    )


def _readings(path: Path, file: TextIO) -> Iterator[Reading]:
    """The readings in their order; equal times are allowed, going back is not."""
    lines = _lines(path, file)
    at_time, at_watts = _columns(path, next(lines, []))
    before = -math.inf
    for number, fields in enumerate(lines, start=2):
        if not fields:
            continue
        try:
            moment, watts = _moment(fields[at_time]), float(fields[at_watts])
        except (ValueError, IndexError, OverflowError) as error:
            raise DataError(
                f"{path.name}, line {number}: {','.join(fields)[:80]!r}, expected a time and "
                "watts: correct or remove it"
            ) from error
        if not (math.isfinite(moment) and 0 <= watts < math.inf):
            raise DataError(
                f"{path.name}, line {number}: {watts:g} W, expected 0 or more and finite: is the "
                "meter the wrong way round?"
            )
        if moment < before:
            raise DataError(
                f"{path.name}, line {number}: {before - moment:g} s before the line above, "
                "expected times in their order: sort the file"
            )
        before = moment
        yield moment, watts


def _moment(text: str) -> float:
    """Seconds since 1970 of a number or an ISO 8601 time."""
    try:
        return float(text)
    except ValueError:
        return datetime.fromisoformat(text.strip()).timestamp()
