"""Models as a stranger would make them, to a board by the command line alone.

None of them knows of this package: other layers, other labels, other features; one in Keras, one in
Torch that its maker exported to ONNX.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ser.cli import main

Capture = pytest.CaptureFixture[str]

FRONTEND = """
preset = "log-mel"
rate = 16000
n_fft = 512
win_length = 400
hop_length = 160
n_mels = 40
fmax = 8000
"""

SAMPLES = """
preset = "waveform"
rate = 8000
normalise = "none"
"""

KERAS = """
import os
os.environ["KERAS_BACKEND"] = "tensorflow"
import keras

keras.utils.set_random_seed(3)
clips = keras.Input((None, 40))
x = keras.layers.Normalization(axis=-1, mean=-30.0, variance=400.0)(clips)
x = keras.layers.Conv1D(16, 5, strides=2, activation="relu")(x)
x = keras.layers.LSTM(12)(x)
scores = keras.layers.Dense(3, activation="softmax")(x)
model = keras.Model(clips, scores)
model.save("theirs.keras")
model.export("theirs_saved", verbose=False)
"""

TORCH = """
import warnings
warnings.simplefilter("ignore")
import torch
from torch import nn


class Raw(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(1, 8, 80, 16), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(4)
        )
        self.after = nn.GRU(8, 12, batch_first=True)
        self.last = nn.Linear(12, 2)

    def forward(self, samples):
        found, _ = self.after(self.body(samples).mT)
        return self.last(found[:, -1])


torch.manual_seed(3)
torch.onnx.export(
    Raw().eval(), (torch.zeros(1, 1, 8000),), "raw.onnx", dynamo=True, external_data=False,
    verbose=False,
)
"""


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the strangers work; each of their programs runs by itself."""
    folder = tmp_path_factory.mktemp("workshop")
    (folder / "mel.toml").write_text(FRONTEND)
    (folder / "samples.toml").write_text(SAMPLES)
    (folder / "labels.txt").write_text("no\nyes\n")
    return folder


def made_by(program: str, folder: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", program], cwd=folder, check=True, capture_output=True, timeout=300
    )


@pytest.fixture(scope="module")
def of_keras(workshop: Path) -> Path:
    made_by(KERAS, workshop)
    return workshop


@pytest.fixture(scope="module")
def of_torch(workshop: Path) -> Path:
    made_by(TORCH, workshop)
    return workshop


