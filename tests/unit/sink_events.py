"""Events for sinks, their lines read back, and a disk that is full."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge_ser.events import Event

MIDNIGHT = 1_792_022_400.0
"""2026-10-15T00:00:00Z"""


def event(sequence: int = 1, **changes: Any) -> Event:
    return Event(
        **{
            "sequence": sequence,
            "kind": "utterance",
            "label": "joy",
            "uncertain": False,
            "scores": {"joy": 0.9, "ärger": 0.1},
            "start_s": 0.0,
            "end_s": 1.0,
            "time": MIDNIGHT,
            "level_dbfs": -20.0,
            "latency_ms": 40.0,
            "dropped_samples": 0,
            "cut": False,
            "model": "tiny",
            "model_sha256": "",
            "source": "test",
            **changes,
        }
    )


LINE = len(json.dumps(event().to_dict(), ensure_ascii=False).encode()) + 1


def sequences(*paths: Path) -> list[int]:
    """Of the events in the files, every line of which must be whole."""
    lines = [line for path in paths for line in path.read_text().splitlines(keepends=True)]
    assert all(line.endswith("\n") for line in lines)
    return [json.loads(line)["sequence"] for line in lines]


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
