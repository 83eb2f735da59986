"""What a person says of a model that says nothing of itself, and the card that comes of it."""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_ser.card import InputSpec, ModelCard, OutputSpec, Provenance
from edge_ser.documents import read_options, read_toml
from edge_ser.errors import ConfigError, DataError, UsageError
from edge_ser.frontend import PRESETS, FrontendSpec
from edge_ser.lab import cards
from edge_ser.lab.architectures.networks import Network
from edge_ser.lab.experiment import DATA
from edge_ser.lab.export.reference import Floats, Output, Source, fitted

__all__ = ["Description", "card_of", "output_of", "read_frontend", "read_labels"]

MAX_LABEL_FILE = 1 << 20
"""Bytes."""


@dataclass(frozen=True)
class Description:
    """Of a model."""

    labels: tuple[str, ...] = ()
    """In the order of its scores; empty for those that the file names."""
    frontends: tuple[FrontendSpec, ...] = ()
    """One an input; empty for that of the network's family."""
    clip_seconds: float | None = None
    clip_samples: int | None = None
    """At the frontend's rate; with neither, the network's own, or what a raw waveform shows."""
    output: Output | None = None
    """None where it can be seen from the scores."""
    name: str = ""
    """Empty for the file's."""
    task: str = cards.EMOTION
    licence: str = "LicenseRef-unknown"
    """SPDX expression."""
    data: str = ""
    """What it was trained on, in a sentence."""
    network: Network | None = None
    """Which of ours a state dict is of."""


