"""Torch networks to model files: weights without pickles, both outputs, folding, refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ser.card import InputSpec, ModelCard, OutputSpec, Provenance
from edge_ser.errors import DependencyError, ModelError, ModelNotFoundError
from edge_ser.frontend import PRESETS
from edge_ser.lab.architectures.networks import build, network
from edge_ser.lab.export import export_model
from edge_ser.lab.export.clips import made_up_clips
from edge_ser.lab.export.described import Description, card_of
from edge_ser.lab.export.files import source_of
from edge_ser.lab.export.sources import export_source, open_source
from edge_ser.runtime import open_model
from edge_ser.verification import verify

pytestmark = pytest.mark.needs("torch", "onnx", "onnxscript")

SAMPLES = 800
RAW = replace(PRESETS["waveform"], rate=8_000, normalise="none")
CARD = ModelCard(
    name="mine",
    task="t",
    labels=("a", "b", "c"),
    input=InputSpec(rate=8_000, clip_samples=SAMPLES, layout="NCT"),
    frontend=(RAW,),
    output=OutputSpec(kind="logits"),
    provenance=Provenance(state="trained"),
)


@pytest.fixture(scope="module")
def stranger() -> Any:
    """Batch normalisation, weight normalisation, dropout and a channel axis, left in training."""
    import torch
    from torch import nn

    class Stranger(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv1d(1, 8, 40, 10)
            self.norm = nn.BatchNorm1d(8)
            self.second = nn.utils.parametrizations.weight_norm(nn.Conv1d(8, 16, 3))
            self.dropout = nn.Dropout(0.5)
            self.last = nn.Linear(16, 3)

        def embed(self, x: Any) -> Any:
            return self.second(torch.relu(self.norm(self.first(x)))).mean(2)

        def forward(self, x: Any) -> Any:
            return self.last(self.dropout(self.embed(x)))

    torch.manual_seed(0)
    module = Stranger()
    module(torch.randn(16, 1, SAMPLES))
    return module.train()


def clips() -> list[Any]:
    return made_up_clips(CARD.frontend, CARD.input)


@pytest.fixture(scope="module")
def exported(stranger: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The stranger's module as .onnx, and what it held before that."""
    before = {key: value.clone() for key, value in stranger.state_dict().items()}
    path = tmp_path_factory.mktemp("exported") / "mine.onnx"
    return export_model(stranger, CARD, path, clips=clips()), before


def test_a_module_of_somebody_else_leaves_with_scores_and_embedding(
    stranger: Any, exported: Any
) -> None:
    import torch

    done, _ = exported
    assert done.framework == "Torch" and done.comparison.worst <= 1e-4
    card = done.model.card
    assert (card.output.scores, card.output.embedding) == ("scores", "embedding")
    found = open_model(done.model.payload).run([clips()[0][0]])
    with torch.no_grad():
        wanted = stranger.eval().embed(torch.from_numpy(clips()[0][:1])[:, None])[0].numpy()
    np.testing.assert_allclose(found["embedding"][0], wanted, atol=1e-5)
    assert verify(done.model.path).ok


def test_the_module_itself_is_left_as_it_was(stranger: Any, exported: Any) -> None:
    import torch

    _, before = exported
    after = stranger.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[key], after[key]) for key in before)
    # Its weight normalisation still computes the weight.
    assert stranger.second.weight.shape == (16, 8, 3)


def test_an_embedding_that_is_another_is_refused(stranger: Any, tmp_path: Path) -> None:
    source = source_of(stranger)
    bound = source.bound(CARD)
    assert bound.embedding is not None
    lying = replace(bound, embedding=lambda blocks: 2 + bound.embedding(blocks))
    source = replace(source, bind=lambda shapes, labels: lying)
    with pytest.raises(ModelError, match=r"a value of the embedding is .* from Torch's"):
        export_model(source, CARD, tmp_path / "m.onnx", clips=clips())
    assert not list(tmp_path.iterdir())


def test_what_both_outputs_need_is_computed_once(exported: Any) -> None:
    import onnx

    graph = onnx.load_from_string(exported[0].model.payload).graph
    assert [node.op_type for node in graph.node].count("Conv") == 2
    assert not any(node.doc_string or node.metadata_props for node in graph.node)


def test_another_number_of_labels_is_refused(stranger: Any, tmp_path: Path) -> None:
    card = replace(CARD, labels=("a", "b"))
    with pytest.raises(ModelError, match="Stranger gives 3 scores, expected one for each of 2"):
        export_model(stranger, card, tmp_path / "m.onnx", clips=clips())
    assert not list(tmp_path.iterdir())


def test_what_the_exporter_refuses_is_one_line(tmp_path: Path) -> None:
    import torch

    class Deciding(torch.nn.Module):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return x.mean((1, 2)).repeat(3, 1).T * (2.0 if float(x.sum()) > 0 else 3.0)

    with pytest.raises(ModelError, match=r"Deciding cannot be turned into \.onnx") as raised:
        export_model(Deciding(), CARD, tmp_path / "m.onnx", clips=clips())
    assert "\n" not in str(raised.value)


