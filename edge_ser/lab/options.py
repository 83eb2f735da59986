"""What can be said of an experiment's data and training, as frozen dataclasses."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from edge_ser.errors import CardError, ConfigError
from edge_ser.frontend import PRESETS, FrontendSpec

__all__ = ["DATA", "DataOptions", "TrainingOptions"]

MAX_CLIP_SAMPLES = 1 << 24
"""As cards have it."""
MAX_SEED = 2**32 - 1
"""What numpy, Keras and Torch all take."""


@dataclass(frozen=True)
class DataOptions:
    """Which speech, and what becomes of it before the network sees it."""

    corpus: str = ""
    """A folder, a CSV manifest, or a known corpus inside the folder that EDGE_SER_DATA names."""
    labels: tuple[str, ...] = ()
    """In the order of the network's outputs. Without: as published for a known corpus, else all
    that occur, sorted."""
    other_labels: Literal["refuse", "drop"] = "refuse"
    """What becomes of clips whose label is not among them."""
    frontend: str = "librosa"
    """A preset of `edge_ser.frontend.PRESETS`."""
    features: Mapping[str, object] = field(default_factory=dict)
    """Parameters of the frontend that differ from the preset, by name."""
    clip_samples: int = 100_000
    """Of one clip at the frontend's rate; shorter ones are padded with zeros, longer ones cut."""
    pad_side: Literal["both", "end"] = "both"
    nonspeech: float = 0.0
    """Made-up sounds that are no speech beside the training clips, as a share of them: their
    targets are even, so that the network learns to be unsure of what it does not know."""

    def __post_init__(self) -> None:
        if self.frontend not in PRESETS:
            raise ConfigError(
                f"[data]: frontend is {self.frontend!r}, expected one of {', '.join(PRESETS)}"
            )
        if len(set(self.labels)) < len(self.labels):
            raise ConfigError("[data]: a label stands twice in labels, expected each once")
        if not 0 <= self.nonspeech <= 10:
            raise ConfigError(f"[data]: nonspeech is {self.nonspeech}, expected 0 to 10")
        if not 1 <= self.clip_samples <= MAX_CLIP_SAMPLES:
            raise ConfigError(
                f"[data]: clip_samples is {self.clip_samples}, expected 1 to {MAX_CLIP_SAMPLES}"
            )
        unknown = sorted(set(self.features) - {f.name for f in dataclasses.fields(FrontendSpec)})
        if unknown:
            raise ConfigError(
                f"[data.features]: {', '.join(unknown)} is no parameter of a frontend; "
                "see docs/frontend.md"
            )

        try:
            self.spec()
        except CardError as error:
            said = str(error).removeprefix("frontend: ").partition(";")[0]
            raise ConfigError(f"[data.features]: {said}") from error

    def spec(self) -> FrontendSpec:
        """The frontend."""
        return FrontendSpec.from_dict({**PRESETS[self.frontend].to_dict(), **self.features})


DATA: Mapping[str, DataOptions] = MappingProxyType(
    {
        "capsules": DataOptions(),
        "functionals": DataOptions(frontend="functionals", clip_samples=128_000),
        "tim": DataOptions(features={"layout": "time_last"}, clip_samples=96_000),
        "waveform-cnn": DataOptions(
            frontend="waveform", features={"normalise": "none"}, clip_samples=16_000, pad_side="end"
        ),
        # It normalises the clip itself: padding is what is exactly zero.
        "wav2vec2": DataOptions(
            frontend="waveform", features={"normalise": "none"}, clip_samples=96_000, pad_side="end"
        ),
        "spectral": DataOptions(frontend="log-mel"),
    }
)
"""What networks of each family take, where nothing else is said."""


@dataclass(frozen=True)
class TrainingOptions:
    """How it is trained. The defaults are those of PLB but for the epochs."""

    epochs: int = 60
    """Passes over the training clips, set beforehand."""
    batch: int = 32
    """Clips a step; the last step of an epoch takes what is left."""
    optimizer: Literal["adam", "adamw"] = "adam"
    learning_rate: float = 1e-3
    """At the start."""
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    """Of adamw; in Torch also of adam, as L2 in its gradient."""
    loss: Literal["margin", "cross_entropy"] = "cross_entropy"
    """margin: capsule margin loss on probabilities plus 0.392 x squared error, as for PLB."""
    label_smoothing: float = 0.0
    balance: float = 0.0
    """Of joined corpora: 0 lets every clip count alike, 1 every corpus; clips are drawn with a
    probability of their corpus's size to the power of minus this."""
    corpus_temperature: Mapping[str, float] = field(default_factory=dict)
    """By corpus, what the loss divides the logits of its clips by, 1 for the others. Above 1 the
    network grows surer of clips like these, below 1 less sure: so that one temperature serves
    corpora of which unheard speakers are understood well and badly."""
    mixup: float = 0.0
    """alpha of Beta(alpha, alpha), the share in which examples are mixed with others; 0 for none.
    """
    schedule: Literal["constant", "steps", "plateau", "cosine"] = "constant"
    """Of the learning rate. steps: PLB's twelve steps of exp(-0.15), stretched to `epochs`;
    plateau: times 0.25 after 5 epochs without a lower validation loss; cosine: to zero."""
    seed: int = 42
    evaluate_every: int = 10
    """Epochs between looks at the test clips; nothing is chosen by them, but by `keep`."""
    keep: Literal["last", "best_validation", "best_test"] = "last"
    """Whose weights are the run's: the last epoch's, or that of the lowest validation loss.
    best_test also saves those of the best test epoch (the papers' leaky way) beside the last."""
    accumulate: int = 1
    """Steps whose gradients are added up before the weights move, in Torch."""
    mixed_precision: bool = False
    """bfloat16 where it serves, on a GPU, in Torch."""

    def __post_init__(self) -> None:
        for name, low in (("epochs", 1), ("batch", 1), ("evaluate_every", 1)):
            value = getattr(self, name)
            if value < low:
                raise ConfigError(f"[training]: {name} is {value}, expected {low} or more")
        if self.accumulate < 1:
            raise ConfigError(f"[training]: accumulate is {self.accumulate}, expected 1 or more")
        if not 0 < self.learning_rate <= 100:
            raise ConfigError(
                f"[training]: learning_rate is {self.learning_rate}, expected 0 to 100"
            )
        for name, least, most in (
            ("epsilon", 1e-30, 1),
            ("weight_decay", 0, 100),
            ("mixup", 0, 100),
            ("balance", 0, 1),
            ("seed", 0, MAX_SEED),
        ):
            if not least <= getattr(self, name) <= most:
                raise ConfigError(
                    f"[training]: {name} is {getattr(self, name)}, expected {least:g} to {most}"
                )
        for name, temperature in self.corpus_temperature.items():
            if not 0.01 <= temperature <= 100:
                raise ConfigError(
                    f"[training]: corpus_temperature.{name} is {temperature}, expected 0.01 to 100"
                )
        if self.corpus_temperature and self.loss == "margin":
            raise ConfigError(
                "[training]: corpus_temperature with loss = margin, which has no logits: take "
                "cross_entropy"
            )
        for name in ("beta_1", "beta_2", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(
                    f"[training]: {name} is {getattr(self, name)}, expected 0 or more, below 1"
                )
