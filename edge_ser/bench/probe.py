"""Script of one cold start: `python -m edge_ser.bench.probe MODEL PROVIDER THREADS [CLIP [SINCE]]`.

It opens a model in a process that has done nothing else, classifies one clip twice, and prints one
JSON line: seconds of each step, memory between them. Memory is in 10^6 bytes, and null where there
is no /proc. CLIP is an audio file, otherwise a synthetic one; SINCE is `time.monotonic()` from just
before this process was started, otherwise the kernel's note of its start (to 10 ms).
"""

from __future__ import annotations

import sys
import time

STARTED = time.monotonic()


def memory_mb(field: bytes) -> float | None:
    """A line of /proc/self/status: `VmRSS` is what is resident now, `VmHWM` the most so far."""
    try:
        with open("/proc/self/status", "rb") as status:
            found = [line.split()[1] for line in status if line.startswith(field + b":")]
    except OSError:
        return None
    return int(found[0]) * 1024 / 1e6 if found else None


# Before anything else is imported: what Python itself needs.
RSS_BEFORE = memory_mb(b"VmRSS")

TYPE_CHECKING = False  # `typing` itself is an import
if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_ser.audio import Clip
    from edge_ser.classifier import Classifier

__all__ = ["main", "measure", "memory_mb"]


def main(arguments: list[str]) -> None:
    """Measure one start and print what it took, or the error that a user can mend."""
    import json

    from edge_ser.errors import EdgeSerError

    model, provider, threads, clip, since = (*arguments, *("", "", "", "", ""))[:5]
    try:
        found = measure(model, provider or "cpu", int(threads or 1), clip, _start(since))
    except EdgeSerError as error:
        found = {"error": type(error).__name__, "message": str(error)}
    sys.stdout.write(json.dumps(found) + "\n")


def measure(model: str, provider: str, threads: int, clip: str, start: float) -> dict[str, object]:
    """From the start of this process to its second result.

    Args:
        model: file or installed name; untrained weights are as good as others.
        provider: of the runtime.
        threads: of the runtime.
        clip: audio file; empty for a synthetic one.
        start: of the process, on the clock of `time.monotonic`.

    Returns:
        `process_s`: to the first line of this script; `import_s`: edge_ser, numpy, soundfile and
        the runtime; `load_s`: opening the model; `first_s` and `second_s`: the two results;
        `total_s`: all of these to the first result; `rss_*_mb` and `gpu_mb`.

    Raises:
        EdgeSerError: the model cannot be opened, or the clip not be classified.
    """
    began = time.monotonic()
    load_model = _import(model, provider)
    imported = time.monotonic()
    rss_imported = memory_mb(b"VmRSS")
    gpu = _open_gpu(provider)

    load_began = time.monotonic()
    classifier = load_model(model, provider, threads, allow_untrained=True)
    loaded = time.monotonic()
    rss_loaded = memory_mb(b"VmRSS")
    source = clip or _synthetic(classifier.card.input.rate)

    first_began = time.monotonic()
    classifier.crop(source)
    first = time.monotonic()
    classifier.crop(source)
    second = time.monotonic()
    times = {
        "process_s": STARTED - start,
        "import_s": imported - began,
        "load_s": loaded - load_began,
        "first_s": first - first_began,
    }
    return {
        **times,
        "second_s": second - first,
        "total_s": sum(times.values()),
        "rss_before_import_mb": RSS_BEFORE,
        "rss_after_import_mb": rss_imported,
        "rss_after_load_mb": rss_loaded,
        "rss_peak_mb": memory_mb(b"VmHWM"),
        "gpu_mb": gpu(),
        "provider": classifier.provider,
    }


def _start(since: str) -> float:
    """When this process started, on the clock of `time.monotonic`."""
    if since:
        return float(since)
    import os

    try:
        with open("/proc/self/stat", "rb") as stat:
            # After the program's name, which may hold anything: field 22 of proc(5).
            ticks = int(stat.read().rpartition(b")")[2].split()[19])
    except OSError:
        return STARTED
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.monotonic() - age


def _import(model: str, provider: str) -> Callable[..., Classifier]:
    """Everything that opening and hearing would import on the way; gives `load_model`."""
    from contextlib import suppress
    from importlib import import_module

    from edge_ser.classifier import load_model
    from edge_ser.runtime.tflite import RUNTIMES
    from edge_ser.zoo import find_model

    # What is missing here is missed, and named, where it is used.
    with suppress(ImportError, OSError):
        import_module("soundfile")
    of_tflite = [module for _, module in RUNTIMES]
    is_onnx = find_model(model, provider).suffix == ".onnx"
    for name in ["onnxruntime"] if is_onnx else of_tflite:
        with suppress(ImportError):
            import_module(name)
            break
    return load_model


def _open_gpu(provider: str) -> Callable[[], float | None]:
    """Gives a function that tells the GPU memory of this process, or None."""
    if provider == "cpu":
        return lambda: None
    from edge_ser.bench import nvml
    from edge_ser.errors import DependencyError

    try:
        module = nvml.open_nvml()
    except DependencyError:
        return lambda: None
    before = nvml.compute_processes(module)
    return lambda: nvml.gpu_memory_mb(module, before)


def _synthetic(rate: int) -> Clip:
    from edge_ser.audio import Clip
    from edge_ser.signals import demo_clip

    return Clip(demo_clip(rate), rate)


if __name__ == "__main__":
    main(sys.argv[1:])
