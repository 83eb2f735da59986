"""Graphs of others and smaller forms of ONNX graphs, small ones built here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ser.audio import Clip
from edge_ser.card import write_model
from edge_ser.errors import (
    DataError,
    ModelError,
    ModelNotFoundError,
    StorageError,
    UsageError,
)
from edge_ser.frontend import PRESETS
from edge_ser.lab.export import export_model
from edge_ser.lab.export import files as exporting
from edge_ser.lab.export.clips import clip_paths, made_up_clips
from edge_ser.lab.export.described import Description
from edge_ser.lab.export.foreign import foreign_source
from edge_ser.lab.export.onnx_forms import in_form
from edge_ser.lab.export.reference import Reference, Source
from edge_ser.lab.export.sources import export_source, is_run, open_source
from edge_ser.runtime import open_model
from edge_ser.verification import verify

pytestmark = pytest.mark.needs("onnx")

SAMPLES, HIDDEN, LABELS = 400, 64, ("a", "b", "c")
RAW = replace(PRESETS["waveform"], rate=8_000, normalise="none")
SAID = Description(labels=LABELS, frontends=(RAW,))
TFLITE = Path(__file__).resolve().parents[1] / "goldens" / "models" / "float32.tflite"


def graph(
    free: bool = False, second: int = 0, softmax: bool = False, batched: bool = False
) -> bytes:
    """A raw waveform through a convolution and two dense layers: (1, 1, 400) to (1, 3)."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    weights = {
        "kernel": rng.standard_normal((16, 1, 20)) / 5,
        "first": rng.standard_normal((16 * 39, HIDDEN)) / 12,
        "last": rng.standard_normal((1, HIDDEN, 3) if batched else (HIDDEN, 3)) / 9,
        # Decided, so that no label hangs on rounding.
        "bias": np.array([1.0, 0.0, -1.0]),
        "extra": rng.standard_normal((HIDDEN, max(second, 1))),
    }
    nodes = [
        helper.make_node("Conv", ["audio", "kernel"], ["y"], strides=[10]),
        helper.make_node("Relu", ["y"], ["z"]),
        helper.make_node("Flatten", ["z"], ["flat"]),
        helper.make_node("MatMul", ["flat", "first"], ["inner"]),
        helper.make_node("Tanh", ["inner"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "last"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["raw"]),
        helper.make_node("Softmax" if softmax else "Identity", ["raw"], ["scores"]),
    ]
    scores = [1, 1, 3] if batched else [1, 3]
    outputs = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, scores)]
    if second:
        nodes.append(helper.make_node("MatMul", ["hidden", "extra"], ["other"]))
        outputs.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, [1, second]))
    audio = ["clips" if free else 1, 1, SAMPLES]
    made = helper.make_model(
        helper.make_graph(
            nodes,
            "theirs",
            [helper.make_tensor_value_info("audio", TensorProto.FLOAT, audio)],
            outputs,
            [numpy_helper.from_array(w.astype(np.float32), name) for name, w in weights.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.checker.check_model(made)
    return made.SerializeToString()


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    path = tmp_path / "theirs.onnx"
    path.write_bytes(graph())
    return path


@pytest.fixture
def recordings(tmp_path: Path) -> str:
    import soundfile

    rng = np.random.default_rng(1)
    for number in range(12):
        noise = rng.standard_normal(SAMPLES) * 10 ** rng.uniform(-2, -0.5)
        soundfile.write(tmp_path / f"{number}.wav", noise.clip(-1, 1), RAW.rate)
    return str(tmp_path)


def test_a_graph_of_somebody_else_is_wrapped_as_it_is(theirs: Path, tmp_path: Path) -> None:
    done = export_source(theirs, tmp_path / "mine.onnx", SAID)
    card = done.model.card
    assert (card.labels, card.output.kind, card.output.scores) == (LABELS, "logits", "scores")
    assert (card.input.layout, card.input.clip_samples, card.input.rate) == ("NCT", SAMPLES, 8_000)
    assert "on 12 made-up clips, not on speech" in card.provenance.protocol
    assert done.comparison.worst == 0 and done.comparison.changed == 0
    assert verify(tmp_path / "mine.onnx").ok
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_card_that_is_there_is_left_behind(theirs: Path, tmp_path: Path) -> None:
    first = export_source(theirs, tmp_path / "first.onnx", SAID).model
    again = replace(SAID, labels=("x", "y", "z"), name="again")
    second = export_source(first.path, tmp_path / "second.onnx", again).model
    assert (second.card.name, second.card.labels) == ("again", ("x", "y", "z"))
    assert second.payload == first.payload


def test_real_clips_are_told_in_the_card(theirs: Path, tmp_path: Path, recordings: str) -> None:
    told: list[Any] = []
    done = export_source(
        theirs, tmp_path / "m.onnx", SAID, clips=recordings, told=lambda *at: told.append(at)
    )
    assert done.comparison.clips == 12
    assert done.model.card.provenance.protocol.endswith("on 12 recordings.")
    assert told.index(("reading clips", 12, 12)) < told.index(("comparing", 12, 12))


def test_what_is_found_of_outputs(tmp_path: Path) -> None:
    path = tmp_path / "two.onnx"
    path.write_bytes(graph(free=True, second=5, softmax=True))
    done = export_source(path, tmp_path / "m.onnx", SAID)
    assert (done.model.card.output.kind, done.model.card.output.embedding) == (
        "probabilities",
        None,
    )
    with pytest.raises(ModelError, match="scores with 3 values, other with 5 values; expected one"):
        export_source(path, tmp_path / "m.onnx", replace(SAID, labels=("a", "b")))
    path.write_bytes(graph(second=3))
    with pytest.raises(ModelError, match="outputs scores with 3 values, other with 3 values"):
        export_source(path, tmp_path / "m.onnx", SAID)


def test_int8_is_had_in_the_way_that_holds(theirs: Path, tmp_path: Path, recordings: str) -> None:
    done = export_source(theirs, tmp_path / "m.onnx", SAID, "int8", recordings, force=True)
    assert done.note in ("static", "static, first and last layer in float32", "dynamic")
    assert done.comparison.speed is not None and done.comparison.changed == 0
    assert len(done.model.payload) < 0.5 * len(theirs.read_bytes())


def test_the_first_and_the_last_layer_stay_as_they_are(theirs: Path) -> None:
    import onnx

    payload = theirs.read_bytes()
    reference = open_source(theirs, SAID).bind(((1, SAMPLES),), 3)
    clips = [np.random.default_rng(0).uniform(-1, 1, (8, 1, SAMPLES)).astype(np.float32)]
    made = {way.note: way.payload for way in in_form(payload, "int8", reference, clips)}
    kinds = {
        note: [node.op_type for node in onnx.load_from_string(graph).graph.node]
        for note, graph in made.items()
    }
    within = kinds["static, first and last layer in float32"]
    assert within.index("Conv") < within.index("QuantizeLinear")
    assert kinds["static"].count("DequantizeLinear") > within.count("DequantizeLinear") > 0


@pytest.mark.parametrize("form", ["float16", "dynamic"])
def test_other_forms_are_smaller(form: Any, theirs: Path, tmp_path: Path) -> None:
    done = export_source(theirs, tmp_path / "m.onnx", SAID, form, force=True)
    assert done.comparison.share < 0.6
    assert done.model.card.input.dtype == "float32"
    assert verify(tmp_path / "m.onnx").ok


def test_weights_with_a_batch_axis_are_quantised_too(tmp_path: Path) -> None:
    path = tmp_path / "batched.onnx"
    path.write_bytes(graph(batched=True))
    done = export_source(path, tmp_path / "m.onnx", SAID, "dynamic", force=True)
    assert done.comparison.share < 0.5


def test_a_slow_form_is_refused_unless_forced(
    theirs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_ser.lab.export.compare import Speed

    monkeypatch.setattr(exporting, "time_both", lambda *_: Speed(2.0, 1.0))
    out = tmp_path / "m.onnx"
    with pytest.raises(
        ModelError, match=r"takes 2.00 ms a clip here, the float32 file 1.00.*force"
    ):
        export_source(theirs, out, SAID, "dynamic")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["theirs.onnx"]
    assert export_source(theirs, out, SAID, "dynamic", force=True).model.path == out


def test_a_file_that_is_not_the_model_is_not_kept(tmp_path: Path) -> None:
    """A reference that says other things than its graph does."""
    payload = graph()
    lying = Source(
        "onnx",
        "liar",
        ((1, SAMPLES),),
        lambda shapes, labels: Reference(
            "onnx", "liar", shapes, lambda blocks: np.full((len(blocks[0]), 3), [0, 0, 9]), payload
        ),
    )
    out = tmp_path / "m.onnx"
    out.write_bytes(b"what was there")
    card = export_card(tmp_path)
    clips = made_up_clips(card.frontend, card.input)
    with pytest.raises(ModelError, match=r"from the original's, expected at most 0.0001"):
        export_model(lying, card, out, clips=clips)
    with pytest.raises(
        ModelError,
        match=r"no way to int8 holds \(static.*labels; dynamic.*\); export float32 or float16$",
    ):
        export_model(lying, card, out, "int8", clips)
    assert out.read_bytes() == b"what was there"
    assert not list(tmp_path.glob(".*"))


def export_card(folder: Path) -> Any:
    path = folder / "source.onnx"
    path.write_bytes(graph())
    card = export_source(path, folder / "card.onnx", SAID).model.card
    path.unlink()
    (folder / "card.onnx").unlink()
    return replace(card, output=replace(card.output, kind="logits"))


def test_nothing_is_left_when_the_work_is_broken_off(
    theirs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(exporting, "compare", stopped)
    with pytest.raises(KeyboardInterrupt):
        export_source(theirs, tmp_path / "m.onnx", SAID)
    assert list(tmp_path.iterdir()) == [theirs]


def test_where_nothing_can_be_written_is_said(theirs: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"nowhere/m\.onnx: No such file or directory; choose"):
        export_source(theirs, tmp_path / "nowhere" / "m.onnx", SAID)
    (tmp_path / "m.onnx").mkdir()
    with pytest.raises(StorageError, match=r"m\.onnx: Is a directory"):
        export_source(theirs, tmp_path / "m.onnx", SAID)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.onnx", "theirs.onnx"]


def test_a_full_disk_is_said_of_the_file_that_was_asked_for(
    theirs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *_: Any) -> None:
        raise StorageError(f"{path}: cannot be written (No space left on device); free the space")

    monkeypatch.setattr(exporting, "write_model", full)
    with pytest.raises(StorageError, match=r"/m\.onnx: cannot be written \(No space left"):
        export_source(theirs, tmp_path / "m.onnx", SAID)


def test_a_model_of_others_keeps_its_kind(theirs: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"theirs.onnx is a .onnx, expected .* models of others"):
        export_source(theirs, tmp_path / "m.tflite", SAID)


def test_a_tflite_of_somebody_else(tmp_path: Path) -> None:
    theirs, out = tmp_path / "theirs.tflite", tmp_path / "mine.tflite"
    theirs.write_bytes(TFLITE.read_bytes())
    source = foreign_source(theirs)
    assert source.inputs == ((20, 8, 1),)
    spec = replace(PRESETS["log-mel"], rate=16_000, n_mels=8, fmax=8_000.0)
    (scores,) = open_model(theirs).outputs
    labels = tuple(f"l{n}" for n in range(scores.shape[1]))
    said = Description(labels=labels, frontends=(spec,), clip_samples=19 * spec.hop_length)
    card = export_source(theirs, out, said).model.card
    assert card.input.layout == "NTFC" and verify(out).ok


@pytest.mark.parametrize(
    ("name", "content", "words", "error"),
    [
        ("m.onnx", b"", "m.onnx: the file is empty", ModelError),
        ("m.onnx", b"no model", "m.onnx: expected a .tflite or .onnx model", ModelError),
        ("m.h5", b"\x89HDF", "save a .h5 model again with", UsageError),
        ("m.pkl", b"\x80\x02", "expected a run folder, a .keras file", UsageError),
        ("m.pt", b"PK", "a state dict has no network in it", UsageError),
        ("folder", None, "neither a run folder (no config.toml) nor a SavedModel", UsageError),
        ("nothing.keras", ..., "no such file or folder", ModelNotFoundError),
    ],
)
def test_what_is_no_model(
    name: str, content: Any, words: str, error: type[Exception], tmp_path: Path
) -> None:
    path = tmp_path / name
    if content is None:
        path.mkdir()
    elif content is not ...:
        path.write_bytes(content)
    with pytest.raises(error) as raised:
        open_source(path, SAID)
    assert words in str(raised.value)
    assert not is_run(path)


def test_what_is_asked_before_anything_is_read(theirs: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="int8: expected --clips with real recordings"):
        export_source(theirs, tmp_path / "m.onnx", SAID, "int8")
    with pytest.raises(UsageError, match="is the model itself"):
        export_source(theirs, theirs, SAID)
    with pytest.raises(DataError, match="no audio in this folder"):
        clip_paths(str(tmp_path))


def test_clips_are_spread_over_all_that_there_are(tmp_path: Path) -> None:
    for number in range(450):
        (tmp_path / f"{number:03}.wav").touch()
    found = [int(path.stem) for path in clip_paths(str(tmp_path))]
    assert (len(found), found[0], found[-1]) == (200, 0, 449)


def test_a_wrapped_model_classifies(theirs: Path, tmp_path: Path) -> None:
    from edge_ser.classifier import load_model

    export_source(theirs, tmp_path / "m.onnx", SAID)
    tone = np.sin(np.arange(SAMPLES) / 5).astype(np.float32)
    scores = load_model(tmp_path / "m.onnx").scores(Clip(tone, 8_000))
    assert scores.sum() == pytest.approx(1)


def test_damage_after_writing_is_seen(
    theirs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read again from the disk decides, not what was meant to be written."""

    def damaging(path: Path, payload: bytes, card: Any) -> Any:
        write_model(path, payload, card)
        path.write_bytes(path.read_bytes().replace(b"theirs", b"theirz", 1))

    monkeypatch.setattr(exporting, "write_model", damaging)
    with pytest.raises(ModelError, match="changed or damaged"):
        export_source(theirs, tmp_path / "m.onnx", SAID)
    assert not (tmp_path / "m.onnx").exists() and not list(tmp_path.glob(".*"))
