"""`ModelCard` and its parts: everything that a model file says of itself, typed and bounded."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from edge_ser.card.checks import (
    MAX_CLIP_SAMPLES,
    check_hash,
    check_label,
    check_text,
    require,
    within,
)
from edge_ser.card.documents import HASH, build, canonical, opened, sealed
from edge_ser.card.goldens import Goldens
from edge_ser.card.head import HEAD, Head
from edge_ser.card.population import Population
from edge_ser.errors import CardError, ModelDamagedError
from edge_ser.frontend import FrontendSpec

__all__ = ["ConditionFigures", "InputSpec", "ModelCard", "OutputSpec", "Provenance"]

SCHEMA = "1.0"
KNOWN_REQUIREMENTS = frozenset({HEAD})
"""Features that a card may require of its reader."""

MAX_LABELS = 1000
MAX_BLOCKS = 8


@dataclass(frozen=True)
class InputSpec:
    """The audio that a model takes and the tensor that it is brought into."""

    rate: int
    """Hertz, 1000 to 384000."""
    clip_samples: int
    """Samples of one clip at `rate`."""
    pad_side: Literal["both", "end"] = "both"
    """A shorter clip is centred, or followed by padding; a longer one is cropped likewise."""
    pad_mode: Literal["zeros"] = "zeros"
    dtype: Literal["float32", "float16", "int8", "uint8", "int16"] = "float32"
    """Of the graph's input; the runtime quantises."""
    layout: str = "NTFC"
    """Axes of the graph's inputs, one word a block: N batch, T time, F coefficient, C channel."""
    source_bandwidth_hz: float | None = None
    """Hertz up to which the training speech reached, 500 or more; None applies no limit."""
    level_dbfs: float | None = None
    """Active speech level that clips are brought to, dB full scale; None leaves them as they are.
    """

    def __post_init__(self) -> None:
        within("input.rate", self.rate, 1000, 384_000)
        within("input.clip_samples", self.clip_samples, 1, MAX_CLIP_SAMPLES)
        require(
            re.fullmatch(r"[NTFC]{1,4}(,[NTFC]{1,4}){0,7}", self.layout) is not None,
            f"input.layout is {self.layout!r}, expected axes out of N, T, F and C such as NTFC",
        )
        if self.source_bandwidth_hz is not None:
            within("input.source_bandwidth_hz", self.source_bandwidth_hz, 500, 192_000)
        if self.level_dbfs is not None:
            within("input.level_dbfs", self.level_dbfs, -120, 0)


@dataclass(frozen=True)
class OutputSpec:
    """What the graph gives and how it becomes calibrated probabilities."""

    kind: Literal["probabilities", "logits"] = "probabilities"
    scores: str | None = None
    """Name of the output tensor with one value a label; None for the only output."""
    embedding: str | None = None
    """Name of the output tensor with the embedding, if the graph has one."""
    temperature: float = 1.0
    """Divides the logits, fitted on out-of-fold predictions; 0.001 to 1000."""
    ece: float | None = None
    """Expected calibration error after that, 0 to 1."""
    uncertain_below: float | None = None
    """A highest score below this makes the result `uncertain`; 0 to 1."""

    def __post_init__(self) -> None:
        within("output.temperature", self.temperature, 1e-3, 1000)
        for name, value in (("ece", self.ece), ("uncertain_below", self.uncertain_below)):
            if value is not None:
                within(f"output.{name}", value, 0, 1)
        for name, text in (("scores", self.scores), ("embedding", self.embedding)):
            require(text != "", f"output.{name} is empty, expected a tensor's name or null")


@dataclass(frozen=True)
class ConditionFigures:
    """What is left of a model's figures under one condition; measured as its protocol says."""

    condition: str
    """`clean`, or a perturbation of `edge_ser.perturb`."""
    accuracy: float
    """Share of right labels, 0 to 1."""
    uar: float
    """Mean recall of the labels, 0 to 1."""

    def __post_init__(self) -> None:
        check_text("provenance.robustness.condition", self.condition)
        within("provenance.robustness.accuracy", self.accuracy, 0, 1)
        within("provenance.robustness.uar", self.uar, 0, 1)


