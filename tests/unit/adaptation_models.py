"""A tiny model with an embedding, made without any framework, and clips that it tells apart."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from edge_ser.card import InputSpec, ModelCard, ModelFile, OutputSpec, Provenance, write_model
from edge_ser.container.onnx import encode
from edge_ser.lab.export.goldens import golden_blocks, make_goldens
from edge_ser.runtime import open_model
from edge_ser.testing import TINY_CLIP_SAMPLES, TINY_FRONTEND, tiny_card

RATE = 16_000
LABELS = ("low", "middle", "high")
BANDS = 8
TONES = {"low": 300.0, "middle": 1500.0, "high": 5000.0}


def embedding_onnx(weights: NDArray[np.float32], shape: Sequence[int]) -> bytes:
    """embedding = mean of the features over time; scores = softmax(embedding @ weights)."""
    axes = encode(5, encode(1, b"axes") + encode(8, 1) + encode(8, 3) + encode(20, 7))
    keep = encode(5, encode(1, b"keepdims") + encode(3, 0) + encode(20, 2))
    names = (encode(1, b"features"), encode(2, b"embedding"), encode(4, b"ReduceMean"))
    product = b"".join(
        (encode(1, b"embedding"), encode(1, b"weights"), encode(2, b"logits"), encode(4, b"MatMul"))
    )
    shares = encode(1, b"logits") + encode(2, b"scores") + encode(4, b"Softmax")
    numbers = b"".join(struct.pack("<f", value) for value in weights.ravel())
    tensor = b"".join(encode(1, size) for size in weights.shape)
    graph = b"".join(
        (
            encode(1, b"".join(names) + axes + keep),
            encode(1, product),
            encode(1, shares),
            encode(2, b"tiny"),
            encode(5, tensor + encode(2, 1) + encode(8, b"weights") + encode(9, numbers)),
            encode(11, _value("features", shape)),
            encode(12, _value("scores", (1, weights.shape[1]))),
            encode(12, _value("embedding", (1, weights.shape[0]))),
        )
    )
    opset = encode(1, b"") + encode(2, 17)
    return encode(1, 8) + encode(2, b"tests") + encode(7, graph) + encode(8, opset)


def _value(name: str, shape: Sequence[int]) -> bytes:
    axes = b"".join(encode(1, encode(1, n)) for n in shape)
    return encode(1, name.encode()) + encode(2, encode(1, encode(1, 1) + encode(2, axes)))


def base_card(**changes: Any) -> ModelCard:
    """Of a model that was trained, calibrated and measured."""
    fields: dict[str, Any] = {
        "name": "base",
        "output": OutputSpec(
            scores="scores",
            embedding="embedding",
            temperature=2.0,
            ece=0.1,
            uncertain_below=0.4,
        ),
        "input": InputSpec(rate=RATE, clip_samples=TINY_CLIP_SAMPLES, level_dbfs=-26.0),
        "provenance": Provenance(
            state="trained",
            data="tones",
            protocol="loso",
            metrics={"uar": 0.9},
            licence="CC0-1.0",
            training_clips=("0123456789abcdef",),
            speakers=("01",),
        ),
        "deciding": {"smoothing_s": 2.0, "thresholds": {"low": 0.9}},
    }
    return tiny_card(**{"labels": LABELS, **fields, **changes})


def write_base(path: Path, **changes: Any) -> ModelFile:
    """A model with goldens that mistakes some tones: its weights know little."""
    card = base_card(**changes)
    shape = (1, *TINY_FRONTEND.shape(TINY_CLIP_SAMPLES), 1)
    weights = np.random.default_rng(3).normal(0, 0.02, (BANDS, len(LABELS))).astype(np.float32)
    payload = embedding_onnx(weights, shape)
    interpreter = open_model(payload)
    scores = interpreter.run(golden_blocks(card.frontend, TINY_CLIP_SAMPLES))["scores"][0]
    goldens = make_goldens(card.frontend, TINY_CLIP_SAMPLES, scores, 1e-3)
    return write_model(path, payload, replace(card, goldens=goldens))


def write_tones(folder: Path, each: int = 4, names: Sequence[str] = LABELS, seed: int = 0) -> Path:
    """A folder per label with clips of its tone in noise; labels are named as one likes."""
    chance = np.random.default_rng(seed)
    for name, hertz in zip(names, TONES.values(), strict=False):
        (folder / name).mkdir(parents=True)
        for number in range(each):
            time = np.arange(RATE // 2) / RATE
            tone = 0.1 * np.sin(2 * np.pi * hertz * chance.uniform(0.8, 1.2) * time)
            clip = tone + 0.01 * chance.standard_normal(len(time))
            soundfile.write(folder / name / f"{number}.wav", clip, RATE)
    return folder
