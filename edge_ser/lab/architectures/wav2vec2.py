"""Wav2Vec2 with a classification head: samples at 16 kHz to logits, in Torch.

The network of the Wav2Vec2 study, rebuilt from its layer summary: backbone, mean over time (the
summary does not show the pooling; anything with weights of its own would miss its total), then
Linear, BatchNorm, ReLU, Dropout twice and a last Linear. 316,087,684 parameters with the large
group-norm backbone and 4 classes.

Clips come zero-padded and otherwise as recorded: frontend preset `waveform` with
`normalise="none"`. Finding the clip in its padding and normalising it are part of the network, so
they are exported with it, and it does not matter on which side the padding is.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, get_args, get_type_hints

import torch
from torch import Tensor, nn

from edge_ser.errors import DataError
from edge_ser.lab.architectures.backbones import random_backbone, read_backbone, read_normalisation
from edge_ser.lab.architectures.options import Wav2Vec2Options

__all__ = [
    "Backbone",
    "Head",
    "Wav2Vec2Classifier",
    "build",
    "build_backbone",
    "build_head",
    "with_head",
]

MAX_SAMPLES = 960_000
"""A minute: attention's memory grows with the square of the length."""
MAX_WIDTH = 8192


def build(options: Wav2Vec2Options, classes: int, shape: tuple[int, ...]) -> Wav2Vec2Classifier:
    """Backbone and head.

    Under `torch.device("meta")` a network with random weights takes no memory; enough to count.

    Args:
        options: see the class.
        classes: number of outputs.
        shape: (samples,); the published study has (96000,), 6 s.

    Raises:
        DataError: a shape or an option that cannot be taken.
        ModelError: a folder that holds no such backbone (see `read_backbone`).
        DependencyError: transformers is not installed.
    """
    backbone = build_backbone(options, shape)
    return with_head(backbone, build_head(options, backbone.hidden, classes))


def build_backbone(options: Wav2Vec2Options, shape: tuple[int, ...]) -> Backbone:
    """The backbone alone, (N, samples) to (N, hidden): what clips are embedded with.

    Raises:
        DataError, ModelError, DependencyError: as `build`.
    """
    for name in ("size", "norm", "freeze"):
        choices = get_args(get_type_hints(Wav2Vec2Options)[name])
        if getattr(options, name) not in choices:
            raise DataError(
                f"{name} is {getattr(options, name)!r}, expected one of {', '.join(choices)}"
            )
    if options.folder:
        folder = Path(options.folder).expanduser()
        backbone = Backbone(read_backbone(folder), options.freeze, read_normalisation(folder))
    else:
        backbone = Backbone(random_backbone(options.size, options.norm), options.freeze)
    if len(shape) != 1 or not backbone.shortest <= shape[0] <= MAX_SAMPLES:
        raise DataError(
            f"features of shape {shape}, expected (samples,) with {backbone.shortest} to "
            f"{MAX_SAMPLES} of them at 16 kHz; set the clip length or the frontend"
        )
    return backbone


def build_head(options: Wav2Vec2Options, hidden: int, classes: int) -> Head:
    """The head alone, (N, hidden) to (N, classes): a network of its own to train on embeddings.

    Args:
        options: widths and dropout.
        hidden: width of the backbone: 1024 for large, 768 for base.
        classes: number of outputs.

    Raises:
        DataError: a width or a dropout that cannot be taken.
    """
    widths = (hidden, *options.hidden)
    if len(widths) != 3 or not all(1 <= width <= MAX_WIDTH for width in (*widths, classes)):
        raise DataError(
            f"widths {widths} and {classes} classes, expected a backbone's, two hidden ones and "
            f"classes, each from 1 to {MAX_WIDTH}"
        )
    if not 0 <= options.dropout < 1:
        raise DataError(f"dropout is {options.dropout}, expected 0 to below 1")
    return Head(widths, classes, options.dropout)


def with_head(backbone: Backbone, head: Head) -> Wav2Vec2Classifier:
    """A backbone and a head that was trained on its embeddings, as the one network to export."""
    return Wav2Vec2Classifier(backbone, head)


