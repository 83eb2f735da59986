"""The picture of the live view: a pure function of status and events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from edge_ser.documents import printable
from edge_ser.events import Event, State, Status

__all__ = ["render"]

QUIETEST_DBFS = -80.0
"""Left end of the level bar; its right end is full scale."""
MOST_BARS = 12
LABEL_WIDTH = 16
STATE_STYLES: Mapping[State, str] = {
    "starting": "yellow",
    "warming": "yellow",
    "listening": "green",
    "paused": "yellow",
    "degraded": "bold yellow",
    "ended": "dim",
    "failed": "bold red",
}


def render(status: Status, events: Sequence[Event]) -> RenderableType:
    """State, level, scores of the last event, counters, troubles, and the last events.

    Args:
        status: of the listener, now.
        events: the last few, oldest first; may be empty.
    """
    parts: list[RenderableType] = [_head(status), _level(status)]
    if events:
        parts += [Text(), _label(events[-1]), _bars(events[-1])]
    parts += [Text(), _counters(status), *_troubles(status)]
    if events:
        parts += [Text(), *map(_past, reversed(events))]
    return Group(*parts)


def _head(status: Status) -> RenderableType:
    minutes, seconds = divmod(int(status.stream_s), 60)
    hours, minutes = divmod(minutes, 60)
    grid = _grid()
    grid.add_column(ratio=1, no_wrap=True, overflow="crop")
    grid.add_column(justify="right", no_wrap=True)
    state = Text(status.state, STATE_STYLES[status.state])
    state.append(f"  {printable(status.source)}", "default")
    grid.add_row(state, f"{hours}:{minutes:02}:{seconds:02}")
    return grid


def _level(status: Status) -> RenderableType:
    gate = "muted" if status.muted else "speech" if status.speaking else "quiet"
    grid = _grid()
    grid.add_column(no_wrap=True, width=6)
    grid.add_column(ratio=1)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_row(
        Text(gate, "bold green" if gate == "speech" else "dim"),
        _LevelBar(status.level_dbfs, status.floor_dbfs),
        f"{status.level_dbfs:.0f} dBFS",
    )
    grid.add_row("", Text(f"noise floor {status.floor_dbfs:.0f} dBFS", "dim"), "")
    return grid


def _label(event: Event) -> RenderableType:
    remarks = {"so far": event.kind == "partial", "uncertain": event.uncertain, "cut": event.cut}
    text = Text(printable(event.label), "bold", no_wrap=True, overflow="crop")
    for remark in (remark for remark, holds in remarks.items() if holds):
        text.append(f"  {remark}", "yellow")
    return text


def _bars(event: Event) -> RenderableType:
    """A bar for every label, or for the likeliest dozen of very many, in the model's order."""
    likeliest = sorted(event.scores, key=event.scores.__getitem__, reverse=True)[:MOST_BARS]
    grid = _grid()
    grid.add_column(no_wrap=True, overflow="crop", max_width=LABEL_WIDTH)
    grid.add_column(ratio=1)
    grid.add_column(justify="right", no_wrap=True)
    for label in (label for label in event.scores if label in likeliest):
        style = "green" if label == event.label else "cyan"
        bar = ProgressBar(1.0, event.scores[label], complete_style=style, finished_style=style)
        grid.add_row(Text(printable(label)), bar, f"{event.scores[label]:.2f}")
    return grid


def _counters(status: Status) -> RenderableType:
    counters = {
        f"events {status.events}": False,
        f"latency {status.latency_ms:.0f} ms": False,
        f"lost samples {status.dropped_samples}": status.dropped_samples > 0,
        f"skipped {status.skipped_s:.1f} s": status.skipped_s > 0,
    }
    for sink, count in status.sink_drops.items():
        counters[f"{printable(sink)} dropped {count}"] = count > 0
    text = Text()
    for counter, is_bad in counters.items():
        text.append(f"{counter}  ", "yellow" if is_bad else "dim")
    return text


def _troubles(status: Status) -> Iterator[RenderableType]:
    style = STATE_STYLES[status.state]
    for cause in status.causes:
        yield Text(printable(cause), style)
    if status.faults:
        counts = (f"{printable(fault)} {count}" for fault, count in status.faults.items())
        yield Text(f"faults so far: {', '.join(counts)}", "dim")


def _past(event: Event) -> RenderableType:
    moment = datetime.fromtimestamp(event.time).strftime("%H:%M:%S")
    score = f"{event.scores[event.label]:.2f}" if event.label in event.scores else "    "
    seconds = event.end_s - event.start_s
    mark = "?" if event.uncertain else " "
    line = f"{moment}  {score}{mark} {seconds:5.1f} s  {printable(event.label)}"
    return Text(line, "dim", no_wrap=True, overflow="crop")


def _grid() -> Table:
    return Table.grid(padding=(0, 1), expand=True)


@dataclass(frozen=True)
class _LevelBar:
    """The level from `QUIETEST_DBFS` to full scale, with a mark at the noise floor."""

    level_dbfs: float
    floor_dbfs: float

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(1, options.max_width)
        line, mark = ("-", "|") if options.ascii_only else ("━", "┃")
        filled = round(_share(self.level_dbfs) * width)
        floor = min(width - 1, int(_share(self.floor_dbfs) * width))
        for column in range(width):
            if column == floor:
                yield Segment(mark, Style(color="yellow"))
            elif column < filled:
                yield Segment(line, Style(color="green"))
            else:
                # Without colours a filled stretch could not be told from an empty one.
                yield Segment(" " if console.no_color else line, Style(dim=True))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(4, options.max_width)


def _share(dbfs: float) -> float:
    """Position on the level bar, 0 to 1."""
    return min(1.0, max(0.0, 1 - dbfs / QUIETEST_DBFS))
