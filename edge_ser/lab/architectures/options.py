"""What can be chosen of each family of networks, as frozen dataclasses. Needs no framework.

Published rows are values of these classes in `published.toml`; a configuration may give others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from edge_ser.errors import DataError

__all__ = [
    "CapsuleOptions",
    "FunctionalsOptions",
    "SpectralOptions",
    "TimOptions",
    "Wav2Vec2Options",
    "WaveformCnnOptions",
]

MAX_HIDDEN = 4096


@dataclass(frozen=True)
class CapsuleOptions:
    """PLB and the RoutingConvNets: MFCCs (196, 39) to probabilities, in Keras."""

    body: Literal["plb", "improved", "routing"] = "plb"
    without: Literal["", "capsules", "cbam", "cbam+spa", "gate", "routing", "sa", "spa"] = ""
    """Module left out: an ablation. capsules: the depthwise and pointwise primary capsules; cbam:
    channel and spatial attention; spa: spatial attention as the papers' row has it; gate: the
    spatial gate of the capsules, literally; sa: self-attention; routing: dynamic routing."""
    reverse_axis: Literal["coefficient", "time"] = "coefficient"
    """Axis that the reversed branch flips; the published code flips the cepstral index."""
    gate_bn: Literal["published", "site"] = "published"
    """Normalisation of the spatial gates: one shared, with momentum 0.01; or one for each place
    that it is used in, with momentum 0.99."""
    gate_calls: Literal[1, 2] = 1
    """How often the capsule gate is applied in a row where self-attention is left out: once for
    EMO-DB, twice for RAVDESS and IEMOCAP."""


@dataclass(frozen=True)
class FunctionalsOptions:
    """A small perceptron on functionals of a clip, (values,), to probabilities, in Keras."""

    hidden: int = 24
    """Units of the one hidden layer, which is the embedding."""
    rank: int = 0
    """Sums of the values that the hidden layer sees in their place: many units cost few parameters
    so. 0 for all values themselves."""
    limit: float = 5.0
    """Standardised values beyond plus and minus this are taken for it: of a noise never heard, a
    statistic may be any number of deviations off."""
    noise: float = 0.2
    """Standard deviation of what is added to standardised values in training."""
    input_dropout: float = 0.2
    dropout: float = 0.5
    """Of the hidden layer."""
    corpora: Mapping[str, float] = field(default_factory=dict)
    """Of joined corpora that differ in their labels, each one's name and the temperature of its
    answers in use. With some the network gives a second answer beside the one among all labels:
    how much a clip is like each corpus, and like no speech, and within it like each of its labels.
    The hidden units serve half the one and half the other, and their mean is what it says."""
    temperature: float = 1.0
    """Of the answer among all labels in use, where there is another beside it."""
    label_sets: tuple[tuple[int, ...], ...] = ()
    """Outputs that each of `corpora` has, in their order. A training fills it in."""

    def __post_init__(self) -> None:
        warmth = {f"corpora.{name}": each for name, each in self.corpora.items()}
        for name, temperature in {**warmth, "temperature": self.temperature}.items():
            if not 0.01 <= temperature <= 100:
                raise DataError(f"{name} is {temperature}, expected 0.01 to 100")
        if self.corpora and self.hidden % 2:
            raise DataError(
                f"hidden is {self.hidden} with corpora, expected an even number: half of the units "
                "serve each answer"
            )
        if self.label_sets and len(self.label_sets) != len(self.corpora):
            raise DataError(
                f"label_sets has {len(self.label_sets)} lists, expected {len(self.corpora)}, one "
                "for each of corpora: leave it out, training fills it in"
            )
        if not 1 <= self.hidden <= MAX_HIDDEN:
            raise DataError(f"hidden is {self.hidden}, expected 1 to {MAX_HIDDEN}")
        if not 0 <= self.rank <= MAX_HIDDEN:
            raise DataError(f"rank is {self.rank}, expected 0 to {MAX_HIDDEN}")
        for name in ("input_dropout", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise DataError(f"{name} is {getattr(self, name)}, expected 0 to below 1")
        if not 0 <= self.noise <= self.limit <= 1e6:
            raise DataError(
                f"noise is {self.noise} and limit {self.limit}, expected 0 <= noise <= limit"
            )

    def members(self, classes: int) -> list[list[bool]]:
        """Which of so many outputs each of `corpora` has.

        Raises:
            DataError: `label_sets` is missing, or names others.
        """
        if not self.label_sets:
            raise DataError(
                f"no label_sets for the corpora {', '.join(self.corpora)}, expected a list of "
                "outputs for each: edge-ser train fills them in from the clips"
            )
        for name, outputs in zip(self.corpora, self.label_sets, strict=True):
            if not outputs or not all(0 <= at < classes for at in outputs):
                raise DataError(
                    f"label_sets of {name} is {outputs}, expected outputs 0 to {classes - 1}"
                )
        return [[at in outputs for at in range(classes)] for outputs in self.label_sets]


@dataclass(frozen=True)
class TimOptions:
    """TIM-Net and CkTIM-net: MFCCs (39, frames) to logits, in Torch."""

    blocks: int = 6
    """Temporal-aware blocks (TAB) a stream, 1 to 10."""
    continuous: bool = False
    """Convolutions with continuous kernels as long as the clip (CkTIM)."""
    generator: Literal["conv", "kan"] = "conv"
    """Of continuous kernels: pointwise convolutions, or Kolmogorov-Arnold layers (CkkTIM)."""
    activation: Literal["sin", "relu", "kaf", "kafsin"] = "sin"
    """Within the generator."""
    hidden_scale: float = 1.0
    """Hidden channels of the generator, in multiples of 32."""
    omega_0: float = 25.0
    """Factor on the generator's hidden values; the input convolutions always have 1."""
    kernel_size: int = 2
    """Taps of the convolutions of TIM; continuous kernels ignore it."""
    filters: int = 39
    """Channels, which are the coefficients of the features."""
    dropout: float = 0.1


