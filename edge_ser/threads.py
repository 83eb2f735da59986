"""How many threads numerical libraries take, where nobody tells them."""

from __future__ import annotations

__all__ = ["THREAD_VARIABLES"]

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
"""Of the environment; each is read when its library is imported."""
