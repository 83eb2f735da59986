"""Features of a corpus, computed by the runtime's own frontend and cached by content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio import fit, read_clip, resample
from edge_ser.corpora import Utterance
from edge_ser.frontend import Frontend, FrontendSpec

__all__ = ["cached_features", "runs_folder"]


def runs_folder() -> Path:
    """Where runs and caches live: `EDGE_SER_RUNS`, or `edge-ser` in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("EDGE_SER_RUNS") or cache / "edge-ser")


def cached_features(
    utterances: Sequence[Utterance],
    spec: FrontendSpec,
    clip_samples: int,
    pad_side: Literal["both", "end"] = "both",
    progress: Callable[[int], None] = lambda done: None,
) -> NDArray[np.float32]:
    """Features of all clips, shape (clips, *spec.shape(clip_samples)).

    The cache's name covers the frontend, the clip length, the padding and every file's bytes.
    """
    key = hashlib.sha256(f"{spec.digest()} {clip_samples} {pad_side}".encode())
    for utterance in utterances:
        key.update(hashlib.sha256(utterance.path.read_bytes()).digest())
    path = runs_folder() / "features" / f"{key.hexdigest()[:32]}.npy"
    if path.exists():
        cached: NDArray[np.float32] = np.load(path, allow_pickle=False)
        return cached
    frontend = Frontend(spec)
    features = np.empty((len(utterances), *spec.shape(clip_samples)), dtype=np.float32)
    for position, utterance in enumerate(utterances):
        clip = resample(read_clip(str(utterance.path)), spec.rate, spec.resampler)
        features[position] = frontend(fit(clip.samples, clip_samples, pad_side))
        progress(position + 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npy")
    np.save(part, features, allow_pickle=False)
    os.replace(part, path)
    return features