@dataclass(frozen=True)
class WaveformCnnOptions:
    """1-D convolutional networks: samples to logits, in Torch."""

    schedule: Literal["baseline", "custom", "steep", "shrinking", "steep+shrinking", "vgg"] = (
        "custom"
    )
    """How the channels go with depth."""
    width: int = 32
    """Channels of the first convolution; baseline and vgg have their own."""
    depth: int = 8
    """Convolutions, 1 to 9; baseline and vgg have their own."""
    unpooled: Literal["first", "last"] = "last"
    """The convolution that no pooling follows: the papers do not say which; the last costs a third
    of the first."""
    normalise: Literal["none", "convolutions", "convolutions+features"] = "none"
    """Batch normalisation after every convolution, and of the flattened features."""
    dropout: float = 0.5
    """Of the flattened features."""


@dataclass(frozen=True)
class Wav2Vec2Options:
    """Wav2Vec2 with a classification head: 16 kHz samples to logits, in Torch."""

    folder: str = ""
    """Local Hugging Face folder of the backbone; empty for random weights of `size`."""
    size: Literal["large", "base", "tiny"] = "large"
    """Of a backbone with random weights; tiny is for tests."""
    norm: Literal["group", "layer"] = "group"
    """Normalisation in the feature encoder of a backbone with random weights."""
    hidden: tuple[int, int] = (512, 256)
    """Widths of the head's hidden layers."""
    dropout: float = 0.3
    freeze: Literal["none", "encoder", "all"] = "none"
    """What of the backbone is not trained: nothing, its feature encoder, all of it."""


@dataclass(frozen=True)
class SpectralOptions:
    """A convolutional network with attention pooling over log-mel bands, in Torch.

    Our own reading of the row "Base" of the Wav2Vec2 study, of which only the training is known.
    """

    channels: tuple[int, ...] = (32, 64, 128)
    """One convolution block each, halving time and bands."""
    heads: int = 4
    """Of the attention that pools over time."""
    dropout: float = 0.3
