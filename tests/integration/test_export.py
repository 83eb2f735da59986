"""The committed PLB files against Keras on real clips, and what the exporter refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_ser.audio import fit, read_clip, resample
from edge_ser.card import Provenance, read_model
from edge_ser.corpora import read_corpus
from edge_ser.errors import DataError, ModelError, UsageError
from edge_ser.frontend import PRESETS, Frontend
from edge_ser.lab import cards, compute
from edge_ser.runtime import open_model

pytestmark = [
    pytest.mark.needs("tensorflow"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

MODELS = Path(__file__).parents[2] / "models"
SHIPPED = ("plb-emodb.tflite", "plb-emodb.onnx", "plb-emodb-dynamic.tflite")
CLIPS = 200
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def features(corpus: Callable[[str], Path]) -> NDArray[np.float32]:
    """Features of 200 clips spread over EMO-DB, shape (200, 196, 39)."""
    spec = PRESETS["librosa"]
    frontend = Frontend(spec)
    utterances = read_corpus(corpus("emodb")).utterances
    chosen = np.linspace(0, len(utterances) - 1, CLIPS, dtype=int)
    clips = [resample(read_clip(utterances[i].path), spec.rate) for i in chosen]
    return np.stack([frontend(fit(clip.samples, 100_000)) for clip in clips])


@pytest.fixture(scope="module")
def keras_scores(features: NDArray[np.float32]) -> NDArray[np.float32]:
    compute.prepare()
    from edge_ser.lab.export import load_keras

    model = load_keras(MODELS / "folds" / "plb-emodb" / "whole.keras")
    batches = np.split(features[..., None], 10)
    return np.concatenate([np.asarray(model(batch, training=False)) for batch in batches])


def scores_of(path: Path, features: NDArray[np.float32]) -> NDArray[np.float32]:
    model = read_model(path)
    interpreter = open_model(model.payload)
    name = model.card.output.scores or interpreter.outputs[0].name
    return np.stack([interpreter.run([clip])[name].reshape(-1) for clip in features])


@pytest.mark.needs("emodb")
@pytest.mark.parametrize("file", SHIPPED)
def test_the_shipped_files_compute_what_keras_computes(
    file: str, features: NDArray[np.float32], keras_scores: NDArray[np.float32]
) -> None:
    scores = scores_of(MODELS / file, features)
    changed = int((scores.argmax(axis=1) != keras_scores.argmax(axis=1)).sum())
    worst = float(np.abs(scores - keras_scores).max())
    print(f"{file}: worst difference {worst:.2g}, {changed} of {CLIPS} labels changed")
    if "dynamic" in file:
        assert changed <= CLIPS // 100
    else:
        assert worst <= TOLERANCE


@pytest.mark.needs("emodb")
def test_float16_changes_at_most_one_label_in_a_hundred(
    features: NDArray[np.float32], keras_scores: NDArray[np.float32], tmp_path: Path
) -> None:
    from edge_ser.lab.export import export_keras, load_keras

    card = read_model(MODELS / "plb-emodb.tflite").card
    model = load_keras(MODELS / "folds" / "plb-emodb" / "whole.keras")
    path = tmp_path / "half.tflite"
    export_keras(model, card, path, "float16", [features[:8]])
    changed = (scores_of(path, features).argmax(axis=1) != keras_scores.argmax(axis=1)).sum()
    print(f"float16: {path.stat().st_size} bytes, {changed} of {CLIPS} labels changed")
    assert changed <= CLIPS // 100


@pytest.fixture(scope="module")
def tiny() -> Any:
    """A network of another shape than ours: log-mel in, three classes out."""
    compute.prepare()
    import keras

    inputs = keras.Input((10, 8))
    outputs = keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(inputs))
    return keras.Model(inputs, outputs, name="tiny")


def tiny_card(**changes: Any) -> Any:
    plain = cards.card_for("tiny", ["a", "b", "c"], Provenance(state="untrained"))
    spec = replace(PRESETS["log-mel"], rate=16_000, n_mels=8, fmax=8_000.0)
    shorter = replace(plain.input, rate=16_000, clip_samples=9 * spec.hop_length)
    return replace(plain, frontend=(spec,), input=shorter, **changes)


def clips(count: int = 4) -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal((count, 10, 8)).astype(np.float32)]


def test_a_network_of_another_shape_is_exported_and_opened_again(tiny: Any, tmp_path: Path) -> None:
    from edge_ser.lab.export import export_keras

    for name in ("tiny.tflite", "tiny.onnx"):
        written = export_keras(tiny, tiny_card(), tmp_path / name, clips=clips())
        assert read_model(tmp_path / name).card == written.card
        assert written.card.goldens is not None
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_graph_that_is_not_what_keras_computes_is_not_kept(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_ser.lab.export import export_keras, files

    kept = tmp_path / "tiny.tflite"
    kept.write_bytes(b"what was there")
    real = files._keras_scores
    monkeypatch.setattr(
        files, "_keras_scores", lambda model, blocks: np.roll(real(model, blocks), 1, axis=1)
    )
    with pytest.raises(ModelError, match=r"from Keras's, expected at most 0\.0001"):
        export_keras(tiny, tiny_card(), kept, clips=clips())
    with pytest.raises(ModelError, match="changes 4 of 4 labels"):
        export_keras(tiny, tiny_card(), kept, "dynamic", clips())
    assert kept.read_bytes() == b"what was there"
    assert list(tmp_path.iterdir()) == [kept]


def test_what_cannot_be_exported_is_said_before_anything_is_written(
    tiny: Any, tmp_path: Path
) -> None:
    from edge_ser.lab.export import export_keras

    with pytest.raises(UsageError, match=r"ends in \.tflite or \.onnx"):
        export_keras(tiny, tiny_card(), tmp_path / "tiny.h5", clips=clips())
    with pytest.raises(UsageError, match=r"float16 was asked for with \.onnx"):
        export_keras(tiny, tiny_card(), tmp_path / "tiny.onnx", "float16", clips())
    with pytest.raises(DataError, match="no clips"):
        export_keras(tiny, tiny_card(), tmp_path / "tiny.tflite", clips=clips(0))
    with pytest.raises(DataError, match="clips of shapes"):
        export_keras(tiny, tiny_card(), tmp_path / "tiny.tflite", clips=[np.zeros((4, 9, 8), "f")])
    wrong = replace(PRESETS["log-mel"], rate=16_000, n_mels=9, fmax=8_000.0)
    with pytest.raises(DataError, match=r"the frontend gives \(10, 9\)"):
        export_keras(tiny, replace(tiny_card(), frontend=(wrong,)), tmp_path / "t.onnx")
    assert list(tmp_path.iterdir()) == []
