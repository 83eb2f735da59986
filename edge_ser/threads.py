"""How many threads numerical libraries take, where nobody tells them."""

from __future__ import annotations

__all__ = ["MAX_THREADS", "THREAD_VARIABLES"]

MAX_THREADS = 256
"""That anybody may ask for."""

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
"""Of the environment; each is read when its library is imported."""
