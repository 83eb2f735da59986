"""`edge-ser mics`: which microphones there are, how good one is, and a test recording of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_ser.cli.hearing import Duration, hear, save
from edge_ser.cli.native import quiet_libraries
from edge_ser.cli.options import complete_model, debug_option, debugging, use_threads
from edge_ser.cli.output import Record, grid, output_options, refuse_inputs, rendered, write
from edge_ser.errors import UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from edge_ser.audio import Clip
    from edge_ser.listening.devices import InputDevice

__all__ = ["command"]


def complete_mic(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The names that `mics` lists."""
    from click.shell_completion import CompletionItem

    from edge_ser.listening.devices import list_inputs

    with quiet_libraries():
        names = sorted({device.handle for device in list_inputs()})
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _record(device: InputDevice) -> Record:
    return {
        "mic": device.handle,
        "name": device.name,
        "default": device.default,
        "rate": device.rate or None,
        "channels": device.channels or None,
        "state": _state(device),
        "ids": list(device.stable_ids),
        "driver": device.host_api,
    }


def _state(device: InputDevice) -> str:
    from edge_ser.listening.devices import can_open

    if device.busy:
        return f"busy: {device.busy}"
    if not device.permitted:
        return "not permitted: sudo usermod -aG audio $USER"
    if device.index is None:
        return "busy, or not answering"
    if device.stable_ids or can_open(device):
        return "free"
    return "no source, or busy: pactl list short sources"


def _device_table(records: Iterable[Record]) -> Iterator[str]:
    rows = [
        [
            "*" if r["default"] else "",
            r["mic"],
            r["name"],
            "" if r["rate"] is None else f"{r['rate']} Hz",
            _channels(r["channels"]),
            r["state"],
        ]
        for r in records
    ]
    headers = ["", "--mic", "name", "rate", "channels", "state"]
    yield from grid(headers, rows, right=("rate", "channels"))


def _channels(count: object) -> str:
    """A sound server takes any number and mixes: its 32 or 128 would only mislead."""
    return "" if count is None else str(count) if int(str(count)) < 32 else "any"


def _finding_table(records: Iterable[Record]) -> Iterator[str]:
    signs = {"ok": "ok", "warn": "note", "bad": "MEND"}
    rows = [
        [signs[str(r["verdict"])], r["name"], f"{r['value']:g}", r["unit"], r["advice"]]
        for r in records
    ]
    yield from grid(["", "measured", "value", "unit", "advice"], rows, right=("value",))


def _recording_table(records: Iterable[Record]) -> Iterator[str]:
    for r in records:
        yield f"{r['file']}: {r['seconds']:g} s at {r['rate']} Hz from {r['mic']}"


def _findings(clip: Clip, model: str | None) -> list[Record]:
    from edge_ser.card import read_model
    from edge_ser.listening.metering import judge
    from edge_ser.zoo import find_model

    spec = read_model(find_model(model)).card.input
    found = judge(clip, spec.level_dbfs, spec.source_bandwidth_hz)
    return [{**asdict(finding), "value": round(finding.value, 2)} for finding in found]


@click.command("mics")
@click.option("--meter", is_flag=True, help="Listen for some seconds and judge what is heard.")
@click.option(
    "--record",
    type=(Duration(), click.Path(path_type=Path, dir_okay=False)),
    metavar="SECONDS FILE",
    help="Record a test clip, as 16-bit WAV at the microphone's own rate: --record 5s out.wav",
)
@click.option(
    "--mic",
    metavar="NAME",
    shell_complete=complete_mic,
    help="Which microphone: a name or id of the list, or a part of a name. [default: the system's]",
)
@click.option("--channel", type=click.IntRange(1, 64), metavar="N", help="One channel, from 1.")
@click.option("--rate", type=click.IntRange(1000, 768_000), metavar="HZ", help="Open it at this.")
@click.option("--seconds", type=Duration(), help="How long to meter.  [default: 5s]")
@click.option(
    "--model",
    "-m",
    metavar="NAME|FILE",
    shell_complete=complete_model,
    help="Judge against what this model was trained on.  [default: emotion-emodb]",
)
@click.option("--force", is_flag=True, help="Replace a recording that is there.")
@output_options
@debug_option
def command(
    meter: bool,
    record: tuple[float, Path] | None,
    mic: str | None,
    channel: int | None,
    rate: int | None,
    seconds: float | None,
    model: str | None,
    force: bool,
    format_: str,
    output: str | None,
) -> None:
    """List the microphones, judge one, or record a test clip.

    The list says what to give to --mic, here and for 'edge-ser listen': a name that stays the same
    after a reboot, as the numbers that other programs show do not. '*' marks the one that is taken
    without --mic.

    --meter wants you to speak two or three sentences as you will later, with pauses between, and
    judges noise, level, clipping, offset, bandwidth and automatic gain control against the speech
    that the model was trained on. Each line that says MEND or note says how.

    \b
    Examples:
      edge-ser mics
      edge-ser mics --meter --mic CARD=Device
      edge-ser mics --meter --seconds 15s --model emotion-emodb
      edge-ser mics --record 5s test.wav && edge-ser classify test.wav

    The result goes to standard output, or to FILE with -o. Nothing is stored but what --record
    names. Exit status: 5 when there is no microphone, or it is busy.
    """
    use_threads(1)
    click.get_current_context().with_resource(quiet_libraries(show=debugging()))
    _check(meter, record, seconds, force)
    if not meter and record is None:
        _list(mic, format_, output)
        return
    from edge_ser.listening.options import SourceOptions

    refuse_inputs(output, [record[1]] if record else [])
    if meter:
        from edge_ser.zoo import find_model

        refuse_inputs(output, [find_model(model)])
    options = SourceOptions(mic=mic, channel=channel, rate=rate)
    name, clip = hear(options, record[0] if record else seconds or 5.0)
    if record:
        save(clip, record[1])
        saved = {
            "file": str(record[1]),
            "seconds": round(clip.seconds, 3),
            "rate": clip.rate,
            "mic": name,
        }
        if not meter:
            write(rendered([saved], format_, fields=list(saved), table=_recording_table), output)
            return
    fields = ["name", "value", "unit", "verdict", "advice"]
    write(rendered(_findings(clip, model), format_, fields=fields, table=_finding_table), output)


def _check(
    meter: bool, record: tuple[float, Path] | None, seconds: float | None, force: bool
) -> None:
    """Refuse what contradicts itself, before anybody speaks for nothing."""
    if seconds is not None and not meter:
        raise UsageError("--seconds is for --meter: give it too, or --record SECONDS FILE")
    if seconds is not None and record:
        raise UsageError("--seconds and --record are both given: --record says how long itself")
    if record and record[1].exists() and not force:
        raise UsageError(
            f"{record[1]}: is there already: name another file, or replace it (--force)"
        )


def _list(mic: str | None, format_: str, output: str | None) -> None:
    from edge_ser.listening.devices import find_input, list_inputs

    devices = list_inputs()
    chosen = devices if mic is None else [find_input(mic, devices)]
    records = [_record(device) for device in chosen]
    fields = ["mic", "name", "default", "rate", "channels", "state", "ids", "driver"]
    flat = records
    if format_ == "csv":
        flat = [
            {**r, "ids": " ".join(map(str, device.stable_ids))}
            for r, device in zip(records, chosen, strict=True)
        ]
    if records or format_ != "table":
        write(rendered(flat, format_, fields=fields, table=_device_table), output)
    if not records:
        find_input(mic, devices)
