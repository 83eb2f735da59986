"""Names, aliases and paths of model files."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_ser import zoo
from edge_ser.errors import ModelNotFoundError

FILES = (
    *("emotion-emodb.tflite", "emotion-emodb.onnx"),
    *("plb-emodb.tflite", "plb-emodb.onnx", "plb-emodb-dynamic.tflite", "tim.onnx"),
)


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of model files in place of the installed packages."""
    for name in FILES:
        (tmp_path / name).touch()
    monkeypatch.setattr(zoo, "installed_files", lambda: sorted(tmp_path.iterdir()))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "provider", "file"),
    [
        (None, "cpu", "emotion-emodb.tflite"),
        (None, "cuda", "emotion-emodb.onnx"),
        ("plb", "cpu", "emotion-emodb.tflite"),
        ("plb.tflite", "cpu", "emotion-emodb.tflite"),
        ("plb.onnx", "cpu", "emotion-emodb.onnx"),
        ("plb-emodb", "cpu", "plb-emodb.tflite"),
        ("plb-emodb", "cuda", "plb-emodb.onnx"),
        ("plb", "tensorrt", "emotion-emodb.onnx"),
        ("plb-emodb.tflite", "cuda", "plb-emodb.tflite"),
        ("plb-emodb-dynamic", "cpu", "plb-emodb-dynamic.tflite"),
        ("tim", "cpu", "tim.onnx"),
    ],
)
def test_names_resolve(installed: Path, name: str | None, provider: str, file: str) -> None:
    assert zoo.find_model(name, provider) == installed / file


def test_an_existing_path_comes_first(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    path = own / "plb-emodb.tflite"
    path.touch()
    assert zoo.find_model(path) == path


def test_a_misspelt_name_gets_the_near_one() -> None:
    with pytest.raises(ModelNotFoundError, match=r"no model 'plb-emobd'.*did you mean plb-emodb\?"):
        zoo.find_model("plb-emobd")


def test_an_unknown_name_points_to_the_list() -> None:
    with pytest.raises(ModelNotFoundError, match="edge-ser models"):
        zoo.find_model("xyzzy")


def test_a_package_that_is_not_there_has_no_files() -> None:
    assert zoo._files("edge_ser_no_such_package") == []


def test_the_models_of_this_distribution_are_found() -> None:
    assert {file.suffix for file in zoo._files(zoo.OWN_PACKAGE)} == {".tflite", ".onnx"}


@pytest.mark.parametrize("name", ["a" * 300, "a\0b", "plb-emodb/below"])
def test_a_name_that_no_file_can_have_is_no_model(name: str) -> None:
    with pytest.raises(ModelNotFoundError, match="no model"):
        zoo.find_model(name)
