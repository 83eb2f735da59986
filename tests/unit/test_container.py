"""Payload and document in one file: both containers, and what is refused."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import edge_ser.container as container
from edge_ser.container import kind_of, prepare, read_file, unwrap, wrap
from edge_ser.container.foreign import describe
from edge_ser.errors import ModelDamagedError, ModelError, ModelNotFoundError

MODELS = Path(__file__).resolve().parents[1] / "goldens" / "models"
TFLITE = (MODELS / "float32.tflite").read_bytes()
ONNX = (MODELS / "float32.onnx").read_bytes()
DOCUMENT = b'{"name":"tiny"}'
BOTH = pytest.mark.parametrize("data", [TFLITE, ONNX], ids=["tflite", "onnx"])


def wrapped(data: bytes, document: bytes = DOCUMENT) -> bytes:
    return wrap(prepare(data), document)


@BOTH
@given(document=st.binary(max_size=300))
@example(document=b"")
def test_what_is_wrapped_is_unwrapped(data: bytes, document: bytes) -> None:
    found = unwrap(wrapped(data, document))
    assert found.document == document
    assert found.payload == prepare(data)
    assert found.kind == kind_of(data)


@BOTH
def test_a_model_of_others_is_all_payload(data: bytes) -> None:
    found = unwrap(data)
    assert found.payload == data
    assert found.document is None


@BOTH
def test_preparing_again_changes_nothing_and_takes_the_document_off(data: bytes) -> None:
    payload = prepare(data)
    assert prepare(payload) == payload
    assert prepare(wrap(payload, DOCUMENT)) == payload


@BOTH
def test_a_document_is_replaced_and_not_added(data: bytes) -> None:
    with pytest.raises(ModelError, match="not prepared"):
        wrap(wrapped(data), b"other")
    assert unwrap(wrapped(wrapped(data), b"other")).document == b"other"


def test_zip_tools_read_the_whole_tflite_file() -> None:
    with zipfile.ZipFile(io.BytesIO(wrapped(TFLITE))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["edge_ser.json"]
        assert archive.read("edge_ser.json") == DOCUMENT


def test_a_tflite_file_without_its_tail_is_damaged() -> None:
    data = wrapped(TFLITE)
    for cut in (1, 10, len(data) - len(prepare(TFLITE)), len(data) // 2):
        with pytest.raises(ModelDamagedError):
            unwrap(data[:-cut])


def test_a_tail_without_the_marker_is_damaged() -> None:
    data = wrapped(TFLITE)
    with pytest.raises(ModelDamagedError, match="marker"):
        unwrap(data.replace(b"edge_ser\0", b"edge_sex\0", 1))


@pytest.mark.parametrize("at", [10, 12, 14, 16, 18, 26, 28])
def test_any_change_to_the_zip_structure_is_damage(at: int) -> None:
    data = bytearray(wrapped(TFLITE))
    data[len(prepare(TFLITE)) + at] ^= 1
    with pytest.raises(ModelDamagedError, match="missing or changed"):
        unwrap(bytes(data))


def test_a_tail_that_points_behind_itself_is_damage() -> None:
    data = bytearray(wrapped(TFLITE))
    data[len(data) - 22 - 59 + 42 + 3] = 0x7F
    with pytest.raises(ModelDamagedError, match="missing or changed"):
        unwrap(bytes(data))


def test_an_onnx_file_with_something_behind_its_card_is_damaged() -> None:
    with pytest.raises(ModelDamagedError, match="changed after"):
        unwrap(wrapped(ONNX) + b"\x28\x01")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "empty"),
        (b"PK\x03\x04rest", "ZIP archive"),
        (b"\x89HDF\r\n", "HDF5"),
        (b"\x80\x02}q", "pickle"),
        (b"version https://git-lfs.github.com", "git lfs pull"),
        (b"RIFF....WAVE", "WAV"),
        (b"text, not a model", "74 65 78 74"),
        (b"\x08\x08\x00\x00ORTM", "expected a .tflite or .onnx"),
        (b"\x10\x08", "expected a .tflite or .onnx"),
        (b"\x08\x00:\x00", "expected a .tflite or .onnx"),
        (b"\x08\x80\x80\x08:\x00", "expected a .tflite or .onnx"),
    ],
)
def test_what_is_no_model_is_named(data: bytes, expected: str) -> None:
    with pytest.raises(ModelError, match=expected) as caught:
        kind_of(data)
    assert "\n" not in str(caught.value)


def test_sizes_are_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = wrapped(TFLITE, b"x" * 100)
    monkeypatch.setattr(container, "MAX_DOCUMENT_BYTES", 99)
    with pytest.raises(ModelError, match="card has 100 bytes"):
        unwrap(data)
    with pytest.raises(ModelError, match="card has 100 bytes"):
        wrap(prepare(TFLITE), b"x" * 100)
    monkeypatch.setattr(container, "MAX_FILE_BYTES", 99)
    with pytest.raises(ModelError, match="at most"):
        kind_of(data)
    with pytest.raises(ModelError, match="model file has"):
        wrap(prepare.__name__.encode() * 20, b"")
    path = tmp_path / "large.tflite"
    path.write_bytes(b"x" * 100)
    with pytest.raises(ModelError, match=r"large\.tflite has 100 bytes"):
        read_file(path, 99)


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelNotFoundError, match="no such file"):
        read_file(tmp_path / "none.tflite")
    (tmp_path / "dangling").symlink_to(tmp_path / "none")
    with pytest.raises(ModelNotFoundError):
        read_file(tmp_path / "dangling")
    with pytest.raises(ModelError, match="folder or device"):
        read_file(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelError, match="folder or device"):
        read_file(tmp_path / "pipe")
    with pytest.raises(ModelError, match="cannot be read"):
        read_file(tmp_path / ("long" * 1000))
    (tmp_path / "model").write_bytes(TFLITE)
    assert read_file(tmp_path / "model") == TFLITE

    def refuse(*_args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ModelError, match="Permission denied"):
        read_file(tmp_path / "model")


@BOTH
@given(data_=st.data())
def test_damaged_bytes_raise_nothing_but_model_errors(data: bytes, data_: st.DataObject) -> None:
    damaged = bytearray(wrapped(data))
    for _ in range(data_.draw(st.integers(1, 4))):
        at = data_.draw(st.integers(0, len(damaged) - 1))
        damaged[at : at + data_.draw(st.integers(0, 4))] = data_.draw(st.binary(max_size=6))
    for reader in (unwrap, prepare, describe, container.check_payload):
        try:
            reader(bytes(damaged))
        except ModelError as error:
            assert "\n" not in str(error)


@given(st.binary(max_size=200), st.sampled_from([b"", b"\x08\x08", b"\x10\0\0\0TFL3"]))
def test_random_bytes_raise_nothing_but_model_errors(data: bytes, start: bytes) -> None:
    for reader in (unwrap, prepare, describe):
        try:
            reader(start + data)
        except ModelError as error:
            assert "\n" not in str(error)