@dataclass(frozen=True)
class Provenance:
    """Where a model comes from and what it may be used for."""

    state: Literal["trained", "untrained", "adapted"]
    """Adapted: trained, then given a head."""
    network: str = ""
    """Name of the architecture."""
    parameters: int | None = None
    """As the training framework counts them; a file may hold them in another form."""
    data: str = ""
    protocol: str = ""
    """How training and test were kept apart."""
    metrics: Mapping[str, object] = field(default_factory=dict)
    """Figures by name: `accuracy` and `uar` (0 to 1), over folds with `accuracy_std`, `uar_std`."""
    robustness: tuple[ConditionFigures, ...] = ()
    """`clean` first, then the perturbations in the order of `edge_ser.perturb`."""
    licence: str = ""
    """SPDX expression."""
    intended_use: str = ""
    excluded_use: str = ""
    tools: Mapping[str, str] = field(default_factory=dict)
    """Versions by name."""
    commit: str = ""
    training_clips: tuple[str, ...] = ()
    """`Clip.digest` of each that trained, or chose the epoch: 16 hex digits."""
    speakers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.parameters is not None:
            within("provenance.parameters", self.parameters, 0, 10**12)
        for name in (
            "network",
            "data",
            "protocol",
            "licence",
            "intended_use",
            "excluded_use",
            "commit",
        ):
            check_text(f"provenance.{name}", getattr(self, name), empty=True)
        require(
            all(re.fullmatch("[0-9a-f]{16}", clip) for clip in self.training_clips),
            "provenance.training_clips has something else than digests of 16 hex digits",
        )


