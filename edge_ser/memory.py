"""How much memory a process that runs for months keeps that it no longer uses."""

from __future__ import annotations

import ctypes
import logging
import sys

__all__ = ["return_freed_memory"]

LOG = logging.getLogger("edge_ser.listening")

M_MMAP_THRESHOLD = -3  # malloc.h
LARGE_BYTES = 128 * 1024
"""glibc's own first threshold. A system call for each larger array is little beside filling it."""


def return_freed_memory() -> bool:
    """Give every freed array of 128 KiB and more back to the system at once; whether that is set.

    glibc raises its threshold to the largest array that was ever freed, and keeps smaller ones: the
    longest utterances of a day then decide how much memory is held for good. For the process as a
    whole, so an application's business and not a library's. Does nothing without glibc.
    """
    if sys.platform != "linux":
        return False
    try:
        done: int = ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
    except (OSError, AttributeError):  # musl has no mallopt
        LOG.debug("freed memory is kept", exc_info=True)
        return False
    return bool(done)
