"""`Experiment`: what is trained, on what and how, as a TOML file says it. Needs no framework."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from edge_ser.documents import read_options, read_toml, shown, to_toml
from edge_ser.errors import CardError, ConfigError, DataError
from edge_ser.frontend import PRESETS, FrontendSpec
from edge_ser.lab.architectures.networks import Network, network
from edge_ser.lab.augmentation import read_augmentation
from edge_ser.lab.protocols import ProtocolOptions

__all__ = [
    "DATA",
    "MAX_SEED",
    "SHIPPED",
    "DataOptions",
    "Experiment",
    "TrainingOptions",
    "as_toml",
    "find_experiment",
    "from_tables",
    "is_frozen",
    "name_with",
    "shipped",
    "tables",
    "with_settings",
]

SHIPPED = "edge_ser.lab.experiments"
"""Package of the experiments that come with edge-ser."""
MAX_CLIP_SAMPLES = 1 << 24
"""As cards have it."""
MAX_SEED = 2**32 - 1
"""What numpy, Keras and Torch all take."""
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}")


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
        for name in ("beta_1", "beta_2", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(
                    f"[training]: {name} is {getattr(self, name)}, expected 0 or more, below 1"
                )


@dataclass(frozen=True)
class Experiment:
    """All that decides what a training comes to, but for the machine."""

    name: str
    data: DataOptions
    network: Network
    protocol: ProtocolOptions
    training: TrainingOptions
    augmentation: Mapping[str, Any] = field(default_factory=dict)
    """As `edge_ser.lab.augmentation.read_augmentation` takes it; empty for none."""

    def __post_init__(self) -> None:
        if self.network.kind.framework != "keras":
            return
        options = self.training
        if options.accumulate > 1 or options.mixed_precision:
            raise ConfigError(
                "[training]: accumulate and mixed_precision are for Torch, "
                f"{self.network.name} is a Keras network: leave them out"
            )
        if options.weight_decay and options.optimizer == "adam":
            raise ConfigError(
                f"[training]: weight_decay is {options.weight_decay} with adam, which in Keras has "
                "no L2 in its gradient: take optimizer = 'adamw'"
            )


def from_tables(values: Mapping[str, Any], name: str, where: str) -> Experiment:
    """An experiment from the tables of a TOML file.

    `[network]` has the name of a published network, and any option of its family beside it.

    Args:
        values: section -> key -> value.
        name: of the experiment, where the tables have none; it names the run folders.
        where: the file, for messages.

    Raises:
        ConfigError: an unknown section or key (it tells the nearest), or a value that cannot be.
    """
    known = ("name", "data", "network", "protocol", "training", "augmentation")
    for section in values:
        if section not in known:
            near = get_close_matches(section, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise ConfigError(f"{where}: {shown(section)} is unknown: {hint}")
    name = values.get("name", name)
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ConfigError(
            f"{where}: name is {shown(name)}, expected up to 80 letters, digits, dots, - and _: it "
            "names the run folders"
        )

    def options(kind: type, section: str) -> Any:
        return read_options(kind, values.get(section, {}), f"{where}: [{section}]")

    augmentation = values.get("augmentation", {})
    read_augmentation(augmentation, f"{where}: [augmentation]")
    chosen = values.get("network", {})
    if not isinstance(chosen, dict) or not isinstance(chosen.get("name"), str):
        raise ConfigError(f"{where}: [network] has no name, expected that of a published network")
    try:
        built = network(chosen["name"]).with_options(
            **{key: value for key, value in chosen.items() if key != "name"}
        )
    except DataError as error:
        raise ConfigError(f"{where}: [network]: {error}") from error
    return Experiment(
        name,
        options(DataOptions, "data"),
        built,
        options(ProtocolOptions, "protocol"),
        options(TrainingOptions, "training"),
        augmentation,
    )


def is_frozen(experiment: Experiment) -> bool:
    """Whether all of a pretrained backbone stays as it is, so that clips go through it once."""
    return getattr(experiment.network.options, "freeze", "none") == "all"


def with_settings(values: Mapping[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """The tables with `section.key=value` set; a value is read as TOML, else taken as text.

    A name that the tables have gets them too, so that its run folders are other ones.

    Raises:
        ConfigError: an assignment of another form.
    """
    changed = {section: dict(v) if isinstance(v, Mapping) else v for section, v in values.items()}
    for setting in settings:
        place, equals, text = setting.partition("=")
        section, dot, key = place.strip().partition(".")
        if not (equals and dot and section and key):
            raise ConfigError(f"--set {shown(setting)}: expected section.key=value")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except ValueError:
            value = text.strip()
        table = changed.setdefault(section, {})
        if not isinstance(table, dict):
            raise ConfigError(f"--set {shown(setting)}: {section} is no section, but a value")
        table[key] = value
        if (section, key) == ("protocol", "name"):
            # The number of folds was that of the protocol before.
            changed[section].pop("folds", None)
    if settings and isinstance(changed.get("name"), str):
        changed["name"] = name_with(str(changed["name"]), settings)
    return changed


def name_with(name: str, settings: Sequence[str]) -> str:
    """An experiment's name with what was set, for a folder's name.

    >>> name_with("tim-emovo", ["network.name=tim-tab6", "network.omega_0=25"])
    'tim-emovo-tim-tab6-omega_0-25'
    """
    for setting in settings:
        place, _, value = setting.partition("=")
        key = place.strip().rpartition(".")[2]
        # Names tell themselves what they are of, numbers do not.
        name += f"-{value.strip()}" if key == "name" else f"-{key}-{value.strip()}"
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)[:80]


def find_experiment(name: str) -> tuple[str, dict[str, Any], str]:
    """Name, tables and place of an experiment: a TOML file, or one that comes with edge-ser.

    Raises:
        ConfigError: neither is there, or the file is no TOML.
    """
    path = Path(name)
    if path.is_file():
        return path.stem, read_toml(path), name
    if name in shipped():
        return name, read_toml(shipped()[name]), name
    near = get_close_matches(name, shipped(), n=1)
    hint = f"did you mean {near[0]}?" if near else "'edge-ser train --list' has the shipped ones"
    raise ConfigError(f"{name}: no such file, expected a TOML file or an experiment's name; {hint}")


@cache
def shipped() -> Mapping[str, Path]:
    """The experiments that come with edge-ser: name -> file."""
    files = resources.files(SHIPPED).iterdir()
    return {
        Path(file.name).stem: Path(str(file))
        for file in sorted(files, key=lambda file: file.name)
        if file.name.endswith(".toml")
    }


def tables(experiment: Experiment) -> dict[str, dict[str, Any]]:
    """All values by section, defaults too: what a run keeps, and what reports compare."""
    chosen = experiment.network
    return {
        "data": _plain(experiment.data),
        "network": {"name": chosen.name, **_plain(chosen.options)},
        "protocol": _plain(experiment.protocol),
        "training": _plain(experiment.training),
        "augmentation": dict(experiment.augmentation),
    }


def as_toml(experiment: Experiment) -> str:
    """A TOML file that gives the same experiment again."""
    return f"name = {to_toml(experiment.name)}\n\n" + "\n".join(_rendered(tables(experiment)))


def _plain(options: Any) -> dict[str, Any]:
    """Fields that have a value: TOML has no word for none."""
    values = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    return {name: value for name, value in values.items() if value is not None}


def _rendered(sections: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for section, values in sections.items():
        if not values:
            continue
        yield f"[{section}]"
        yield from (f"{key} = {to_toml(value)}" for key, value in values.items())
        yield ""
