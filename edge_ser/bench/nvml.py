"""What NVIDIA's management library tells of GPUs, through the optional package nvidia-ml-py."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Any

from edge_ser.errors import DependencyError

__all__ = ["compute_processes", "gpu_memory_mb", "gpus_in_use", "joules", "open_nvml"]


def open_nvml() -> Any:
    """The module `pynvml`, ready for calls.

    Raises:
        DependencyError: it is not installed, or there is no NVIDIA driver.
    """
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError as error:
        raise DependencyError(
            "no pynvml, which asks NVIDIA's driver: pip install nvidia-ml-py"
        ) from error
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        raise DependencyError(
            f"NVIDIA's driver does not answer ({error}), expected one: check with nvidia-smi"
        ) from error
    return nvml


def compute_processes(nvml: Any) -> dict[int, int | None]:
    """Bytes of GPU memory by process that computes; None where the driver does not tell."""
    memory: dict[int, int | None] = {}
    for handle in _handles(nvml):
        for pid, used in _processes(nvml, handle).items():
            before = memory.get(pid, 0)
            memory[pid] = None if used is None or before is None else before + used
    return memory


def gpu_memory_mb(nvml: Any, before: Mapping[int, int | None]) -> float | None:
    """GPU memory of this process, context and libraries included, in 10^6 bytes.

    Args:
        nvml: from `open_nvml`.
        before: `compute_processes` from before this process computed. A container's numbers of
            processes are not the driver's; then the only new process is taken for this one.
    """
    now = compute_processes(nvml)
    new = [pid for pid in now if pid not in before]
    pid = os.getpid() if os.getpid() in now else new[0] if len(new) == 1 else None
    used = None if pid is None else now[pid]
    return None if used is None else used / 1e6


def gpus_in_use(nvml: Any) -> list[tuple[str, Any]]:
    """Name and handle of the GPUs that this process computes on.

    Raises:
        DependencyError: there is none, or several and the driver does not say which of them.
    """
    handles = _handles(nvml)
    used = [handle for handle in handles if os.getpid() in _processes(nvml, handle)]
    if not used and len(handles) != 1:
        raise DependencyError(
            f"{len(handles)} GPUs, and NVIDIA's driver does not say which one this process uses: "
            "show the process only that one"
        )
    return [(_name(nvml, handle), handle) for handle in used or handles]


def joules(nvml: Any, handle: Any) -> float:
    """Energy of the whole GPU since its driver was loaded.

    Raises:
        DependencyError: the GPU does not count it (those before Volta).
    """
    try:
        return float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
    except nvml.NVMLError as error:
        raise DependencyError(
            f"this GPU does not count its energy ({error}): use a power meter"
        ) from error


def _handles(nvml: Any) -> list[Any]:
    try:
        return [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError:  # a GPU that was lost
        return []


def _name(nvml: Any, handle: Any) -> str:
    name = nvml.nvmlDeviceGetName(handle)
    return name.decode() if isinstance(name, bytes) else str(name)


def _processes(nvml: Any, handle: Any) -> dict[int, int | None]:
    try:
        found = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except nvml.NVMLError:  # some drivers and partitioned GPUs keep it to themselves
        return {}
    return {process.pid: process.usedGpuMemory for process in found}