class Head(nn.Module):  # type: ignore[misc]
    """Linear, BatchNorm, ReLU, Dropout; the same again; Linear."""

    def __init__(self, widths: tuple[int, ...], classes: int, dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(widths):
            layers += [nn.Linear(fan_in, fan_out), nn.BatchNorm1d(fan_out), nn.ReLU()]
            layers += [nn.Dropout(dropout)]
        self.hidden = nn.Sequential(*layers)
        self.scores = nn.Linear(widths[-1], classes)

    def embed(self, vectors: Tensor) -> Tensor:
        """What the last layer sees, (N, 256) with the published widths."""
        features: Tensor = self.hidden(vectors)
        return features

    def forward(self, vectors: Tensor) -> Tensor:
        """Logits (N, classes) of pooled vectors (N, hidden)."""
        logits: Tensor = self.scores(self.embed(vectors))
        return logits


class Backbone(nn.Module):  # type: ignore[misc]
    """Samples (N, samples) to the mean of the last hidden states over time, (N, hidden).

    A backbone with layer norm in its feature encoder sees padding masked, and the mean leaves it
    out; one with group norm was trained without a mask, sees zeros, and the mean goes over all.
    """

    def __init__(self, model: Any, freeze: str = "none", normalise: bool = True) -> None:
        super().__init__()
        self.model = model
        self.frozen = freeze == "all"
        self.normalise = normalise
        self.masked = model.config.feat_extract_norm == "layer"
        self.layerdrop = model.config.layerdrop
        if freeze == "encoder":
            model.freeze_feature_encoder()
        elif self.frozen:
            model.requires_grad_(False)
        self.train(self.training)

    @property
    def hidden(self) -> int:
        """Width of the vectors."""
        return int(self.model.config.hidden_size)

    @property
    def shortest(self) -> int:
        """Samples that give one frame; 400 with the published feature encoder."""
        config = self.model.config
        samples = 1
        for kernel, stride in [*zip(config.conv_kernel, config.conv_stride, strict=True)][::-1]:
            samples = (samples - 1) * stride + kernel
        return samples

    def frames(self, samples: Any) -> Any:
        """Number of frames that so many samples give, as an int or a tensor of them."""
        config = self.model.config
        for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
            samples = (samples - kernel) // stride + 1
        return samples

    def train(self, mode: bool = True) -> Backbone:
        """Training mode, or not; a frozen backbone stays out of it, and only training drops
        layers."""
        super().train(mode and not self.frozen)
        self.model.config.layerdrop = self.layerdrop if self.training else 0.0
        return self

    def forward(self, samples: Tensor) -> Tensor:
        """Vectors (N, hidden) of zero-padded clips (N, samples)."""
        if self.frozen:
            with torch.no_grad():
                return self._pooled(samples)
        return self._pooled(samples)

    def _pooled(self, samples: Tensor) -> Tensor:
        clips, within = aligned(samples)
        if self.normalise:
            clips = normalised(clips, within)
        states, _ = self.model.feature_projection(self.model.feature_extractor(clips).mT)
        if self.training and self.model.config.apply_spec_augment:
            states = self._augmented(states)
        if not self.masked:
            return self.model.encoder(states).last_hidden_state.mean(1)
        number = self.frames(within.sum(1, keepdim=True)).clamp(min=1)
        heard = torch.arange(states.shape[1], device=states.device) < number
        kept = heard[..., None]
        states = self.model.encoder(states * kept, attention_mask=heard).last_hidden_state
        return (states * kept).sum(1) / number

    def _augmented(self, states: Tensor) -> Tensor:
        """SpecAugment as the backbone's config has it, drawn from Torch's generator alone, so that
        a training that goes on after a kill draws the same."""
        config, (batch, frames, width) = self.model.config, states.shape
        if config.mask_time_prob > 0:
            hidden = spans(
                batch, frames, config.mask_time_prob, config.mask_time_length,
                config.mask_time_min_masks, states.device,
            )  # fmt: skip
            fill = self.model.masked_spec_embed.to(states.dtype)
            states = torch.where(hidden[:, :, None], fill, states)
        if config.mask_feature_prob > 0:
            hidden = spans(
                batch, width, config.mask_feature_prob, config.mask_feature_length,
                config.mask_feature_min_masks, states.device,
            )  # fmt: skip
            states = states.masked_fill(hidden[:, None, :], 0.0)
        return states


class Wav2Vec2Classifier(nn.Module):  # type: ignore[misc]
    """A backbone with a head."""

    def __init__(self, backbone: Backbone, head: Head) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def embed(self, samples: Tensor) -> Tensor:
        """What the last layer sees, (N, 256) with the published widths."""
        return self.head.embed(self.backbone(samples))

    def forward(self, samples: Tensor) -> Tensor:
        """Logits (N, classes) of clips (N, samples)."""
        logits: Tensor = self.head(self.backbone(samples))
        return logits


def aligned(samples: Tensor) -> tuple[Tensor, Tensor]:
    """Clips moved to the start of their padding, and where they are then, bool; both (N, samples).

    A clip reaches from its first to its last sample that is not zero.
    """
    size = samples.shape[1]
    # One row of positions for all: exporters write it into the file.
    position = torch.arange(size, device=samples.device)[None]
    sounding = samples != 0
    first = torch.where(sounding, position, size).amin(1, keepdim=True)
    last = torch.where(sounding, position, -1).amax(1, keepdim=True)
    within = position <= last - first
    moved = samples.gather(1, (position + first).clamp(max=size - 1))
    return torch.where(within, moved, 0.0), within


def normalised(clips: Tensor, within: Tensor) -> Tensor:
    """Aligned clips, each (x - mean) / sqrt(variance + 1e-7) over its own samples; padding is 0."""
    number = within.sum(1, keepdim=True).clamp(min=1)
    centred = torch.where(within, clips - clips.sum(1, keepdim=True) / number, 0.0)
    variance = centred.square().sum(1, keepdim=True) / number
    return centred / torch.sqrt(variance + 1e-7)


def spans(
    rows: int, size: int, part: float, length: int, fewest: int, device: torch.device
) -> Tensor:
    """Random spans to hide, bool (rows, size).

    SpecAugment (Park et al., 2019) as Wav2Vec2 has it: `part` of the axis, if spans did not
    overlap, in spans of `length` with distinct starts, at least `fewest` of them.
    """
    length = min(length, size)
    starts = size - length + 1
    number = min(starts, max(fewest, int(part * size / length + float(torch.rand(())))))
    first = torch.rand(rows, starts, device=device).topk(number).indices
    offset = torch.arange(size, device=device) - first[..., None]
    return ((offset >= 0) & (offset < length)).any(1)
