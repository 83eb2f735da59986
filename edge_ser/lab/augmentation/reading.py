"""`Augmentation` from TOML, from presets, and back to plain values."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from difflib import get_close_matches
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Literal, get_type_hints

from edge_ser.documents import expected, from_toml, shown
from edge_ser.errors import ConfigError
from edge_ser.lab.augmentation import masks, steps
from edge_ser.lab.augmentation.draws import FORMS, Draw, as_draw, plain
from edge_ser.lab.augmentation.masks import FeatureStep
from edge_ser.lab.augmentation.steps import Step

__all__ = [
    "STEPS",
    "Augmentation",
    "as_mapping",
    "name_of",
    "parameters",
    "preset",
    "presets",
    "read_augmentation",
]

HOME = "edge_ser.lab.augmentation"
MODES = ("online", "copies")
MAX_STEPS = 100
MAX_VERSIONS = 100

STEPS: Mapping[str, type[Step]] = MappingProxyType(
    {
        "white_noise": steps.WhiteNoise,
        "real_noise": steps.RealNoise,
        "self_noise": steps.SelfNoise,
        "coloured_noise": steps.ColouredNoise,
        "gain": steps.Gain,
        "room": steps.Room,
        "microphone_eq": steps.MicrophoneEq,
        "low_pass": steps.LowPass,
        "high_pass": steps.HighPass,
        "shift": steps.Shift,
        "speed": steps.Speed,
        "time_stretch": steps.TimeStretch,
        "pitch_shift": steps.PitchShift,
        "reverse": steps.Reverse,
        "time_mask": masks.TimeMask,
        "frequency_mask": masks.FrequencyMask,
    }
)
"""Steps by the name that they have in TOML."""


@dataclass(frozen=True)
class Augmentation:
    """What is done to the clips that train. Without steps, nothing.

    Raises:
        ConfigError: mode copies without a step, or with one that is left to chance or that changes
            features.
    """

    mode: Literal["online", "copies"] = "online"
    """online: every clip anew in every epoch, step after step; copies: each step makes one more
    clip of every clip, once, and the clips as they are stay."""
    steps: tuple[Step, ...] = ()
    versions: int = 0
    """In mode online: so many changed versions of each clip are made once and kept in the cache,
    and every epoch takes one of them, or the clip as it is, by chance. 0: anew in every epoch."""

    def __post_init__(self) -> None:
        if not 0 <= self.versions <= MAX_VERSIONS:
            raise ConfigError(f"versions is {self.versions}, expected 0 to {MAX_VERSIONS}")
        if self.mode == "online":
            return
        if self.versions:
            raise ConfigError(
                f"versions is {self.versions} in mode copies, where each step makes one: leave it "
                "out"
            )
        if not self.steps:
            raise ConfigError("mode copies without a step, expected one for each copy: add steps")
        for step in self.steps:
            if isinstance(step, FeatureStep):
                raise ConfigError(
                    f"{name_of(step)} changes features, expected steps that change samples in mode "
                    'copies: take mode = "online"'
                )
            if step.probability != 1:
                raise ConfigError(
                    f"{name_of(step)} has probability {step.probability:g}, expected 1 in mode "
                    "copies, where every step makes its copy: leave it out"
                )


def read_augmentation(mapping: Mapping[str, Any], where: str = "[augmentation]") -> Augmentation:
    """An augmentation from a table of TOML: `mode` and `step`s, or the name of a `preset`.

    Args:
        mapping: the table; an empty one is no augmentation.
        where: what it is, for messages.

    Raises:
        ConfigError: an unknown key, step or parameter (it tells the nearest), or a value of
            another type or out of range.
    """
    if not isinstance(mapping, Mapping):
        raise ConfigError(f"{where} is {shown(mapping)}, expected a section with keys")
    _refuse_unknown(mapping, ("mode", "preset", "step", "versions"), where)
    versions = mapping.get("versions", 0)
    if not isinstance(versions, int) or isinstance(versions, bool):
        raise ConfigError(f"{where}: versions is {shown(versions)}, expected a whole number")
    if "preset" in mapping:
        if set(mapping) - {"preset", "versions"}:
            raise ConfigError(
                f"{where}: preset stands beside other keys, expected it alone or with versions"
            )
        chosen = preset(mapping["preset"])
        if "versions" not in mapping:
            return chosen
        try:
            return replace(chosen, versions=versions)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error
    mode = mapping.get("mode", "online")
    if mode not in MODES:
        raise ConfigError(f"{where}: mode is {shown(mode)}, expected {' or '.join(MODES)}")
    given = mapping.get("step", [])
    if not isinstance(given, list | tuple) or len(given) > MAX_STEPS:
        raise ConfigError(
            f"{where}: step is {shown(given)}, expected at most {MAX_STEPS} tables "
            "[[augmentation.step]]"
        )
    made = tuple(_step(each, f"{where} step {n}") for n, each in enumerate(given, 1))
    try:
        return Augmentation(mode, made, versions)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


@cache
def presets() -> Mapping[str, Augmentation]:
    """The augmentations that come with edge-ser, by name."""
    text = resources.files(HOME).joinpath("presets.toml").read_text(encoding="utf-8")
    return MappingProxyType(
        {name: read_augmentation(table, name) for name, table in tomllib.loads(text).items()}
    )


def preset(name: object) -> Augmentation:
    """The augmentation of that name.

    Raises:
        ConfigError: none has it.
    """
    found = presets().get(name) if isinstance(name, str) else None
    if found is None:
        raise ConfigError(
            f"no augmentation is called {shown(name)}: {_nearest(str(name), presets())}"
        )
    return found


def as_mapping(augmentation: Augmentation) -> dict[str, Any]:
    """Plain values of which `read_augmentation` makes the same augmentation; defaults too."""
    return {
        "mode": augmentation.mode,
        "versions": augmentation.versions,
        "step": [{"name": name_of(s), **parameters(s)} for s in augmentation.steps],
    }


def parameters(step: Step) -> dict[str, Any]:
    """A step's parameters as TOML has them."""
    return {each.name: plain(getattr(step, each.name)) for each in fields(step)}


def name_of(step: Step) -> str:
    """A step's name in TOML."""
    return next(name for name, kind in STEPS.items() if type(step) is kind)


def _step(table: object, where: str) -> Step:
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where} is {shown(table)}, expected a table with a name")
    name = table.get("name")
    if not isinstance(name, str):
        raise ConfigError(f"{where} has no name, expected one of {', '.join(STEPS)}")
    if name not in STEPS:
        raise ConfigError(f"{where}: no step is called {shown(name)}: {_nearest(name, STEPS)}")
    kind = STEPS[name]
    hints = get_type_hints(kind)
    _refuse_unknown(table, ("name", *hints), f"{where}: {name}")
    for each in fields(kind):
        if each.default is MISSING and each.name not in table:
            raise ConfigError(f"{where}: {name} has no {each.name}, expected it: add {each.name}")
    values = {
        key: _value(value, hints[key], f"{where}: {name}: {key}")
        for key, value in table.items()
        if key != "name"
    }
    try:
        return kind(**values)
    except ConfigError as error:
        raise ConfigError(f"{where}: {name}: {error}") from error


def _value(value: object, kind: Any, where: str) -> Any:
    try:
        return as_draw(value) if kind == Draw else from_toml(value, kind)
    except ValueError:
        wanted = FORMS if kind == Draw else expected(kind)
        raise ConfigError(f"{where} is {shown(value)}, expected {wanted}") from None


def _refuse_unknown(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            raise ConfigError(f"{where}: {shown(key)} is unknown: {_nearest(str(key), known)}")


def _nearest(name: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
