"""The arithmetic floor: how fast this core multiplies matrices, and what a model could take at it.

No graph of small layers runs at the speed of a large matrix product. The ratio of what it takes to
this floor says how much is overhead, memory traffic and activations; it needs no knowledge of the
processor, since the speed is measured in the same run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["SIZES", "MatrixSpeed", "floor_ms", "matrix_speed", "measure"]

SIZES = (256, 384, 512, 768, 1024)
"""Rows and columns; the fastest of them counts. 256 squared lies in most second-level caches."""
SECONDS = 0.3
"""That all sizes take together on a desktop; a slow board needs longer, as each runs twice."""


@dataclass(frozen=True)
class MatrixSpeed:
    """Speed of float32 matrix products in numpy's BLAS."""

    macs_per_s: float
    """Multiply-accumulates per second: of the fastest product."""
    size: int
    """Rows and columns of that product."""
    processor_share: float
    """Processor seconds per second while it was measured: about 1 for one thread that has a core
    to itself, less on a busy machine, more where BLAS has more threads."""


def measure(
    sizes: Sequence[int] = SIZES,
    seconds: float = SECONDS,
    multiply: Callable[..., Any] = np.matmul,
    clock: Callable[[], float] = time.perf_counter,
    processor: Callable[[], float] = time.process_time,
) -> MatrixSpeed:
    """Measure the matrix speed here and now, with the threads that BLAS has.

    BLAS reads its number of threads when numpy is imported: for the speed of one core,
    `OMP_NUM_THREADS=1` must be set before, as the command line does. How many it has is
    `blas_threads` of `read_machine_conditions`.

    Args:
        sizes: rows and columns of square matrices, one or more.
        seconds: for all sizes together.
        multiply: what is timed; as numpy.matmul.
        clock: seconds.
        processor: processor seconds of all threads.
    """
    rng = np.random.default_rng(0)
    best, best_size = 0.0, sizes[0]
    began, worked = clock(), processor()
    for size in sizes:
        a, b = rng.standard_normal((2, size, size), dtype=np.float32)
        result = np.empty_like(a)
        multiply(a, b, out=result)  # the first touches its memory
        until = clock() + seconds / len(sizes)
        speed = 0.0
        while not speed or clock() < until:
            start = clock()
            multiply(a, b, out=result)
            speed = max(speed, size**3 / max(clock() - start, 1e-9))
        if speed > best:
            best, best_size = speed, size
    share = (processor() - worked) / max(clock() - began, 1e-9)
    return MatrixSpeed(best, best_size, round(share, 2))


def matrix_speed() -> float:
    """Multiply-accumulates per second of float32 matrix products; see `measure`."""
    return measure().macs_per_s


def floor_ms(macs: int, macs_per_s: float) -> float:
    """Milliseconds that `macs` multiply-accumulates take at the matrix speed.

    >>> floor_ms(100_000_000, 50e9)
    2.0
    """
    return macs / macs_per_s * 1000
