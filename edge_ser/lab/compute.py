"""How the frameworks compute here: threads, kernels, devices."""

from __future__ import annotations

import os
import sys

from edge_ser.errors import DependencyError, UsageError
from edge_ser.memory import keep_freed_memory

__all__ = ["THREADS", "keras_device", "prepare", "prepare_torch", "settings", "torch_device"]

THREADS = 2


def settings(threads: int = THREADS) -> dict[str, str]:
    """Environment variables that make training repeatable and fast.

    One thread between operators: with more, sums run in the order in which threads happen to
    finish, and two runs of one seed differ. Threads within an operator do no harm to that.
    oneDNN's kernels are asked for by name, since TensorFlow leaves them off on CPUs without
    AVX-512, where a training step of PLB then takes 4.2 s instead of 1.0.
    """
    return {
        "KERAS_BACKEND": "tensorflow",
        "TF_ENABLE_ONEDNN_OPTS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_NUM_INTRAOP_THREADS": str(threads),
    }


def prepare(threads: int = THREADS) -> None:
    """Set TensorFlow up by `settings`; to be called before anything imports it.

    Args:
        threads: within one operator, 1 or more.

    Raises:
        UsageError: TensorFlow was imported before, with other settings.
        DependencyError: Keras or TensorFlow is not installed.
    """
    if threads < 1:
        raise UsageError(f"threads is {threads}, expected 1 or more")
    wanted = settings(threads)
    if "tensorflow" in sys.modules and any(os.environ.get(k) != v for k, v in wanted.items()):
        raise UsageError(
            "TensorFlow was imported with other settings, expected those of training: call "
            "edge_ser.lab.compute.prepare() before any other import, in a process of its own"
        )
    os.environ.update(wanted)
    keep_freed_memory()
    # What TensorFlow tells on importing is no matter of the user's; errors stay.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import keras  # noqa: F401
    except ImportError as error:
        raise DependencyError(
            f"training and export need Keras and TensorFlow ({error}); "
            "pip install 'edge-ser[train,export]'"
        ) from error


def prepare_torch(threads: int = THREADS) -> None:
    """Set torch up for repeatable training with that many threads.

    Raises:
        UsageError: no thread.
        DependencyError: torch is not installed.
    """
    if threads < 1:
        raise UsageError(f"threads is {threads}, expected 1 or more")
    try:
        import torch
    except ImportError as error:
        raise DependencyError(
            f"this network needs torch ({error}); pip install 'edge-ser[torch]'"
        ) from error
    torch.set_num_threads(threads)
    keep_freed_memory()


def torch_device() -> str:
    """The best that torch finds: cuda, mps, else cpu."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def keras_device() -> str:
    """What Keras computes on: gpu where TensorFlow sees one, else cpu."""
    import tensorflow

    return "gpu" if tensorflow.config.list_physical_devices("GPU") else "cpu"
