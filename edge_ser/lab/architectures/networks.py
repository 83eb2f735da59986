"""Networks by name: the rows of `published.toml`, and what each family is. Needs no framework."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module, resources
from types import MappingProxyType
from typing import Any, Literal

from edge_ser.documents import read_options
from edge_ser.errors import ConfigError, DataError, DependencyError
from edge_ser.lab.architectures.options import (
    CapsuleOptions,
    FunctionalsOptions,
    SpectralOptions,
    TimOptions,
    Wav2Vec2Options,
    WaveformCnnOptions,
)

__all__ = ["FAMILIES", "Family", "Framework", "Network", "build", "network", "networks"]

Framework = Literal["keras", "torch"]


@dataclass(frozen=True)
class Family:
    """Networks that one module builds from one class of options.

    The module has `build(options, classes, shape)` for features of `shape` without a batch axis.
    """

    module: str
    options: type
    framework: Framework
    output: Literal["probabilities", "logits"]
    """What the networks give for each class."""
    layout: str
    """Axes of their input, as a card names them."""


HOME = "edge_ser.lab.architectures"

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "capsules": Family(f"{HOME}.capsules", CapsuleOptions, "keras", "probabilities", "NTFC"),
        "functionals": Family(
            f"{HOME}.perceptron", FunctionalsOptions, "keras", "probabilities", "NF"
        ),
        "tim": Family(f"{HOME}.tim", TimOptions, "torch", "logits", "NFT"),
        "waveform-cnn": Family(f"{HOME}.waveform_cnn", WaveformCnnOptions, "torch", "logits", "NT"),
        "wav2vec2": Family(f"{HOME}.wav2vec2", Wav2Vec2Options, "torch", "logits", "NT"),
        "spectral": Family(f"{HOME}.spectral", SpectralOptions, "torch", "logits", "NTF"),
    }
)


@dataclass(frozen=True)
class Network:
    """A family with its options: what `build` needs besides classes and shape."""

    name: str
    family: str
    options: Any
    """A value of the family's class of options."""
    parameters: Mapping[int, int] = field(default_factory=dict)
    """Number of parameters by number of classes, as far as published."""
    note: str = ""

    @property
    def kind(self) -> Family:
        """The family."""
        return FAMILIES[self.family]

    def with_options(self, **chosen: Any) -> Network:
        """The same network with other options; the published counts no longer hold.

        Raises:
            DataError: an option that the family does not have.
        """
        options = options_of(self.family, {**vars(self.options), **chosen})
        if options == self.options:
            return self
        return dataclasses.replace(self, options=options, parameters={})


@cache
def networks() -> Mapping[str, Network]:
    """All published rows by name."""
    text = resources.files(HOME).joinpath("published.toml").read_text()
    return MappingProxyType(
        {
            row["name"]: Network(
                row["name"],
                row["family"],
                options_of(row["family"], row["options"]),
                {int(classes): count for classes, count in row["parameters"].items()},
                row.get("note", ""),
            )
            for row in tomllib.loads(text)["network"]
        }
    )


def network(name: str) -> Network:
    """The published row of that name.

    Raises:
        DataError: none has it.
    """
    found = networks().get(name)
    if found is None:
        near = difflib.get_close_matches(name, networks(), n=1)
        hint = f"did you mean {near[0]}?" if near else "see 'edge-ser train --list'"
        raise DataError(f"no network {name!r}, expected a published one; {hint}")
    return found


def options_of(family: str, values: Mapping[str, Any]) -> Any:
    """A family's options from plain values, checked by name.

    Raises:
        DataError: an option that the family does not have, or a value of another type.
    """
    try:
        return read_options(FAMILIES[family].options, values, f"network of the family {family}")
    except ConfigError as error:
        raise DataError(str(error)) from error


def build(chosen: Network, classes: int, shape: tuple[int, ...], seed: int | None = None) -> Any:
    """A freshly initialised `keras.Model` or `torch.nn.Module`.

    Args:
        chosen: the network.
        classes: number of outputs.
        shape: of the features of one clip, such as (196, 39), (39, 188) or (16000,).
        seed: of the weights; None leaves the framework's own generator alone.

    Raises:
        DataError: the network cannot take features of that shape.
        DependencyError: its framework is not installed.
    """
    try:
        module = import_module(chosen.kind.module)
    except ImportError as error:
        raise DependencyError(
            f"{chosen.name} needs {chosen.kind.framework} ({error}); "
            f"pip install 'edge-ser[{chosen.kind.framework}]'"
        ) from error
    if seed is not None:
        _seed(chosen.kind.framework, seed)
    return module.build(chosen.options, classes, shape)


def _seed(framework: Framework, seed: int) -> None:
    if framework == "keras":
        import keras

        keras.utils.set_random_seed(seed)
    else:
        import torch

        torch.manual_seed(seed)
