"""Where `edge-ser listen` puts its events: standard output, and what the configuration names."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edge_ser.cli.output import refuse_inputs
from edge_ser.errors import StorageError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from edge_ser.config import Config
    from edge_ser.events import Status
    from edge_ser.sinks import SinkRunner

__all__ = ["make_runners", "refuse_inputs_of", "shows_pictures"]


def shows_pictures() -> bool:
    """Whether standard output is a terminal that can move its cursor."""
    shown = sys.stdout is not None and sys.stdout.isatty()
    return shown and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


def refuse_inputs_of(config: Config, path: str | None, model: Path) -> None:
    """Raise UsageError where the file of events is one that is read.

    path: of the configuration file.
    model: the file that was opened, which a name stood for.
    """
    from edge_ser.card import sidecar_path

    source = "/dev/stdin" if config.source.input == "-" else config.source.input
    read = [path, source, model, sidecar_path(model), config.model.profile]
    refuse_inputs(config.jsonl.path, [file for file in read if file is not None])


def make_runners(config: Config, live: bool, status: Callable[[], Status]) -> list[SinkRunner]:
    """Open all sinks and begin to feed them.

    Args:
        config: names the sinks.
        live: show a live view on standard output, which `shows_pictures`.
        status: of the listener; for the live view.

    Raises:
        StorageError: one cannot be written.
        UsageError: standard output as a file.
    """
    from edge_ser.sinks import JsonLinesFile, LiveView, SaveClips, SinkRunner

    if config.jsonl.path == "-":
        raise UsageError("-o -: events go to standard output anyway: choose --format jsonl")
    sinks = _on_standard_output(config, live, status)
    if config.jsonl.path is not None:
        file = JsonLinesFile(config.jsonl)
        file.open()
        sinks.append(file)
    if config.clips.folder is not None:
        clips = SaveClips(config.clips)
        clips.open()
        sinks.append(clips)
    for sink in sinks:
        if isinstance(sink, LiveView):
            sink.start()
    return [SinkRunner(sink) for sink in sinks]


def _on_standard_output(config: Config, live: bool, status: Callable[[], Status]) -> list[Any]:
    """The sink for standard output; none where that is closed and a file takes the events."""
    from edge_ser.sinks import JsonLines, LiveView, PlainLines

    if sys.stdout is None:
        if config.jsonl.path is None:
            raise StorageError("standard output is closed: name a file with -o FILE")
        return []
    if isinstance(sys.stdout, io.TextIOWrapper):  # a label in another script is not lost
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    if live:
        return [LiveView(_own_terminal(), status)]
    if config.report.format == "jsonl":
        return [JsonLines(sys.stdout)]
    return [PlainLines(sys.stdout)]


def _own_terminal() -> Any:
    """Standard output once more, with locks of its own.

    The view's thread holds them for as long as the terminal takes nothing, and the end of the
    process waits for those of `sys.stdout`.
    """
    return open(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", errors="backslashreplace")
