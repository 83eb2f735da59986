"""Options that belong to no room below: which model, and what is told of its work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from edge_ser.errors import ConfigError
from edge_ser.threads import MAX_THREADS

__all__ = ["ModelOptions", "ReportOptions"]

Format = Literal["table", "jsonl"]
Level = Literal["debug", "info", "warning", "error"]

CHOICES = {"format": get_args(Format), "log_level": get_args(Level)}

HEARTBEAT_S = (1.0, 86_400.0)


@dataclass(frozen=True)
class ModelOptions:
    """The model, and what computes it."""

    name: str | None = None
    """Installed model (see `edge-ser models`), or a .tflite or .onnx file; emotion-emodb
    without."""
    provider: str = "cpu"
    """What computes: cpu, cuda, tensorrt. Used, or an error: never replaced silently."""
    threads: int = 1
    """Processor threads of the runtime; one is fastest for small models."""
    allow_untrained: bool = False
    """Also take a model whose card says untrained (its answers mean nothing)."""
    profile: str | None = None
    """Of the person who is heard, by `edge-ser adapt --unlabelled`: a file."""
    follow: bool = False
    """Learn how the speaker sounds from each utterance, for the next ones. For one person at a
    time, and models of functionals such as emotion-emodb."""

    def __post_init__(self) -> None:
        if not self.provider:
            raise ConfigError("model: provider is empty, expected cpu, cuda or tensorrt")
        if not 1 <= self.threads <= MAX_THREADS:
            raise ConfigError(f"model: threads is {self.threads}, expected 1 to {MAX_THREADS}")


@dataclass(frozen=True)
class ReportOptions:
    """What is written of the work: events to standard output, messages to standard error."""

    format: Format = "table"
    """Of events. table: a live view on a terminal, lines to read elsewhere; jsonl: one JSON object
    a line."""
    log_level: Level = "info"
    """Least weight of the messages: debug, info, warning or error."""
    heartbeat_s: float | None = None
    """Seconds between messages that say how it goes; none without."""

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise ConfigError(f"report: {name} is {value!r}, expected {' or '.join(choices)}")
        low, high = HEARTBEAT_S
        if self.heartbeat_s is not None and not low <= self.heartbeat_s <= high:
            raise ConfigError(
                f"report: heartbeat_s is {self.heartbeat_s}, expected {low:g} to {high:g}"
            )
