"""Findings about the runtimes: which are installed, which of them run a model here, and on what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from edge_ser.doctor.finding import Finding, Status, runtime_works
from edge_ser.doctor.machine import Machine
from edge_ser.doctor.outcome import Outcome, Runner

__all__ = ["runtime_findings"]

MEND_ONNX_PAIR = (
    "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu "
    "(or onnxruntime, for the CPU alone)"
)
MEND_32_BITS = "with Python 3.11: pip install tflite-runtime 'numpy<2'"
MEND_OLD_NUMPY = "pip install 'numpy<2', or use LiteRT instead: pip install ai-edge-litert"


@dataclass(frozen=True)
class Runtime:
    """A library that runs models."""

    name: str
    module: str
    packages: tuple[str, ...]
    """Distributions that bring the module; the first is the one to install."""


RUNTIMES = (
    Runtime("LiteRT", "ai_edge_litert", ("ai-edge-litert",)),
    Runtime("tflite-runtime", "tflite_runtime", ("tflite-runtime",)),
    Runtime("TensorFlow", "tensorflow", ("tensorflow", "tensorflow-cpu")),
    Runtime("ONNX Runtime", "onnxruntime", ("onnxruntime", "onnxruntime-gpu")),
)

# A library's message, and the mend; {package} is filled in.
KNOWN_FAILURES = (
    (r"GLIBC(XX)?_[\d.]+' not found", "the C library is too old for it: use Debian 12 or newer"),
    (r"static TLS block", "load the library it names first: export LD_PRELOAD=<its full path>"),
    (r"_ARRAY_API|numpy\.core\.multiarray", "built for an older numpy: pip install 'numpy<2'"),
    (r"No module named", "a dependency is missing: pip install --force-reinstall {package}"),
)
SIGNAL_MENDS = {
    "SIGILL": "the wheel uses instructions that this CPU lacks: pip uninstall {package} and use "
    "another runtime, or an older version of it",
    "SIGKILL": "most likely out of memory: close other programs or add swap",
}
# Providers that are part of every build and need nothing of this machine.
PLAIN_PROVIDERS = frozenset({"CPUExecutionProvider", "AzureExecutionProvider"})


def runtime_findings(machine: Machine, run: Runner) -> Iterator[Finding]:
    """Each runtime tried by a tiny model, each accelerator of ONNX Runtime likewise."""
    found = [finding for runtime in RUNTIMES for finding in _runtime(runtime, machine, run)]
    if {"onnxruntime", "onnxruntime-gpu"} <= machine.packages.keys():
        versions = (machine.packages["onnxruntime"], machine.packages["onnxruntime-gpu"])
        what = "onnxruntime {} and onnxruntime-gpu {} are both installed and overwrite each other"
        yield Finding("runtime", "problem", what.format(*versions), MEND_ONNX_PAIR)
    yield from found
    if not runtime_works(found):
        yield Finding("runtime", "problem", "no runtime works: no model can run", _first(machine))


def _first(machine: Machine) -> str:
    """The runtime to install here."""
    if machine.bits == 32:
        return f"install a 64-bit OS, or {MEND_32_BITS}"
    return "pip install ai-edge-litert onnxruntime"


def _runtime(runtime: Runtime, machine: Machine, run: Runner) -> Iterator[Finding]:
    versions = {p: machine.packages[p] for p in runtime.packages if p in machine.packages}
    if runtime.module not in machine.modules:
        yield _absent(runtime, machine, versions)
        return
    outcome = run((runtime.module,))
    answer = outcome.answer
    package = next(iter(versions), runtime.packages[0])
    label = f"{runtime.name} {versions.get(package, '')}".strip()
    if answer is None:
        mend = _mend(runtime, machine, outcome).format(package=package)
        yield Finding("runtime", "problem", f"{label}: {outcome.reason}", mend)
        return
    if not versions:
        label = f"{runtime.name} {answer.get('version', '')}".strip()
    yield Finding("runtime", "ok", f"{label}: ran a model")
    yield from _providers(answer, run)


def _absent(runtime: Runtime, machine: Machine, versions: dict[str, str]) -> Finding:
    if versions:
        package, version = next(iter(versions.items()))
        mend = f"pip install --force-reinstall {package}"
        what = f"{package} {version} is installed but its files are gone"
        return Finding("runtime", "problem", what, mend)
    if machine.bits == 32:
        if runtime.module == "tflite_runtime":
            return Finding("runtime", "note", "tflite-runtime: not installed", MEND_32_BITS)
        return Finding("runtime", "note", f"{runtime.name}: not installed (no 32-bit wheels)")
    optional = runtime.module in {"tflite_runtime", "tensorflow"}
    mend = "" if optional else f"pip install {runtime.packages[0]}"
    return Finding("runtime", "note", f"{runtime.name}: not installed", mend)


def _mend(runtime: Runtime, machine: Machine, outcome: Outcome) -> str:
    numpy_major = machine.packages.get("numpy", "0").partition(".")[0]
    if runtime.module == "tflite_runtime" and numpy_major not in {"0", "1"}:
        return MEND_OLD_NUMPY
    if outcome.signal in SIGNAL_MENDS:
        return SIGNAL_MENDS[outcome.signal]
    for pattern, mend in KNOWN_FAILURES:
        if re.search(pattern, outcome.error):
            return mend
    return "pip install --force-reinstall --no-cache-dir {package}"


def _providers(answer: dict[str, Any], run: Runner) -> Iterator[Finding]:
    """Being available means compiled in; whether one loads is known only by trying."""
    available = [str(name) for name in answer.get("available", ())]
    if available:
        yield Finding("provider", "ok", f"ONNX Runtime offers {', '.join(available)}")
    for provider in available:
        if provider not in PLAIN_PROVIDERS:
            yield _provider(provider, run(("onnxruntime", provider)))


def _provider(provider: str, outcome: Outcome) -> Finding:
    answer = outcome.answer
    if answer is not None and provider in answer.get("used", ()):
        return Finding("provider", "ok", f"{provider}: ran a model")
    missing = re.search(r"lib[\w.+-]+\.so[\w.]*(?=: cannot open)", outcome.error)
    if missing:
        reason = f"{missing[0]} is missing"
    elif answer is None:
        reason = outcome.reason
    else:
        reason = "ONNX Runtime used the CPU instead"
    # TensorRT is compiled into every GPU wheel and separately installed by few.
    status: Status = "note" if provider == "TensorrtExecutionProvider" else "problem"
    mend = (
        "install the accelerator's driver and libraries of the version that this ONNX Runtime names"
        " (https://onnxruntime.ai/docs/execution-providers/), or use --provider cpu"
    )
    return Finding("provider", status, f"{provider} does not load: {reason}", mend)
