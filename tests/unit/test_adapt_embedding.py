"""Keras models with a layer named `embedding` leave with two outputs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ser.audio import Clip
from edge_ser.card import InputSpec, ModelCard, OutputSpec, Provenance
from edge_ser.classifier import load_model
from edge_ser.frontend import PRESETS
from edge_ser.lab.export import export_model
from edge_ser.lab.export.clips import made_up_clips
from edge_ser.lab.export.files import source_of
from edge_ser.verification import verify

pytestmark = pytest.mark.needs("tensorflow", "tf2onnx")

SAMPLES = 400
RAW = replace(PRESETS["waveform"], rate=8_000, normalise="none")
CARD = ModelCard(
    name="mine",
    task="t",
    labels=("a", "b", "c"),
    input=InputSpec(rate=8_000, clip_samples=SAMPLES, layout="NT"),
    frontend=(RAW,),
    output=OutputSpec(),
    provenance=Provenance(state="trained"),
)


def network(size: int = 5, name: str = "embedding") -> Any:
    import keras

    keras.utils.set_random_seed(0)
    inputs = keras.Input((SAMPLES,))
    hidden = keras.layers.Dense(size, activation="relu", name=name)(inputs)
    values = keras.layers.Dropout(0.5)(hidden)
    scores = keras.layers.Dense(3, activation="softmax")(values)
    return keras.Model(inputs, scores, name="mine")


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
@pytest.mark.parametrize("size", [5, 3])
def test_the_layer_becomes_the_second_output(suffix: str, size: int, tmp_path: Path) -> None:
    """With 3 values it is as large as the scores, and still told from them."""
    import keras

    model = network(size)
    clips = made_up_clips(CARD.frontend, CARD.input)
    done = export_model(model, CARD, tmp_path / f"mine{suffix}", clips=clips)
    assert done.model.card.output.embedding not in (None, done.model.card.output.scores)
    assert verify(done.model.path).ok
    hidden = keras.Model(model.inputs[0], model.get_layer("embedding").output)
    samples = clips[0][0]
    found = load_model(done.model.path).embed(Clip(samples, 8_000))
    assert found == pytest.approx(np.asarray(hidden(samples[None]))[0], abs=1e-5)


def test_a_layer_of_another_name_or_of_many_vectors_is_none(tmp_path: Path) -> None:
    import keras

    assert source_of(network(name="hidden")).bound(CARD).embedding is None
    inputs = keras.Input((SAMPLES,))
    words = keras.layers.Reshape((SAMPLES // 4, 4), name="embedding")(inputs)
    scores = keras.layers.Dense(3)(keras.layers.Flatten()(words))
    assert source_of(keras.Model(inputs, scores)).bound(CARD).embedding is None


def test_a_layer_that_another_model_called_first_is_none() -> None:
    import keras

    shared = keras.layers.Dense(4, name="embedding")
    shared(keras.Input((SAMPLES,)))
    inputs = keras.Input((SAMPLES,))
    model = keras.Model(inputs, keras.layers.Dense(3)(shared(inputs)))
    assert source_of(model).bound(CARD).embedding is None
