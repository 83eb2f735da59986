"""Make `bench_document.json`: a complete document of the benchmark, its numbers all made up.

    python tests/goldens/make_bench_document.py

Seeded, so that it comes out the same. Only the published figures in it are real.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from edge_ser.bench.document import completed, document_text
from edge_ser.bench.published import beside
from edge_ser.bench.schema import SCHEMA, STAGES

PLACE = Path(__file__).with_name("bench_document.json")
CLIPS = 96
RNG = np.random.default_rng(5)
MADE_UP = "made up for tests: no machine gave these numbers"
CONDITIONS = {"board": None, "cpu": "Example Processor 3000 (made up)"}


def around(median: float, spread: float = 0.04, warmer: float = 0.0) -> np.ndarray[Any, Any]:
    """Times of `CLIPS` clips: log-normal, a few much slower, all slower towards the end."""
    times = median * np.exp(RNG.normal(0, spread, CLIPS))
    slow = RNG.random(CLIPS) < 0.04
    times[slow] *= 1 + RNG.random(int(slow.sum()))
    return np.round(times * np.linspace(1, 1 + warmer, CLIPS), 4)


def summary(times: np.ndarray[Any, Any]) -> dict[str, Any]:
    """The statistics of a stage, with plain bootstrap intervals."""
    draws = RNG.choice(times, (400, len(times)))

    def bounds(values: np.ndarray[Any, Any]) -> list[float]:
        return [round(float(v), 4) for v in np.quantile(values, (0.025, 0.975))]

    fifth = len(times) // 5
    drift = float(np.median(times[-fifth:]) / np.median(times[:fifth]))
    return {
        "n": len(times),
        "mean": round(float(times.mean()), 4),
        "std": round(float(times.std(ddof=1)), 4),
        "min": float(times.min()),
        "p50": round(float(np.median(times)), 4),
        "p90": round(float(np.quantile(times, 0.9)), 4),
        "p99": None,
        "max": float(times.max()),
        "mean_interval": bounds(draws.mean(1)),
        "p50_interval": bounds(np.median(draws, 1)),
        "p90_interval": bounds(np.quantile(draws, 0.9, 1)),
        "drift": ratio(drift, 0.03),
    }


def ratio(value: float, width: float) -> dict[str, float]:
    """A ratio whose interval is as wide as asked for."""
    low, high = value * (1 - width), value * (1 + width)
    return {"value": round(value, 4), "low": round(low, 4), "high": round(high, 4)}


def hashed(name: str) -> str:
    """A hash to show, of nothing."""
    return hashlib.sha256(f"made up: {name}".encode()).hexdigest()


def stages() -> dict[str, np.ndarray[Any, Any]]:
    """Times by stage, the total among them."""
    found = {
        "load": around(0.31, 0.12),
        "resample": around(0.02, 0.2),
        "frontend": around(0.94, 0.06, 0.03),
        "model": around(3.42, 0.03, 0.05),
        "post": around(0.04, 0.1),
    }
    return found | {"total": np.round(sum(found.values()) + 0.02, 4)}


def peers(ours: np.ndarray[Any, Any]) -> list[dict[str, Any]]:
    """Ours, three that ran, one that is not installed and one that died."""

    def peer(name: str, what: str, median: float, agree: int) -> dict[str, Any]:
        times = around(median, 0.06)
        return {
            "name": name,
            "what": what,
            "samples_ms": {"total": times.tolist()},
            "p50_ms": round(float(np.median(times)), 4),
            "ratio": ratio(float(np.median(times / ours)), 0.02),
            "labels_agree": agree,
            "labels": CLIPS,
            "error": None,
        }

    def missing(name: str, what: str, error: str) -> dict[str, Any]:
        nothing: dict[str, Any] = {
            "samples_ms": {},
            "p50_ms": None,
            "ratio": None,
            "labels_agree": 0,
            "labels": 0,
        }
        return {"name": name, "what": what, **nothing, "error": error}

    own = peer("edge-ser", "this package", 4.8, CLIPS)
    return [
        own | {"ratio": None, "labels_agree": 0, "labels": 0},
        peer("keras-eager", "librosa, Keras called eagerly", 45.3, CLIPS),
        peer("tf-function", "librosa, Keras in a tf.function", 12.6, CLIPS),
        peer("librosa-litert", "librosa, LiteRT", 8.9, CLIPS - 1),
        missing(
            "papers",
            "librosa with kaiser_best resampling, Keras called eagerly",
            "not installed: resampy; pip install resampy",
        ),
        missing("librosa-onnx", "librosa, ONNX Runtime", "ended after 12 clips: killed by SIGSEGV"),
    ]


def document() -> dict[str, Any]:
    """All of it."""
    found = stages()
    total = found["total"]
    runs = [
        {
            "process_s": 0.021,
            "import_s": 0.148,
            "load_s": 0.062,
            "first_s": 0.034,
            "second_s": 0.005,
            "total_s": 0.265,
        },
        {
            "process_s": 0.020,
            "import_s": 0.151,
            "load_s": 0.060,
            "first_s": 0.035,
            "second_s": 0.005,
            "total_s": 0.266,
        },
        {
            "process_s": 0.022,
            "import_s": 0.149,
            "load_s": 0.061,
            "first_s": 0.033,
            "second_s": 0.005,
            "total_s": 0.265,
        },
    ]
    state = {"load": 0.21, "governor": "ondemand", "mhz": 2400.0, "celsius": 51.0, "throttled": []}
    return {
        "about": MADE_UP,
        "schema": SCHEMA,
        "complete": True,
        "created": "2026-01-01T12:00:00+00:00",
        "command": ["edge-ser", "bench", "--dataset", "emodb", "--device", "rpi", "--peers", "all"],
        "config": {
            "model": "plb-emodb.tflite", "provider": "cpu", "threads": 1, "dataset": "emodb",
            "device": "rpi", "runs": CLIPS, "least_s": 0.4, "most_s": 60.0, "warm_up_clips": 10,
            "warm_up_s": 5.0, "cold_starts": 3, "hop_s": 1.0, "stream_s": 20.0, "seed": 0,
            "mlperf": False,
        },
        "conditions": {
            "machine": {
                **CONDITIONS, "cores": 4, "affinity": [0, 1, 2, 3],
                "virtual": False, "memory_mb": 8000.0,
                "system": "Example Linux 1", "kernel": "Linux 6.1.0", "machine": "x86_64",
                "bits": 64, "libc": "glibc 2.36", "python": "3.11.7",
                "packages": {"numpy": "2.3.0", "soxr": "1.0.0"}, "blas": "scipy-openblas 0.3.29",
                "blas_threads": 1, "thread_variables": {"OMP_NUM_THREADS": "1"},
                "version": "0.1.0", "commit": "0123456789ab",
            },
            "before": {**state, "load": 0.14, "mhz": 1800.0, "celsius": 46.5},
            "after": state,
        },
        "model": {
            "name": "plb-emodb", "file": "plb-emodb.tflite", "format": "tflite",
            "size_bytes": 425_000, "sha256": hashed("model"), "frontend_sha256": hashed("frontend"),
            "parameters": 95_000, "macs_total": 166_000_000,
            "macs_by_layer": {"conv": 51_000_000, "matmul": 115_000_000}, "untrained": False,
            "runtime": "LiteRT", "runtime_version": "2.1.0", "provider": "cpu", "threads": 1,
            "clip_s": 4.535, "labels": 7,
        },
        "workload": {
            "name": "emodb", "kind": "corpus", "clips": CLIPS, "seconds_median": 2.61,
            "sha256": hashed("clips"), "seed": 0,
        },
        "warm_up": {"clips": 14, "seconds": 0.09, "steady": True},
        "stages": {stage: summary(found[stage]) for stage in STAGES},
        "mean_per_wav_ms": round(float(total.mean()), 4),
        "rtf": round(float(np.median(total)) / 1000 / 2.61, 6),
        "cpu_ms_per_clip": 4.91,
        "samples_ms": {stage: found[stage].tolist() for stage in STAGES},
        "cold": {"runs": runs, "medians": runs[0]},
        "memory": {
            "rss_before_import_mb": 9.8, "rss_after_import_mb": 41.2, "rss_after_load_mb": 71.9,
            "rss_peak_mb": 86.3, "gpu_mb": None,
        },
        "energy": {
            "measured": False, "source": "not measured", "joules": None, "joules_per_clip": None,
            "watts": None, "why": "no RAPL counters here; no power meter named",
        },
        "floor": {"macs_per_s": 9.7e10, "floor_ms": 1.711, "ratio": ratio(2.02, 0.015)},
        "streaming": {
            "mode": "window", "hop_s": 0.9984, "hops": 18, "cpu_ms_per_hop": 4.31, "rtf": 0.00432,
            "headroom": 214.0,
        },
        "peers": peers(total),
        "correctness": {
            "goldens": {
                "passed": True,
                "detail": "largest differences of what is allowed: features 2.1e-05 of 0.001, "
                "scores 3e-07 of 1e-05",
            },
            "accuracy": 0.875, "uar": 0.861, "clips": CLIPS, "protocol": "not in training",
        },
        "published": beside("rpi", "emodb", CONDITIONS, "cpu"),
        "validity": [
            "p99 is not stated: it takes 662 samples, there are 96",
            "the model stage became 1.05 times slower in the course of the run",
        ],
        "valid": True,
    }  # fmt: skip


if __name__ == "__main__":
    PLACE.write_text(document_text(completed(document())), encoding="utf-8")
