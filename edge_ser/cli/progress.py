"""A progress bar on standard error, only where a person watches."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = [
    "Phases",
    "Progress",
    "a_person_watches",
    "phases",
    "progress_bar",
    "results_scroll_by",
]

DRAW_S = 0.25

Progress = Callable[[int, int], None]
"""Told how many things are done, and of how many."""


def a_person_watches() -> bool:
    """Whether standard error is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def results_scroll_by(output: str | None) -> bool:
    """Whether results appear on a terminal as they are made, which is progress enough."""
    return output in (None, "-") and sys.stdout is not None and sys.stdout.isatty()


def _nobody(done: int, total: int) -> None:
    """Progress for nobody."""


@contextmanager
def progress_bar(shown: bool) -> Iterator[Progress]:
    """What to tell of progress; a bar where it is `shown`, which vanishes at the end."""
    if not shown:
        yield _nobody
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    with Bar(
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


Phases = Callable[[str, int, int], None]
"""Told what is being done, how many of it are done, and of how many."""


@contextmanager
def phases(shown: bool) -> Iterator[Phases]:
    """What to tell of work in several phases: a line for each where it is `shown`."""
    if not shown:
        yield lambda phase, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    with Bar(
        TextColumn("{task.description:<14}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        auto_refresh=False,  # a thread that draws would be in what is timed
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as bar:
        task = bar.add_task("", total=None)
        drawn = 0.0

        def told(phase: str, done: int, total: int) -> None:
            nonlocal drawn
            if time.monotonic() - drawn >= DRAW_S or done == 0:
                bar.update(task, description=phase, completed=done, total=total)
                bar.refresh()
                drawn = time.monotonic()

        yield told
