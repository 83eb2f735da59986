"""Jobs of the workshop: from runs, or none, to model files with complete cards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from edge_ser.audio import read_clip
from edge_ser.card import read_model
from edge_ser.corpora import Corpus, Utterance
from edge_ser.errors import DataError, ModelError, ModelNotFoundError
from edge_ser.lab import compute, jobs
from edge_ser.lab.cards import EXCLUDED_USE, card_for
from edge_ser.runtime import open_model
from edge_ser.verification import verify

pytestmark = [
    pytest.mark.needs("tensorflow", "tf2onnx"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def export() -> Any:
    compute.prepare()
    from edge_ser.lab import export

    return export


@pytest.fixture(scope="module")
def network(export: Any) -> Any:
    """PLB with weights as of a trained one: no bias, mean or variance is at its first value."""
    import keras

    from edge_ser.lab import architectures

    keras.utils.set_random_seed(1)
    model = architectures.build("plb", 7)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.dtype == "float32":
            moved = weight.numpy() * rng.uniform(0.8, 1.2, weight.shape) + 0.02 * rng.random(
                weight.shape
            )
            weight.assign(moved)
    return model


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("untrained") / "routing.tflite"
    return jobs.export_untrained("routing", 3, path).path


def clips() -> np.ndarray:
    return jobs._synthetic_features()


def test_an_untrained_file_says_so_and_verifies(untrained: Path) -> None:
    card = read_model(untrained).card
    assert card.provenance.state == "untrained" and card.provenance.training_clips == ()
    assert card.labels == ("class_0", "class_1", "class_2")
    assert card.output.scores == open_model(read_model(untrained).payload).outputs[0].name
    assert verify(untrained).exit_code == 0
    assert not list(untrained.parent.glob(".*"))


def test_the_same_seed_gives_the_same_payload(untrained: Path, tmp_path: Path) -> None:
    again = jobs.export_untrained("routing", 3, tmp_path / "m.tflite")
    assert again.card.goldens == read_model(untrained).card.goldens


@pytest.mark.parametrize(
    ("file", "form", "most"),
    [("m.tflite", "float32", 450_000), ("m.tflite", "dynamic", 170_000), ("m.onnx", "float32", 0)],
)
def test_plb_within_its_size(
    export: Any, network: Any, file: str, form: Any, most: int, tmp_path: Path
) -> None:
    provenance = read_card(untrained=True).provenance
    card = card_for("plb", "abcdefg", provenance)
    made = export.export_keras(network, card, tmp_path / file, form, [clips()])
    # A card of 535 training clips adds 14 kB.
    assert not most or made.path.stat().st_size + 14_000 < most
    interpreter = open_model(made.payload)
    assert [tensor.shape for tensor in interpreter.inputs] == [(1, 196, 39, 1)]
    assert verify(made.path).exit_code == 0


def read_card(untrained: bool) -> Any:
    from edge_ser.card import Provenance

    return card_for("m", "ab", Provenance("untrained" if untrained else "trained"))


def test_models_that_cannot_be_exported(export: Any, tmp_path: Path) -> None:
    import keras

    with pytest.raises(ModelNotFoundError, match="no such file"):
        export.load_keras(tmp_path / "m.keras")
    (tmp_path / "m.keras").write_bytes(b"PK\x03\x04 half a model")
    with pytest.raises(ModelError, match="Keras cannot load it"):
        export.load_keras(tmp_path / "m.keras")
    free = keras.Sequential([keras.Input((None, 3)), keras.layers.GlobalAveragePooling1D()])
    with pytest.raises(ModelError, match="expected fixed sizes"):
        export.fixed_batch(free)
    square = keras.Input((3, 3), batch_size=1)
    flex = keras.Model(square, keras.ops.cholesky(square), name="flex")
    with pytest.raises(ModelError, match=r"flex cannot be converted to \.tflite"):
        export.convert(flex, "tflite", "float32")


def test_code_in_a_model_is_not_run(export: Any, tmp_path: Path) -> None:
    import keras

    inputs = keras.Input((3,))
    evil = keras.Model(inputs, keras.layers.Lambda(lambda x: x * 2)(inputs))
    evil.save(tmp_path / "evil.keras")
    with pytest.raises(ModelError, match="Keras cannot load it"):
        export.load_keras(tmp_path / "evil.keras")


@pytest.fixture(scope="module")
def training(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Corpus]:
    """Runs of one epoch on made-up clips: whole and two grouped folds."""
    home = tmp_path_factory.mktemp("training")
    rng = np.random.default_rng(0)
    made = []
    for index in range(10):
        path = home / f"{index}.wav"
        soundfile.write(path, rng.uniform(-0.5, 0.5, 8000) / (1 + index % 2), 16_000)
        made.append(Utterance(path, ("anger", "neutral")[index % 2], f"s{index // 2}"))
    corpus = Corpus("tiny", tuple(made))
    recipe = jobs.Recipe("routing", epochs=1, batch=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGE_SER_RUNS", str(home))
        jobs.train_job(corpus, recipe, "whole", folder=home / "runs")
        jobs.train_job(corpus, recipe, "grouped", [1, 2], folder=home / "runs")
    return home / "runs", corpus


def test_everything_that_is_shipped(
    training: tuple[Path, Corpus], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_SER_RUNS", str(tmp_path / "cache"))
    runs, corpus = training
    jobs.export_shipped(runs, corpus, tmp_path)
    folds = tmp_path / "folds" / "routing-tiny"
    assert sorted(p.name for p in tmp_path.glob("*.*")) == [
        "routing-tiny-dynamic.tflite",
        "routing-tiny.onnx",
        "routing-tiny.tflite",
    ]
    card = read_model(tmp_path / "routing-tiny.onnx").card
    digests = {u.path.stem: read_clip(u.path).digest() for u in corpus.utterances}
    assert set(card.provenance.training_clips) == set(digests.values())
    assert card.labels == ("anger", "neutral") and card.provenance.excluded_use == EXCLUDED_USE
    assert card.provenance.metrics["folds"] == 2 and card.output.ece is not None
    assert "by grouped speakers" in card.provenance.protocol

    fold = read_model(folds / "grouped-02.tflite").card
    assert fold.provenance.speakers == ("s0", "s2", "s3", "s4")
    assert set(fold.provenance.training_clips) == {digests[n] for n in "01456789"}
    assert set(fold.provenance.metrics) == {"accuracy", "uar"}
    assert json.loads((folds / "runs" / "grouped-02" / "split.json").read_text())["test"]
    assert (folds / "whole.keras").stat().st_size < (runs / "whole" / "last.keras").stat().st_size


def test_an_unfinished_run_is_not_exported(
    training: tuple[Path, Corpus], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_SER_RUNS", str(tmp_path))
    runs, corpus = training
    half = tmp_path / "half"
    half.mkdir()
    for name in ("recipe.json", "split.json", "last.keras"):
        (half / name).write_bytes((runs / "whole" / name).read_bytes())
    with pytest.raises(DataError, match="0 of 1 epochs are done, expected all"):
        jobs.export_run(half, corpus, tmp_path / "m.tflite")
    made = jobs.export_run(half, corpus, tmp_path / "m.tflite", allow_unfinished=True)
    assert "No figures" in made.card.provenance.protocol and made.card.output.temperature == 1
