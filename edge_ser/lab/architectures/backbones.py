"""Wav2Vec2 backbones: from a local Hugging Face folder, or with random weights.

A folder is read by ourselves, not by `from_pretrained`: only the named entries of its config are
taken, every size is bounded first, nothing is fetched, no code of the folder runs, and a weight
that is missing or of another shape is an error instead of a random one.
"""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from edge_ser.errors import DependencyError, ModelDamagedError, ModelError, ModelNotFoundError

__all__ = ["RATE", "count", "random_backbone", "read_backbone", "read_normalisation"]

RATE = 16_000
"""Hertz; of every published Wav2Vec2 backbone."""

MAX_DOCUMENT = 1 << 20
MAX_PARAMETERS = 2_500_000_000
"""The largest backbone published has 2.2e9."""
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
SPELLINGS = (
    ("conv.weight_g", "conv.parametrizations.weight.original0"),
    ("conv.weight_v", "conv.parametrizations.weight.original1"),
)
"""How older files name the two parts of the weight-normalised convolution."""
MAY_BE_MISSING = "masked_spec_embed"
"""What SpecAugment puts in place of frames; fine-tuned files often lack it. It is trained anew."""

WHOLE: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "hidden_size": (1, 4096),
        "num_hidden_layers": (1, 96),
        "num_attention_heads": (1, 64),
        "intermediate_size": (1, 16_384),
        "num_conv_pos_embeddings": (1, 1024),
        "num_conv_pos_embedding_groups": (1, 1024),
        "mask_time_length": (1, 1000),
        "mask_time_min_masks": (0, 100),
        "mask_feature_length": (1, 1000),
        "mask_feature_min_masks": (0, 100),
    }
)
RATES = (
    "hidden_dropout",
    "activation_dropout",
    "attention_dropout",
    "feat_proj_dropout",
    "layerdrop",
    "layer_norm_eps",
    "mask_time_prob",
    "mask_feature_prob",
)
SWITCHES = ("conv_bias", "do_stable_layer_norm", "apply_spec_augment")
ACTIVATIONS = ("gelu", "gelu_new", "relu", "selu", "silu")
CHOICES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "feat_extract_norm": ("group", "layer"),
        "feat_extract_activation": ACTIVATIONS,
        "hidden_act": ACTIVATIONS,
    }
)
LISTS: Mapping[str, int] = MappingProxyType(
    {"conv_dim": 4096, "conv_kernel": 64, "conv_stride": 16}
)
"""Largest value of each list of the feature encoder; 1 to 16 layers."""

SIZES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "large": {
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "intermediate_size": 4096,
        },
        "base": {},
        "tiny": {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 64,
            "conv_dim": (32,) * 7,
            "num_conv_pos_embeddings": 16,
            "num_conv_pos_embedding_groups": 4,
        },
    }
)
"""What differs from the base size, which is the configuration's default."""


def random_backbone(size: str, norm: str) -> torch.nn.Module:
    """A freshly initialised backbone: `large`, `base` or `tiny`, with `group` or `layer` norm."""
    layered = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}
    return _model({**SIZES[size], **(layered if norm == "layer" else {})})


def read_backbone(folder: Path) -> torch.nn.Module:
    """The backbone of a local folder: `config.json` with `model.safetensors` or, failing that,
    `pytorch_model.bin`, which is read as tensors alone.

    Old names of weights, a `wav2vec2.` prefix and the keys of other heads are all right. The
    weights become float32.

    Raises:
        ModelNotFoundError: no such folder, no config, no weights.
        ModelError: a config of another model or with sizes beyond reason; weights that are not
            the config's.
        ModelDamagedError: a file that cannot be read.
    """
    if not folder.is_dir():
        raise ModelNotFoundError(
            f"no folder {folder}, expected a local one with config.json and {WEIGHTS[0]}: download "
            "the backbone beforehand, nothing is fetched here"
        )
    options = _config(folder / "config.json")
    with torch.device("meta"):
        model = _model(options)
    if count(model) > MAX_PARAMETERS:
        raise ModelError(
            f"{folder / 'config.json'}: {count(model):,} parameters, expected at most "
            f"{MAX_PARAMETERS:,}; give a smaller backbone"
        )
    path = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if path is None:
        raise ModelNotFoundError(
            f"{folder} holds neither {' nor '.join(WEIGHTS)}; save the weights as one file there"
        )
    with _weights(path) as stored:
        model.load_state_dict(_fitting(model, stored, path), assign=True)
    return model


def read_normalisation(folder: Path) -> bool:
    """Whether clips are brought to zero mean and unit variance, which they are unless
    `preprocessor_config.json` says otherwise.

    Raises:
        ModelError: the backbone hears another rate than 16 kHz.
        ModelDamagedError: the file cannot be read.
    """
    path = folder / "preprocessor_config.json"
    if not path.is_file():
        return True
    values = _document(path)
    rate = values.get("sampling_rate", RATE)
    if rate != RATE:
        raise ModelError(f"{path}: sampling_rate is {rate!r:.40}, expected {RATE}; give another")
    return values.get("do_normalize") is not False


