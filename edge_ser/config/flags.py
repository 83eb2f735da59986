"""Direct flags of `edge-ser listen`, each of which stands for one key."""

from __future__ import annotations

from collections.abc import Iterable

from edge_ser.documents import shown
from edge_ser.errors import ConfigError

__all__ = ["FLAGS", "overrides_from_flags"]

FLAGS = {
    "model": "model.name",
    "provider": "model.provider",
    "threads": "model.threads",
    "allow_untrained": "model.allow_untrained",
    "profile": "model.profile",
    "follow": "model.follow",
    "mic": "source.mic",
    "input": "source.input",
    "rate": "source.rate",
    "channel": "source.channel",
    "channels": "source.channels",
    "sample_format": "source.sample_format",
    "pace": "source.pace",
    "mode": "segment.mode",
    "gate": "segment.gate",
    "window": "segment.window_s",
    "hop": "segment.hop_s",
    "partial": "segment.partial_s",
    "format": "report.format",
    "output": "jsonl.path",
    "save_clips": "clips.folder",
    "heartbeat": "report.heartbeat_s",
    "log_level": "report.log_level",
}
"""Name of a flag's parameter -> the key that it sets."""


def overrides_from_flags(assignments: Iterable[str] = (), **flags: object) -> dict[str, str]:
    """What the command line sets, as `load_config` takes it: "section.key" -> text.

    assignments: of `--set`, such as `gate.enter_db=12`; the last of several for one key counts.
    flags: by the names of `FLAGS`; None is a flag that was not given.

    Raises:
        ConfigError: an assignment without `=`, or for a key that a flag sets as well; an empty
            flag, for a shell variable that is not set must not choose the microphone.

    >>> overrides_from_flags(["gate.enter_db=12"], mic="USB", hop=0.5, mode=None)
    {'gate.enter_db': '12', 'source.mic': 'USB', 'segment.hop_s': '0.5'}
    """
    overrides: dict[str, str] = {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--set {shown(assignment)}: expected section.key=value")
        overrides[path.strip()] = text.strip()
    for flag, value in flags.items():
        path = FLAGS[flag]
        if value is None:
            continue
        name = flag.replace("_", "-")
        if not str(value).strip():
            raise ConfigError(
                f"--{name} is empty, expected a value: leave the flag out, or set the shell "
                "variable that it was to come from"
            )
        if path in overrides:
            raise ConfigError(f"--set {path} and --{name} are both given: leave one out")
        overrides[path] = str(value)
    return overrides
