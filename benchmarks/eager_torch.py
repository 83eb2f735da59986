"""Time of a shipped Torch network, eager as it was published, beside its file in the runtime.

    python benchmarks/eager_torch.py RUN/best.pt [cktim-emovo] [--runs 60]

Same features, same process, one thread each; the calls alternate, so that both meet the same
machine. Weights are those of the file's own training, a checkpoint or a state dict: the logits are
compared too. Needs the extra [torch].
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np

from edge_ser.card import read_model
from edge_ser.lab.compute import prepare_torch
from edge_ser.runtime import open_model

MODELS = Path(__file__).resolve().parents[1] / "models"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("weights", type=Path, help="of the run that the file was made of")
    parser.add_argument("name", nargs="?", default="cktim-emovo")
    parser.add_argument("--runs", type=int, default=60, help="of each, after two more")
    given = parser.parse_args()
    prepare_torch(1)
    import torch

    from edge_ser.lab.architectures.networks import build, network
    from edge_ser.lab.architectures.weights import load_weights

    file = read_model(MODELS / "nc" / "edge_ser_models_nc" / f"{given.name}.onnx")
    card, interpreter = file.card, open_model(file.payload)
    chosen = network(card.provenance.network)
    shape = card.frontend[0].shape(card.input.clip_samples)
    module = build(chosen, len(card.labels), shape)
    load_weights(module, given.weights, chosen)
    module.eval()
    name = card.output.scores or interpreter.outputs[0].name
    rng = np.random.default_rng(0)
    eager: list[float] = []
    ours: list[float] = []
    worst = largest = 0.0
    with torch.inference_mode():
        for _ in range(given.runs + 2):
            features = rng.standard_normal(shape).astype(np.float32)
            batch = torch.from_numpy(features)[None]
            began = time.perf_counter()
            wanted = module(batch)
            between = time.perf_counter()
            found = interpreter.run([features])[name]
            ended = time.perf_counter()
            eager.append(between - began)
            ours.append(ended - between)
            worst = max(worst, float(np.abs(found - wanted.numpy()).max()))
            largest = max(largest, float(wanted.abs().max()))
    left, right = (1e3 * statistics.median(times[2:]) for times in (eager, ours))
    print(
        f"{given.name} ({chosen.name}), {given.runs} clips, one thread, torch {torch.__version__}"
    )
    print(f"eager {left:.2f} ms, .onnx {right:.2f} ms a clip: {right / left:.3f} of the time")
    print(f"logits differ by at most {worst:.1e}, the largest is {largest:.1f}")


if __name__ == "__main__":
    main()