def count(module: torch.nn.Module) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def _model(options: Mapping[str, Any]) -> torch.nn.Module:
    try:
        from transformers import Wav2Vec2Config, Wav2Vec2Model
    except ImportError as error:
        raise DependencyError(
            f"Wav2Vec2 needs transformers ({error}); pip install 'edge-ser[wav2vec2]'"
        ) from error
    model: torch.nn.Module = Wav2Vec2Model(Wav2Vec2Config(**options))
    # One parameter is made on the CPU whatever the default device is.
    return model.to(torch.get_default_device())


def _document(path: Path) -> dict[str, Any]:
    """A small JSON object."""
    if not path.is_file():
        raise ModelNotFoundError(f"no file {path}; copy it from where the backbone came from")
    try:
        if path.stat().st_size > MAX_DOCUMENT:
            raise ValueError(f"larger than {MAX_DOCUMENT} bytes")
        values = json.loads(path.read_text())
        if not isinstance(values, dict):
            raise ValueError("not an object")
    except (OSError, ValueError, RecursionError) as error:
        raise ModelDamagedError(f"{path}: no JSON object ({error}); download it again") from error
    return values


def _config(path: Path) -> dict[str, Any]:
    """The entries of a config that shape the network, each within bounds."""
    values = _document(path)
    kind = values.get("model_type")
    _require(path, kind == "wav2vec2", "model_type", kind, "wav2vec2")
    _require(path, not values.get("add_adapter"), "add_adapter", True, "a backbone without")
    taken: dict[str, Any] = {}
    for name, value in values.items():
        if name in WHOLE:
            low, high = WHOLE[name]
            fits, wanted = _whole(value, low, high), f"a whole number from {low} to {high}"
        elif name in RATES:
            fits, wanted = _rate(value), "a number from 0 to below 1"
        elif name in SWITCHES:
            fits, wanted = isinstance(value, bool), "true or false"
        elif name in CHOICES:
            fits, wanted = value in CHOICES[name], f"one of {', '.join(CHOICES[name])}"
        elif name in LISTS:
            high = LISTS[name]
            fits = isinstance(value, list) and 1 <= len(value) <= 16
            fits = fits and all(_whole(item, 1, high) for item in value)
            wanted = f"1 to 16 whole numbers from 1 to {high}"
        else:
            continue
        _require(path, fits, name, value, wanted)
        taken[name] = value
    _check_together(path, taken)
    return taken


def _check_together(path: Path, taken: Mapping[str, Any]) -> None:
    """What entries have to be to one another; 768, 12, 16 and 7 layers are the defaults."""
    hidden = taken.get("hidden_size", 768)
    for name, default in (("num_attention_heads", 12), ("num_conv_pos_embedding_groups", 16)):
        parts = taken.get(name, default)
        _require(path, hidden % parts == 0, name, parts, f"a divisor of hidden_size {hidden}")
    lengths = {len(taken.get(name, range(7))) for name in LISTS}
    _require(path, len(lengths) == 1, "lengths of " + ", ".join(LISTS), sorted(lengths), "equal")


def _whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _rate(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1


def _require(path: Path, fits: bool, name: str, value: object, wanted: str) -> None:
    if not fits:
        raise ModelError(
            f"{path}: {name} is {value!r:.60}, expected {wanted}; give another backbone"
        )


@contextmanager
def _weights(path: Path) -> Iterator[Mapping[str, Any]]:
    """What a file of weights holds, by name, as `_Stored` or as tensors; read when asked for."""
    damaged = f"{path}: no weights can be read from it"
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt", device="cpu") as file:
                yield {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise ModelDamagedError(f"{damaged} ({error}); download it again") from error
        return
    try:
        # Mapped where its format allows, so that the weights are not twice in memory.
        state = torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
        if not isinstance(state, dict):
            raise ValueError("no dictionary of tensors")
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError) as error:
        raise ModelDamagedError(
            f"{damaged} as tensors alone ({type(error).__name__}); download {WEIGHTS[0]} instead"
        ) from error
    yield {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}


def _fitting(
    model: torch.nn.Module, stored: Mapping[str, Any], path: Path
) -> dict[str, torch.Tensor]:
    """A state for the model, in float32, from what a file holds; shapes are checked first."""
    found: dict[str, Any] = {}
    for name, value in stored.items():
        for old, new in SPELLINGS:
            name = name.replace(old, new)
        found[name.removeprefix("wav2vec2.")] = value
    state: dict[str, torch.Tensor] = {}
    for name, wanted in model.state_dict().items():
        if name not in found and name == MAY_BE_MISSING:
            state[name] = torch.rand(wanted.shape, device="cpu")
            continue
        if name not in found:
            raise ModelError(f"{path} lacks the weight {name}; is config.json of the same model?")
        value = found[name]
        shape = value.shape if isinstance(value, torch.Tensor) else tuple(value.get_shape())
        if tuple(shape) != tuple(wanted.shape):
            raise ModelError(
                f"{path}: {name} has shape {tuple(shape)}, expected {tuple(wanted.shape)}; is "
                "config.json of the same model?"
            )
        state[name] = value[...].to(dtype=torch.float32, copy=True)
    return state
