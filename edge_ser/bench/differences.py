"""What differs between two benchmarks besides their times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from edge_ser.bench.wording import clean, figure

__all__ = ["differences", "is_busy", "mismatches", "processor_share"]

Document = Mapping[str, Any]
Path = tuple[str, ...]

APART: tuple[tuple[Path, str], ...] = (
    (("model", "name"), "model"),
    (("model", "clip_s"), "model's clip length in seconds"),
    (("workload", "sha256"), "clips"),
    (("model", "provider"), "provider"),
)
"""Where these differ, a ratio is not of two builds or machines at the same work."""

MACHINE = ("conditions", "machine")
NOTED: tuple[tuple[Path, str], ...] = (
    (("model", "sha256"), "model file"),
    (("model", "frontend_sha256"), "frontend"),
    (("model", "runtime"), "runtime"),
    (("model", "runtime_version"), "runtime's version"),
    (("model", "threads"), "threads"),
    (("workload", "seed"), "seed of the clips' order"),
    ((*MACHINE, "board"), "board"),
    ((*MACHINE, "cpu"), "processor"),
    ((*MACHINE, "cores"), "number of cores"),
    ((*MACHINE, "affinity"), "cores that may be used"),
    ((*MACHINE, "kernel"), "kernel"),
    ((*MACHINE, "bits"), "bits of Python"),
    ((*MACHINE, "libc"), "C library"),
    ((*MACHINE, "python"), "Python"),
    ((*MACHINE, "blas"), "BLAS"),
    ((*MACHINE, "blas_threads"), "threads of BLAS"),
    ((*MACHINE, "version"), "edge-ser"),
    ((*MACHINE, "commit"), "commit"),
    (("conditions", "before", "governor"), "governor"),
    (("conditions", "before", "power"), "power"),
)
PACKAGES: Path = (*MACHINE, "packages")
MHZ_WITHIN = 1.05
LONG = 24


def mismatches(before: Document, after: Document) -> list[str]:
    """Sentences on what keeps the ratios from being of like with like; empty where nothing does."""
    said = list(_unlike(before, after, APART))
    for name, document in (("before", before), ("after", after)):
        if document.get("valid") is False:
            why = next(iter(document.get("validity") or ()), "it says so itself")
            said.append(f"{name} is no valid result: {clean(why)}")
    return said


def differences(before: Document, after: Document) -> list[str]:
    """Sentences on conditions that differ, or that were not as they should be."""
    said = list(_unlike(before, after, NOTED))
    packages = [_value(document, PACKAGES) or {} for document in (before, after)]
    names = ((name,) for name in sorted({*packages[0], *packages[1]} - {"edge-ser"}))
    said += _unlike(packages[0], packages[1], tuple((path, clean(path[0])) for path in names))
    mhz = [_value(document, ("conditions", "before", "mhz")) for document in (before, after)]
    if all(mhz) and not 1 / MHZ_WITHIN < mhz[1] / mhz[0] < MHZ_WITHIN:
        said.append(f"clock rate: {figure(mhz[0])} MHz before, {figure(mhz[1])} MHz after")
    for name, document in (("before", before), ("after", after)):
        said += _unfit(name, document)
    return said


def is_busy(document: Document) -> bool:
    """Whether a run began with a load average over half the cores; unknown counts as not."""
    load = _value(document, ("conditions", "before", "load"))
    cores = _value(document, (*MACHINE, "cores"))
    return bool(load is not None and cores and load > cores / 2)


def processor_share(document: Document) -> float | None:
    """Processor time over time of a run, for one thread on the processor; None otherwise."""
    worked, took = document.get("cpu_ms_per_clip"), document.get("mean_per_wav_ms")
    is_alone = _value(document, ("model", "threads")) == 1
    is_here = _value(document, ("model", "provider")) == "cpu"
    return worked / took if worked is not None and took and is_alone and is_here else None


def _unlike(
    before: Document, after: Document, fields: tuple[tuple[Path, str], ...]
) -> Iterator[str]:
    for path, name in fields:
        values = _value(before, path), _value(after, path)
        if values[0] != values[1]:
            yield f"{name}: {_shown(values[0])} before, {_shown(values[1])} after"


def _unfit(name: str, document: Document) -> Iterator[str]:
    """What was wrong with the machine during a run."""
    if document.get("complete") is False:
        yield f"{name} was interrupted"
    if is_busy(document):
        load = _value(document, ("conditions", "before", "load"))
        yield (
            f"{name} began with a load average of {load:.1f} on "
            f"{_value(document, (*MACHINE, 'cores'))} cores"
        )
    limits = {
        limit
        for when in ("before", "after")
        for limit in _value(document, ("conditions", when, "throttled")) or ()
    }
    if limits:
        yield f"{name} was limited by the board: {clean(', '.join(sorted(limits)))}"


def _value(document: Document, path: Path) -> Any:
    """What is found along a path; None where it ends early."""
    found: Any = document
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _shown(value: object) -> str:
    """A value in a sentence; hashes by their first digits."""
    if value is None:
        return "unknown"
    text = clean(value)
    is_hash = len(text) > LONG and all(digit in "0123456789abcdef" for digit in text)
    return text[:12] if is_hash else text
