"""`edge-ser train` and `edge-ser export`: what they ask of the workshop and what they print."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge_ser.cli import main
from edge_ser.cli.export import ARCHITECTURES as EXPORTED
from edge_ser.cli.export import FORMS
from edge_ser.cli.train import ARCHITECTURES
from edge_ser.corpora import Corpus, Utterance
from edge_ser.errors import DependencyError
from edge_ser.lab.recipe import Recipe

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch
CORPUS = Corpus(
    "mine", tuple(Utterance(Path(f"{n}.wav"), "calm", speaker=str(n % 5)) for n in range(10))
)


@pytest.fixture(autouse=True)
def corpus(monkeypatch: Patch) -> None:
    monkeypatch.setattr("edge_ser.corpora.read_corpus", lambda _: CORPUS)


def fake_run(folder: Path, **row: float) -> Path:
    """The records of a run that has done one epoch."""
    folder.mkdir()
    (folder / "recipe.json").write_text(json.dumps(asdict(Recipe(epochs=1))))
    (folder / "split.json").write_text(json.dumps({"name": folder.name, "train": [], "test": []}))
    (folder / "metrics.jsonl").write_text(json.dumps({"epoch": 0, **row}) + "\n")
    return folder


class TestTrain:
    @pytest.fixture
    def asked(self, monkeypatch: Patch, tmp_path: Path) -> list[Any]:
        calls: list[Any] = []
        folders = [
            fake_run(tmp_path / "grouped-01", loss=0.5, test_accuracy=0.6, test_uar=0.55),
            fake_run(tmp_path / "grouped-02", loss=0.25),
        ]

        def train_job(*arguments: Any) -> list[Path]:
            calls.append(arguments)
            for run in ("grouped-01", "grouped-02"):
                arguments[4](run, {"epoch": 0.0})
            return folders

        monkeypatch.setattr("edge_ser.lab.compute.prepare", lambda threads: None)
        monkeypatch.setattr("edge_ser.lab.jobs.train_job", train_job)
        return calls

    def test_options_become_a_recipe(self, asked: list[Any], capsys: Capture) -> None:
        options = "--architecture routing --protocol loso --fold 2 --fold 1 --epochs 3 --batch 8"
        more = "--learning-rate 0.01 --seed 7 --runs somewhere --threads 1"
        assert main(["train", "mine", *options.split(), *more.split()]) == 0
        [(corpus, recipe, protocol, folds, _, runs, threads)] = asked
        assert corpus == CORPUS
        assert recipe == Recipe("routing", 3, 8, 0.01, seed=7)
        assert (protocol, folds, runs, threads) == ("loso", (2, 1), Path("somewhere"), 1)

    def test_defaults_are_those_of_the_recipe(self, asked: list[Any], capsys: Capture) -> None:
        assert main(["train", "mine"]) == 0
        [(_, recipe, protocol, folds, _, runs, threads)] = asked
        assert recipe == Recipe()
        assert (protocol, folds, runs, threads) == ("grouped", None, None, 2)

    def test_table(self, asked: list[Any], capsys: Capture, tmp_path: Path) -> None:
        assert main(["train", "mine"]) == 0
        said = capsys.readouterr()
        assert said.err == ""
        header, first, second = said.out.splitlines()
        assert header.split() == ["run", "epochs", "loss", "test_accuracy", "test_uar", "folder"]
        assert first.split() == [
            "grouped-01",
            "1",
            "0.500",
            "0.600",
            "0.550",
            str(tmp_path / "grouped-01"),
        ]
        assert second.split() == ["grouped-02", "1", "0.250", str(tmp_path / "grouped-02")]

    def test_jsonl(self, asked: list[Any], capsys: Capture) -> None:
        assert main(["train", "mine", "--format", "jsonl"]) == 0
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [row["loss"] for row in rows] == [0.5, 0.25]

    def test_epochs_are_counted_over_runs(
        self, asked: list[Any], monkeypatch: Patch, capsys: Capture
    ) -> None:
        from contextlib import contextmanager

        told: list[tuple[int, int]] = []

        @contextmanager
        def bar(shown: bool) -> Any:
            yield lambda done, total: told.append((done, total))

        monkeypatch.setattr("edge_ser.cli.train.progress_bar", bar)
        assert main(["train", "mine", "--epochs", "1", "--fold", "1", "--fold", "2"]) == 0
        assert told == [(1, 2), (2, 2)]

    def test_without_the_extra_it_is_4(self, monkeypatch: Patch, capsys: Capture) -> None:
        def missing(threads: int) -> None:
            raise DependencyError("no Keras; pip install 'edge-ser[train]'")

        monkeypatch.setattr("edge_ser.lab.compute.prepare", missing)
        assert main(["train", "mine"]) == 4
        assert capsys.readouterr().err == "edge-ser: no Keras; pip install 'edge-ser[train]'\n"

    @pytest.mark.needs("tensorflow")
    def test_all_networks_can_be_named(self) -> None:
        from edge_ser.lab import architectures

        assert tuple(architectures.ARCHITECTURES) == ARCHITECTURES == EXPORTED


class TestExport:
    @pytest.fixture
    def asked(self, monkeypatch: Patch, tmp_path: Path) -> list[Any]:
        calls: list[Any] = []
        (tmp_path / "my.tflite").write_bytes(b"12345")
        made = SimpleNamespace(path=tmp_path / "my.tflite", card=SimpleNamespace(name="plb-mine"))

        def job(*arguments: Any) -> Any:
            calls.append(arguments)
            return made

        monkeypatch.setattr("edge_ser.lab.jobs.export_run", job)
        monkeypatch.setattr("edge_ser.lab.jobs.export_untrained", job)
        return calls

    def test_a_run(self, asked: list[Any], tmp_path: Path, capsys: Capture) -> None:
        run = str(tmp_path)
        options = ["--corpus", "mine", "--form", "dynamic", "--fold", run, "--name", "n"]
        assert main(["export", "runs/whole", "-o", "my.tflite", "--unfinished", *options]) == 0
        assert asked == [
            (Path("runs/whole"), CORPUS, Path("my.tflite"), "dynamic", (tmp_path,), "n", True)
        ]
        first, second = capsys.readouterr().out.splitlines()
        assert first == f"{tmp_path / 'my.tflite'}: plb-mine, 5 bytes, read again and compared"
        assert second == f"'edge-ser inspect {tmp_path / 'my.tflite'}' shows its card"

    def test_an_untrained_network(self, asked: list[Any], capsys: Capture) -> None:
        assert main(["export", "--untrained", "plb", "--classes", "3", "-o", "x.onnx"]) == 0
        assert asked == [("plb", 3, Path("x.onnx"), "float32")]

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["-o", "x.onnx"], "expected a RUN folder and --corpus"),
            (["run", "-o", "x.onnx"], "expected a RUN folder and --corpus"),
            (["run", "-o", "x.onnx", "--untrained", "plb"], "RUN and --untrained"),
            (["run", "--corpus", "mine"], "'--output'"),
        ],
    )
    def test_what_does_not_go_together(
        self, arguments: list[str], words: str, asked: list[Any], capsys: Capture
    ) -> None:
        assert main(["export", *arguments]) == 2
        assert words in capsys.readouterr().err
        assert asked == []

    def test_forms_are_those_of_the_workshop(self) -> None:
        from edge_ser.lab.export.convert import FORMS as KNOWN

        assert set(FORMS) == set(KNOWN)
