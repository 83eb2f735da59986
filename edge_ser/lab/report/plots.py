"""The pictures of a report's page; empty text where one has nothing to show."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from html import escape

from edge_ser.bench.svg import WIDTH, Scale, circle, line, linear, path, rect, svg, text
from edge_ser.bench.wording import clean
from edge_ser.lab.report.compare import Comparison, Group
from edge_ser.lab.report.records import RunRecord
from edge_ser.lab.report.tables import label, percentage

__all__ = ["CSS", "confusion", "curves", "dots"]

CSS = """
section .plots { margin-top: 1.8rem; }
th, td { padding-right: .85rem; }
thead th { white-space: normal; vertical-align: bottom; }
svg .quiet { fill: none; stroke: var(--faint); stroke-width: 1.4; stroke-dasharray: 4 3; }
svg .area { fill: var(--accent); stroke: none; opacity: .16; }
svg .cell { fill: var(--accent); stroke: none; }
svg .hollow { fill: var(--paper); stroke: var(--soft); stroke-width: 1.2; }
"""
"""Beside what every page has."""

LEFT, RIGHT = 4.0, WIDTH - 4.0
ROW = 40.0
MOST_LABEL = 44
MOST_POINTS = 150


def dots(comparison: Comparison, figure: str, name: str) -> str:
    """Each experiment's runs as rings, their mean as a dot, the pooled interval as a bar.

    Args:
        comparison: the experiments.
        figure: `accuracy` or `uar`, by the weights that the runs keep.
        name: of the figure in words.
    """
    found = [(group, group.looks("kept")) for group in comparison.groups]
    tracks = [
        (group, [100 * getattr(look, figure) for _, look in looks])
        for group, looks in found
        if looks
    ]
    if not tracks:
        return ""
    intervals = [
        [100 * end for end in getattr(group.pooled, f"{figure}_interval")] if group.pooled else []
        for group, _ in tracks
    ]
    every = [v for (_, values), ends in zip(tracks, intervals, strict=True) for v in values + ends]
    scale = linear(min(every), max(every), LEFT + 8, RIGHT - 8)
    base = len(tracks) * ROW + 6
    parts = [line(scale(tick), 22, scale(tick), base, "grid") for tick in scale.ticks]
    said = []
    for at, ((group, values), ends) in enumerate(zip(tracks, intervals, strict=True)):
        y, mean = at * ROW + 30, statistics.fmean(values)
        said.append(f"{_short(label(comparison, group))}: {mean:.1f} %")
        parts += [
            text(LEFT, y - 14, _short(label(comparison, group))),
            text(RIGHT, y - 14, f"{mean:.1f}", "strong", "end"),
            line(LEFT, y, RIGHT, y, "track"),
        ]
        if ends:
            parts.append(line(scale(ends[0]), y, scale(ends[1]), y, "span"))
        parts += [circle(scale(value), y, 3.2, "hollow") for value in values]
        parts.append(circle(scale(mean), y, 5, "point"))
    parts += _axis(scale, base)
    return svg(f"dots-{figure}", f"{name} of each experiment", "; ".join(said), base + 24, parts)


def _axis(scale: Scale, base: float) -> list[str]:
    parts = [line(LEFT, base, RIGHT, base, "axis")]
    for tick in scale.ticks:
        x = scale(tick)
        anchor = "end" if x > RIGHT - 20 else "start" if x < LEFT + 12 else "middle"
        parts.append(text(min(max(x, LEFT), RIGHT), base + 17, f"{tick:.10g}", "tick", anchor))
    return parts


Curve = list[tuple[int, float]]


def curves(group: Group, number: int) -> str:
    """Accuracy over the epochs: training, dashed, and test with the range over the runs."""
    runs = [run for run in group.runs if run.rows]
    training, test = _over(runs, "accuracy"), _over(runs, "test_accuracy")
    if len(training) < 2:
        return ""
    base, top, left = 168.0, 16.0, 30.0
    across = linear(1, max(run.epochs for run in runs), left + 4, RIGHT - 4, about=6)
    up = linear(0, 100, base, top, about=5)
    parts = [
        part
        for tick in up.ticks
        for part in (
            line(left, up(tick), RIGHT, up(tick), "grid"),
            text(left - 6, up(tick) + 4, f"{tick:.0f}", "tick", "end"),
        )
    ]
    parts += [
        text(across(tick), base + 18, f"{tick:.0f}", "tick", "middle")
        for tick in across.ticks
        if tick >= 1 and across(tick) < RIGHT - 84
    ]
    parts.append(text(RIGHT, base + 18, f"epoch {across.high:.0f}", "tick", "end"))
    if len(test) > 1:
        edges = [(e, max(v)) for e, v in test] + [(e, min(v)) for e, v in reversed(test)]
        parts.append(path([(across(e), up(100 * value)) for e, value in edges], "area"))
    ends = []
    for name, kind, found in (("training", "quiet", training), ("test", "trend", test)):
        means = [(across(e), up(100 * statistics.fmean(values))) for e, values in found]
        if len(means) > 1:
            parts.append(path(means, kind))
        parts += [circle(*means[0], 3, "point") for _ in means[:1] if len(means) == 1]
        if means:
            ends.append((means[-1][1], f"{name} {100 * statistics.fmean(found[-1][1]):.0f}"))
    parts += _end_labels(ends, base)
    about = "; ".join(f"{said} % at the end" for _, said in ends)
    return svg(f"curves-{number}", "Accuracy over epochs", about, base + 24, parts)


def _end_labels(ends: Sequence[tuple[float, str]], base: float) -> list[str]:
    """What the lines are, at their right ends: the higher one's above it, the lower one's below."""
    ordered = sorted(ends)
    places = [max(12.0, ordered[0][0] - 8)] if ordered else []
    if len(ordered) > 1:
        places.append(min(base - 6, max(ordered[1][0] + 20, places[0] + 28)))
    return [
        text(RIGHT - 2, y, said, "strong" if said.startswith("test") else "", "end")
        for y, (_, said) in zip(places, ordered, strict=True)
    ]


def _over(runs: Sequence[RunRecord], key: str) -> list[tuple[int, list[float]]]:
    """Values of the runs by epoch, from 1, where all runs that got as far as the most have one."""
    by_epoch: dict[int, list[float]] = {}
    for run in runs:
        for number, row in enumerate(run.rows, 1):
            if key in row:
                by_epoch.setdefault(number, []).append(row[key])
    found = sorted(by_epoch.items())
    step = -(-len(found) // MOST_POINTS)
    return found[:: max(1, step)] + found[-1:] if step > 1 else found


def confusion(group: Group, number: int) -> str:
    """Answers by true label: counts, shaded by their share of the row."""
    pooled = group.pooled
    if pooled is None:
        return ""
    names = [_short(clean(name), 12) for name in pooled.classes]
    left, above = 92.0, 66.0
    size = min(48.0, (RIGHT - left - 50) / len(names))
    height = min(size, 30.0)
    parts = [
        f'<text transform="translate({left + (at + 0.6) * size:.1f} {above - 8:.1f}) rotate(-38)">'
        f"{escape(name)}</text>"
        for at, name in enumerate(names)
    ]
    recalls = []
    for row, (name, counts) in enumerate(zip(names, pooled.confusion, strict=True)):
        y, total = above + row * height, sum(counts)
        recall = percentage(counts[row] / total) if total else ""
        recalls.append(f"{name} {recall} %")
        parts.append(text(left - 8, y + height / 2 + 4.5, name, "", "end"))
        for column, count in enumerate(counts):
            x, share = left + column * size, count / max(1, total)
            shape = rect(x + 1, y + 1, size - 2, height - 2, "cell")
            parts.append(shape.replace("<rect", f'<rect fill-opacity="{0.05 + 0.6 * share:.2f}"'))
            kind = "strong" if column == row else ""
            if count:
                parts.append(text(x + size / 2, y + height / 2 + 4.5, str(count), kind, "middle"))
        parts.append(text(left + len(names) * size + 8, y + height / 2 + 4.5, recall, "tick"))
    parts.append(text(left + len(names) * size + 8, above - 8, "recall", "tick"))
    about = "Recall: " + ", ".join(recalls)
    return svg(f"confusion-{number}", "Answers by true label", about,
               above + len(names) * height + 4, parts)  # fmt: skip


def _short(words: str, most: int = MOST_LABEL) -> str:
    return words if len(words) <= most else words[: most - 1] + "…"
