"""Wav2Vec2: counts, padding and masks against transformers, options, export."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ser.errors import DataError
from edge_ser.lab.architectures.networks import network
from edge_ser.lab.architectures.options import Wav2Vec2Options
from edge_ser.lab.experiment import from_tables

from .lab_wav2vec2_tiny import NEEDS, SAMPLES, TINY, clip, tiny

pytestmark = NEEDS


# Counts and the summary; large networks are on the meta device, without memory.


@pytest.mark.parametrize(
    "name", ["wav2vec2-large", "wav2vec2-960h-lv60-self", "wav2vec2", "wav2vec2-base"]
)
def test_counts_are_the_published_ones(name: str) -> None:
    import torch

    from edge_ser.lab.architectures import wav2vec2
    from edge_ser.lab.architectures.backbones import count

    row = network(name)
    with torch.device("meta"):
        made = wav2vec2.build(row.options, 4, (96_000,))
    assert {p.device.type for p in made.parameters()} == {"meta"}
    assert {4: count(made)} == row.parameters


def test_the_summary_has_the_published_shapes_and_total() -> None:
    import torch

    from edge_ser.lab.architectures import wav2vec2
    from edge_ser.lab.architectures.summary import layer_summary

    with torch.device("meta"):
        made = wav2vec2.build(network("wav2vec2-large").options, 4, (96_000,))
    lines = layer_summary(made, (96_000,), batch=16).splitlines()
    assert lines[-1] == "total: 316,087,684 parameters"
    rows = {line.split()[0]: line for line in lines[1:-1]}
    assert "(16, 299, 1024)" in rows["backbone.model.encoder"]
    assert "(16, 1024)" in rows["backbone"]
    assert "524,800" in rows["head.hidden.0"] and "(16, 4)" in rows["head"]
    # 1024 x 64 x 128, a factor for each of 128 taps, and 1024 biases.
    assert "8,389,760" in rows["backbone.model.encoder.pos_conv_embed.conv"]
    numbers = [re.search(r" ([\d,]+)$", line) for line in rows.values()]
    assert sum(int(n[1].replace(",", "")) for n in numbers if n) == 316_087_684
    assert made.training and not made._forward_hooks


# What happens to a clip.


def test_a_configuration_brings_it_as_the_docs_say() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/wav2vec2.md").read_text()
    (text,) = re.findall(r"^```toml\n(.*?)^```", page, re.M | re.S)
    given = from_tables(tomllib.loads(text), "x", "wav2vec2.md")
    assert given.network.options == Wav2Vec2Options(folder="wav2vec2-large", dropout=0.6)
    assert given.data.spec().shape(given.data.clip_samples) == (96_000,)
    assert given.data.spec().normalise == "none"
    assert given.training.mixed_precision and given.training.accumulate == 4


def reference(backbone: Any, norm: str, samples: Any) -> Any:
    """Pooled vector of an unpadded clip (1, n), padded to SAMPLES, by transformers' own path."""
    import torch
    from transformers import Wav2Vec2FeatureExtractor

    extractor = Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)
    given = extractor(
        samples[0].numpy(), sampling_rate=16_000, padding="max_length", max_length=SAMPLES,
        return_tensors="pt",
    )  # fmt: skip
    mask = given["attention_mask"]
    model = backbone.model
    with torch.no_grad():
        if norm == "group":
            return model(given["input_values"]).last_hidden_state.mean(1)
        states = model(given["input_values"], attention_mask=mask).last_hidden_state
        heard = model._get_feature_vector_attention_mask(states.shape[1], mask)
        return states[heard].mean(0, keepdim=True)


@pytest.mark.parametrize("length", [SAMPLES, 3999, 1234, 400])
@pytest.mark.parametrize("norm", ["group", "layer"])
def test_clips_are_taken_as_transformers_takes_them(norm: str, length: int) -> None:
    import torch

    backbone = tiny(norm=norm).backbone.eval()
    with torch.no_grad():
        ours = backbone(clip(length))
    torch.testing.assert_close(
        ours, reference(backbone, norm, clip(length)[:, :length]), atol=2e-5, rtol=0
    )


