"""`edge-ser listen`: from a microphone, a pipe or a file to events."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from edge_ser.cli.native import quiet_libraries
from edge_ser.cli.options import (
    complete_model,
    debug_option,
    debugging,
    open_classifier,
    profile_option,
    use_threads,
)
from edge_ser.cli.output import write
from edge_ser.cli.sinking import make_runners, refuse_inputs_of, shows_pictures
from edge_ser.cli.steering import Steering, steering
from edge_ser.config import Config, as_toml, load_config, overrides_from_flags

if TYPE_CHECKING:
    from edge_ser.audio import Clip
    from edge_ser.classifier import Classifier
    from edge_ser.events import Event
    from edge_ser.listening import Attendant, Listening
    from edge_ser.sinks import SinkRunner

LOG = logging.getLogger("edge_ser.cli")

IDLE = {"utterance": ("window_s", "hop_s"), "window": ("partial_s",)}
"""Keys of [segment] without effect in a mode."""


@click.command("listen")
@click.option(
    "--model",
    "-m",
    metavar="NAME|FILE",
    shell_complete=complete_model,
    help="An installed model or a .tflite or .onnx file. [default: emotion-emodb]",
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
@click.option("--window", type=float, metavar="S", help="Seconds of a window, in its mode.")
@click.option("--hop", type=float, metavar="S", help="From window to window, in seconds.")
@click.option("--partial", type=float, metavar="S", help="Early results of utterances, each S s.")
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
@profile_option
@click.option(
    "--follow/--no-follow",
    default=None,
    help="Learn one person's voice from each utterance, for the next ones.",
)
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
    with steering() as steered:
        given = read()
        if print_config:
            write([_effective(given)], None)
            return
        with quiet_libraries(show=debugging()):
            _listen(given, read, config, steered)


def _effective(config: Config) -> str:
    from edge_ser.card import naming

    model = _open(config)
    with naming(model.path):
        return as_toml(config, model.card)


def _listen(
    config: Config, read: Callable[[], Config], path: str | None, steered: Steering
) -> None:
    """Listen until the source ends or a signal says so.

    path: of the configuration file.
    """
    from edge_ser.memory import return_freed_memory

    live = config.report.format == "table" and shows_pictures()
    _set_up_log(config, live)
    return_freed_memory()
    model = _open(config)
    refuse_inputs_of(config, path, model.path)

    from edge_ser.listening import Attendant, Listener, SystemClock, make_clock, make_source
    from edge_ser.listening.notify import Notifier
    from edge_ser.segment import SegmentOptions

    clock = make_clock(config.source)
    source = make_source(config.source, clock)
    options = _options(config, model)
    assert isinstance(options.segment, SegmentOptions)  # of the configuration
    _say_what_is_idle(config, options.segment.mode)
    attendant: Attendant
    runners = make_runners(config, live, lambda: attendant.status())
    taking = [_taking(runner, source.live) for runner in runners]
    listener = Listener(model, source, options, config.source, clock, taking)
    attendant = Attendant(
        listener, runners, Notifier(os.environ), SystemClock(), config.report.heartbeat_s
    )

    def reload() -> None:
        again = read()
        replacement = _open(again)
        for writing in (config, again):
            refuse_inputs_of(writing, path, replacement.path)
        listener.replace(replacement, _options(again, replacement))
        _set_up_log(again, live)
        _say_what_waits(config, again)

    steered.obey(
        {
            signal.SIGTERM: attendant.stop,
            signal.SIGINT: attendant.stop,
            signal.SIGHUP: attendant.reload_asked.set,
            signal.SIGUSR1: listener.mute,
            signal.SIGUSR2: listener.unmute,
        }
    )
    attendant.run(reload)
    if steered.status:
        click.get_current_context().exit(steered.status)


def _set_up_log(config: Config, live: bool) -> None:
    """Begin to log; what a person sees live need not scroll through the picture too."""
    from edge_ser.cli.logs import log_to_stderr

    log_to_stderr("error" if live and sys.stderr.isatty() else config.report.log_level)


def _say_what_is_idle(config: Config, mode: str) -> None:
    """Name what was given and has no effect."""
    given = [key for key in config.settings if key.section == "segment"]
    idle = [f"{key.section}.{key.name}" for key in given if key.name in IDLE[mode]]
    if idle:
        LOG.warning("%s: without effect where mode is %s", ", ".join(idle), mode)


def _say_what_waits(before: Config, after: Config) -> None:
    """Name what a reload does not change: where audio comes from and where events go."""
    # The weight of messages is taken up at once.
    after = replace(after, report=replace(after.report, log_level=before.report.log_level))
    waiting = [
        f"[{name}]"
        for name in ("source", "jsonl", "clips", "report")
        if getattr(before, name) != getattr(after, name)
    ]
    if waiting:
        LOG.warning("%s: taken up at the next start", ", ".join(waiting))


def _open(config: Config) -> Classifier:
    model = config.model
    return open_classifier(
        model.name, model.provider, model.threads, model.allow_untrained, model.profile
    )


def _options(config: Config, model: Classifier) -> Listening:
    from edge_ser.card import naming
    from edge_ser.listening import Listening

    with naming(model.path):  # what its card recommends may be out of range
        return Listening(*config.for_card(model.card), follow=config.model.follow)


def _taking(runner: SinkRunner, live: bool) -> Callable[[Event, Clip], object]:
    """A file can wait for a sink; a microphone cannot."""
    return runner.offer if live else runner.put
