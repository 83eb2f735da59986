"""Findings about the machine itself: Python, word size, CPU, BLAS threads, disk."""

from __future__ import annotations

from collections.abc import Iterator

from edge_ser.doctor.finding import Finding, Status
from edge_ser.doctor.machine import Machine
from edge_ser.threads import THREAD_VARIABLES

__all__ = ["system_findings"]

OLDEST_PYTHON = (3, 11)
LAST_TFLITE_RUNTIME_PYTHON = (3, 11)
KERNELS_OF_64_BITS = frozenset({"aarch64", "arm64", "x86_64", "AMD64"})
LITTLE_DISK = 200_000_000
MORE_DISK = 2_000_000_000


def system_findings(machine: Machine) -> Iterator[Finding]:
    """Python, system and board, word size, CPU features, BLAS threads, free disk of the cache."""
    yield _python(machine)
    parts = (machine.board, machine.system, machine.kernel_machine, f"{machine.bits}-bit Python")
    yield Finding("system", "ok", ", ".join(part for part in (*parts, machine.libc) if part))
    if machine.bits == 32:
        yield _of_32_bits(machine)
    if machine.cpu_flags:
        yield _cpu(machine)
    yield _threads(machine)
    yield _disk(machine)


def _python(machine: Machine) -> Finding:
    version = ".".join(map(str, machine.python))
    if machine.python[:2] >= OLDEST_PYTHON:
        return Finding("system", "ok", f"Python {version}")
    return Finding(
        "system",
        "problem",
        f"Python {version}, expected 3.11 or newer",
        "use Debian 12 or newer (Raspberry Pi OS Bookworm), or install another Python",
    )


def _of_32_bits(machine: Machine) -> Finding:
    if machine.kernel_machine in KERNELS_OF_64_BITS:
        what = f"a 32-bit userland on a 64-bit kernel ({machine.kernel_machine})"
    else:
        what = f"{machine.kernel_machine}, a 32-bit system"
    if machine.python[:2] <= LAST_TFLITE_RUNTIME_PYTHON:
        here = "here use tflite-runtime with numpy < 2: pip install tflite-runtime 'numpy<2'"
    else:
        here = "tflite-runtime, the one with 32-bit wheels, stops at Python 3.11"
    return Finding(
        "system", "note", what, f"a 64-bit OS is needed for LiteRT and ONNX Runtime; {here}"
    )


def _cpu(machine: Machine) -> Finding:
    """What a wheel's machine code may assume: if it is absent, slow or an illegal instruction."""
    wanted = {"lse" if flag == "atomics" else flag: flag for flag in _wanted_flags(machine)}
    present = [name for name, flag in wanted.items() if flag in machine.cpu_flags]
    absent = [name for name, flag in wanted.items() if flag not in machine.cpu_flags]
    what = f"{machine.cpu or 'CPU'}: {', '.join(present) or 'none'} present"
    if absent:
        what += f", {', '.join(absent)} absent"
    if "avx" in absent or "asimd" in absent:
        mend = "wheels may need them: if a runtime below crashes with SIGILL, take another one"
        return Finding("system", "note", what, mend)
    return Finding("system", "ok", what)


def _wanted_flags(machine: Machine) -> tuple[str, ...]:
    if machine.kernel_machine in {"aarch64", "arm64"} and machine.bits == 64:
        return ("asimd", "atomics", "asimddp")
    if machine.kernel_machine.startswith(("arm", "aarch64")):
        return ("neon", "vfpv4")
    return ("avx", "avx2", "fma", "avx512f")


def _threads(machine: Machine) -> Finding:
    if machine.environment:
        named = (
            f"{name}={machine.environment[name]}"
            for name in THREAD_VARIABLES
            if name in machine.environment
        )
        return Finding("system", "ok", f"BLAS threads: {', '.join(named)}")
    return Finding(
        "system",
        "note",
        "BLAS threads: not set, so numpy uses every core (commands set them to --threads)",
        "in a program of your own: export OMP_NUM_THREADS=1",
    )


def _disk(machine: Machine) -> Finding:
    what = f"{machine.cache_free / 1e9:.1f} GB free for the cache, {machine.cache}"
    if machine.cache_free >= MORE_DISK:
        return Finding("system", "ok", what)
    status: Status = "note" if machine.cache_free >= LITTLE_DISK else "problem"
    mend = "free some disk, or set XDG_CACHE_HOME to a folder on another one"
    return Finding("system", status, what, mend)
