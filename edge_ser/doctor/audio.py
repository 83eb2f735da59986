"""Findings about audio: libsndfile, libsoxr, PortAudio, microphones."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from edge_ser.doctor.finding import Finding
from edge_ser.doctor.machine import Machine
from edge_ser.doctor.outcome import Outcome, Runner

__all__ = ["audio_findings"]

# module -> the C library it needs, what that is for, and Debian's package of it.
LIBRARIES: Mapping[str, tuple[str, str, str]] = {
    "soundfile": ("libsndfile", "reads audio files", "libsndfile1"),
    "soxr": ("libsoxr", "resamples", "libsoxr0"),
    "sounddevice": ("PortAudio", "opens microphones", "libportaudio2"),
}

SOURCELESS = (
    "its sound server has no source, or it is busy: plug in a microphone, or choose one "
    "(pactl list short sources, pactl set-default-source NAME)"
)


def audio_findings(machine: Machine, run: Runner) -> Iterator[Finding]:
    """Each audio library tried, then the microphones that PortAudio sees."""
    for module in LIBRARIES:
        if module not in machine.modules:
            yield _absent(module, machine)
            continue
        outcome = run((module,))
        yield _library(module, outcome)
        if module == "sounddevice" and outcome.answer is not None:
            yield from _microphones(outcome.answer, machine)


def _absent(module: str, machine: Machine) -> Finding:
    mend = f"pip install {module}"
    if module == "soxr" and machine.bits == 32:
        mend = "no 32-bit wheel: sudo apt-get install build-essential python3-dev && " + mend
    what = f"{module}, which {LIBRARIES[module][1]}: not installed"
    return Finding("audio", "problem", what, mend)


def _library(module: str, outcome: Outcome) -> Finding:
    library, purpose, package = LIBRARIES[module]
    answer = outcome.answer
    if answer is None:
        mend = f"pip install --force-reinstall --no-cache-dir {module}"
        if re.search("library not found|cannot load library|cannot open shared", outcome.error):
            mend = f"sudo apt-get install {package}"
        return Finding("audio", "problem", f"{module}, which {purpose}: {outcome.reason}", mend)
    version = str(answer.get("library", "")).partition(",")[0].removeprefix(library).strip()
    return Finding("audio", "ok", f"{module} {answer.get('version', '')}, {library} {version}")


def _microphones(answer: Mapping[str, Any], machine: Machine) -> Iterator[Finding]:
    for device in answer.get("microphones", ()):
        what = "{name} ({api}): {rate:.0f} Hz, {channels} channels".format(**device)
        what += ", default" if device["default"] else ""
        if device.get("opens", True):
            yield Finding("microphone", "ok", what)
        else:
            yield Finding("microphone", "note", f"{what}: cannot be opened now", SOURCELESS)
    if answer.get("microphones"):
        return
    if not machine.sound_hardware or machine.groups & {"audio", "root"}:
        mend = "listen needs one: plug it in; files need none"
    else:
        mend = "this user is not in the group audio: sudo usermod -aG audio $USER, log in again"
    yield Finding("microphone", "note", "no microphone found", mend)
