"""The installed models: names, aliases and paths to files. Standard library only."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from importlib import import_module, metadata, resources
from pathlib import Path

from edge_ser.errors import ModelNotFoundError

__all__ = ["BENCHMARK_MODEL", "DEFAULT_MODEL", "find_model", "installed_files"]

DEFAULT_MODEL = "emotion-emodb"
BENCHMARK_MODEL = "plb-emodb"
"""Of which the published tables are; what a benchmark takes where none is named."""
ALIASES = {"plb": DEFAULT_MODEL}
"""The first default's name means today's; PLB itself is `plb-emodb`."""
SUFFIXES = (".tflite", ".onnx")
GPU_PROVIDERS = frozenset({"cuda", "tensorrt"})
OWN_PACKAGE = "edge_ser.models"
ENTRY_POINTS = "edge_ser.models"


def installed_files() -> list[Path]:
    """Model files of this distribution and of those that announce theirs, sorted by name.

    Another distribution announces a package of model files through the entry-point group
    `edge_ser.models`.
    """
    packages = [OWN_PACKAGE, *(point.value for point in metadata.entry_points(group=ENTRY_POINTS))]
    return sorted((file for name in packages for file in _files(name)), key=lambda file: file.name)


def find_model(name: str | Path | None = None, provider: str = "cpu") -> Path:
    """The file that `name` means: an existing path, an installed file's name, or an alias.

    An alias, or a name without its suffix, means the `.onnx` for the providers `cuda` and
    `tensorrt`, otherwise the `.tflite`. None is the default model.

    Raises:
        ModelNotFoundError: nothing answers to that name.
    """
    if name is not None and os.path.isfile(name):
        return Path(name)
    wanted = str(DEFAULT_MODEL if name is None else name)
    files = {file.name: file for file in installed_files()}
    for candidate in _candidates(wanted, provider):
        if candidate in files:
            return files[candidate]
    raise ModelNotFoundError(_not_found(wanted, sorted(files)))


def _candidates(wanted: str, provider: str) -> Iterator[str]:
    """File names that `wanted` may mean, the likeliest first."""
    stem, suffix = wanted, ""
    for known in SUFFIXES:
        if wanted.endswith(known):
            stem, suffix = wanted.removesuffix(known), known
    preferred = SUFFIXES[::-1] if provider in GPU_PROVIDERS else SUFFIXES
    for name in (stem, ALIASES.get(stem, stem)):
        yield from (f"{name}{ending}" for ending in ((suffix,) if suffix else preferred))


def _files(package: str) -> list[Path]:
    try:
        root = resources.files(import_module(package))
    except ModuleNotFoundError:
        return []
    return [Path(str(f)) for f in root.iterdir() if f.name.endswith(SUFFIXES)]


def _not_found(wanted: str, names: list[str]) -> str:
    known = sorted({*names, *(name.rpartition(".")[0] for name in names), *ALIASES})
    near = difflib.get_close_matches(wanted, known, n=1)
    hint = f"did you mean {near[0]}?" if near else "see `edge-ser models` for the installed ones"
    return f"no model {wanted!r}: expected a file, an installed name or an alias; {hint}"
