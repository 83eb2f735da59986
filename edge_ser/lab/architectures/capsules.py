"""PLB, Improved RoutingConvNet and the older RoutingConvNet: MFCCs (196, 39) to probabilities.

Each body is written once, whole; an ablation is the absence of modules (`ABLATIONS`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import layers

from edge_ser.errors import DataError
from edge_ser.lab.architectures.gates import CBAM, GatedResidual
from edge_ser.lab.architectures.layers import (
    CHANNELS,
    DotAttention,
    Reverse,
    Routing,
    Squash,
    primary_capsules,
    stem,
)
from edge_ser.lab.architectures.options import CapsuleOptions

__all__ = ["ABLATIONS", "SHAPE", "build"]

Tensor = Any
Modules = frozenset[str]

SHAPE = (196, 39)
"""Frames and coefficients of the published clips."""
LEAST = {"plb": (30, 30), "improved": (22, 22), "routing": (38, 38)}
"""The smallest features that leave one capsule position."""
DROPOUT = 0.2
AXES = {"coefficient": 2, "time": 1}

ABLATIONS: Mapping[str, Mapping[str, Modules]] = {
    "plb": {
        "": frozenset(),
        "capsules": frozenset({"capsules"}),
        "cbam": frozenset({"cbam"}),
        "gate": frozenset({"gate"}),
        "routing": frozenset({"routing"}),
        "sa": frozenset({"sa"}),
        # As the papers' row was run: it has neither the forward branch nor cross-attention.
        "spa": frozenset({"gate", "forward"}),
    },
    "improved": {
        "": frozenset(),
        "capsules": frozenset({"capsules"}),
        "cbam": frozenset({"cbam"}),
        "cbam+spa": frozenset({"cbam", "gate"}),
        "gate": frozenset({"gate"}),
        "routing": frozenset({"routing"}),
        "sa": frozenset({"sa"}),
        "spa": frozenset({"gate"}),
    },
    "routing": {"": frozenset()},
}
"""Modules that a body lacks, by body and `CapsuleOptions.without`."""


def build(
    options: CapsuleOptions,
    classes: int,
    shape: tuple[int, ...] = SHAPE,
    batch: int | None = None,
) -> keras.Model:
    """A freshly initialised network from features (N, *shape, 1) to probabilities (N, classes).

    Its normalisation ties weights to frames: it takes clips of that one length.

    Args:
        options: of the network.
        classes: number of outputs.
        shape: frames and coefficients of a clip.
        batch: a fixed N; None for any.

    Raises:
        DataError: an ablation or option that the body does not have, or features too small for it.
    """
    _check(options, shape)
    without = ABLATIONS[options.body][options.without]
    inputs = keras.Input((*shape, 1), batch_size=batch, name="features")
    capsules = BODIES[options.body](inputs, options, without)
    pooled = layers.GlobalAveragePooling1D(name="pool")(capsules)
    pooled = layers.Dropout(DROPOUT, name="dropout")(pooled)
    scores = layers.Dense(classes, activation="softmax", name="scores")(pooled)
    return keras.Model(inputs, scores, name=_name(options))


def _plb(inputs: Tensor, options: CapsuleOptions, without: Modules) -> Tensor:
    cbam = _cbam(options, without, sites=3 - len(without & {"forward"}))
    gate = _gate(options, without, sites=2 - len(without & {"capsules", "sa"}))
    attention = DotAttention(name="attention")

    reverse = Reverse(AXES[options.reverse_axis], name="reverse")
    views = {"forward": inputs, "backward": reverse(inputs)}
    stems = {
        name: stem(view, CHANNELS, 1, DROPOUT, name)
        for name, view in views.items()
        if name not in without
    }
    branches = [cbam(x, name) for name, x in stems.items()]
    x = branches[0]
    if len(branches) == 2:
        x = layers.Add(name="cross_attention")([x, attention(*branches)])
    x = cbam(stem(x, CHANNELS, 2, DROPOUT, "dilated"), "dilated")
    if "capsules" in without:
        y = Squash(name="capsules_squash")(_flat(x))
    else:
        y = gate(primary_capsules(x, dilation=2))
    if "sa" not in without:
        y = gate(_salient(y, attention))
    return y if "routing" in without else Routing(name="routing")(y)


def _improved(inputs: Tensor, options: CapsuleOptions, without: Modules) -> Tensor:
    salient = options.gate_calls - 1 if "sa" in without else 2
    cbam = _cbam(options, without, sites=2)
    gate = _gate(options, without, sites=2 + salient - len(without & {"capsules", "routing"}))

    x = cbam(stem(inputs, CHANNELS, 1, DROPOUT, "forward"), "forward")
    x = cbam(stem(x, CHANNELS, 2, DROPOUT, "dilated"), "dilated")
    y = _flat(x) if "capsules" in without else gate(primary_capsules(x, dilation=1))
    if "sa" not in without:
        y = gate(_salient(y, DotAttention(name="attention"), gate))
    elif options.gate_calls == 2:
        y = gate(y)
    return y if "routing" in without else gate(Routing(name="routing")(y))


def _routing(inputs: Tensor, options: CapsuleOptions, without: Modules) -> Tensor:
    reverse = Reverse(AXES[options.reverse_axis], name="reverse")
    x = layers.Concatenate(name="both_ways")([inputs, reverse(inputs)])
    x = stem(x, 32, 1, DROPOUT, "first")
    x = stem(x, CHANNELS, 1, DROPOUT, "second")
    x = stem(x, CHANNELS, 1, 0.5, "third")
    x = layers.Conv2D(2 * CHANNELS, 3, name="capsules_conv")(x)
    y = Squash(name="capsules_squash")(_flat(x))
    return Routing(name="routing")(_salient(y, DotAttention(name="attention")))


BODIES: Mapping[str, Callable[[Tensor, CapsuleOptions, Modules], Tensor]] = {
    "plb": _plb,
    "improved": _improved,
    "routing": _routing,
}


def _cbam(options: CapsuleOptions, without: Modules, sites: int) -> Callable[[Tensor, str], Tensor]:
    """x + CBAM(x) with one CBAM for all calls; x where there is none."""
    if "cbam" in without:
        return lambda x, name: x
    cbam = _shared(CBAM, "cbam", options, sites)
    return lambda x, name: layers.Add(name=f"{name}_cbam")([x, cbam(x)])


def _gate(options: CapsuleOptions, without: Modules, sites: int) -> Callable[[Tensor], Tensor]:
    """The gate of the capsules, one for all calls; none where it is left out."""
    if "gate" in without:
        return lambda y: y
    return _shared(GatedResidual, "capsule_gate", options, sites)


def _shared(
    kind: type, name: str, options: CapsuleOptions, sites: int
) -> Callable[[Tensor], Tensor]:
    """One layer for all calls, which normalise together or, each being a site, on their own."""
    if options.gate_bn == "published":
        shared: Callable[[Tensor], Tensor] = kind(name=name)
        return shared
    layer, site = kind(sites=sites, momentum=0.99, name=name), itertools.count()
    return lambda x: layer(x, site=next(site))


def _flat(x: Tensor) -> Tensor:
    """Every position of an image as capsules of 64 values."""
    return layers.Reshape((-1, CHANNELS), name="capsules")(x)


def _salient(
    y: Tensor, attention: DotAttention, gate: Callable[[Tensor], Tensor] = lambda y: y
) -> Tensor:
    """Capsules times their gated, normalised self-attention."""
    salience = gate(layers.LayerNormalization(name="attention_norm")(attention(y, y)))
    return layers.Multiply(name="salient")([y, salience])


def _name(options: CapsuleOptions) -> str:
    body = {"improved": "improved_routing"}.get(options.body, options.body)
    return f"{body}_without_{options.without.replace('+', '_')}" if options.without else body


def _check(options: CapsuleOptions, shape: tuple[int, ...]) -> None:
    """Refuse what would be built otherwise than asked, or not at all."""
    body = options.body
    if body not in ABLATIONS:
        raise DataError(f"body is {body!r}, expected one of {', '.join(ABLATIONS)}")
    if options.without not in ABLATIONS[body]:
        known = ", ".join(filter(None, ABLATIONS[body])) or "nothing"
        raise DataError(f"without is {options.without!r}, but {body} can be without {known}")
    choices = {
        "reverse_axis": ("coefficient",) if body == "improved" else tuple(AXES),
        "gate_bn": ("published",) if body == "routing" else ("published", "site"),
        "gate_calls": (1, 2) if (body, options.without) == ("improved", "sa") else (1,),
    }
    for name, allowed in choices.items():
        if getattr(options, name) not in allowed:
            row = f"{body} without {options.without}" if options.without else body
            raise DataError(
                f"{name} is {getattr(options, name)!r}, expected "
                f"{' or '.join(map(str, allowed))} for {row}"
            )
    least = LEAST[body]
    if len(shape) != 2 or any(size < low for size, low in zip(shape, least, strict=True)):
        raise DataError(
            f"features of shape {shape}, but {body} takes (frames, coefficients) of at least "
            f"{least}, published {SHAPE}: use the frontend 'librosa' on longer clips"
        )