@settings(max_examples=15)
@given(
    start=st.integers(0, 2000),
    length=st.integers(1, 2000),
    gain=st.floats(0.05, 20),
    norm=st.sampled_from(["group", "layer"]),
)
def test_neither_the_side_of_the_padding_nor_the_level_matters(
    start: int, length: int, gain: float, norm: str
) -> None:
    import torch

    made = tiny(norm=norm).eval()
    with torch.no_grad():
        torch.testing.assert_close(
            made(gain * clip(length, start=start)), made(clip(length)), atol=1e-3, rtol=0
        )


@pytest.mark.parametrize("norm", ["group", "layer"])
def test_other_clips_of_a_batch_and_silence_do_no_harm(norm: str) -> None:
    import torch

    made = tiny(norm=norm).eval()
    clips = [clip(SAMPLES), clip(900, start=700), clip(0)]
    with torch.no_grad():
        together = made(torch.cat(clips))
        alone = torch.cat([made(one) for one in clips])
    assert torch.isfinite(together).all()
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_layer_norm_backbones_do_not_hear_the_padding() -> None:
    import torch

    layer, group = tiny(norm="layer").eval(), tiny(norm="group").eval()
    with torch.no_grad():
        for made, same in ((layer, True), (group, False)):
            padded, cropped = made(clip(2000)), made(clip(2000)[:, :2000])
            assert torch.allclose(padded, cropped, atol=1e-5) == same


# Options.


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ({}, (98, 64), "features of shape"),
        ({}, (399,), "with 400 to 960000"),
        ({}, (960_001,), "with 400 to 960000"),
        ({"size": "huge"}, (SAMPLES,), "size is 'huge', expected one of large, base, tiny"),
        ({"norm": "batch"}, (SAMPLES,), "norm is 'batch'"),
        ({"freeze": "some"}, (SAMPLES,), "freeze is 'some'"),
        ({"hidden": (8,)}, (SAMPLES,), "widths"),
        ({"hidden": (8, 100_000)}, (SAMPLES,), "widths"),
        ({"dropout": 1.0}, (SAMPLES,), "dropout is 1.0"),
    ],
)
def test_options_that_cannot_be_taken_are_said(
    options: dict[str, Any], shape: tuple[int, ...], message: str
) -> None:
    from edge_ser.lab.architectures import wav2vec2

    with pytest.raises(DataError, match=message):
        wav2vec2.build(replace(TINY, **options), 4, shape)


# Export.


@pytest.mark.needs("onnx")
@pytest.mark.parametrize("norm", ["group", "layer"])
def test_it_leaves_as_onnx_in_float_and_int8(norm: str, tmp_path: Path) -> None:
    import onnx
    import onnxruntime
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic

    from edge_ser.lab.architectures.backbones import count

    made = tiny(norm=norm, hidden=(512, 256)).eval()
    path, small = tmp_path / "float.onnx", tmp_path / "int8.onnx"
    torch.onnx.export(
        made, (clip(SAMPLES),), path, input_names=["samples"], output_names=["logits"],
        dynamo=True, external_data=False, verbose=False,
    )  # fmt: skip
    model = onnx.load(path)
    # Shapes of weights that the exporter transposed are stale, and quantisation stumbles on them;
    # the notes on nodes hold lines of source and paths of the machine that exported.
    del model.graph.value_info[:]
    for node in model.graph.node:
        del node.metadata_props[:]
    onnx.save(model, path)
    quantize_dynamic(
        path, small, weight_type=QuantType.QInt8, per_channel=True,
        op_types_to_quantize=["MatMul", "Gemm"],
    )  # fmt: skip

    clips = [clip(SAMPLES), clip(1500, 1, start=300), clip(0)]
    with torch.no_grad():
        wanted = torch.cat([made(one) for one in clips]).softmax(1).numpy()

    def scores(file: Path) -> Any:
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        logits = [session.run(None, {"samples": one.numpy()})[0] for one in clips]
        return torch.tensor(np.concatenate(logits)).softmax(1).numpy()

    assert np.abs(scores(path) - wanted).max() < 1e-4
    assert np.abs(scores(small) - wanted).max() < 0.02
    assert 1 < path.stat().st_size / (4 * count(made)) < 1.15
    assert small.stat().st_size < 0.6 * path.stat().st_size
    kinds = [node.op_type for node in onnx.load(small).graph.node]
    assert "MatMulInteger" in kinds and "Gemm" not in kinds
