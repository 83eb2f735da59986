"""`edge-ser export`: what it asks of the workshop and what it prints."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge_ser.cli import main
from edge_ser.cli.export import FORMS
from edge_ser.corpora import Corpus, Utterance

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch
CORPUS = Corpus(
    "mine", tuple(Utterance(Path(f"{n}.wav"), "calm", speaker=str(n % 5)) for n in range(10))
)


@pytest.fixture(autouse=True)
def corpus(monkeypatch: Patch) -> None:
    monkeypatch.setattr("edge_ser.corpora.read_corpus", lambda _: CORPUS)


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
