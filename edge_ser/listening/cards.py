"""What the kernel says of microphones: names that survive a reboot, and who holds one."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CaptureDevice", "Roots", "capture_devices", "card_family", "may_open"]


@dataclass(frozen=True)
class Roots:
    """Where the kernel and udev show themselves."""

    proc: Path = Path("/proc")
    dev: Path = Path("/dev/snd")
    sys: Path = Path("/sys/class/sound")


@dataclass(frozen=True)
class CaptureDevice:
    """One capture device of one sound card."""

    card: int
    """Number of the card; another one after the next reboot."""
    device: int
    """Number within the card; the same for ever."""
    card_id: str
    """Name of the card in ALSA's `hw:CARD=...`."""
    name: str
    stable_ids: tuple[str, ...]
    """Names that survive a reboot, the one to recommend first."""
    owner: str
    """Program that has it open, with its process id; empty where it is free."""


def capture_devices(roots: Roots | None = None) -> list[CaptureDevice]:
    """Every device that can record, by card and number, whoever may open it."""
    roots = roots or Roots()
    cards = {
        int(folder.name.removeprefix("card")): folder
        for folder in roots.proc.glob("asound/card[0-9]*")
        if folder.name.removeprefix("card").isdigit()
    }
    ids = {number: _text(folder / "id") for number, folder in cards.items()}
    names = _card_names(roots)
    stable = _stable_ids(roots, ids)
    found = []
    for number, folder in sorted(cards.items()):
        for device, pcm in _capture_folders(folder):
            suffix = f",DEV={device}" if device else ""
            parts = [names.get(number, ids[number]), _field(pcm / "info", "name")]
            found.append(
                CaptureDevice(
                    card=number,
                    device=device,
                    card_id=ids[number],
                    name=": ".join(filter(None, parts)),
                    stable_ids=tuple(name + suffix for name in stable[number]),
                    owner=_owner(pcm, roots),
                )
            )
    return found


def may_open(device: CaptureDevice, roots: Roots | None = None) -> bool:
    """Whether this user may open the device's file; one that is absent nobody may."""
    file = (roots or Roots()).dev / f"pcmC{device.card}D{device.device}c"
    return os.access(file, os.R_OK | os.W_OK)


def card_family(card_id: str) -> str:
    """The id without the number that the kernel gives to the second of two equal cards."""
    return re.sub(r"_\d+$", "", card_id)


def _text(path: Path) -> str:
    """The content without its ends; empty where it cannot be read: devices come and go."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _field(path: Path, name: str) -> str:
    """The value in a line `name: value`."""
    match = re.search(rf"^{name}[ \t]*:[ \t]*(.*)$", _text(path), re.M)
    return match[1].strip() if match else ""


def _card_names(roots: Roots) -> dict[int, str]:
    lines = re.findall(
        r"^\s*(\d+) \[[^\]]*\]: \S+ - (.*)$", _text(roots.proc / "asound/cards"), re.M
    )
    return {int(number): name.strip() for number, name in lines}


def _capture_folders(card: Path) -> Iterator[tuple[int, Path]]:
    numbered = ((re.fullmatch(r"pcm(\d+)c", path.name), path) for path in card.glob("pcm*c"))
    yield from sorted((int(match[1]), path) for match, path in numbered if match)


def _links(folder: Path) -> dict[int, str]:
    """Card number -> name of udev's link to its control file."""
    found = {}
    for link in sorted(folder.glob("*")):
        try:
            match = re.fullmatch(r"controlC(\d+)", Path(os.readlink(link)).name)
        except OSError:
            continue
        if match:
            found[int(match[1])] = f"{folder.name}/{link.name}"
    return found


def _usb_id(card: int, roots: Roots) -> str:
    """Vendor, product and port, also where no udev runs (a container)."""
    try:
        interface = (roots.sys / f"card{card}/device").resolve(strict=True)
    except OSError:
        return ""
    vendor, product = (_text(interface.parent / f"id{kind}") for kind in ("Vendor", "Product"))
    return f"usb:{vendor}:{product}@{interface.parent.name}" if vendor and product else ""


def _stable_ids(roots: Roots, ids: Mapping[int, str]) -> dict[int, list[str]]:
    """Names of each card, best first.

    Of two equal cards the ids (`Device`, `Device_1`) go by the order in which they were found, and
    udev's by-id links, where the makers gave no serial numbers, are one for both. So neither is a
    stable name for them; the port that they are plugged into is.
    """
    paths, serials = _links(roots.dev / "by-path"), _links(roots.dev / "by-id")
    usb = {card: _usb_id(card, roots) for card in ids}
    families = Counter(card_family(name) for name in ids.values())
    stable = {}
    for card, name in ids.items():
        ports = [name for name in (paths.get(card, ""), usb[card]) if name]
        by_id = [serials[card]] if card in serials else []
        twins = [c for c, other in ids.items() if card_family(other) == card_family(name)]
        if families[card_family(name)] == 1:
            stable[card] = [f"CARD={name}", *by_id, *ports]
        elif all(twin in serials for twin in twins):
            stable[card] = [*by_id, *ports]
        else:
            stable[card] = ports or [f"CARD={name}"]
    return stable


def _owner(pcm: Path, roots: Roots) -> str:
    """Who has all of the device's substreams open; empty where one is free."""
    owners = []
    for status in sorted(pcm.glob("sub*/status")):
        text = _text(status)
        if not text or text.startswith("closed"):
            return ""
        owners.append(_process(_field(status, "owner_pid"), roots))
    return owners[0] if owners else ""


def _process(task: str, roots: Roots) -> str:
    """A task's program: the kernel names the thread that opened, which may be called anything."""
    process = _field(roots.proc / task / "status", "Tgid") if task.isdigit() else ""
    program = _text(roots.proc / process / "comm") if process else ""
    return f"{program} (process {process})" if program else "another program"