@dataclass(frozen=True)
class ModelCard:
    """What a model file says of itself."""

    name: str
    task: str
    labels: tuple[str, ...]
    """In the order of the graph's output, or of the head's; unique."""
    input: InputSpec
    frontend: tuple[FrontendSpec, ...]
    """One for each input tensor of the graph, in its order."""
    output: OutputSpec
    provenance: Provenance
    segmenting: Mapping[str, object] = field(default_factory=dict)
    """Recommended options of `edge_ser.segment`, which reads them."""
    deciding: Mapping[str, object] = field(default_factory=dict)
    """Recommended options of `edge_ser.events`, which reads them."""
    goldens: Goldens | None = None
    head: Head | None = None
    """Makes the scores, of the graph's embedding and scores; required of readers."""
    population: Population | None = None
    """Against what profiles of speakers are weighed; none for features that have no use for it."""
    payload_sha256: str = ""
    """Of what a runtime opens. `write_model` sets it; empty only before that."""
    schema: str = SCHEMA
    requires: tuple[str, ...] = ()
    """Features that a reader must know."""

    def __post_init__(self) -> None:
        check_text("name", self.name)
        check_text("task", self.task)
        require(
            1 <= len(self.labels) <= MAX_LABELS,
            f"{len(self.labels)} labels, expected 1 to {MAX_LABELS}",
        )
        for label in self.labels:
            check_label(label)
        require(len(set(self.labels)) == len(self.labels), "a label stands twice in labels")
        require(
            1 <= len(self.frontend) <= MAX_BLOCKS,
            f"{len(self.frontend)} frontends, expected 1 to {MAX_BLOCKS}",
        )
        for spec in self.frontend:
            self._check_frontend(spec)
        if self.payload_sha256:
            check_hash("payload_sha256", self.payload_sha256)
        if self.goldens is not None:
            require(
                len(self.goldens.scores) == len(self.labels)
                and len(self.goldens.features) == len(self.frontend),
                f"goldens with {len(self.goldens.scores)} scores and {len(self.goldens.features)} "
                f"blocks, expected {len(self.labels)} and {len(self.frontend)}",
            )
        self._check_head()
        if self.population is not None:
            values = math.prod(self.frontend[0].shape(self.input.clip_samples))
            found = len(self.population.means())
            require(found == values, f"a population of {found} values, expected {values}")

    def _check_head(self) -> None:
        """Refuse a head for other labels, without an embedding, or that a reader may pass over."""
        require(
            (self.head is not None) == (HEAD in self.requires),
            f"requires is {list(self.requires)}: expected {HEAD} in it with a head, and only then",
        )
        if self.head is not None:
            require(
                self.head.labels == len(self.labels),
                f"a head for {self.head.labels} labels, expected {len(self.labels)}",
            )
            require(self.output.embedding is not None, "a head, and output.embedding is null")

    def _check_frontend(self, spec: FrontendSpec) -> None:
        """Refuse another rate and features without a frame; `shape` refuses too many."""
        require(
            spec.rate == self.input.rate,
            f"a frontend for {spec.rate} Hz and an input of {self.input.rate} Hz",
        )
        require(
            0 not in spec.shape(self.input.clip_samples),
            f"a frontend that gives no frame for a clip of {self.input.clip_samples} samples",
        )
        # Recordings are cut into pieces of a clip: of shorter ones there would be no end.
        least = 1 if spec.kind == "waveform" else spec.hop_length
        require(
            self.input.clip_samples >= least,
            f"input.clip_samples is {self.input.clip_samples}, expected {least} or more",
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON values with `card_sha256`."""
        return sealed(dataclasses.asdict(self))

    def to_document(self) -> bytes:
        """Canonical JSON with `card_sha256`: what is put into model files."""
        return canonical(self.to_dict())

    @classmethod
    def from_document(cls, document: bytes) -> ModelCard:
        """The card of a JSON document in any layout, whose hash is checked before all else.

        Raises:
            ModelDamagedError: the hash does not match.
            CardError: no JSON, a value missing, of another type or out of range, a newer schema,
                or a requirement that this version does not know.
        """
        values = opened(document)
        del values[HASH]
        values = upgraded(values)
        _refuse_unknown(values.get("requires"))
        return build(cls, values)


def _refuse_unknown(requires: object) -> None:
    """Raise CardError for a feature that this version does not know, before all else is read."""
    names = requires if isinstance(requires, list) else []
    unknown = sorted({name for name in names if isinstance(name, str)} - KNOWN_REQUIREMENTS)
    if unknown:
        raise CardError(
            f"the card requires {', '.join(unknown)}, which this version does not know; "
            "upgrade edge-ser: pip install -U edge-ser"
        )


def upgraded(values: dict[str, Any]) -> dict[str, Any]:
    """A card's values in this version's schema; the one place where older ones are read.

    A newer minor version only adds fields, which are left out. 1.0 is the first schema.

    Raises:
        CardError: no version, or a newer major one.
    """
    schema = values.get("schema")
    if not isinstance(schema, str) or not re.fullmatch(r"[1-9]\d{0,3}\.\d{1,4}", schema):
        raise CardError(f"the card's schema is {schema!r}, expected {SCHEMA!r}; export it again")
    if int(schema.split(".")[0]) > int(SCHEMA.split(".")[0]):
        raise CardError(
            f"the card has schema {schema}, this version reads up to {SCHEMA}; "
            "upgrade edge-ser: pip install -U edge-ser"
        )
    return {**values, "schema": SCHEMA}


def payload_checked(card: ModelCard, digest: str) -> ModelCard:
    """The card, if it belongs to the payload of that SHA-256.

    Raises:
        ModelDamagedError: it belongs to other bytes.
    """
    if card.payload_sha256 != digest:
        raise ModelDamagedError(
            "the model was changed or damaged (its hash is not the card's); copy or export it again"
        )
    return card
