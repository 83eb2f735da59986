"""Freed arrays go back to the system, or stay for the next step of a training."""

from __future__ import annotations

import subprocess
import sys

import pytest

from edge_ser import memory

KEEPS = """
import sys
from pathlib import Path
from edge_ser.memory import return_freed_memory
import numpy as np

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

if sys.argv[1] == "set":
    assert return_freed_memory()
np.ones(25_000_000 // 8)  # freed: glibc unset keeps arrays up to this size from now on
before = resident()
arrays = [np.ones(1_000_000 // 8) for _ in range(20)]
last = np.ones(1000)  # lies above them, so that the heap cannot shrink
del arrays
print((resident() - before) // 1_000_000)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is Linux's")
@pytest.mark.parametrize(("how", "kept_mb"), [("set", range(3)), ("not", range(15, 25))])
def test_arrays_that_are_freed_go_back_to_the_system(how: str, kept_mb: range) -> None:
    run = [sys.executable, "-c", KEEPS, how]
    done = subprocess.run(run, capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) in kept_mb


STAYS = """
import sys
from pathlib import Path
from edge_ser.memory import keep_freed_memory
import numpy as np

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

if sys.argv[1] == "set":
    assert keep_freed_memory()
before = resident()
np.ones(100_000_000 // 8)
print((resident() - before) // 1_000_000)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is Linux's")
@pytest.mark.parametrize(("how", "kept_mb"), [("set", range(90, 110)), ("not", range(5))])
def test_arrays_that_are_freed_stay_for_a_training(how: str, kept_mb: range) -> None:
    run = [sys.executable, "-c", STAYS, how]
    done = subprocess.run(run, capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) in kept_mb


def test_another_c_library_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _name: object())
    assert not memory.return_freed_memory() and not memory.keep_freed_memory()
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    assert not memory.return_freed_memory()
