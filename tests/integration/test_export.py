"""The committed PLB files and the published TIM and CkTIM against their frameworks on real clips,
and what the exporter refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_ser.audio import fit, read_clip, resample
from edge_ser.card import InputSpec, ModelCard, OutputSpec, Provenance, read_model
from edge_ser.corpora import read_corpus
from edge_ser.errors import DataError, ModelError, ModelNotFoundError, UsageError
from edge_ser.frontend import PRESETS, Frontend
from edge_ser.lab import compute
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
def test_smaller_forms_change_at_most_one_label_in_a_hundred(
    features: NDArray[np.float32], keras_scores: NDArray[np.float32], tmp_path: Path
) -> None:
    from edge_ser.lab.export import export_model, load_keras

    card = read_model(MODELS / "plb-emodb.tflite").card
    model = load_keras(MODELS / "folds" / "plb-emodb" / "whole.keras")
    for form, share in (("float16", 0.6), ("dynamic", 0.5)):
        path = tmp_path / f"{form}.tflite"
        done = export_model(model, card, path, form, [features[:8]], force=True)
        changed = (scores_of(path, features).argmax(axis=1) != keras_scores.argmax(axis=1)).sum()
        print(f"{form}: {path.stat().st_size} bytes, {changed} of {CLIPS} labels changed")
        assert changed <= CLIPS // 100
        assert done.comparison.share < share


@pytest.mark.needs("emodb")
def test_int8_of_capsules_is_refused_with_what_to_take_instead(
    features: NDArray[np.float32], tmp_path: Path
) -> None:
    from edge_ser.lab.export import export_model, load_keras

    card = read_model(MODELS / "plb-emodb.tflite").card
    model = load_keras(MODELS / "folds" / "plb-emodb" / "whole.keras")
    with pytest.raises(ModelError, match=r"int8 file changes \d of \d labels.*: export dynamic"):
        export_model(model, card, tmp_path / "m.tflite", "int8", [features[::40]], force=True)
    assert not list(tmp_path.iterdir())


EMOVO = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")


def published(corpus: Callable[[str], Path], folder: str, network: str) -> tuple[Path, Any]:
    from edge_ser.lab.architectures.networks import network as named
    from edge_ser.lab.export.described import Description

    path = corpus("checkpoints") / folder / "model.pt"
    return path, Description(labels=EMOVO, network=named(network), name=network)


@pytest.fixture(scope="module")
def speech(corpus: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Twenty clips spread over EMOVO."""
    folder = tmp_path_factory.mktemp("speech")
    for utterance in read_corpus(str(corpus("emovo"))).utterances[::30]:
        (folder / utterance.path.name).symlink_to(utterance.path)
    return str(folder)


@pytest.mark.needs("torch", "onnxscript", "emovo", "checkpoints")
@pytest.mark.parametrize(
    ("folder", "network"), [("TIM_TAB6", "tim-tab6"), ("CkTIM_TAB3", "cktim-tab3")]
)
def test_published_state_dicts_leave_as_onnx(
    folder: str, network: str, speech: str, corpus: Callable[[str], Path], tmp_path: Path
) -> None:
    from edge_ser.lab.export.sources import export_source

    path, said = published(corpus, folder, network)
    done = export_source(path, tmp_path / "m.onnx", said, clips=speech)
    print(f"{network}: {done.comparison}, {done.note}")
    assert done.comparison.clips == 20 and done.comparison.worst <= TOLERANCE
    assert done.comparison.changed == 0
    assert (done.model.card.output.kind, done.model.card.output.embedding) == (
        *("logits", "embedding"),
    )
    assert ("folded for 188 frames (low-rank" in done.note) == network.startswith("ck")
    # The generator stays here: none of its weights are in the file.
    assert b"kernel_gen" not in done.model.payload


@pytest.mark.needs("torch", "onnxscript", "emovo", "checkpoints")
def test_cktim_is_refolded_for_clips_of_another_length(
    speech: str, corpus: Callable[[str], Path], tmp_path: Path
) -> None:
    from edge_ser.lab.export.sources import export_source

    path, said = published(corpus, "CkTIM_TAB3", "cktim-tab3")
    said = replace(said, clip_seconds=2.0)
    done = export_source(path, tmp_path / "m.onnx", said, clips=speech)
    assert done.note.startswith("folded for 87 frames")
    assert done.comparison.worst <= TOLERANCE
    assert open_model(done.model.payload).inputs[0].shape == (1, 39, 87)


