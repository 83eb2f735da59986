"""What starting costs: `import edge_ser`, and `edge-ser --help`.

    python benchmarks/start_up.py

Each figure is the median over 11 fresh processes after one that warms the disk cache: the
cumulative time of `-X importtime`, and the wall time of the installed program.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 11


def import_ms() -> float:
    """Cumulative milliseconds of `import edge_ser` in a fresh process."""
    command = [sys.executable, "-X", "importtime", "-c", "import edge_ser"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()
    (line,) = (line for line in lines if line.endswith("| edge_ser"))
    return int(line.split("|")[1]) / 1000


def help_ms() -> float:
    """Wall milliseconds of `edge-ser --help`."""
    command = [str(Path(sys.executable).with_name("edge-ser")), "--help"]
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - start) * 1000


if __name__ == "__main__":
    for name, measure in [("import edge_ser", import_ms), ("edge-ser --help", help_ms)]:
        measure()
        values = [measure() for _ in range(RUNS)]
        print(f"{name}: median {statistics.median(values):.1f} ms, max {max(values):.1f} ms")
