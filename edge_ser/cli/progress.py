"""A progress bar on standard error, only where a person watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Progress", "a_person_watches", "progress_bar", "results_scroll_by"]

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
