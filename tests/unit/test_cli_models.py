"""`edge-ser models`: what is installed, and what is damaged of it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from edge_ser import zoo
from edge_ser.cli import main

from .cli_model_files import model_fixture  # noqa: F401 for pytest to find

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


class TestModels:
    def test_table(self, model: Path, monkeypatch: Patch, capsys: Capture) -> None:
        monkeypatch.setattr(zoo, "installed_files", lambda: [model])
        assert main(["models"]) == 0
        header, row = capsys.readouterr().out.splitlines()
        assert header.split() == ["model", "size", "licence", "measured"]
        assert row.split()[0] == "tiny.tflite"
        assert row.endswith("CC0-1.0  uar.deviation 0.04, uar.mean 0.61")

    def test_csv(self, model: Path, monkeypatch: Patch, capsys: Capture) -> None:
        monkeypatch.setattr(zoo, "installed_files", lambda: [model])
        assert main(["models", "--format", "csv"]) == 0
        [row] = csv.DictReader(io.StringIO(capsys.readouterr().out))
        assert row["labels"] == "calm, glad, cross"
        assert row["metrics.uar.mean"] == "0.61"
        assert row["error"] == ""

    def test_a_damaged_one_is_listed_with_its_error(
        self, model: Path, monkeypatch: Patch, capsys: Capture
    ) -> None:
        monkeypatch.setattr(zoo, "installed_files", lambda: [model])
        model.write_bytes(model.read_bytes()[:-10])
        assert main(["models", "--format", "jsonl"]) == 3
        assert "missing or changed" in json.loads(capsys.readouterr().out)["error"]
        assert main(["models"]) == 3
        assert "error: " in capsys.readouterr().out

    def test_none(self, monkeypatch: Patch, capsys: Capture) -> None:
        monkeypatch.setattr(zoo, "installed_files", list)
        assert main(["models"]) == 0
        assert capsys.readouterr().out.startswith("no models are installed")

    def test_their_names_complete(self, model: Path, monkeypatch: Patch, capsys: Capture) -> None:
        monkeypatch.setattr(zoo, "installed_files", lambda: [model])
        monkeypatch.setenv("_EDGE_SER_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", "edge-ser classify --model ti")
        monkeypatch.setenv("COMP_CWORD", "3")
        assert main([]) == 0
        assert capsys.readouterr().out == "plain,tiny\nfile,ti\n"


@pytest.mark.parametrize(
    ("metrics", "shown"),
    [
        (
            {"accuracy": 0.5616, "accuracy_std": 0.111, "uar": 0.5138},
            "accuracy 0.56 ± 0.11, UAR 0.51",
        ),
        ({"f1": 0.5, "clips": 12}, "f1 0.5, clips 12"),
        ({}, ""),
    ],
)
def test_the_headline_of_a_model(metrics: dict[str, object], shown: str) -> None:
    from edge_ser.cli.models import _headline

    assert _headline(metrics) == shown
