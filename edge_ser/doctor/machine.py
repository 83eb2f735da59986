"""`Machine`: the facts that the doctor judges, all read by `read_machine`. Nothing is imported."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import struct
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edge_ser.threads import THREAD_VARIABLES

__all__ = ["Machine", "read_machine"]

DISTRIBUTIONS = (
    "ai-edge-litert",
    "edge-ser",
    "numpy",
    "onnxruntime",
    "onnxruntime-gpu",
    "sounddevice",
    "soundfile",
    "soxr",
    "tensorflow",
    "tensorflow-cpu",
    "tflite-runtime",
)
MODULES = (
    "ai_edge_litert",
    "onnxruntime",
    "sounddevice",
    "soundfile",
    "soxr",
    "tensorflow",
    "tflite_runtime",
)


@dataclass(frozen=True)
class Machine:
    """Facts about the machine, the Python and what is installed in it."""

    system: str
    """Linux, Darwin, Windows."""
    kernel_machine: str
    """What the kernel calls the machine: x86_64, aarch64, armv7l, ..."""
    bits: int
    """32 or 64: of this Python, which may be 32 on a 64-bit kernel."""
    libc: str
    """Such as "glibc 2.36"; empty when unknown."""
    python: tuple[int, int, int]
    cpu: str
    """Model name; empty when unknown."""
    cpu_flags: frozenset[str]
    """`flags` (x86) or `Features` (ARM) of /proc/cpuinfo; empty when unknown."""
    board: str
    """Such as "Raspberry Pi 4 Model B Rev 1.4"; empty when this is no such board."""
    packages: Mapping[str, str]
    """Version of each installed distribution that matters here."""
    modules: frozenset[str]
    """Top-level modules that an import would find."""
    environment: Mapping[str, str]
    """The variables that set BLAS threads, where set."""
    groups: frozenset[str]
    """Names of the groups of this process; "root" included for the superuser."""
    sound_hardware: bool
    """Whether /dev/snd is there."""
    cache: Path
    """Folder of runs and cached features."""
    cache_free: int
    """Bytes free there."""


def read_machine(root: Path = Path("/")) -> Machine:
    """Facts of this machine; `root` is where `proc` and `dev` are looked for."""
    cpu = _cpuinfo(_text(root / "proc" / "cpuinfo"))
    cache = _cache()
    return Machine(
        system=platform.system(),
        kernel_machine=platform.machine(),
        bits=8 * struct.calcsize("P"),
        libc=" ".join(platform.libc_ver()).strip(),
        python=sys.version_info[:3],
        cpu=cpu.get("model name", ""),
        cpu_flags=frozenset((cpu.get("flags") or cpu.get("Features", "")).split()),
        board=_text(root / "proc" / "device-tree" / "model").strip("\0\n ") or cpu.get("Model", ""),
        packages=_versions(),
        modules=frozenset(name for name in MODULES if importlib.util.find_spec(name)),
        environment={name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
        groups=_groups(),
        sound_hardware=(root / "dev" / "snd").is_dir(),
        cache=cache,
        cache_free=_free(cache),
    )


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace")
    return ""


def _cpuinfo(text: str) -> dict[str, str]:
    """Key to value; the cores agree in all that is read here, so one of them is enough."""
    return dict(re.findall(r"^([^\t\n:]+?)[ \t]*:[ \t]*(.*)$", text, re.MULTILINE))


def _versions() -> dict[str, str]:
    versions = {}
    for name in DISTRIBUTIONS:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def _groups() -> frozenset[str]:
    names = set()
    with suppress(ImportError):  # Windows has neither groups nor this module
        import grp

        for number in {*os.getgroups(), os.getegid()}:
            with suppress(KeyError):
                names.add(grp.getgrgid(number).gr_name)
        if os.geteuid() == 0:
            names.add("root")
    return frozenset(names)


def _cache() -> Path:
    """As the workshop has it: `EDGE_SER_RUNS`, or `edge-ser` in the user's cache."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("EDGE_SER_RUNS") or caches / "edge-ser")


def _free(folder: Path) -> int:
    existing = next(
        path for path in (folder.absolute(), *folder.absolute().parents) if path.exists()
    )
    return shutil.disk_usage(existing).free
