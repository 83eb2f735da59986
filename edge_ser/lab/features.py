"""Features of a corpus, computed by the runtime's own frontend and cached by content."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio import fit, read_clip, resample
from edge_ser.corpora import Utterance
from edge_ser.errors import StorageError
from edge_ser.frontend import Frontend, FrontendSpec
from edge_ser.lab.augmentation import Augmentation, as_mapping, augment
from edge_ser.lab.augmentation.recordings import digest_of_noise
from edge_ser.lab.augmentation.steps import RealNoise

__all__ = ["Version", "cached_features", "keep_array", "kept_array", "runs_folder"]

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Version:
    """One changed version of every clip; what befalls a clip hangs on its own bytes and `number`.

    The seed of a training has no part in it: other seeds train on the same versions.
    """

    augmentation: Augmentation
    number: int

    def key(self) -> str:
        """What tells it from others, for a cache."""
        # Not of how many versions it is one, so that more of them leave the first ones kept.
        told = [as_mapping(replace(self.augmentation, versions=0)), self.number]
        noises = [step for step in self.augmentation.steps if isinstance(step, RealNoise)]
        return json.dumps([*told, *(digest_of_noise(step.folder) for step in noises)])

    def __call__(self, samples: Samples, rate: int, digest: bytes) -> Samples:
        """The version of one clip."""
        rng = np.random.default_rng([self.number, int.from_bytes(digest[:8], "big")])
        return augment(self.augmentation, samples, rate, rng)


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
    version: Version | None = None,
) -> NDArray[np.float32]:
    """Features of all clips, or of a version of them, shape (clips, *spec.shape(clip_samples)).

    The cache's name covers the frontend, the clip length, the padding, the version and the bytes of
    every file, recordings of noise too.
    """
    key = hashlib.sha256(f"{spec.digest()} {clip_samples} {pad_side}".encode())
    if version:
        key.update(version.key().encode())
    digests = [hashlib.sha256(utterance.path.read_bytes()).digest() for utterance in utterances]
    for digest in digests:
        key.update(digest)
    path = runs_folder() / "features" / f"{key.hexdigest()[:32]}.npy"
    shape = (len(utterances), *spec.shape(clip_samples))
    cached = kept_array(path, shape)
    if cached is not None:
        return cached
    frontend = Frontend(spec)
    features = np.empty(shape, dtype=np.float32)
    for position, utterance in enumerate(utterances):
        samples = resample(read_clip(str(utterance.path)), spec.rate, spec.resampler).samples
        if version:
            samples = version(samples, spec.rate, digests[position])
        features[position] = frontend(fit(samples, clip_samples, pad_side))
        progress(position + 1)
    keep_array(path, features)
    return features


def kept_array(path: Path, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
    """The array in a file; None where there is none, or not a whole one of that shape."""
    try:
        # Mapped, so that the size which a damaged head claims is never allocated.
        found: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if found.shape != shape or found.dtype != np.float32 or not np.isfinite(found).all():
        return None
    return np.array(found)


def keep_array(path: Path, array: NDArray[np.float32]) -> None:
    """Write an array beside, then rename; other processes may do the same at once.

    Raises:
        StorageError: it cannot be written.
    """
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.save(file, array, allow_pickle=False)
        os.replace(part, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise StorageError(
            f"{path}: {error.strerror}, expected room for {array.nbytes} bytes; free some, or set "
            "EDGE_SER_RUNS"
        ) from error
