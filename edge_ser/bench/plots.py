"""The pictures of a report, each drawn from a document; empty text where it has nothing to show."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_ser.bench.facts import COLD_PARTS
from edge_ser.bench.schema import STAGES
from edge_ser.bench.svg import (
    WIDTH,
    Scale,
    circle,
    line,
    linear,
    logarithmic,
    path,
    rect,
    svg,
    text,
)
from edge_ser.bench.wording import clean, figure, milliseconds, number_of, times

__all__ = ["cold_start", "distribution", "drift", "peers", "published", "stages"]

Document = Mapping[str, Any]

LEFT, RIGHT = 4.0, WIDTH - 4.0
ROW = 40.0
MOST_ROWS = 24
MOST_LABEL = 26
MOST_POINTS = 400
BINS = 44


def distribution(document: Document) -> str:
    """Histogram of the time per clip, p50 and p90 marked; the few slowest are told, not drawn."""
    found = _totals(document)
    if len(found) < 2:
        return ""
    ordered = sorted(found)
    cut = _fence(ordered)
    scale = linear(ordered[0], cut, LEFT + 6, RIGHT - 6)
    counts = _counts([value for value in ordered if value <= cut], scale.low, scale.high)
    base, top, width = 168.0, 44.0, (RIGHT - LEFT - 12) / len(counts)
    high = max(counts)
    parts = [
        rect(LEFT + 6 + at * width, base - (base - top) * count / high, width - 1.5,
             (base - top) * count / high, "bar", 1)
        for at, count in enumerate(counts) if count
    ]  # fmt: skip
    total = document["stages"]["total"] if document["stages"] else {}
    parts += _marks(scale, total, base) + _axis(scale, base, "ms")
    beyond = sum(value > cut for value in ordered)
    about = f"{number_of(len(found), 'clip')}, from {milliseconds(ordered[0])} to "
    about += milliseconds(ordered[-1])
    if beyond:
        said = f"{number_of(beyond, 'clip')} beyond, up to {milliseconds(ordered[-1])}"
        parts.append(text(RIGHT, top + 12, said, "faint", "end"))
    return svg("distribution", "Time per clip", about, base + 26, parts)


def _fence(ordered: Sequence[float]) -> float:
    """Where a picture ends: at the slowest, unless that would leave no room for the others."""
    low, middle, high = (ordered[int(q * (len(ordered) - 1))] for q in (0.25, 0.5, 0.75))
    ninth = ordered[int(0.9 * (len(ordered) - 1))]
    return min(ordered[-1], max(middle + 6 * (high - low), 1.05 * ninth))


def _counts(values: Sequence[float], low: float, high: float) -> list[int]:
    bins = min(BINS, max(8, len(values) // 3))
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int((value - low) / (high - low) * bins))] += 1
    return counts


def _marks(scale: Scale, total: Mapping[str, Any], base: float) -> list[str]:
    """p50 and p90 as lines with their names; one above the other, as they may lie close by."""
    parts = []
    for key, y in (("p50", 14.0), ("p90", 32.0)):
        value = total.get(key)
        if value is not None and scale.low <= value <= scale.high:
            x = scale(value)
            side = "end" if x > 0.7 * WIDTH else "start"
            label = text(x + (5 if side == "start" else -5), y, f"{key} {milliseconds(value)}",
                         "strong", side)  # fmt: skip
            parts += [line(x, y - 10, x, base, "mark"), label]
    return parts


def stages(document: Document) -> str:
    """Bars of the median of each stage."""
    found = document["stages"]
    if not found:
        return ""
    rows = [(name, found[name]["p50"]) for name in STAGES]
    return _bars("stages", "Median time by stage", rows)


def cold_start(document: Document) -> str:
    """Bars of what a cold start consists of."""
    medians = (document["cold"] or {}).get("medians") or {}
    names = {**COLD_PARTS, "total": "total"}
    rows = [
        (shown, 1000 * medians[f"{name}_s"])
        for name, shown in names.items()
        if medians.get(f"{name}_s") is not None
    ]
    return _bars("cold", "Cold start, from process to first label", rows) if rows else ""


def _bars(name: str, title: str, rows: Sequence[tuple[str, float]]) -> str:
    """Horizontal bars in milliseconds with their label before and their value behind."""
    start, end, height = 104.0, RIGHT - 92, 30.0
    longest = max(value for _, value in rows) or 1.0
    parts = []
    for at, (label, value) in enumerate(rows):
        middle = at * height + height / 2
        length = (end - start) * value / longest
        parts += [
            text(LEFT, middle + 4.5, label),
            rect(start, middle - 7, length, 14, "bar whole" if label == "total" else "bar"),
            text(start + max(length, 1) + 8, middle + 4.5, milliseconds(value), "strong"),
        ]
    about = ", ".join(f"{label} {milliseconds(value)}" for label, value in rows)
    return svg(name, title, about, len(rows) * height + 2, parts)


def drift(document: Document) -> str:
    """Times in the order of the run with their rolling median."""
    found = _totals(document)
    if len(found) < 5:
        return ""
    step = -(-len(found) // MOST_POINTS)
    points = list(enumerate(found))[::step]
    values = [value for _, value in points]
    window = max(5, len(values) // 12) | 1
    rolling = [
        statistics.median(values[max(0, at - window // 2) : at + window // 2 + 1])
        for at in range(len(values))
    ]
    ordered = sorted(found)
    middle = statistics.median(ordered)
    high = _fence(ordered)
    base, top, left = 168.0, 18.0, 44.0
    across = linear(0, len(found) - 1, left + 6, RIGHT - 6)
    up = linear(min(ordered[0], 0.9 * middle), high, base - 4, top, about=4)
    parts = [
        part
        for tick in up.ticks
        for part in (
            line(left, up(tick), RIGHT, up(tick), "grid"),
            text(left - 6, up(tick) + 4, figure(tick), "tick", "end"),
        )
    ]
    parts += [circle(across(at), up(value), 2, "dot") for at, value in points if value <= high]
    parts.append(
        path([(across(at), up(m)) for (at, _), m in zip(points, rolling, strict=True)], "trend")
    )
    parts += [text(left, base + 18, "first clip", "tick"), text(LEFT, 10, "ms", "tick")]
    parts.append(text(RIGHT, base + 18, f"clip {len(found):,}", "tick", "end"))
    over = sum(value > high for value in found)
    if over:
        said = f"{number_of(over, 'clip')} above, up to {milliseconds(ordered[-1])}"
        parts.append(text(RIGHT, 10, said, "faint", "end"))
    about = f"Rolling median from {milliseconds(rolling[0])} to {milliseconds(rolling[-1])}"
    return svg("drift", "Time per clip in the order of the run", about, base + 24, parts)


@dataclass(frozen=True)
class _Track:
    """A row of a plot on a common axis."""

    label: str
    said: str
    """The figure, or the range of several."""
    values: tuple[float, ...]
    kind: str
    """Of the dots: point is ours, ring is not."""
    interval: tuple[float, float] | None = None


def published(document: Document) -> str:
    """Published times, those of a paper on one track, and this run's on one logarithmic axis."""
    beside, ours = document["published"], document["mean_per_wav_ms"]
    found: dict[str, list[float]] = {}
    for row in beside["rows"] if beside else []:
        if row["seconds"]:
            found.setdefault(_paper(row), []).append(1000 * row["seconds"])
    if not found or not ours:
        return ""
    tracks = [_Track("this run, mean per wav", milliseconds(ours), (ours,), "point")]
    for paper, values in list(found.items())[:MOST_ROWS]:
        low, high = min(values), max(values)
        said = milliseconds(low) if low == high else f"{figure(low)} to {milliseconds(high)}"
        tracks.append(_Track(paper, said, tuple(values), "ring"))
    title = "Published against measured, differently measured, logarithmic"
    return _dots("published", title, tracks, "ms per clip, logarithmic")


