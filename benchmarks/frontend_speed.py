"""Time of our MFCCs beside librosa's, in one process on one thread.

    python benchmarks/frontend_speed.py

The calls alternate, so that all meet the same machine; the figure is the ratio of the medians, of
time that passed and of time on the processor, which other work disturbs less. The rolling form gets
the next window of a stream, one hop of 43 STFT hops (1 s) after the last. Pitch is that of a clip
as long, every 16 ms.
Needs the extra [reference].
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from itertools import count

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
SAMPLES = 100_000
HOP = 43 * 512
SPEECH = 62_000
"""Median length of an EMO-DB clip at 22,050 Hz; the rest of a PLB input is padding."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=300, help="calls of each (default 300)")
    rounds = parser.parse_args().rounds
    os.environ.update(dict.fromkeys(THREADS, "1"))  # BLAS reads it once, when numpy is imported
    import librosa
    import numpy as np

    from edge_ser.audio import fit
    from edge_ser.frontend import PRESETS, Frontend, RollingFrontend

    rng = np.random.default_rng(0)
    full = (0.1 * rng.standard_normal(SAMPLES)).astype(np.float32)
    padded = fit(full[:SPEECH], SAMPLES)
    frontend, pitch = Frontend(PRESETS["librosa"]), Frontend(PRESETS["pitch"])
    at_16k = full[: SAMPLES * 16_000 // 22_050]  # as long, at the rate of pitch
    rolling, positions = RollingFrontend(frontend, SAMPLES, SAMPLES), count(0, HOP)
    calls: dict[str, Callable[[], object]] = {
        "librosa": lambda: librosa.feature.mfcc(y=full, sr=22_050, n_mfcc=39),
        "edge_ser": lambda: frontend(full),
        "edge_ser, padded": lambda: frontend(padded),
        "edge_ser, rolling": lambda: rolling(full, next(positions)),
        "edge_ser, pitch": lambda: pitch(at_16k),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for call in calls.values():  # librosa compiles and caches on its first call
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter(), time.process_time()
            call()
            end = time.perf_counter(), time.process_time()
            times[name].append((end[0] - start[0], end[1] - start[1]))
    medians = {
        name: [statistics.median(t) for t in zip(*times[name], strict=True)] for name in calls
    }
    print(f"MFCC of {SAMPLES} samples at 22050 Hz, librosa {version('librosa')}, {rounds} rounds")
    for name, (passed, busy) in medians.items():
        print(
            f"{name:<18} passed {1e3 * passed:6.2f} ms, ratio {passed / medians['librosa'][0]:.2f};"
            f" processor {1e3 * busy:6.2f} ms, ratio {busy / medians['librosa'][1]:.2f}"
        )


if __name__ == "__main__":
    main()
