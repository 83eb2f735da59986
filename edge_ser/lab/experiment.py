"""`Experiment`: what is trained, on what and how, as a TOML file says it. Needs no framework."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from edge_ser.documents import read_options, read_toml, shown, to_toml
from edge_ser.errors import ConfigError, DataError
from edge_ser.lab.architectures.networks import Network, network
from edge_ser.lab.augmentation import read_augmentation
from edge_ser.lab.options import DATA, DataOptions, TrainingOptions
from edge_ser.lab.protocols import ProtocolOptions

__all__ = [
    "DATA",
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
LONGEST_NAME = 80
NAME = re.compile(rf"\w[\w.-]{{0,{LONGEST_NAME - 1}}}")


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

    One that would be too long ends in a digest of the whole, so that other settings differ.
    """
    for setting in settings:
        place, _, value = setting.partition("=")
        key = place.strip().rpartition(".")[2]
        # Names tell themselves what they are of, numbers do not.
        name += f"-{value.strip()}" if key == "name" else f"-{key}-{value.strip()}"
    plain = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
    if len(plain) <= LONGEST_NAME:
        return plain
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{plain[: LONGEST_NAME - 9]}-{digest}"


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
