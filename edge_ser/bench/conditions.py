"""What a measurement was taken on: `read_machine_conditions` stays as it is, `read_state` changes.

Everything is a JSON value. What this machine does not tell is null and never guessed.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from edge_ser import __version__
from edge_ser.doctor.machine import Machine, read_machine

__all__ = ["read_commit", "read_machine_conditions", "read_state"]

CHECKOUT = Path(__file__).resolve().parents[2]
COMMAND_SECONDS = 5.0

THROTTLED_NOW = {
    0: "under-voltage",
    1: "frequency capped",
    2: "throttled",
    3: "soft temperature limit",
}
"""Bits of the Raspberry Pi's `get_throttled`; 16 further up: has happened since the start."""
SINCE_START = 16
FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"
"""The same flags from the kernel, as hexadecimal digits; for systems without vcgencmd."""

OF_PROCESSOR = re.compile(r"cpu|core|soc|pkg|package|k10temp|zenpower", re.IGNORECASE)

BLAS_LIBRARY = re.compile(r"/\S*(?:openblas|mkl_rt|blis)[^/\s]*$", re.MULTILINE)
BLAS_THREADS = (
    "scipy_openblas_get_num_threads64_",
    "scipy_openblas_get_num_threads",
    "openblas_get_num_threads64_",
    "openblas_get_num_threads",
    "MKL_Get_Max_Threads",
    "bli_thread_get_num_threads",
)
"""Functions without arguments that tell how many threads a BLAS uses; each has one of them."""


def read_machine_conditions(root: Path = Path("/")) -> dict[str, Any]:
    """Board, processor, system, Python, numpy's BLAS, packages and the commit of edge-ser.

    Args:
        root: where `proc`, `etc` and `sys` are looked for.

    Returns:
        `memory_mb` in 10^6 bytes; `affinity`: the cores that this process may use; `bits`: of this
        Python, 32 or 64; `virtual`: whether the processor says that it is a virtual one;
        `blas_threads`: as the library itself says; `thread_variables`: those that are set;
        `commit`: null outside of a checkout, with `+` where files differ from it.
    """
    machine = read_machine(root)
    return {
        "board": machine.board or None,
        "cpu": _cpu(root, machine),
        "gpu": _gpu(root),
        "cores": os.cpu_count(),
        "affinity": _affinity(),
        "virtual": _virtual(machine),
        "memory_mb": _memory_mb(root),
        "system": _system(root),
        "kernel": f"{machine.system} {platform.release()}",
        "machine": machine.kernel_machine,
        "bits": machine.bits,
        "libc": machine.libc or None,
        "python": ".".join(map(str, machine.python)),
        "packages": dict(machine.packages),
        "blas": _blas(),
        "blas_threads": _blas_threads(),
        "thread_variables": dict(machine.environment),
        "version": __version__,
        "commit": read_commit(),
    }


def _gpu(root: Path) -> str | None:
    """Names of NVIDIA's GPUs, as their driver gives them."""
    names = []
    for file in sorted(root.glob("proc/driver/nvidia/gpus/*/information")):
        found = re.search(r"^Model:\s*(.+)$", _text(file) or "", re.MULTILINE)
        names += [found[1].strip()] if found else []
    return ", ".join(names) or None


def read_state(root: Path = Path("/"), vcgencmd: str = "vcgencmd") -> dict[str, Any]:
    """What heat, power and other work change: to be read before a run and after it.

    Args:
        root: where `proc` and `sys` are looked for.
        vcgencmd: the program of the Raspberry Pi that tells of throttling.

    Returns:
        `load`: mean of the last minute; `governor`: one name, or several joined; `mhz`: of the
        fastest core at this moment; `cores`: governor, `mhz` and the bounds `mhz_min` and
        `mhz_max` of each; `celsius`: the hottest of the `sensors` that are the processor's by
        name; `throttled`: what limits the processor now or has since the start (a Raspberry Pi
        tells; empty: nothing), `throttled_flags`: the same as it came; `throttle_count`: how often
        heat slowed the cores since the start (Intel tells); `power`: `mains` or `battery`.
    """
    cores = list(_cores(root))
    sensors = dict(_sensors(root))
    flags = _throttle_flags(root, vcgencmd)
    governors = sorted({core["governor"] for core in cores if core["governor"]})
    return {
        "load": _load(root),
        "governor": ", ".join(governors) or None,
        "mhz": max((core["mhz"] for core in cores if core["mhz"]), default=None),
        "cores": cores,
        "celsius": max(
            (t for name, t in sensors.items() if OF_PROCESSOR.search(name)), default=None
        ),
        "sensors": sensors,
        "throttled": None if flags is None else _throttled(flags),
        "throttled_flags": None if flags is None else hex(flags),
        "throttle_count": _throttle_count(root),
        "power": _power(root),
    }


def read_commit(checkout: Path = CHECKOUT) -> str | None:
    """The checkout's commit, with `+` where files differ from it; None outside of one."""
    # An installed package may lie within somebody else's checkout: only this very folder counts.
    if not (checkout / ".git").exists():
        return None
    git = ("git", "-C", str(checkout), "--no-optional-locks")
    return _output((*git, "describe", "--always", "--abbrev=12", "--dirty=+"))