@pytest.mark.needs("torch", "litert_torch", "emovo", "checkpoints")
def test_tim_leaves_as_tflite(speech: str, corpus: Callable[[str], Path], tmp_path: Path) -> None:
    from edge_ser.lab.export.sources import export_source

    path, said = published(corpus, "TIM_TAB6", "tim-tab6")
    done = export_source(path, tmp_path / "m.tflite", said, clips=speech)
    print(f"tim-tab6.tflite: {done.comparison}")
    assert done.comparison.worst <= TOLERANCE and done.comparison.changed == 0
    assert done.model.card.output.embedding is not None


@pytest.fixture(scope="module")
def tiny() -> Any:
    """A network of another shape than ours: log-mel in, three classes out."""
    compute.prepare()
    import keras

    inputs = keras.Input((10, 8))
    outputs = keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(inputs))
    return keras.Model(inputs, outputs, name="tiny")


def tiny_card(**changes: Any) -> ModelCard:
    spec = replace(PRESETS["log-mel"], rate=16_000, n_mels=8, fmax=8_000.0)
    card = ModelCard(
        name="tiny",
        task="a test",
        labels=("a", "b", "c"),
        input=InputSpec(rate=16_000, clip_samples=9 * spec.hop_length),
        frontend=(spec,),
        output=OutputSpec(),
        provenance=Provenance(state="untrained"),
    )
    return replace(card, **changes)


def clips(count: int = 4) -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal((count, 10, 8)).astype(np.float32)]