@pytest.fixture(scope="module")
def recordings(corpus: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty recordings."""
    folder = tmp_path_factory.mktemp("recordings")
    for path in sorted(corpus("emodb").glob("*.flac"))[::18]:
        (folder / path.name).symlink_to(path)
    return folder


def run(capsys: Capture, *arguments: object) -> str:
    """What a command that succeeds prints."""
    capsys.readouterr()
    code = main([str(word) for word in arguments])
    said = capsys.readouterr()
    assert code == 0, said.err
    return said.out


def scores_by_keras(folder: Path, recording: Path) -> list[float]:
    """The stranger's own way, with librosa's arithmetic in our frontend's place."""
    from edge_ser.audio import fit, read_clip
    from edge_ser.frontend import Frontend
    from edge_ser.lab.export.described import read_frontend
    from edge_ser.lab.export.tensorflow_files import load_keras

    model = load_keras(folder / "theirs.keras")
    features = Frontend(read_frontend(str(folder / "mel.toml")))(
        fit(read_clip(recording).samples, 32_000)
    )
    return [float(score) for score in np.asarray(model(features[None], training=False))[0]]


@pytest.mark.needs("tensorflow", "tf2onnx", "emodb")
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("file", ["mine.tflite", "mine.onnx"])
def test_a_keras_model(
    file: str, of_keras: Path, recordings: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / file
    said = run(
        *(capsys, "export", of_keras / "theirs.keras", "--labels", "calm,angry,other"),
        *("--frontend", of_keras / "mel.toml", "--clip", "2", "--clips", recordings),
        *("--licence", "MIT", "--data", "thirty evenings of radio", "-o", out),
    )
    assert "compared with Keras on 30 recordings" in said
    assert "ok" in run(capsys, "verify", out)
    recording = next(p for p in sorted(recordings.iterdir()) if length(p) < 2.0)
    answer = classified(capsys, out, recording)
    assert list(answer["scores"]) == ["calm", "angry", "other"]
    np.testing.assert_allclose(
        list(answer["scores"].values()), scores_by_keras(of_keras, recording), atol=1e-4
    )
    card = json.loads(run(capsys, "inspect", out, "--format", "json"))
    told = json.dumps(card)
    assert "MIT" in told and "thirty evenings of radio" in told


@pytest.mark.needs("tensorflow", "tf2onnx", "emodb")
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_saved_model(of_keras: Path, tmp_path: Path, recordings: Path, capsys: Capture) -> None:
    out = tmp_path / "saved.onnx"
    words = (
        *("export", of_keras / "theirs_saved", "--labels", "calm,angry,other"),
        *("--frontend", of_keras / "mel.toml", "--clip", "2", "--clips", recordings),
    )
    assert "compared with TensorFlow on 30 recordings" in run(capsys, *words, "-o", out)
    assert "ok" in run(capsys, "verify", out)
    # The same network as in the .keras file, so it says the same.
    recording = next(p for p in sorted(recordings.iterdir()) if length(p) < 2.0)
    found = list(classified(capsys, out, recording)["scores"].values())
    np.testing.assert_allclose(found, scores_by_keras(of_keras, recording), atol=1e-4)
    # Its LSTM was saved with free axes, for which .tflite has no built-in operators.
    assert main([str(word) for word in (*words, "-o", tmp_path / "saved.tflite")]) == 3
    said = capsys.readouterr().err
    assert "save it with a batch of 1 and no free axes" in said and len(said.splitlines()) == 1


@pytest.mark.needs("torch", "onnxscript", "emodb")
def test_a_torch_model_on_raw_samples(
    of_torch: Path, recordings: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "raw.onnx"
    said = run(
        *(capsys, "export", of_torch / "raw.onnx", "--labels", of_torch / "labels.txt"),
        *("--frontend", of_torch / "samples.toml", "--clips", recordings, "-o", out),
    )
    assert "compared with the original on 30 recordings" in said
    assert "ok" in run(capsys, "verify", out)
    recording = next(iter(sorted(recordings.iterdir())))
    answer = classified(capsys, out, recording)
    assert list(answer["scores"]) == ["no", "yes"]
    assert sum(answer["scores"].values()) == pytest.approx(1, abs=1e-3)
    card = json.loads(run(capsys, "inspect", out, "--format", "json"))
    assert '"layout": "NCT"' in json.dumps(card) and '"logits"' in json.dumps(card)


@pytest.mark.needs("torch", "onnxscript")
def test_what_a_stranger_forgets_is_said(of_torch: Path, tmp_path: Path, capsys: Capture) -> None:
    out, model = tmp_path / "raw.onnx", of_torch / "raw.onnx"
    for missing, words in (
        (["--frontend", "waveform"], "no labels, expected --labels"),
        (["--labels", "no,yes"], "no frontend, expected --frontend"),
        (
            ["--labels", "a,b,c", "--frontend", "waveform"],
            "expected one with a value for each of 3",
        ),
        (["--labels", "no,yes", "--frontend", "log-mel", "--clip", "1"], "the frontend gives"),
    ):
        code = main([str(word) for word in ("export", model, "-o", out, *missing)])
        said = capsys.readouterr().err
        assert code in (2, 3, 7)
        assert words in said and len(said.splitlines()) == 1
        assert not list(tmp_path.iterdir())


def length(path: Path) -> float:
    """Seconds."""
    import soundfile

    return float(soundfile.info(path).duration)


def classified(capsys: Capture, model: Path, recording: Path) -> dict[str, Any]:
    said = run(capsys, "classify", "--model", model, recording, "--format", "jsonl")
    found: dict[str, Any] = json.loads(said.splitlines()[0])
    return found