def test_a_network_that_fails_on_its_features_is_one_line(stranger: Any, tmp_path: Path) -> None:
    without_channel = replace(CARD, input=replace(CARD.input, layout="NTC", clip_samples=30))
    short = made_up_clips(CARD.frontend, without_channel.input)
    with pytest.raises(ModelError, match="Stranger fails on these features") as raised:
        export_model(stranger, without_channel, tmp_path / "m.onnx", clips=short)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("tim-tab1", {}),
        ("cnn-shrinking-64-4", {"width": 8}),
        ("spectral-base", {"channels": (4, 8)}),
        pytest.param("wav2vec2", {"size": "tiny"}, marks=pytest.mark.needs("transformers")),
    ],
)
def test_a_state_dict_of_each_family(name: str, options: Any, tmp_path: Path) -> None:
    import torch

    from edge_ser.lab.export.torch_files import network_source

    chosen = network(name).with_options(**options)
    short = 4_000 if name in ("wav2vec2", "cnn-shrinking-64-4") else 20_000
    said = Description(labels=CARD.labels, network=chosen, name=name, clip_samples=short)
    card = card_of(network_source(chosen), said)
    spec, samples = card.frontend[0], card.input.clip_samples
    module = build(chosen, 3, spec.shape(samples), 0)
    torch.save(module.state_dict(), tmp_path / "w.pt")
    done = export_source(tmp_path / "w.pt", tmp_path / "m.onnx", said)
    assert done.model.card.output.kind == "logits"
    assert done.model.card.output.embedding == "embedding"
    assert done.note == ""
    assert verify(tmp_path / "m.onnx").ok


class Touch:
    """A pickle that would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    import torch

    torch.save(Touch(tmp_path / "ran"), tmp_path / "evil.pt")
    with pytest.raises(ModelError, match=r"evil\.pt: cannot be read as weights"):
        load(tmp_path / "evil.pt", "cnn-shrinking-64-4")
    with pytest.raises(ModelError, match=r"evil\.pt: cannot be read as weights"):
        load(tmp_path / "evil.pt", "tim-tab1")
    assert not (tmp_path / "ran").exists()


def load(path: Path, name: str) -> None:
    said = Description(labels=CARD.labels, network=network(name))
    source = open_source(path, said)
    source.bound(card_of(source, said))


def test_weights_of_another_network_are_refused_strictly(tmp_path: Path) -> None:
    import torch

    state = build(network("cnn-shrinking-64-4"), 3, (16_000,), 0).state_dict()
    path = tmp_path / "w.pth"
    torch.save(state, path)
    with pytest.raises(ModelError, match=r"w.pth: another architecture, it has no .*|has shape"):
        load(path, "cnn-shrinking-64-5")
    torch.save({**state, "more": torch.zeros(1)}, path)
    with pytest.raises(ModelError, match="it has more, expected no such key"):
        load(path, "cnn-shrinking-64-4")
    torch.save([1, 2], path)
    with pytest.raises(ModelError, match="holds no tensors by name"):
        load(path, "cnn-shrinking-64-4")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ModelError, match="cannot be read as weights alone"):
        load(path, "cnn-shrinking-64-4")
    path.unlink()
    with pytest.raises(ModelNotFoundError, match="no such file"):
        load(path, "cnn-shrinking-64-4")


def test_the_checkpoint_of_a_run_has_its_weights(tmp_path: Path) -> None:
    import torch

    from edge_ser.lab.architectures.weights import load_weights

    state = build(network("tim-tab1"), 3, (39, 188), 0).state_dict()
    torch.save({"model": state, "optimizer": {"lr": 1.0}, "epochs": 3}, tmp_path / "last.pt")
    module = build(network("tim-tab1"), 3, (39, 188), 1)
    load_weights(module, tmp_path / "last.pt", network("tim-tab1"))
    assert all(torch.equal(value, state[key]) for key, value in module.state_dict().items())


def test_tflite_without_its_converter_names_the_extra(
    stranger: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "litert_torch", None)
    with pytest.raises(DependencyError, match=r"pip install 'edge-ser\[litert-torch\]'"):
        export_model(stranger, CARD, tmp_path / "mine.tflite", clips=clips())


@pytest.mark.needs("litert_torch")
def test_tflite_in_every_form(stranger: Any, tmp_path: Path) -> None:
    from edge_ser.lab.export.convert import convert

    path = tmp_path / "mine.tflite"
    done = export_model(stranger, CARD, path, "int8", clips(), force=True)
    assert done.model.kind == "tflite" and done.model.card.output.embedding is not None
    # LiteRT's quantiser leaves no float in it; the runtime converts features and scores.
    assert done.model.card.input.dtype == "int8"
    assert verify(path).ok
    reference = source_of(stranger).bound(CARD)
    wanted = reference.scores(clips())
    for form, most in (("float32", 1e-4), ("float16", 1e-2), ("dynamic", 0.1)):
        for made in convert(reference, "tflite", form, clips(), clips())[1]:
            assert b"torch.nn" not in made.payload
            found = open_model(made.payload).run([clips()[0][0]])
            (scores,) = (values[0] for values in found.values() if values.size == 3)
            assert np.abs(scores - wanted[0]).max() <= most
