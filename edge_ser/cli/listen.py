"""`edge-ser listen`: from a microphone, a pipe or a file to events."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from edge_ser.cli.native import quiet_libraries
from edge_ser.cli.options import (
    complete_model,
    debug_option,
    debugging,
    open_classifier,
    use_threads,
)
from edge_ser.config import Config, as_toml, load_config, overrides_from_flags
from edge_ser.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from edge_ser.audio import Clip
    from edge_ser.classifier import Classifier
    from edge_ser.events import Event, Status
    from edge_ser.listening import Attendant, Listener, Listening
    from edge_ser.sinks import SinkRunner

LOG = logging.getLogger("edge_ser.cli")


@click.command("listen")
@click.option(
    "--model",
    "-m",
    metavar="NAME|FILE",
    shell_complete=complete_model,
    help="An installed model or a .tflite or .onnx file. [default: plb-emodb]",
)
@click.option("--mic", metavar="NAME", help="A microphone, as 'edge-ser mics' lists them.")
@click.option(
    "--input",
    metavar="FILE|-",
    help="A WAV or FLAC file, a FIFO, or - for standard input, in place of a microphone.",
)
@click.option(
    "--rate", type=int, metavar="HZ", help="Of raw samples, or to open the microphone at."
)
@click.option("--channel", type=int, metavar="N", help="Listen to one channel, from 1, not all.")
@click.option(
    "--pace",
    type=click.Choice(["real", "fast"]),
    help="Of a file: as it was spoken, or as fast as can be.",
)
@click.option(
    "--mode",
    type=click.Choice(["utterance", "window"]),
    help="One result for each utterance, or a window that slides over speech.",
)
@click.option("--window", type=float, metavar="S", help="Seconds of a window.")
@click.option("--hop", type=float, metavar="S", help="Seconds from window to window.")
@click.option("--partial", type=float, metavar="S", help="Early results, every S seconds.")
@click.option("--gate", type=click.Choice(["energy", "silero"]), help="What finds speech.")
@click.option(
    "--format",
    "format",
    type=click.Choice(["table", "jsonl"]),
    help="For people (a live view on a terminal, else lines), or JSON, one event a line.",
)
@click.option("--output", "-o", metavar="FILE", help="Also append events to FILE as JSON lines.")
@click.option("--save-clips", metavar="DIR", help="Store what was classified. Off: nothing is.")
@click.option("--heartbeat", type=float, metavar="S", help="A line that all is well, every S s.")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="Least weight of messages on standard error. [default: info]",
)
@click.option("--config", metavar="FILE", help="TOML file; --print-config shows what can be set.")
@click.option("--set", "assignments", multiple=True, metavar="SECTION.KEY=VALUE", help="Any of it.")
@click.option("--print-config", is_flag=True, help="Print the configuration with its origins.")
@click.option("--provider", metavar="NAME", help="What computes: cpu, cuda, tensorrt.")
@click.option("--threads", type=int, metavar="N", help="Processor threads; one is fastest.")
@click.option(
    "--allow-untrained/--no-allow-untrained",
    default=None,
    help="Take a model whose card says 'untrained'.",
)
@debug_option
def command(
    config: str | None,
    assignments: tuple[str, ...],
    print_config: bool,
    **flags: Any,
) -> None:
    """Listen, and name the emotion in each utterance as it ends.

    Speech is found by its level above the room's noise, cut into utterances and classified.
    Nothing is classified in silence; no audio leaves the machine or is stored. A microphone that
    is missing, busy or unplugged is waited for.

    \b
    Examples:
      edge-ser listen
      edge-ser listen --mic USB --format jsonl | jq .label
      edge-ser listen --mode window --hop 0.5
      edge-ser listen --input interview.wav --pace fast
      arecord -q -f S16_LE -r 16000 | edge-ser listen --input -
      edge-ser listen --config /etc/edge-ser.toml

    \b
    Signals: TERM ends after the utterance in hand, HUP reads the configuration
    again, USR1 mutes, USR2 unmutes.
    """

    def read() -> Config:
        return load_config(config, os.environ, overrides_from_flags(assignments, **flags))

    use_threads(flags["threads"] or 1)
    given = read()
    if print_config:
        click.echo(as_toml(given, _open(given).card), nl=False)
        return
    with quiet_libraries(show=debugging()):
        _listen(given, read)


def _listen(config: Config, read: Callable[[], Config]) -> None:
    from edge_ser.listening.memory import return_freed_memory

    live = config.report.format == "table" and _shows_pictures()
    _set_up_log(config, live)
    return_freed_memory()
    model = _open(config)

    from edge_ser.listening import Attendant, Listener, SystemClock, make_clock, make_source
    from edge_ser.listening.notify import Notifier

    clock = make_clock(config.source)
    source = make_source(config.source, clock)
    attendant: Attendant
    sinks = _sinks(config, live, lambda: attendant.status())
    listener = Listener(
        model,
        source,
        _options(config, model),
        config.source,
        clock,
        [_taking(runner, source.live) for runner in sinks],
    )
    attendant = Attendant(
        listener, sinks, Notifier(os.environ), SystemClock(), config.report.heartbeat_s
    )

    def reload() -> None:
        again = read()
        replacement = _open(again)
        listener.replace(replacement, _options(again, replacement))
        _set_up_log(again, live)
        _say_what_waits(config, again)

    with _signals(attendant, listener) as interrupted:
        attendant.run(reload)
    if interrupted:
        click.get_current_context().exit(ExitCode.INTERRUPTED)


def _shows_pictures() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


def _set_up_log(config: Config, live: bool) -> None:
    """Begin to log; what a person sees live need not scroll through the picture too."""
    from edge_ser.cli.logs import log_to_stderr

    log_to_stderr("error" if live and sys.stderr.isatty() else config.report.log_level)


def _say_what_waits(before: Config, after: Config) -> None:
    """Name what a reload does not change: where audio comes from and where events go."""
    waiting = [
        f"[{name}]"
        for name in ("source", "jsonl", "clips")
        if getattr(before, name) != getattr(after, name)
    ]
    if waiting:
        LOG.warning("%s: taken up at the next start", ", ".join(waiting))


def _open(config: Config) -> Classifier:
    model = config.model
    return open_classifier(model.name, model.provider, model.threads, model.allow_untrained)


def _options(config: Config, model: Classifier) -> Listening:
    from edge_ser.listening import Listening

    return Listening(*config.for_card(model.card))


def _sinks(config: Config, live: bool, status: Callable[[], Status]) -> list[SinkRunner]:
    """Where events go: standard output, and what the configuration names."""
    from edge_ser.sinks import JsonLines, JsonLinesFile, LiveView, PlainLines, SaveClips, SinkRunner

    if config.jsonl.path == "-":
        raise UsageError("-o -: events go to standard output anyway: choose --format jsonl")
    sinks: list[Any] = []
    if isinstance(sys.stdout, io.TextIOWrapper):  # a label in another script is not lost
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    if live:
        view = LiveView(sys.stdout, status)
        sinks.append(view)
    elif config.report.format == "jsonl":
        sinks.append(JsonLines(sys.stdout))
    else:
        sinks.append(PlainLines(sys.stdout))
    if config.jsonl.path is not None:
        file = JsonLinesFile(config.jsonl)
        file.open()
        sinks.append(file)
    if config.clips.folder is not None:
        clips = SaveClips(config.clips)
        clips.open()
        sinks.append(clips)
    if live:
        view.start()
    return [SinkRunner(sink) for sink in sinks]


def _taking(runner: SinkRunner, live: bool) -> Callable[[Event, Clip], object]:
    """A file can wait for a sink; a microphone cannot."""
    return runner.offer if live else runner.put


@contextmanager
def _signals(attendant: Attendant, listener: Listener) -> Iterator[list[int]]:
    """Let signals steer; yields a list that is not empty once somebody pressed Ctrl-C."""
    interrupted: list[int] = []

    def interrupt(number: int, _: FrameType | None) -> None:
        if interrupted:  # the second time it is meant
            raise KeyboardInterrupt
        interrupted.append(number)
        attendant.stop()

    handlers: dict[signal.Signals, Callable[[int, FrameType | None], Any]] = {
        signal.SIGTERM: lambda *_: attendant.stop(),
        signal.SIGINT: interrupt,
        signal.SIGHUP: lambda *_: attendant.reload_asked.set(),
        signal.SIGUSR1: lambda *_: listener.mute(),
        signal.SIGUSR2: lambda *_: listener.unmute(),
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
