"""The house itself: what is packaged, named and documented holds together."""

from __future__ import annotations

import configparser
import dataclasses
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edge_ser.card import ModelCard, read_model
from edge_ser.corpora import EMODB_LABELS

CHECKOUT = Path(__file__).resolve().parents[2]
FREE_LICENCES = {"CC0-1.0", "CC-BY-4.0"}
OUTER = ("benchmarks", "deploy", "models")


@pytest.fixture(scope="module")
def config() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(CHECKOUT / "setup.cfg")
    return parser


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built in a copy so that the checkout stays as it is."""
    source = tmp_path_factory.mktemp("source")
    for name in ("edge_ser", *OUTER):
        shutil.copytree(
            CHECKOUT / name, source / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("LICENSE", "README.md", "pyproject.toml", "setup.cfg"):
        shutil.copy(CHECKOUT / name, source)
    build = "from setuptools import build_meta; build_meta.build_wheel('dist')"
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", build], cwd=source, check=True, capture_output=True
    )
    (built,) = (source / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_every_package_is_declared(config: configparser.ConfigParser) -> None:
    folders = {init.parent for init in (CHECKOUT / "edge_ser").rglob("__init__.py")}
    found = {".".join(folder.relative_to(CHECKOUT).parts) for folder in folders}
    found |= {f"edge_ser.{name}" for name in OUTER}
    assert config["options"]["packages"].split() == sorted(found)


def test_the_wheel_holds_every_module_and_nothing_of_the_workshop(unpacked: Path) -> None:
    modules = {
        path.relative_to(CHECKOUT).as_posix() for path in (CHECKOUT / "edge_ser").rglob("*.py")
    }
    held = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    assert modules - held == set()
    assert "edge_ser/py.typed" in held
    foreign = re.compile(r"models/folds/|(^|/)tests/|\.(keras|wav|flac)$")
    assert [name for name in held if foreign.search(name)] == []


def test_the_wheel_carries_the_declared_models_all_of_free_licence(
    unpacked: Path, config: configparser.ConfigParser
) -> None:
    declared = set(config["options.package_data"]["edge_ser.models"].split())
    files = [path for path in (unpacked / "edge_ser/models").iterdir() if path.suffix != ".py"]
    assert {path.name for path in files} == declared
    for path in files:
        assert read_model(path).card.provenance.licence in FREE_LICENCES


@pytest.fixture(scope="module")
def nc_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the models for non-commercial use, built in a copy."""
    source = tmp_path_factory.mktemp("nc") / "source"
    shutil.copytree(
        CHECKOUT / "models/nc", source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
    )
    build = "from setuptools import build_meta; build_meta.build_wheel('dist')"
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", build], cwd=source, check=True, capture_output=True
    )
    (built,) = (source / "dist").glob("*.whl")
    return built


def test_the_models_of_other_licences_are_a_wheel_of_their_own(
    nc_wheel: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(nc_wheel) as archive:
        archive.extractall(tmp_path)
    held = {path.name: path for path in (tmp_path / "edge_ser_models_nc").iterdir()}
    home = CHECKOUT / "models/nc/edge_ser_models_nc"
    assert set(held) == {path.name for path in home.iterdir() if path.is_file()}
    models = [path for path in held.values() if path.suffix in (".tflite", ".onnx")]
    for path in models:
        licence = read_model(path).card.provenance.licence
        assert licence not in FREE_LICENCES and ("NC" in licence or "EMOVO" in licence)
    (points,) = tmp_path.glob("*.dist-info/entry_points.txt")
    assert "[edge_ser.models]\nnc = edge_ser_models_nc" in points.read_text()
    program = "import edge_ser.zoo as z\nprint(*(f.name for f in z.installed_files()))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert {path.name for path in models} <= set(done.stdout.split())
    assert "plb-emodb.tflite" in done.stdout.split()


def test_the_wheel_works_from_where_it_is_unpacked(unpacked: Path, tmp_path: Path) -> None:
    program = "import edge_ser.models, edge_ser.deploy, edge_ser.benchmarks, edge_ser.zoo as z\n"
    program += "print(z.find_model())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()) == unpacked / "edge_ser/models/emotion-emodb.tflite"


def test_the_wheel_starts_at_the_command_line(unpacked: Path) -> None:
    (points,) = unpacked.glob("*.dist-info/entry_points.txt")
    parser = configparser.ConfigParser()
    parser.read(points)
    assert dict(parser["console_scripts"]) == {"edge-ser": "edge_ser.cli:main"}


def test_each_dependency_has_its_line_in_the_docs(config: configparser.ConfigParser) -> None:
    lines = [config["options"]["install_requires"], *config["options.extras_require"].values()]
    required = {
        re.split(r"[^A-Za-z0-9-]", line)[0] for block in lines for line in block.split("\n") if line
    }
    documented = set(
        re.findall(r"^\| `([^`]+)`", (CHECKOUT / "docs/dependencies.md").read_text(), re.M)
    )
    assert documented == required - {"edge-ser"}


def test_each_field_of_the_card_is_in_the_docs() -> None:
    rows = re.findall(r"^\| (`.+?`) \|", (CHECKOUT / "docs/model-file.md").read_text(), re.M)
    documented = {name.strip("` ") for row in rows for name in row.split(",")}
    assert documented == {field.name for field in dataclasses.fields(ModelCard)}


def test_a_card_is_read_as_the_docs_say(tmp_path: Path) -> None:
    page = (CHECKOUT / "docs/model-file.md").read_text()
    (program,) = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    shutil.copy(CHECKOUT / "models/plb-emodb.tflite", tmp_path / "model.tflite")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{[*EMODB_LABELS.values()]} 22050 CC0-1.0\n"


@pytest.mark.parametrize("page", ["README.md", "docs/index.md"])
def test_links_within_the_repository_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", (CHECKOUT / page).read_text())
    assert links
    assert [link for link in links if not (CHECKOUT / page).parent.joinpath(link).exists()] == []
