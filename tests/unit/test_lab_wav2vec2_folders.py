"""Wav2Vec2 backbones read from folders, whole or damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_ser.errors import ModelDamagedError, ModelError, ModelNotFoundError
from edge_ser.lab.architectures.options import Wav2Vec2Options

from .lab_wav2vec2_tiny import NEEDS, clip, tiny

pytestmark = NEEDS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny layer-norm backbone as transformers saves it."""
    from transformers.utils import logging

    home = tmp_path / "backbone"
    logging.disable_progress_bar()
    tiny(norm="layer").backbone.model.save_pretrained(home)
    return home


def read(folder: Path) -> Any:
    from edge_ser.lab.architectures.backbones import read_backbone

    return read_backbone(folder)


def edited(folder: Path, **values: Any) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return folder


def test_a_folder_gives_its_weights_and_its_own_norm(folder: Path) -> None:
    import torch

    wanted = tiny(norm="layer").backbone
    made = tiny(seed=1, folder=str(folder), norm="group", size="large").backbone
    assert made.masked and made.hidden == 32
    state = made.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in wanted.state_dict().items())
    assert all(p.requires_grad and p.dtype == torch.float32 for p in made.parameters())
    with torch.no_grad():
        torch.testing.assert_close(made.eval()(clip(900)), wanted.eval()(clip(900)))


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_old_names_prefixes_other_heads_and_half_precision_are_all_right(
    folder: Path, kind: str
) -> None:
    import torch
    from safetensors.torch import save_file

    wanted = read(folder).state_dict()
    old = {"lm_head.weight": torch.zeros(32, 32)}
    for name, value in wanted.items():
        name = name.replace("parametrizations.weight.original0", "weight_g")
        name = name.replace("parametrizations.weight.original1", "weight_v")
        if name != "masked_spec_embed":
            old[f"wav2vec2.{name}"] = value.half()
    assert any(name.endswith("weight_g") for name in old)
    (folder / "model.safetensors").unlink()
    if kind == "bin":
        torch.save(old, folder / "pytorch_model.bin")
    else:
        save_file(old, folder / "model.safetensors")
    for name, value in read(folder).state_dict().items():
        if name != "masked_spec_embed":
            assert torch.equal(value, wanted[name].half().float())


def test_the_preprocessor_says_whether_clips_are_normalised(folder: Path) -> None:
    import torch

    assert tiny(folder=str(folder)).backbone.normalise
    path = folder / "preprocessor_config.json"
    path.write_text('{"do_normalize": false, "sampling_rate": 16000}')
    plain = tiny(folder=str(folder)).backbone.eval()
    with torch.no_grad():
        assert not torch.allclose(plain(clip(900)), plain(5 * clip(900)), atol=1e-4)
    path.write_text('{"sampling_rate": 8000}')
    with pytest.raises(ModelError, match="sampling_rate is 8000, expected 16000"):
        tiny(folder=str(folder))


def absent(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("[" * 100_000)


def long_config(folder: Path) -> None:
    (folder / "config.json").write_text(" " * (1 << 21))


def broken_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\xff" * 1000)


def code_for_weights(folder: Path) -> None:
    import torch

    (folder / "model.safetensors").unlink()
    torch.save({"weights": Wav2Vec2Options()}, folder / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("harm", "error", "message"),
    [
        (absent, ModelNotFoundError, "nothing is fetched here"),
        (no_config, ModelNotFoundError, "no file .*config.json"),
        (no_weights, ModelNotFoundError, "neither model.safetensors nor pytorch_model.bin"),
        (broken_config, ModelDamagedError, "no JSON object"),
        (long_config, ModelDamagedError, "larger than"),
        (broken_weights, ModelDamagedError, "no weights can be read"),
        (code_for_weights, ModelDamagedError, "as tensors alone"),
    ],
)
def test_a_folder_with_something_missing_or_damaged(
    folder: Path, harm: Callable[[Path], None], error: type[ModelError], message: str
) -> None:
    harm(folder)
    with pytest.raises(error, match=message) as caught:
        read(folder)
    assert "\n" not in str(caught.value) and caught.type is error


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "hubert"}, "model_type is 'hubert', expected wav2vec2"),
        ({"model_type": None}, "model_type is None"),
        ({"add_adapter": True}, "add_adapter is True"),
        ({"hidden_size": 10**9}, "hidden_size is 1000000000, expected a whole number from 1"),
        ({"hidden_size": True}, "hidden_size is True"),
        ({"hidden_size": 32.0}, "hidden_size is 32.0"),
        ({"num_hidden_layers": 10_000}, "num_hidden_layers is 10000"),
        ({"num_attention_heads": 5}, "a divisor of hidden_size 32"),
        ({"conv_dim": [32] * 100}, "conv_dim is"),
        ({"conv_dim": []}, "conv_dim is"),
        ({"conv_stride": [5, 2]}, "lengths of conv_dim, conv_kernel, conv_stride"),
        ({"conv_kernel": [1000] * 7}, "conv_kernel is"),
        ({"feat_extract_norm": "batch"}, "expected one of group, layer"),
        ({"hidden_act": ["gelu"]}, "hidden_act is"),
        ({"layerdrop": 2}, "layerdrop is 2, expected a number from 0 to below 1"),
        ({"conv_bias": "yes"}, "conv_bias is 'yes', expected true or false"),
        ({"hidden_size": 64}, "has shape .*, expected .*is config.json of the same model"),
        ({"num_hidden_layers": 3}, "lacks the weight encoder.layers.2"),
        (
            {"hidden_size": 4096, "num_hidden_layers": 96, "intermediate_size": 16_384},
            "parameters, expected at most 2,500,000,000",
        ),
    ],
)
def test_a_config_that_cannot_be_believed(
    folder: Path, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        read(edited(folder, **values))
    assert "\n" not in str(caught.value)


def test_what_else_a_config_asks_for_is_not_heard(folder: Path) -> None:
    edited(
        folder,
        attn_implementation="someone/kernel",
        auto_map={"AutoModel": "code.Model"},
        quantization_config={"quant_method": "bitsandbytes"},
    )
    assert read(folder).config.feat_extract_norm == "layer"
