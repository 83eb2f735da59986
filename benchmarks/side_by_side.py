"""One clip from file to label, ours and the ways it is done elsewhere, in turn on one core.

    python benchmarks/side_by_side.py CORPUS [--clips 40] [--rounds 5]

The same weights run as: edge-ser (LiteRT); Keras called eagerly, and as a graph, on librosa
features; and Keras eager on librosa with the resampler of librosa before 0.10 (kaiser_best), if
resampy is installed. Each is a process of its own on the same core with one thread. Clip by clip
they take turns, so that a noisy machine hits all alike, and each ratio is of one clip's times.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

MODELS = Path(__file__).resolve().parents[1] / "models"
KERAS = MODELS / "folds" / "plb-emodb" / "whole.keras"
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
LABEL = "edge-ser"
RESAMPLES = 2000


def classify_ours() -> Callable[[str], str]:
    """Path to label by edge-ser's default model."""
    import edge_ser

    model = edge_ser.load_model("plb-emodb")
    return lambda path: model(path).label


def classify_keras(resampler: str, graph: bool) -> Callable[[str], str]:
    """Path to label by librosa and Keras: called eagerly, or as a compiled graph."""
    import librosa
    import tensorflow

    from edge_ser.card import read_model
    from edge_ser.lab.export import load_keras

    labels = read_model(MODELS / "plb-emodb.tflite").card.labels
    keras = load_keras(KERAS)

    def eager(features: object) -> object:
        return keras(features, training=False)

    network = tensorflow.function(eager) if graph else eager

    def classify(path: str) -> str:
        samples, _ = librosa.load(path, sr=22_050, res_type=resampler)
        excess = len(samples) - 100_000
        if excess >= 0:
            samples = samples[excess // 2 : excess // 2 + 100_000]
        else:
            samples = np.pad(samples, (-excess // 2, -excess - (-excess // 2)))
        mfcc = librosa.feature.mfcc(y=samples, sr=22_050, n_mfcc=39).T
        features = tensorflow.constant(mfcc[None, :, :, None], dtype=tensorflow.float32)
        return str(labels[int(np.argmax(np.asarray(network(features))))])

    return classify


WAYS: dict[str, Callable[[], Callable[[str], str]]] = {
    LABEL: classify_ours,
    "Keras eager + librosa": lambda: classify_keras("soxr_hq", graph=False),
    "tf.function + librosa": lambda: classify_keras("soxr_hq", graph=True),
    "Keras eager + librosa, kaiser_best": lambda: classify_keras("kaiser_best", graph=False),
}


def work(way: str) -> None:
    """A worker: a path a line on standard input, seconds and label a line on standard output."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    classify = WAYS[way]()
    for line in sys.stdin:
        start = time.perf_counter()
        label = classify(line.rstrip("\n"))
        print(json.dumps([time.perf_counter() - start, label]), file=answers, flush=True)


def median_with_interval(values: np.ndarray) -> str:
    """Median and its 95 % bootstrap interval."""
    draws = np.random.default_rng(0).choice(values, (RESAMPLES, len(values)))
    low, high = np.percentile(np.median(draws, axis=1), (2.5, 97.5))
    return f"{np.median(values):.2f} ({low:.2f} to {high:.2f})"


def main() -> int:
    """Run all ways in turn and print times, ratios and whether the labels agree."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--worker", choices=WAYS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        work(given.worker)
        return 0
    found = sorted(p for p in given.corpus.rglob("*") if p.suffix in (".wav", ".flac"))
    chosen = [found[i] for i in np.linspace(0, len(found) - 1, given.clips, dtype=int)]
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    ways = [w for w in WAYS if "kaiser" not in w or find_spec("resampy")]
    workers = {
        way: subprocess.Popen(
            [sys.executable, __file__, str(given.corpus), "--worker", way],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **ONE_THREAD},
        )
        for way in ways
    }

    def ask(way: str, path: Path) -> tuple[float, str]:
        worker = workers[way]
        assert worker.stdin is not None
        assert worker.stdout is not None
        print(path, file=worker.stdin, flush=True)
        answer = worker.stdout.readline()
        if not answer:
            sys.exit(f"{way}: the process ended; --worker {way!r} and a path on stdin show why")
        seconds, label = json.loads(answer)
        return seconds, label

    times: dict[str, list[float]] = {way: [] for way in ways}
    labels: dict[str, list[str]] = {way: [] for way in ways}
    for path in [*chosen[:3], *chosen * given.rounds]:
        for way in ways:
            seconds, label = ask(way, path)
            times[way].append(seconds * 1000)
            labels[way].append(label)
    for worker in workers.values():
        worker.communicate()
    warm = {way: np.array(values[3:]) for way, values in times.items()}
    load = os.getloadavg()[0]
    print(f"{given.rounds} rounds of {len(chosen)} clips on core {core}, load {load:.1f}")
    print("| way | ms, median (95 %) | times ours (95 %) | labels as ours |")
    print("|---|---|---|---|")
    for way in ways:
        same = sum(a == b for a, b in zip(labels[way], labels[LABEL], strict=True))
        ratio = median_with_interval(warm[way] / warm[LABEL])
        own = median_with_interval(warm[way])
        print(f"| {way} | {own} | {ratio} | {same} of {len(labels[way])} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
