"""Vectors of a frozen backbone for a corpus, computed once: a head then trains on a CPU.

A clip through the large backbone costs some 112 GMAC, through the head 0.7 MMAC: with the backbone
frozen, every epoch but the first would compute the same vectors again. The head alone is
`build_head` of `architectures.wav2vec2`; it takes features of shape (hidden,), and goes into
the whole network's `head` for export.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio import fit, read_clip, resample
from edge_ser.corpora import Utterance
from edge_ser.lab.features import keep_array, kept_array, runs_folder

if TYPE_CHECKING:
    from edge_ser.lab.architectures.wav2vec2 import Backbone

__all__ = ["backbone_digest", "cached_embeddings"]

PROCESS = "aligned, mean over time, soxr_hq, 1"
"""What happens to a clip besides the weights; another process needs another word here."""


def cached_embeddings(
    utterances: Sequence[Utterance],
    backbone: Backbone,
    clip_samples: int,
    side: Literal["both", "end"] = "both",
    progress: Callable[[int], None] = lambda done: None,
) -> NDArray[np.float32]:
    """Mean-pooled vectors of all clips, shape (clips, hidden).

    Each clip has a file of its own in `runs_folder() / "embeddings"`, so a stopped pass goes on
    where it was, and a corpus that grew costs its new clips alone. Its name covers the backbone's
    weights and configuration, the clip length and the clip's bytes. A vector does not depend on
    the other clips: they go through one at a time, where the backbone's weights are.

    Args:
        utterances: the clips, in the order of the rows.
        backbone: as `build_backbone` gives it; it computes in evaluation mode.
        clip_samples: at 16 kHz; shorter clips are padded with zeros, longer ones cropped.
        side: as `edge_ser.audio.fit` has it.
        progress: called with the number of clips done.

    Raises:
        StorageError: a vector cannot be kept.
        AudioError: a clip cannot be read.
    """
    from edge_ser.lab.architectures.backbones import RATE

    prefix = f"{backbone_digest(backbone)} {PROCESS} {clip_samples} {side} ".encode()
    vectors = np.empty((len(utterances), backbone.hidden), dtype=np.float32)
    for position, utterance in enumerate(utterances):
        content = hashlib.sha256(utterance.path.read_bytes()).digest()
        key = hashlib.sha256(prefix + content).hexdigest()
        path = runs_folder() / "embeddings" / key[:2] / f"{key[2:34]}.npy"
        vector = kept_array(path, (backbone.hidden,))
        if vector is None:
            clip = resample(read_clip(str(utterance.path)), RATE, "soxr_hq")
            vector = _embedded(backbone, fit(clip.samples, clip_samples, side))
            keep_array(path, vector)
        vectors[position] = vector
        progress(position + 1)
    return vectors


def backbone_digest(backbone: Backbone) -> str:
    """SHA-256 over a backbone's weights and what shapes its arithmetic."""
    settings = {**backbone.model.config.to_dict(), "normalise": backbone.normalise}
    # Training alone looks at it, and a backbone's mode sets it.
    settings.pop("layerdrop", None)
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for name, tensor in sorted(backbone.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy())
    return digest.hexdigest()


def _embedded(backbone: Backbone, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    import torch

    training = backbone.training
    device = next(backbone.parameters()).device
    try:
        with torch.no_grad():
            clip = torch.from_numpy(np.ascontiguousarray(samples))[None].to(device)
            vector: NDArray[np.float32] = backbone.eval()(clip)[0].float().cpu().numpy()
    finally:
        backbone.train(training)
    return vector
