"""`listen`: a model and a source by name become a `Listener`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_ser.classifier import Classifier, load_model
from edge_ser.errors import ConfigError, UsageError
from edge_ser.events import DecideOptions
from edge_ser.listening.clock import Clock, StreamClock, SystemClock
from edge_ser.listening.files import FileSource
from edge_ser.listening.listener import Listener
from edge_ser.listening.microphone import Microphone
from edge_ser.listening.options import SourceOptions
from edge_ser.listening.pcm import PcmSource, is_pipe
from edge_ser.listening.pipeline import Listening
from edge_ser.listening.source import Source
from edge_ser.segment import GateOptions, SegmentOptions

__all__ = ["listen", "make_clock", "make_source"]

NEEDED = ("name", "live", "paced", "open", "read", "close")
"""Of a `Source`."""


def listen(
    model: str | Path | Classifier | None = None,
    mic: str | None = None,
    *,
    source: SourceOptions | Source | None = None,
    gate: GateOptions | Mapping[str, Any] | None = None,
    segment: SegmentOptions | Mapping[str, Any] | None = None,
    decide: DecideOptions | Mapping[str, Any] | None = None,
    follow: bool = False,
) -> Listener:
    """Listen with a model: `for event in listen("emotion-emodb"): print(event.label)`.

    Listening begins with the loop and ends with it, also by `break` or an exception. To pause, mute
    or go on after a loop, begin it by `with listen(...) as listener:`.

    Args:
        model: a `Classifier`, or the name or path of a model; the default model without.
        mic: name or stable id of a microphone, as `edge-ser mics` lists them; the system's
            default without.
        source: where else audio comes from: options (a file, standard input, a rate), or a
            `Source` of your own.
        gate: when speech begins and ends; as the model's card recommends, without. A dict of some
            fields, such as `{"enter_db": 12}`, is laid over that; `GateOptions` take its place.
        segment: utterances or windows; likewise.
        decide: smoothing, thresholds, refractory time; likewise.
        follow: learn how the speaker sounds from each utterance, for the next ones.

    Raises:
        ModelError: the model cannot be opened.
        ConfigError: an option is out of range, or does not fit the model.
        UsageError: both a microphone and another source, or one of another type.
    """
    if mic is not None and source is not None:
        raise UsageError(f"mic {mic!r} and another source are both given: choose one")
    _check_types(model, mic, source)
    if source is None:
        source = SourceOptions(mic=mic)
    options = source if isinstance(source, SourceOptions) else SourceOptions()
    clock = make_clock(options)
    opened = make_source(source, clock) if isinstance(source, SourceOptions) else source
    classifier = model if isinstance(model, Classifier) else load_model(model)
    return Listener(classifier, opened, Listening(gate, segment, decide, follow), options, clock)


def _check_types(model: object, mic: object, source: object) -> None:
    """Refuse here what would fail later, in a thread."""
    if not (model is None or isinstance(model, str | Path | Classifier)):
        raise UsageError(f"model is {model!r}, expected a name, a path or a Classifier")
    if not (mic is None or isinstance(mic, str)):
        raise UsageError(f"mic is {mic!r}, expected a name, as 'edge-ser mics' lists them")
    if isinstance(source, str | Path):
        raise UsageError(
            f"source is {str(source)!r}, expected SourceOptions or a Source: for a file or FIFO "
            f"give source=SourceOptions(input={str(source)!r})"
        )
    missing = [name for name in NEEDED if not hasattr(source, name)]
    if missing and not (source is None or isinstance(source, SourceOptions)):
        raise UsageError(
            f"source is of type {type(source).__name__}, expected SourceOptions or a Source, which "
            f"has {', '.join(NEEDED)}: it lacks {', '.join(missing)}"
        )


def make_clock(options: SourceOptions) -> Clock:
    """The machine's clock, or for a file that is read fast one that the file drives."""
    return StreamClock() if options.input is not None and options.pace == "fast" else SystemClock()


def make_source(options: SourceOptions, clock: Clock) -> Source:
    """The source that options describe; not open yet.

    Raises:
        ConfigError: a channel of a file.
    """
    if options.input is None:
        return Microphone(options, clock)
    if options.input == "-" or is_pipe(options.input):
        return PcmSource(
            options.input,
            options.rate,
            options.channels,
            options.sample_format,
            clock,
            options.channel,
            options.block_ms,
        )
    if options.channel is not None:
        raise ConfigError(
            f"source: channel is {options.channel} with the file {options.input}, expected none: "
            "all channels of a file are mixed; extract the one you want first"
        )
    return FileSource(options.input, clock, options.pace, options.block_ms)
