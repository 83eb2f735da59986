"""What `edge-ser bench profile` prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from edge_ser.cli.native import quiet_runtime
from edge_ser.cli.output import Record
from edge_ser.cli.progress import a_person_watches, progress_bar

__all__ = ["profiled"]


def profiled(
    model: Path, provider: str, threads: int, runs: int, debug: bool
) -> tuple[Sequence[Record], Sequence[str]]:
    """Operators of a model as records, and the lines of the table."""
    from edge_ser.bench.profile import as_markdown, profile

    with progress_bar(a_person_watches()) as progress, quiet_runtime(show=debug):
        found = profile(model, provider, threads, runs, progress)
    return [asdict(operator) for operator in found.operators], as_markdown(found).splitlines()
