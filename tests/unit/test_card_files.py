"""Model files with cards: hashes before anything, one write or none, sidecars."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_ser.card import (
    InputSpec,
    ModelCard,
    describe_foreign,
    read_model,
    write_model,
    write_sidecar,
)
from edge_ser.card.documents import canonical, sealed
from edge_ser.container import prepare, unwrap, wrap
from edge_ser.errors import CardError, ModelDamagedError, ModelError, StorageError
from edge_ser.testing import tiny_card

MODELS = Path(__file__).resolve().parents[1] / "goldens" / "models"
CARD = tiny_card(("calm", "angry", "sad"))
NAMES = pytest.mark.parametrize("name", ["float32.tflite", "float32.onnx"])


@pytest.fixture
def model(name: str, tmp_path: Path) -> Path:
    return write_model(tmp_path / name, (MODELS / name).read_bytes(), CARD).path


@NAMES
def test_a_model_file_comes_back_with_its_card(name: str, model: Path) -> None:
    found = read_model(str(model))
    assert found.path == model
    assert name.endswith(found.kind)
    assert found.card.labels == CARD.labels
    assert found.payload == prepare((MODELS / name).read_bytes())
    assert found.card.payload_sha256 == hashlib.sha256(found.payload).hexdigest()


@NAMES
def test_the_same_model_and_card_make_the_same_file(name: str, model: Path) -> None:
    data = model.read_bytes()
    write_model(model, data, read_model(model).card)
    assert model.read_bytes() == data
    assert [path.name for path in model.parent.iterdir()] == [name]


@NAMES
def test_a_changed_weight_is_damage(name: str, model: Path) -> None:
    data = bytearray(model.read_bytes())
    weights = (MODELS / name).read_bytes()
    data[data.find(weights[-3000:-2900]) + 50] ^= 1
    model.write_bytes(data)
    with pytest.raises(ModelDamagedError, match=rf"{name}: the model was changed"):
        read_model(model)


@NAMES
def test_a_changed_card_is_damage(name: str, model: Path) -> None:
    found = unwrap(model.read_bytes())
    assert found.document is not None
    model.write_bytes(wrap(found.payload, found.document.replace(b'"sad"', b'"mad"')))
    with pytest.raises(ModelDamagedError, match="the card was changed"):
        read_model(model)


def test_a_card_that_says_the_same_in_other_bytes_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    model = write_model(path, (MODELS / "float32.onnx").read_bytes(), CARD)
    path.write_bytes(wrap(model.payload, model.card.to_document() + b" "))
    with pytest.raises(ModelDamagedError, match="changed after it was written"):
        read_model(path)


def test_a_card_of_another_model_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    model = write_model(path, (MODELS / "float32.onnx").read_bytes(), CARD)
    other = (MODELS / "two_outputs.onnx").read_bytes()
    path.write_bytes(wrap(other, model.card.to_document()))
    with pytest.raises(ModelDamagedError, match="the model was changed"):
        read_model(path)


@NAMES
def test_a_foreign_model_is_read_with_its_sidecar(name: str, tmp_path: Path) -> None:
    path = Path(shutil.copy(MODELS / name, tmp_path))
    with pytest.raises(
        CardError,
        match=rf"{name}: the model has no card; make a file that has one with 'edge-ser export "
        rf"{path} --labels A,B,C --frontend PRESET --clip SECONDS -o FILE', or write one to {name}",
    ):
        read_model(path)
    sidecar = write_sidecar(path, CARD)
    assert sidecar.name == f"{name}.edge_ser.json"
    found = read_model(path)
    assert found.card.labels == CARD.labels
    assert found.payload == path.read_bytes()
    path.write_bytes((MODELS / name.replace("float32", "two_outputs")).read_bytes())
    with pytest.raises(ModelDamagedError):
        read_model(path)


def test_a_sidecar_is_checked_as_an_embedded_card_is(tmp_path: Path) -> None:
    path = Path(shutil.copy(MODELS / "float32.onnx", tmp_path))
    sidecar = write_sidecar(path, CARD)
    values = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps({**values, "name": "other"}))
    with pytest.raises(ModelDamagedError, match=r"edge_ser\.json: the card was changed"):
        read_model(path)
    sidecar.write_bytes(canonical(sealed({**values, "schema": "2.0"})))
    with pytest.raises(CardError, match="upgrade"):
        read_model(path)
    sidecar.write_bytes(b" " * ((4 << 20) + 1))
    with pytest.raises(ModelError, match="at most 4 MiB"):
        read_model(path)


def test_a_model_with_a_card_of_its_own_takes_no_sidecar(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    write_model(path, (MODELS / "float32.onnx").read_bytes(), CARD)
    with pytest.raises(ModelError, match="a card of its own"):
        write_sidecar(path, CARD)


def test_tflite_metadata_of_others_is_shown(tmp_path: Path) -> None:
    path = Path(shutil.copy(MODELS / "foreign.tflite", tmp_path))
    assert describe_foreign(path).labels == ("calm", "angry", "sad")
    with pytest.raises(CardError, match="names 3 labels and 16000 Hz"):
        read_model(path)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"PK\x05\x06", b"PK\x05\x07"))
    with pytest.raises(CardError, match="has no card; make"):
        read_model(path)
    with pytest.raises(ModelError, match=r"foreign\.tflite: the label file"):
        describe_foreign(path)


def test_a_description_without_labels_names_the_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_ser.card import files
    from edge_ser.container.foreign import Description

    path = Path(shutil.copy(MODELS / "foreign.tflite", tmp_path))
    monkeypatch.setattr(files, "describe", lambda _: Description(rate=8000))
    with pytest.raises(CardError, match=r"names 8000 Hz\)"):
        read_model(path)


def test_a_model_of_others_keeps_its_files_under_our_card(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    write_model(path, (MODELS / "foreign.tflite").read_bytes(), CARD)
    assert read_model(path).card.labels == CARD.labels
    assert describe_foreign(path).labels == ("calm", "angry", "sad")


def test_a_file_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    payload = (MODELS / "float32.onnx").read_bytes()
    with pytest.raises(StorageError, match="cannot be written"):
        write_model(tmp_path / "none" / "m.onnx", payload, CARD)
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(StorageError):
        write_model(tmp_path / "folder.onnx", payload, CARD)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.onnx"]


def test_a_card_that_would_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    payload = (MODELS / "float32.onnx").read_bytes()
    with pytest.raises(CardError, match="control characters"):
        write_model(tmp_path / "m.onnx", payload, tiny_card(("calm", "an\ngry")))
    assert list(tmp_path.iterdir()) == []


def test_reading_a_card_needs_the_standard_library_alone() -> None:
    code = (
        "import sys; import edge_ser.card, edge_ser.container, edge_ser.runtime; "
        "edge_ser.card.describe_foreign(sys.argv[1]); "
        "print(sorted({m.split('.')[0] for m in sys.modules} & set(sys.argv[2:])))"
    )
    heavy = ["numpy", "onnx", "onnxruntime", "ai_edge_litert", "flatbuffers", "google"]
    ran = subprocess.run(
        [sys.executable, "-c", code, str(MODELS / "foreign.tflite"), *heavy],
        capture_output=True,
        text=True,
        check=True,
        cwd=MODELS.parents[2],
    )
    assert ran.stdout == "[]\n"


def test_unpaired_input_is_refused_before_writing(tmp_path: Path) -> None:
    with pytest.raises(CardError, match="16000 Hz and an input of 8000 Hz"):
        tiny_card(input=InputSpec(rate=8000, clip_samples=8000))
    assert ModelCard.from_document(CARD.to_document()) == CARD


def test_a_name_too_long_for_a_sidecar_has_none(tmp_path: Path) -> None:
    path = tmp_path / ("f" * 245 + ".onnx")
    shutil.copy(MODELS / "float32.onnx", path)
    with pytest.raises(CardError, match="the model has no card"):
        read_model(path)


def test_a_part_file_of_another_process_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    part = tmp_path / f".a.onnx.{os.getpid()}.part"  # process numbers repeat, as in containers
    part.write_text("theirs")
    write_model(path, (MODELS / "float32.onnx").read_bytes(), CARD)
    assert part.read_text() == "theirs"
    assert len(list(tmp_path.iterdir())) == 2