def _output(command: Sequence[str]) -> str | None:
    """What a program prints, without a shell; None where it is not there, fails or hangs."""
    try:
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=COMMAND_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return ended.stdout.strip() or None


def _text(path: Path) -> str | None:
    with suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ") or None
    return None


def _number(path: Path, divisor: float = 1.0) -> float | None:
    """A whole number in a file, in larger units; some drivers fail, or hold words instead."""
    with suppress(ValueError):
        return int(_text(path) or "") / divisor
    return None


def _cpu(root: Path, machine: Machine) -> str | None:
    """ARM kernels name the core in the device tree alone: arm,cortex-a72."""
    trees = sorted((root / "proc/device-tree/cpus").glob("cpu@*/compatible"))
    names = dict.fromkeys((_text(path) or "").split("\0")[0] for path in trees)
    return " + ".join(filter(None, names)) or machine.cpu or None


def _affinity() -> list[int] | None:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def _virtual(machine: Machine) -> bool | None:
    """x86 processors have a flag for it, others do not tell."""
    of_x86 = machine.kernel_machine in {"x86_64", "AMD64", "i686"} and machine.cpu_flags
    return "hypervisor" in machine.cpu_flags if of_x86 else None


def _memory_mb(root: Path) -> float | None:
    found = re.search(r"^MemTotal:\s+(\d+) kB", _text(root / "proc/meminfo") or "", re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else None


def _system(root: Path) -> str | None:
    text = _text(root / "etc/os-release") or ""
    found = re.search(r'^PRETTY_NAME="?([^"\n]+)', text, re.MULTILINE)
    return found[1] if found else None


def _blas() -> str | None:
    """Name and version of the BLAS that numpy was built with."""
    import numpy as np

    # numpy before 1.25 has no such argument and can only print.
    with suppress(TypeError, KeyError):
        found = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        return " ".join(str(found[part]) for part in ("name", "version") if part in found) or None
    return None


def _blas_threads(maps: Path = Path("/proc/self/maps")) -> int | None:
    """Threads of the BLAS that is loaded, asked of the library itself."""
    import numpy as np  # noqa: F401  (loads the library)

    for path in dict.fromkeys(BLAS_LIBRARY.findall(_text(maps) or "")):
        with suppress(OSError):
            library = ctypes.CDLL(path)
            for name in BLAS_THREADS:
                if hasattr(library, name):
                    return int(getattr(library, name)())
    return None


def _load(root: Path) -> float | None:
    with suppress(ValueError, IndexError):
        return float((_text(root / "proc/loadavg") or "").split()[0])
    return None


def _cores(root: Path) -> Iterator[dict[str, Any]]:
    """Governor and frequencies of each core whose kernel scales them."""
    folders = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq")
    for folder in sorted(folders, key=lambda path: int(path.parent.name[3:])):
        yield {
            "core": int(folder.parent.name[3:]),
            "governor": _text(folder / "scaling_governor"),
            "mhz": _number(folder / "scaling_cur_freq", 1000),
            "mhz_min": _number(folder / "scaling_min_freq", 1000),
            "mhz_max": _number(folder / "scaling_max_freq", 1000),
        }


def _sensors(root: Path) -> Iterator[tuple[str, float]]:
    """Degrees Celsius by the sensor's name, numbered where several have the same."""
    seen: dict[str, int] = {}
    for path in [
        *sorted((root / "sys/class/thermal").glob("thermal_zone*/temp")),
        *sorted((root / "sys/class/hwmon").glob("hwmon*/temp*_input")),
    ]:
        degrees = _number(path, 1000)
        if degrees is None:
            continue
        part = path.name.removesuffix("_input")
        name = _text(path.with_name("type")) or " ".join(
            (
                _text(path.with_name("name")) or path.parent.name,
                _text(path.with_name(f"{part}_label")) or part,
            )
        )
        seen[name] = seen.get(name, 0) + 1
        yield (name if seen[name] == 1 else f"{name} #{seen[name]}"), degrees


def _throttle_flags(root: Path, vcgencmd: str) -> int | None:
    said = re.search(r"throttled=(0x[0-9a-fA-F]+)", _output((vcgencmd, "get_throttled")) or "")
    with suppress(ValueError):
        return int(said[1] if said else _text(root / FIRMWARE) or "", 16)
    return None


def _throttled(flags: int) -> list[str]:
    now = [f"{name} now" for bit, name in THROTTLED_NOW.items() if flags >> bit & 1]
    since = [
        f"{name} since the start"
        for bit, name in THROTTLED_NOW.items()
        if flags >> (bit + SINCE_START) & 1
    ]
    return now + since


def _throttle_count(root: Path) -> int | None:
    paths = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/core_throttle_count")
    counts = [count for count in map(_number, paths) if count is not None]
    return int(sum(counts)) if counts else None


def _power(root: Path) -> str | None:
    """`mains` where a supply is plugged in, `battery` where this system runs down its own."""
    found = set()
    for folder in (root / "sys/class/power_supply").glob("*"):
        if _text(folder / "scope") == "Device":  # a mouse's or a headset's
            continue
        if _text(folder / "type") == "Battery":
            found.add("battery" if _text(folder / "status") == "Discharging" else "")
        elif _text(folder / "online") == "1":
            found.add("mains")
    return next((source for source in ("mains", "battery") if source in found), None)
