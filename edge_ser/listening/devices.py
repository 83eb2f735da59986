"""Microphones by names that survive a reboot: what there is, and which one is meant."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_ser.errors import AudioError, UsageError
from edge_ser.listening.cards import (
    CaptureDevice,
    Roots,
    capture_devices,
    card_family,
    may_open,
)
from edge_ser.listening.portaudio import PortAudio, portaudio

__all__ = ["InputDevice", "can_open", "find_input", "list_inputs", "why_none"]

HARDWARE = re.compile(r"\s*\((?:plug)?hw:(\d+),(\d+)\)$")
"""How PortAudio ends the name of a sound card's device."""
CONVERTERS = frozenset(
    {"a52", "lavrate", "samplerate", "speexrate", "speex", "upmix", "vdownmix", "oss"}
)
"""What Debian's ALSA plugins add to the list: the default device once more, by a detour."""


@dataclass(frozen=True)
class InputDevice:
    """A microphone, or a sound server that stands for one."""

    name: str
    """As the driver gives it, without the number of the card."""
    stable_ids: tuple[str, ...]
    """Names that survive a reboot, the one to recommend first; none for a sound server."""
    index: int | None
    """PortAudio's number until it next looks; None: it cannot open the device."""
    channels: int
    """Most channels; 0 where unknown."""
    rate: int
    """Hertz; 0 where unknown."""
    host_api: str
    busy: str = ""
    """Program that holds it; empty where it is free."""
    default: bool = False
    """PortAudio takes it where none is named."""
    card_id: str = ""
    """ALSA's name of its card; empty for a sound server."""
    permitted: bool = True
    """This user may open it."""

    @property
    def handle(self) -> str:
        """What to give to `--mic`."""
        return self.stable_ids[0] if self.stable_ids else self.name


def list_inputs(audio: PortAudio | None = None, roots: Roots | None = None) -> list[InputDevice]:
    """Every microphone that PortAudio or the kernel knows of.

    PortAudio leaves out what is busy at that moment, so what only the kernel knows comes last.

    Raises:
        DependencyError: sounddevice or PortAudio is not installed.
        AudioError: PortAudio does not answer.
    """
    audio = audio or portaudio()
    roots = roots or Roots()
    hardware = {(d.card, d.device): d for d in capture_devices(roots)}
    try:
        listed = audio.devices()
    except audio.error as error:
        raise AudioError(f"PortAudio cannot look for microphones: {error}: {why_none()}") from error
    found = []
    for device in listed:
        match = HARDWARE.search(device["name"])
        known = hardware.get((int(match[1]), int(match[2]))) if match else None
        if device["max_input_channels"] < 1 or device["name"] in CONVERTERS:
            continue
        if match:
            hardware.pop((int(match[1]), int(match[2])), None)
        found.append(_listed(device, known))
    return found + [_unlisted(device, roots) for device in hardware.values()]


def _listed(device: Mapping[str, Any], known: CaptureDevice | None) -> InputDevice:
    return InputDevice(
        name=HARDWARE.sub("", device["name"]),
        stable_ids=known.stable_ids if known else (),
        index=device["index"],
        channels=device["max_input_channels"],
        rate=round(device["default_samplerate"]),
        host_api=device["api"],
        busy=known.owner if known else "",
        default=device["default"],
        card_id=known.card_id if known else "",
    )


def _unlisted(known: CaptureDevice, roots: Roots) -> InputDevice:
    return InputDevice(
        name=known.name,
        stable_ids=known.stable_ids,
        index=None,
        channels=0,
        rate=0,
        host_api="ALSA",
        busy=known.owner,
        card_id=known.card_id,
        permitted=may_open(known, roots),
    )


def find_input(wanted: str | None, devices: Sequence[InputDevice]) -> InputDevice:
    """The one device that is meant.

    Args:
        wanted: a stable id (`by-path/...`, `by-id/...`, `usb:VENDOR:PRODUCT`, `CARD=Device`,
            `hw:CARD=Device,DEV=1`, or just `Device`), a name, or a part of one that only one
            device has; None for the default.
        devices: what `list_inputs` gives.

    Raises:
        AudioError: there is none, or it could be several; the message lists the ids to choose from.
        UsageError: a number, which means another device after the next reboot.
    """
    if wanted is not None:
        _refuse_number(wanted, devices)
    if not devices:
        raise AudioError(f"there is no microphone: {why_none()}")
    if wanted is None:
        return _default(devices)
    named = HARDWARE.sub("", wanted).strip()
    text = _plain(wanted)
    ways = (
        [d for d in devices if any(text in _forms(name) for name in d.stable_ids)],
        [d for d in devices if any(text in _forms(_card(name)) for name in d.stable_ids)],
        [d for d in devices if d.name == named],
        _twins(text, devices),
        [d for d in devices if named and named.lower() in d.name.lower()],
    )
    for found in ways:
        if found:
            return _only(wanted, found)
    raise AudioError(
        f"no microphone is called {wanted!r}: plug it in, or choose one of {_choice(devices)}"
    )


