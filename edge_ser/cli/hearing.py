"""Some seconds of a microphone, with a live meter where a person watches, and as a WAV file."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_ser.cli.progress import a_person_watches
from edge_ser.documents import printable
from edge_ser.errors import AudioError, StorageError

if TYPE_CHECKING:
    from edge_ser.audio import Clip
    from edge_ser.listening.microphone import Microphone
    from edge_ser.listening.options import SourceOptions

__all__ = ["Duration", "hear", "save"]

STALL_S = 3.0
LONGEST_S = 600.0
QUIET_DB = 80.0
"""Decibels that the bar of the live meter spans, below full scale."""
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "": 1.0}


class Duration(click.ParamType):  # type: ignore[type-arg]
    """Seconds, written as 5s, 1.5s, 500ms, 2m or just 5."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The seconds, or a usage error."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|)", str(value).strip())
        seconds = float(match[1]) * UNITS[match[2]] if match else 0.0
        if not 0.1 <= seconds <= LONGEST_S:
            self.fail(f"{value!r} is no duration from 100ms to 10m, such as 5s or 1.5s", param, ctx)
        return seconds


@contextmanager
def _opened(options: SourceOptions) -> Iterator[Microphone]:
    from edge_ser.listening.microphone import Microphone

    microphone = Microphone(options)
    try:
        microphone.open()
        yield microphone
    finally:
        microphone.close()


def hear(options: SourceOptions, seconds: float) -> tuple[str, Clip]:
    """The microphone's name and what it brings in that time, with a bar where a person watches."""
    import numpy as np

    from edge_ser.audio import Clip

    with _opened(options) as microphone, _live_bar(microphone.name, seconds) as show:
        blocks = []
        count, rate = 0, 0
        while not rate or count < seconds * rate:
            block = microphone.read(STALL_S)
            if block is None:
                raise AudioError(
                    f"microphone {microphone.name!r}: no audio within {STALL_S:g} s: "
                    "plug it in again, or choose another"
                )
            blocks.append(block.samples)
            rate = block.rate
            count += len(block.samples)
            show(block.samples, count / rate)
        samples = np.concatenate(blocks)[: round(seconds * rate)]
        return microphone.name, Clip(samples, rate)


@contextmanager
def _live_bar(name: str, seconds: float) -> Iterator[Callable[..., None]]:
    """A level meter on standard error that vanishes at the end."""
    if not a_person_watches():
        yield lambda samples, at: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    from edge_ser.listening.metering import block_levels

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(40),
        TextColumn("{task.fields[said]}", markup=False),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(printable(name), total=QUIET_DB, said="")

        def show(samples: object, at: float) -> None:
            level, peak = block_levels(samples)  # type: ignore[arg-type]
            said = f"{level:4.0f} dBFS, peak {peak:4.0f}, {max(0.0, seconds - at):3.0f} s"
            bar.update(task, completed=max(0.0, QUIET_DB + level), said=said)

        yield show


def save(clip: Clip, path: Path) -> None:
    """Write 16-bit WAV beside its place and rename it."""
    import soundfile

    part = path.with_name(f".edge-ser-{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            soundfile.write(file, clip.samples, clip.rate, format="WAV", subtype="PCM_16")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except (OSError, soundfile.SoundFileError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise StorageError(
            f"{path}: {said}: cannot be written; name a place with room and permission"
        ) from error
    finally:
        part.unlink(missing_ok=True)
