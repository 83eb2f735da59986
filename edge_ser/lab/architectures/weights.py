"""Weights of Torch networks: read without pickles, and loaded strictly."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from edge_ser.errors import ModelError, ModelNotFoundError
from edge_ser.lab.architectures.networks import Network

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["load_weights"]

EXPECTED = "expected a state dict: torch.save(model.state_dict(), FILE)"
MAX_FILE = 4 << 30
"""Bytes of a file of weights; Wav2Vec2 large has 1.3 GB."""

Shapes = Mapping[str, tuple[int, ...]]


def load_weights(module: nn.Module, path: Path, network: Network | None = None) -> None:
    """Load a state dict, or the one in a checkpoint of a run: all keys and shapes as they are.

    Nothing but tensors and plain values is unpickled.

    Args:
        module: changed in place.
        path: the file.
        network: which of ours the module is; its family may then tell which one the file fits.

    Raises:
        ModelNotFoundError: no such file.
        ModelError: it cannot be read so, holds something else, or is of another architecture:
            told is the first difference.
    """
    state = _read(path)
    wanted = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in state.items()}
    if wanted != found:
        raise ModelError(
            f"{path}: another architecture, {_difference(wanted, found)}; {_hint(network, found)}"
        )
    module.load_state_dict(state, strict=True)


def _read(path: Path) -> Mapping[str, Tensor]:
    import torch

    if not path.is_file():
        raise ModelNotFoundError(f"{path}: no such file, {EXPECTED}")
    size = path.stat().st_size
    if size > MAX_FILE:
        raise ModelError(f"{path}: {size} bytes, at most {MAX_FILE} are taken; {EXPECTED}")
    try:
        with warnings.catch_warnings():
            # Torch warns of foreign pickles before it refuses them; the error below says enough.
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror or 'cannot be read'}; {EXPECTED}") from error
    except Exception as error:
        # A whole module that was pickled is code, and ends here too; a damaged file raises whatever
        # its parts raise.
        raise ModelError(f"{path}: cannot be read as weights alone; {EXPECTED}") from error
    if isinstance(state, Mapping) and isinstance(state.get("model"), Mapping):
        state = state["model"]
    if not isinstance(state, Mapping) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items()
    ):
        raise ModelError(f"{path}: holds no tensors by name; {EXPECTED}")
    return state


def _difference(wanted: Shapes, found: Shapes) -> str:
    """The first key, in the network's order, that is missing, of another shape, or too much."""
    for key, shape in wanted.items():
        if key not in found:
            return f"it has no {key}, expected one of shape {shape}"
        if found[key] != shape:
            return f"{key} has shape {found[key]}, expected {shape}"
    return f"it has {next(key for key in found if key not in wanted)}, expected no such key"


def _hint(network: Network | None, found: Shapes) -> str:
    family = import_module(network.kind.module) if network else None
    hint: str | None = family.hint(found) if family and hasattr(family, "hint") else None
    return hint or "name the network and the options that it was trained with"