def test_a_network_of_another_shape_is_exported_and_opened_again(tiny: Any, tmp_path: Path) -> None:
    from edge_ser.lab.export import export_model

    for name in ("tiny.tflite", "tiny.onnx"):
        written = export_model(tiny, tiny_card(), tmp_path / name, clips=clips()).model
        assert read_model(tmp_path / name).card == written.card
        assert written.card.goldens is not None
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_graph_that_is_not_what_keras_computes_is_not_kept(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_ser.lab.export import export_model, tensorflow_files

    kept = tmp_path / "tiny.tflite"
    kept.write_bytes(b"what was there")
    real = tensorflow_files.counted
    monkeypatch.setattr(tensorflow_files, "counted", lambda *of: np.roll(real(*of), 1, axis=1))
    with pytest.raises(ModelError, match=r"from Keras's, expected at most 0\.0001"):
        export_model(tiny, tiny_card(), kept, clips=clips())
    with pytest.raises(ModelError, match="changes 4 of 4 labels"):
        export_model(tiny, tiny_card(), kept, "dynamic", clips())
    assert kept.read_bytes() == b"what was there"
    assert list(tmp_path.iterdir()) == [kept]


def test_what_cannot_be_exported_is_said_before_anything_is_written(
    tiny: Any, tmp_path: Path
) -> None:
    from edge_ser.lab.export import export_model

    with pytest.raises(UsageError, match=r"ends in \.tflite or \.onnx"):
        export_model(tiny, tiny_card(), tmp_path / "tiny.h5", clips=clips())
    with pytest.raises(UsageError, match=r"no form 'int4', expected one of float32"):
        export_model(tiny, tiny_card(), tmp_path / "tiny.onnx", "int4", clips())  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no clips"):
        export_model(tiny, tiny_card(), tmp_path / "tiny.tflite", clips=clips(0))
    with pytest.raises(DataError, match="clips of shapes"):
        wrong = [np.zeros((4, 9, 8), "f")]
        export_model(tiny, tiny_card(), tmp_path / "tiny.tflite", clips=wrong)
    spec = replace(PRESETS["log-mel"], rate=16_000, n_mels=9, fmax=8_000.0)
    with pytest.raises(DataError, match=r"the frontend gives \(10, 9\)"):
        export_model(tiny, replace(tiny_card(), frontend=(spec,)), tmp_path / "t.onnx")
    with pytest.raises(ModelError, match="tiny gives 3 scores, expected one for each of 2 labels"):
        card = replace(tiny_card(), labels=("a", "b"))
        export_model(tiny, card, tmp_path / "tiny.onnx", clips=clips())
    assert list(tmp_path.iterdir()) == []


def test_a_keras_file_is_called_as_it_is_called(tiny: Any, tmp_path: Path) -> None:
    from edge_ser.lab.export.described import Description
    from edge_ser.lab.export.sources import export_source

    tiny.save(tmp_path / "theirs.keras")
    card = tiny_card()
    said = Description(("a", "b"), card.frontend, clip_samples=card.input.clip_samples)
    with pytest.raises(ModelError, match=r"theirs\.keras gives 3 scores, .* each of 2 labels"):
        export_source(tmp_path / "theirs.keras", tmp_path / "mine.tflite", said)


def test_a_graph_that_the_converter_does_not_know(tmp_path: Path) -> None:
    import keras

    from edge_ser.lab.export import export_model

    clip = keras.Input((10, 8))
    flat = keras.layers.Flatten()(clip)
    flex = keras.Model(clip, keras.ops.erfinv(keras.ops.tanh(flat[:, :3])), name="flex")
    with pytest.raises(ModelError, match=r"flex cannot be turned into \.tflite") as raised:
        export_model(flex, tiny_card(), tmp_path / "m.tflite", clips=clips())
    assert "\n" not in str(raised.value)


def test_a_model_of_two_inputs_keeps_their_order(tmp_path: Path) -> None:
    """Their names are in the other order, and both have features of one shape."""
    import keras

    from edge_ser.lab.export import export_model

    second, first = keras.Input((10, 8), name="a"), keras.Input((10, 8), name="b")
    flat = [keras.layers.Flatten()(tensor) for tensor in (first, second)]
    scores = keras.layers.Dense(3)(keras.ops.concatenate([flat[0] ** 2, 0.1 * flat[1]], axis=1))
    model = keras.Model([first, second], scores, name="two")
    card = tiny_card()
    card = replace(
        card,
        frontend=card.frontend * 2,
        input=replace(card.input, layout="NTF,NTF"),
        output=replace(card.output, kind="logits"),
    )
    both = [clips()[0], 3 * clips()[0]]
    for name in ("two.tflite", "two.onnx"):
        done = export_model(model, card, tmp_path / name, clips=both)
        assert done.comparison.worst <= TOLERANCE


def test_a_saved_model_leaves_as_tflite(tiny: Any, tmp_path: Path) -> None:
    from edge_ser.lab.export import export_model
    from edge_ser.lab.export.tensorflow_files import saved_model_source

    tiny.export(str(tmp_path / "saved"), verbose=False)
    source = saved_model_source(tmp_path / "saved")
    assert source.inputs == ((10, 8),)
    done = export_model(source, tiny_card(), tmp_path / "m.tflite", clips=clips())
    assert done.framework == "TensorFlow" and done.comparison.worst <= TOLERANCE


def test_models_that_cannot_be_read(tmp_path: Path) -> None:
    import keras

    from edge_ser.lab.export import load_keras
    from edge_ser.lab.export.tensorflow_files import keras_source, saved_model_source

    with pytest.raises(ModelNotFoundError, match="no such file"):
        load_keras(tmp_path / "m.keras")
    (tmp_path / "m.keras").write_bytes(b"PK\x03\x04 half a model")
    with pytest.raises(ModelError, match="no archive"):
        load_keras(tmp_path / "m.keras")
    inputs = keras.Input((3,))
    evil = keras.Model(inputs, keras.layers.Lambda(lambda x: x * 2)(inputs))
    evil.save(tmp_path / "evil.keras")
    with pytest.raises(ModelError, match="Keras cannot load it"):
        load_keras(tmp_path / "evil.keras")
    double = keras.Model(inputs, [inputs * 2, inputs * 3], name="double")
    with pytest.raises(ModelError, match="double has 2 outputs, expected inputs and one output"):
        keras_source(double)
    (tmp_path / "saved_model.pb").write_bytes(b"half a model")
    with pytest.raises(ModelError, match="TensorFlow cannot load it"):
        saved_model_source(tmp_path)