def can_open(device: InputDevice, audio: PortAudio | None = None) -> bool:
    """Whether PortAudio could open it now; a sound server without a source is listed all the same.

    Raises:
        AudioError: PortAudio does not answer.
    """
    audio = audio or portaudio()
    return device.index is not None and audio.takes(device.index, device.rate)


def why_none(
    roots: Roots | None = None, environ: Mapping[str, str] | None = None, reached: bool = False
) -> str:
    """What to do where no microphone can be seen or opened, by what this machine has.

    reached: PortAudio lists what stands for a sound server.
    """
    roots, environ = roots or Roots(), os.environ if environ is None else environ
    recording = capture_devices(roots)
    if any(not may_open(device, roots) for device in recording):
        return (
            "this user may not open the sound card: sudo usermod -aG audio $USER and log in again "
            "(in a service: SupplementaryGroups=audio)"
        )
    place = environ.get("PULSE_SERVER") or _socket(environ)
    if place and not _answers(place):
        return f"the sound server at {place} does not answer: start PulseAudio or PipeWire"
    if place and reached:
        return (
            f"the sound server at {place} has no source: plug in a microphone, or choose one "
            "(pactl list short sources, pactl set-default-source NAME)"
        )
    if place:
        return (
            f"a sound server is at {place}, which PortAudio reaches through ALSA's plugin: "
            "sudo apt-get install libasound2-plugins (PulseAudio) or pipewire-alsa (PipeWire)"
        )
    return (
        "plug one in and see whether 'arecord -l' lists it; for one of PulseAudio or PipeWire, "
        "run as the user of that server (XDG_RUNTIME_DIR) or set PULSE_SERVER"
    )


def _socket(environ: Mapping[str, str]) -> str:
    folder = environ.get("XDG_RUNTIME_DIR")
    path = Path(folder or "/nonexistent") / "pulse/native"
    return str(path) if path.exists() else ""


def _answers(place: str) -> bool:
    """Whether a process listens at a socket of this machine; of another one it is not asked."""
    path = place.removeprefix("unix:")
    if not path.startswith("/"):
        return True
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def _default(devices: Sequence[InputDevice]) -> InputDevice:
    chosen = [d for d in devices if d.default] or list(devices)
    if len(chosen) == 1:
        return chosen[0]
    raise AudioError(f"no microphone is the default one: choose with --mic: {_choice(devices)}")


def _refuse_number(wanted: str, devices: Sequence[InputDevice]) -> None:
    """A number is the place in a list that is made anew at every start."""
    match = re.fullmatch(r"(?:(?:plug)?hw:)?(\d+)(?:,\d+)?", wanted.strip())
    if not match:
        return
    meant = [d.handle for d in devices if d.index == int(match[1])]
    bare = wanted.strip().isdigit()
    say = "as 'edge-ser mics' lists it"
    if bare and meant:
        say = f"this one is {meant[0]!r} now"
    elif devices:
        say = f"choose {_choice(devices)}"
    raise UsageError(
        f"microphone {wanted!r} is a number, which names another device after a reboot or "
        f"replugging: name it, {say}"
    )


def _plain(wanted: str) -> str:
    """The id without what ALSA or the file system put before it, and without device 0."""
    text = re.sub(r"^(/dev/snd/|(plug)?hw:|sysdefault:)", "", wanted.strip())
    text = re.sub(r"^([^,=:/]+),(\d+)$", r"\1,DEV=\2", text)
    return text.removesuffix(",DEV=0")


def _forms(name: str) -> Iterator[str]:
    """The ways to write a stable id."""
    yield name
    place, _, device = name.partition(",")
    device = f",{device}" if device else ""
    yield re.sub(r"^(CARD=|by-path/|by-id/)", "", place) + device
    if place.startswith("usb:"):
        yield place.partition("@")[0] + device


def _card(name: str) -> str:
    return name.partition(",DEV=")[0]


def _twins(text: str, devices: Sequence[InputDevice]) -> list[InputDevice]:
    """Equal cards of which one is named by an id that goes by the order of plugging in."""
    family = card_family(text.removeprefix("CARD=").partition(",")[0])
    found = [d for d in devices if d.card_id and card_family(d.card_id) == family]
    return found if len(found) > 1 else []


def _only(wanted: str, found: Sequence[InputDevice]) -> InputDevice:
    if len(found) == 1 or not any(device.stable_ids for device in found):
        return found[0]
    raise AudioError(
        f"microphone {wanted!r} could be any of {len(found)}: choose one of {_choice(found)}"
    )


def _choice(devices: Sequence[InputDevice]) -> str:
    return ", ".join(
        f"{d.handle!r} ({d.name})" if d.handle != d.name else repr(d.name) for d in devices
    )