def read_labels(text: str) -> tuple[str, ...]:
    """Labels from `a,b,c`, or from a text file with one a line.

    Raises:
        UsageError: one stands twice, or there is none.
        DataError: the file cannot be read.
    """
    path = Path(text)
    if "," in text or not path.is_file():
        labels = [label.strip() for label in text.split(",")]
    else:
        try:
            if path.stat().st_size > MAX_LABEL_FILE:
                raise DataError(f"{path}: over {MAX_LABEL_FILE} bytes, expected a label a line")
            labels = [line.strip() for line in path.read_text("utf-8-sig").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: {error}; expected text, a label a line") from error
    found = tuple(label for label in labels if label)
    if not found:
        raise UsageError(f"--labels {text!r}: expected names such as anger,joy,neutral, or a file")
    twice = sorted({label for label in found if found.count(label) > 1})
    if twice:
        raise UsageError(f"--labels: {', '.join(twice)} stands there twice, expected each once")
    return found


def read_frontend(name: str) -> FrontendSpec:
    """A preset by name, or a TOML file of parameters.

    The file may begin with `preset = "log-mel"`; what it leaves out is as in there, or as in
    `FrontendSpec`.

    Raises:
        UsageError: no preset and no such file.
        ConfigError: the file is no TOML, or has an unknown parameter (it tells the nearest) or a
            value of another type.
        CardError: a value is out of range.
    """
    if name in PRESETS:
        return PRESETS[name]
    if not Path(name).is_file():
        raise UsageError(
            f"--frontend {name!r}: no such file, expected a TOML file or one of "
            f"{', '.join(PRESETS)}"
        )
    table = read_toml(name)
    preset = table.pop("preset", None)
    if preset is not None and preset not in PRESETS:
        raise ConfigError(f"{name}: preset is {preset!r}, expected one of {', '.join(PRESETS)}")
    base = PRESETS[preset].to_dict() if preset is not None else {}
    # TOML has no word for none but an empty text.
    plain = {key: "" if value is None else value for key, value in base.items()}
    return read_options(FrontendSpec, plain | table, name)


def card_of(source: Source, said: Description) -> ModelCard:
    """The card of a model, but for what its scores and its file have to tell.

    A frontend is turned round (time first, time last) where the model's input wants it so.

    Raises:
        UsageError: labels, frontend or clip length are missing.
        DataError: the model takes other features.
        CardError: a value is out of range.
    """
    labels = said.labels or source.labels
    if not labels:
        raise UsageError(
            f"{source.name}: no labels, expected --labels with the classes in the order of the "
            "model's outputs, such as anger,joy,neutral"
        )
    family = DATA[said.network.family] if said.network else None
    specs, inputs = _frontends(source, said)
    samples = _clip_samples(source, said, specs, family.clip_samples if family else None)
    specs = tuple(
        _turned(spec, taken, samples) if taken else spec
        for spec, taken in zip(specs, inputs, strict=True)
    )
    return ModelCard(
        name=said.name or Path(source.name).stem,
        task=said.task,
        labels=tuple(labels),
        input=InputSpec(
            rate=specs[0].rate,
            clip_samples=samples,
            pad_side=family.pad_side if family else "both",
            layout=_layouts(source, said.network, specs, inputs, samples),
        ),
        frontend=specs,
        output=OutputSpec(kind=said.output or source.output or "probabilities"),
        provenance=Provenance(
            state="trained",
            network=said.network.name if said.network else "",
            parameters=said.network.parameters.get(len(labels)) if said.network else None,
            data=said.data or "not stated",
            licence=said.licence,
            excluded_use=cards.EXCLUDED_USE,
            tools=cards.tools(),
        ),
    )


def _frontends(
    source: Source, said: Description
) -> tuple[tuple[FrontendSpec, ...], tuple[tuple[int, ...], ...]]:
    """Frontends and, for each, the shape that the model takes, () where it does not say."""
    specs = said.frontends or ((DATA[said.network.family].spec(),) if said.network else ())
    if not specs:
        raise UsageError(
            f"{source.name}: no frontend, expected --frontend with the features that it was "
            f"trained on: a TOML file, or one of {', '.join(PRESETS)}"
        )
    inputs = source.inputs or ((),) * len(specs)
    if len(inputs) != len(specs):
        raise DataError(
            f"{source.name} takes {len(inputs)} inputs, {len(specs)} frontends were given: "
            "give --frontend once for each, in their order"
        )
    return specs, inputs


def output_of(scores: Floats, said: Output | None, name: str) -> Output:
    """Whether scores of shape (clips, labels) are probabilities or logits.

    Raises:
        DataError: they are not what was said, or it cannot be seen and nothing was said.
    """
    between = bool((scores >= 0).all() and (scores <= 1).all())
    shares = between and bool(np.allclose(scores.sum(axis=1), 1, atol=1e-2))
    if said is None:
        if between and not shares:
            raise DataError(
                f"{name} gives scores between 0 and 1 that do not add up to 1: say with --outputs "
                "whether they are logits; several labels at once are not supported"
            )
        return "probabilities" if shares else "logits"
    if said == "probabilities" and not shares:
        low, high, total = scores.min(), scores.max(), scores[0].sum()
        raise DataError(
            f"{name} gives scores from {low:.3g} to {high:.3g} that add up to {total:.3g}, "
            "expected probabilities that add up to 1: they are logits, or correct the labels"
        )
    if said == "logits" and shares:
        raise DataError(
            f"{name} gives scores that add up to 1 on every clip, expected logits: they are "
            "probabilities"
        )
    return said


def _clip_samples(
    source: Source, said: Description, specs: Sequence[FrontendSpec], usual: int | None
) -> int:
    if said.clip_seconds is not None and said.clip_samples is not None:
        raise UsageError("--clip and --clip-samples: expected one of them")
    if said.clip_samples is not None:
        return said.clip_samples
    if said.clip_seconds is not None:
        return max(1, round(said.clip_seconds * specs[0].rate))
    if usual is not None:
        return usual
    taken = (source.inputs or ((),))[0]
    if specs[0].kind == "waveform" and max(taken, default=-1) > 1:
        return max(taken)
    raise UsageError(
        f"{source.name}: no clip length, expected --clip SECONDS or --clip-samples N"
        f"{_hint(specs[0], taken)}"
    )


def _hint(spec: FrontendSpec, taken: Sequence[int]) -> str:
    """Which lengths give features as long as the input, if it is of fixed length."""
    frames = [size for size in taken if size not in (-1, 1, spec.width)]
    if spec.kind in ("functionals", "waveform") or len(frames) != 1:
        return ""
    lengths = range((frames[0] + 2) * spec.hop_length + spec.n_fft)
    first = bisect.bisect_left(lengths, frames[0], key=spec.frames)
    beyond = bisect.bisect_right(lengths, frames[0], key=spec.frames)
    if first == beyond:
        return ""
    return f": {frames[0]} frames come from {first} to {beyond - 1} samples"


def _turned(spec: FrontendSpec, taken: tuple[int, ...], samples: int) -> FrontendSpec:
    """The frontend, with its axes the other way where only that fits the input."""
    other = dataclasses.replace(
        spec, layout="time_last" if spec.layout == "time_first" else "time_first"
    )
    for variant in (spec, other):
        try:
            fitted(variant.shape(samples), taken, "")
        except DataError:
            continue
        return variant
    return spec


def _layouts(
    source: Source,
    network: Network | None,
    specs: Sequence[FrontendSpec],
    inputs: Sequence[tuple[int, ...]],
    samples: int,
) -> str:
    """Axes of all inputs."""
    if network:
        return network.kind.layout
    return ",".join(
        _layout(spec, fitted(spec.shape(samples), taken, source.name))
        for spec, taken in zip(specs, inputs, strict=True)
    )


def _layout(spec: FrontendSpec, shape: tuple[int, ...]) -> str:
    """Axes of an input by letters, such as NTFC."""
    of_frames = "TF" if spec.layout == "time_first" else "FT"
    axes = {"waveform": "T", "functionals": "F"}.get(spec.kind, of_frames)
    if len(shape) == len(axes):
        return "N" + axes
    return f"NC{axes}" if shape[0] == 1 else f"N{axes}C"
