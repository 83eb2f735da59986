"""Record one run for this folder: `python tests/goldens/bench/make_recording.py CORPUS -o FILE`.

Milliseconds of every stage of `Classifier` over seeded clips of a corpus, one after the other, as
a document with the parts that `edge_ser.bench.compare` reads. `about` says what it was recorded
on. Run it several times, some minutes apart, while the machine does other work too: that is the
noise which a comparison must bear. The recordings called steady and restless are six in a row, each
in a session of its own whose group the scheduler preferred (`echo -10 > /proc/self/autogroup`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import time
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import edge_ser
from edge_ser.doctor.machine import read_machine

WARM_UP = 20


def record(corpus: Path, name: str, clips: int, seconds: float) -> dict[str, Any]:
    """Times of `clips` clips in turn until `seconds` have passed and a turn is whole."""
    model = edge_ser.load_model(name)
    found = sorted(path for path in corpus.rglob("*") if path.suffix in (".wav", ".flac"))
    order = np.random.default_rng(0).permutation(len(found))[:clips]
    chosen = [found[i] for i in order]
    hashes = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in chosen)
    for path in chosen[:WARM_UP]:
        model(path)
    before = os.getloadavg()[0]
    samples: dict[str, list[float]] = defaultdict(list)
    lengths: list[float] = []
    start, worked = time.perf_counter(), time.process_time()
    while time.perf_counter() - start < seconds:
        for path in chosen:
            made = model(path)
            lengths.append(made.seconds)
            for stage, took in made.timings.items():
                samples[stage].append(round(took, 3))
    worked = time.process_time() - worked
    total = samples["total"]
    machine = read_machine()
    return {
        "about": f"recorded by make_recording.py, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, "
        f"edge-ser {edge_ser.__version__}, Python {'.'.join(map(str, machine.python))}, numpy "
        f"{np.__version__}; other programs were running, more than there are processors",
        "schema": "edge-ser-bench/1.0",
        "complete": True,
        "valid": True,
        "conditions": {
            "machine": {"board": machine.board, "cpu": machine.cpu, "cores": os.cpu_count()},
            "before": {"load": round(before, 2)},
            "after": {"load": round(os.getloadavg()[0], 2)},
        },
        "model": {
            "name": name,
            "sha256": hashlib.sha256(model.path.read_bytes()).hexdigest(),
            "runtime": model.details["runtime"],
            "runtime_version": model.details["version"],
            "provider": model.provider,
            "threads": 1,
        },
        "workload": {
            "name": corpus.name,
            "clips": len(chosen),
            "seconds_median": statistics.median(lengths),
            "sha256": hashlib.sha256("\n".join(hashes).encode()).hexdigest(),
        },
        "mean_per_wav_ms": round(statistics.fmean(total), 3),
        "cpu_ms_per_clip": round(1000 * worked / len(total), 3),
        "samples_ms": dict(samples),
    }


def main() -> None:
    """Record and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--model", default="plb-emodb")
    parser.add_argument("--clips", type=int, default=48)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    made = record(given.corpus, given.model, given.clips, given.seconds)
    given.output.write_text(json.dumps(made, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