def _paper(row: Mapping[str, Any]) -> str:
    return "prediction" if row["kind"] == "prediction" else clean(row["paper"] or "")[:MOST_LABEL]


def peers(document: Document) -> str:
    """How many times as long as edge-ser each peer takes, with intervals, on a logarithmic axis."""
    tracks = [
        _Track(
            clean(peer["name"])[:MOST_LABEL],
            times(peer["ratio"]),
            (peer["ratio"]["value"],),
            "point",
            (peer["ratio"]["low"], peer["ratio"]["high"]),
        )
        for peer in document["peers"]
        if peer["ratio"] is not None and peer["ratio"]["value"] > 0
    ][:MOST_ROWS]
    if not tracks:
        return ""
    title = "Time of each peer over that of edge-ser, with 95 % intervals"
    return _dots("peers", title, tracks, "times as long as edge-ser, logarithmic", unity=True)


def _dots(name: str, title: str, tracks: Sequence[_Track], unit: str, unity: bool = False) -> str:
    """For each track its label and figure, and below them its dots on the common axis."""
    values = [v for track in tracks for v in (*track.values, *(track.interval or ())) if v > 0]
    values += [1.0] if unity else []
    scale = logarithmic(min(values), max(values), LEFT + 8, RIGHT - 8)
    base = len(tracks) * ROW + 6
    parts = []
    for at, track in enumerate(tracks):
        y = at * ROW + 30
        parts += [text(LEFT, y - 14, track.label), text(RIGHT, y - 14, track.said, "strong", "end")]
        parts.append(line(scale(scale.low), y, scale(scale.high), y, "track"))
        parts += [line(scale(tick), y - 3, scale(tick), y + 3, "track") for tick in scale.ticks]
        if unity:
            parts.append(line(scale(1), y - 6, scale(1), y + 6, "mark"))
        if track.interval is not None:
            low, high = track.interval
            parts.append(line(scale(low), y, scale(high), y, "span"))
        parts += [circle(scale(value), y, 4.5, track.kind) for value in track.values]
    about = "; ".join(f"{track.label}: {track.said}" for track in tracks)
    parts += _axis(scale, base, "")
    parts.append(text(LEFT, base + 36, unit, "faint"))
    return svg(name, title, about, base + 42, parts)


def _axis(scale: Scale, base: float, unit: str) -> list[str]:
    """A line with its ticks; the unit behind the last."""
    parts = [line(LEFT, base, RIGHT, base, "axis")]
    for at, tick in enumerate(scale.ticks):
        last = at == len(scale.ticks) - 1
        label = f"{tick:,.10g}" + (f" {unit}" if last and unit else "")
        x = scale(tick)
        anchor = "end" if x > RIGHT - 24 else "start" if x < LEFT + 12 else "middle"
        x = min(max(x, LEFT), RIGHT)
        parts.append(text(x, base + 17, label, "tick", anchor))
    return parts


def _totals(document: Document) -> list[float]:
    samples = document["samples_ms"]
    return samples["total"] if samples else []
