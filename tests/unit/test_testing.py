"""The fakes that users' tests get."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_ser.card import InputSpec, read_model
from edge_ser.errors import UsageError
from edge_ser.frontend import FrontendSpec
from edge_ser.runtime import Interpreter, Tensor, open_model
from edge_ser.testing import FakeInterpreter, tiny_card, write_tiny_model

SCORES = {"calm": 0.7, "angry": 0.2, "sad": 0.1}


def test_a_fake_answers_and_remembers() -> None:
    fake: Interpreter = FakeInterpreter({"scores": [[0.5, 0.5]], "embedding": [1, 2, 3]})
    block = np.ones((4, 2))
    outputs = fake.run([block])
    block[:] = 0
    outputs["scores"][:] = 0
    assert fake.run([block])["scores"].tolist() == [[0.5, 0.5]]
    assert [tensor.shape for tensor in fake.outputs] == [(1, 2), (3,)]
    assert isinstance(fake, FakeInterpreter)
    assert len(fake.calls) == 2
    assert fake.calls[0][0].sum() == 8
    assert (fake.provider, fake.details["runtime"]) == ("fake", "fake")
    assert fake.inputs[0].name == "features"


def test_a_fake_may_compute() -> None:
    tensors = [Tensor("mean", (1,), "float32")]
    fake = FakeInterpreter(lambda f: {"mean": [np.mean(f[0])]}, output_tensors=tensors)
    assert fake.run([np.array([1.0, 3.0])])["mean"].tolist() == [2.0]
    assert fake.outputs == tuple(tensors)
    with pytest.raises(UsageError, match="expected output_tensors"):
        FakeInterpreter(lambda _: {})


def test_a_tiny_model_is_a_real_file_with_a_card(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "tiny.onnx", SCORES).path
    model = read_model(path)
    assert model.card.labels == tuple(SCORES)
    assert path.stat().st_size < 3000
    interpreter = open_model(model.payload)
    assert interpreter.inputs[0].shape == (1, 101, 8, 1)
    for features in (np.zeros((101, 8)), np.full((101, 8), -80.0)):
        scores = interpreter.run([features])["scores"]
        np.testing.assert_allclose(scores, [list(SCORES.values())], atol=1e-6)
    assert np.isnan(interpreter.run([np.full((101, 8), np.nan)])["scores"]).all()


def test_a_tiny_model_takes_another_card(tmp_path: Path) -> None:
    spec = FrontendSpec(kind="waveform", rate=8000, fmax=4000.0)
    card = tiny_card(SCORES, input=InputSpec(rate=8000, clip_samples=400), frontend=(spec,))
    model = write_tiny_model(tmp_path / "tiny.onnx", SCORES, card)
    assert open_model(model.payload).inputs[0].shape == (1, 400, 1)
