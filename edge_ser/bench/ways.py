"""The ways from a file to its label that can be set beside ours, and which of them are ready here.

Another way that `edge_ser.benchmarks.peer_process` can build is another row of `WAYS`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from edge_ser.card import ModelFile, read_model
from edge_ser.errors import ModelError, ModelNotFoundError, UsageError
from edge_ser.verification import reference_library

__all__ = ["OURS", "WAYS", "Peer", "Way", "available_peers"]

Network = Literal["edge-ser", "eager", "predict", "graph", "tflite", "onnx"]

PROGRAM = "edge_ser.benchmarks.peer_process"
_CPU = MappingProxyType({"CUDA_VISIBLE_DEVICES": "-1", "KERAS_BACKEND": "tensorflow"})
_TENSORFLOW = ("librosa", "keras", "tensorflow")


@dataclass(frozen=True)
class Way:
    """A way from a file to its label."""

    name: str
    what: str
    network: Network
    """What the worker makes of the model: see `edge_ser.benchmarks.peer_process`."""
    needs: tuple[str, ...] = ()
    """Packages, by the name that pip and Python both know."""
    resampler: str | None = None
    """Of librosa; None is the one that the model's card names."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Of its process; a GPU is seen only by a way that does not hide it here."""


OURS = Way("edge-ser", "this package", "edge-ser")
WAYS = (
    Way("keras-eager", "librosa, Keras called eagerly", "eager", _TENSORFLOW, None, _CPU),
    Way("keras-predict", "librosa, Keras model.predict", "predict", _TENSORFLOW, None, _CPU),
    Way("tf-function", "librosa, Keras in a tf.function", "graph", _TENSORFLOW, None, _CPU),
    Way(
        "papers",
        "librosa with kaiser_best resampling, Keras called eagerly",
        "eager",
        (*_TENSORFLOW, "resampy"),
        "kaiser_best",
        _CPU,
    ),
    Way("librosa-litert", "librosa, LiteRT", "tflite", ("librosa",)),
    Way("librosa-onnx", "librosa, ONNX Runtime", "onnx", ("librosa", "onnxruntime")),
)
"""The table of peers; all but the last two compute what the model file was exported from."""


@dataclass(frozen=True)
class Peer:
    """A way that is ready to be run, or why it is not."""

    name: str
    what: str
    command: tuple[str, ...] = ()
    """A program that answers a line with a line; see `run_peers`."""
    environment: Mapping[str, str] = field(default_factory=dict)
    missing: str | None = None
    """What it lacks here and how to get it; None where it can be run."""


def available_peers(
    model: str | Path,
    names: Sequence[str] | None = None,
    keras: str | Path | None = None,
    provider: str = "cpu",
) -> tuple[Peer, ...]:
    """Ours, and the ways to set beside it; one that cannot be run here says what it lacks.

    Args:
        model: `.tflite` or `.onnx` file. Its other form is looked for beside it, under the same
            name.
        names: of `WAYS`; None is all.
        keras: the same network as a `.keras` file. None: NAME.keras or folds/NAME/whole.keras
            beside the model, or else the architecture that the card names, untrained.
        provider: of ours; the others compute on the CPU.

    Raises:
        UsageError: no way has that name.
        ModelError: the model cannot be read, or `keras` is no file.
    """
    known = {way.name: way for way in WAYS}
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise UsageError(
            f"no peer {unknown[0]!r}, expected all, none or some of {', '.join(known)}"
        )
    if keras is not None and not Path(keras).is_file():
        raise ModelNotFoundError(f"{keras}: no such file, expected the network as a .keras file")
    file = read_model(model)
    weights = Path(keras) if keras is not None else _keras_beside(file)
    chosen = WAYS if names is None else [known[name] for name in dict.fromkeys(names)]
    return tuple(_peer(way, file, weights, provider) for way in (OURS, *chosen))


def _peer(way: Way, file: ModelFile, weights: Path | None, provider: str) -> Peer:
    """A row of the table with what it computes here."""
    model: Path | None = file.path
    if way.network in ("tflite", "onnx") and way.network != file.kind:
        model = _other_form(file, way.network)
    missing = _missing(way, file, model)
    if missing is not None:
        return Peer(way.name, way.what, missing=missing)
    setup = {
        "network": way.network,
        "model": os.path.abspath(model or file.path),
        "keras": None if weights is None else os.path.abspath(weights),
        "resampler": way.resampler or file.card.frontend[0].resampler,
        "provider": provider if way is OURS else "cpu",
    }
    command = (sys.executable, "-P", "-m", PROGRAM, json.dumps(setup))
    return Peer(way.name, way.what, command, way.environment)


def _missing(way: Way, file: ModelFile, model: Path | None) -> str | None:
    """What a way lacks here, with the mend; None where it lacks nothing."""
    if way is OURS:
        return None
    lacking = [package for package in way.needs if find_spec(package) is None]
    if lacking:
        return f"not installed: {', '.join(lacking)}; pip install {' '.join(lacking)}"
    specs = file.card.frontend
    if len(specs) > 1 or specs[0].normalise != "none" or reference_library(specs[0]) != "librosa":
        return "librosa alone does not compute the features of this model: leave this peer out"
    if model is None:
        return (
            f"no .{way.network} of the same network beside {file.path.name}: export one as "
            f"{file.path.with_suffix('.' + way.network).name}"
        )
    return None


def _other_form(file: ModelFile, kind: str) -> Path | None:
    """The file beside it that has the same name and says the same of itself."""
    path = file.path.with_suffix(f".{kind}")
    try:
        card = read_model(path).card
    except ModelError:
        return None
    ours = file.card
    same = (card.name, card.labels, card.frontend) == (ours.name, ours.labels, ours.frontend)
    return path if same else None


def _keras_beside(file: ModelFile) -> Path | None:
    """The `.keras` file that a checkout or an export has for a model."""
    folder = file.path.parent
    places = (file.path.with_suffix(".keras"), folder / "folds" / file.card.name / "whole.keras")
    return next((place for place in places if place.is_file()), None)
