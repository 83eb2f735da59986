"""Sinks: where events go. Each behind a bounded queue and a thread of its own."""

from __future__ import annotations

from edge_ser.sinks.clips import ClipOptions, SaveClips
from edge_ser.sinks.console import LiveView, PlainLines, plain_line
from edge_ser.sinks.json_lines import JsonLines, JsonLinesFile, JsonLinesOptions
from edge_ser.sinks.runner import SinkRunner
from edge_ser.sinks.sink import Sink

__all__ = [
    "ClipOptions",
    "JsonLines",
    "JsonLinesFile",
    "JsonLinesOptions",
    "LiveView",
    "PlainLines",
    "SaveClips",
    "Sink",
    "SinkRunner",
    "plain_line",
]
