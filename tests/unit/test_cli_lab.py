"""`edge-ser export`: what it asks of the workshop and what it prints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge_ser.cli import main
from edge_ser.cli.export import FORMS
from edge_ser.corpora import Corpus, Utterance
from edge_ser.errors import ModelError

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch
CORPUS = Corpus(
    "mine", tuple(Utterance(Path(f"{n}.wav"), "calm", speaker=str(n % 5)) for n in range(10))
)


@pytest.fixture(autouse=True)
def corpus(monkeypatch: Patch) -> None:
    monkeypatch.setattr("edge_ser.corpora.read_corpus", lambda _: CORPUS)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "whole"
    folder.mkdir()
    (folder / "config.toml").touch()
    return folder


@pytest.fixture
def asked(monkeypatch: Patch, tmp_path: Path) -> list[Any]:
    """What the library was asked for; it makes a file of five bytes."""
    from edge_ser.lab.export.compare import Comparison, Speed

    calls: list[Any] = []
    (tmp_path / "my.tflite").write_bytes(b"12345")
    card = SimpleNamespace(name="plb-mine", provenance=SimpleNamespace(state="trained"))
    file = SimpleNamespace(path=tmp_path / "my.tflite", card=card)
    compared = Comparison(200, 1.2e-6, 1, share=0.36, speed=Speed(1.234, 2.0))

    def job(*arguments: Any, **more: Any) -> Any:
        calls.append((*arguments, *(value for key, value in more.items() if key != "told")))
        found = replace(compared, lost=-0.003)
        return SimpleNamespace(model=file, comparison=found, framework="Keras", note="")

    def any_source(*arguments: Any) -> Any:
        calls.append(arguments)
        note = "folded for 9 frames"
        return SimpleNamespace(model=file, comparison=compared, framework="Keras", note=note)

    monkeypatch.setattr("edge_ser.lab.shipping.export_run", job)
    monkeypatch.setattr("edge_ser.lab.shipping.export_untrained", job)
    monkeypatch.setattr("edge_ser.lab.export.sources.export_source", any_source)
    return calls


def test_a_run(asked: list[Any], run: Path, capsys: Capture) -> None:
    options = ["--corpus", "mine", "--form", "dynamic", "--fold", str(run), "--name", "n"]
    assert main(["export", str(run), "-o", "my.tflite", "--unfinished", "--force", *options]) == 0
    assert asked == [(run, CORPUS, Path("my.tflite"), "dynamic", (run,), "n", True, True, None)]
    first, compared, quicker, last = capsys.readouterr().out.splitlines()
    made = run.parent / "my.tflite"
    assert first == f"{made}: plb-mine, 5 bytes, read again and compared"
    assert compared.endswith(
        "on 200 recordings: largest difference of a probability 1.2e-06, 1 "
        "labels changed, -0.3% of UAR lost"
    )
    assert quicker == "36% of the float32 file's size, 1.23 ms a clip here against 2.00"
    assert last == f"'edge-ser inspect {made}' shows its card"


def test_a_run_names_its_corpus(asked: list[Any], run: Path, monkeypatch: Patch) -> None:
    named = SimpleNamespace(experiment=SimpleNamespace(data=SimpleNamespace(corpus="emodb")))
    monkeypatch.setattr("edge_ser.lab.runs.read_run", lambda _: named)
    monkeypatch.setattr("edge_ser.corpora.read_corpus", lambda name: Corpus(name, ()))
    assert main(["export", str(run), "-o", "my.tflite"]) == 0
    assert asked[0][1].name == "emodb"


def test_an_untrained_network(asked: list[Any]) -> None:
    assert main(["export", "--untrained", "plb", "--classes", "3", "-o", "x.onnx"]) == 0
    assert asked == [("plb", 3, Path("x.onnx"), "float32", False)]


@pytest.mark.parametrize("option", ["--labels=a,b", "--unfinished", "--name=n", "--data=x"])
def test_what_an_untrained_network_does_not_take(asked: list[Any], option: str) -> None:
    assert main(["export", "--untrained", "plb", "-o", "x.onnx", option]) == 2
    assert not asked


def test_what_is_said_of_a_corpus_of_ones_own(
    asked: list[Any], run: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    words = ["--licence", "MIT", "--data", "ours", "--task", "door bells"]
    assert main(["export", str(run), "--corpus", "mine", "-o", "my.tflite", *words]) == 0
    said = asked[0][-1]
    assert (said.licence, said.data, said.task) == ("MIT", "ours", "door bells")
    monkeypatch.setattr("edge_ser.corpora.read_corpus", lambda name: Corpus("emodb", ()))
    assert main(["export", str(run), "--corpus", "emodb", "-o", "my.tflite", *words]) == 2
    assert "--licence: that of emodb is known: leave it out" in capsys.readouterr().err


def test_a_model_of_somebody_else(asked: list[Any], tmp_path: Path, capsys: Capture) -> None:
    theirs = str(tmp_path / "theirs.keras")
    options = ["--labels", "a,b", "--frontend", "log-mel", "--clip", "2", "--clips", "wavs"]
    texts = ["--name", "n", "--licence", "MIT", "--data", "d", "--task", "t"]
    assert main(["export", theirs, "-o", "x.onnx", "--outputs", "logits", *options, *texts]) == 0
    ((path, output, said, form, clips, force, _),) = asked
    assert (str(path), output, form, clips, force) == (
        *(theirs, Path("x.onnx"), "float32", "wavs", False),
    )
    assert (said.labels, said.clip_seconds, said.output) == (("a", "b"), 2.0, "logits")
    assert (said.name, said.licence, said.data, said.task) == ("n", "MIT", "d", "t")
    assert [spec.kind for spec in said.frontends] == ["log_mel"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:4] == [
        "compared with Keras on 200 recordings: largest difference of a probability 1.2e-06, "
        "1 labels changed",
        "36% of the float32 file's size, 1.23 ms a clip here against 2.00",
        "folded for 9 frames",
    ]


def test_made_up_clips_are_said_to_be_no_speech(asked: list[Any], capsys: Capture) -> None:
    assert main(["export", "theirs.onnx", "-o", "x.onnx", "--labels", "a,b"]) == 0
    said = capsys.readouterr().out
    assert "on 200 made-up clips" in said and "no recording was compared" in said


def test_a_state_dict_names_its_network(asked: list[Any]) -> None:
    options = ["--network", "tim-tab1", "--option", "blocks=2", "--option", "activation=relu"]
    assert main(["export", "w.pt", "-o", "x.onnx", "--labels", "a,b", *options]) == 0
    ((_, _, said, *_),) = asked
    assert (said.network.options.blocks, said.network.options.activation) == (2, "relu")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "x.onnx"], "expected a SOURCE, or --untrained NETWORK"),
        (["RUN", "-o", "x.onnx", "--corpus", "m", "--labels", "a"], "--labels: a run folder knows"),
        (["RUN", "-o", "x.onnx", "--untrained", "plb"], "SOURCE and --untrained"),
        (["RUN", "--corpus", "mine"], "'--output'"),
        (["a.keras", "-o", "x.onnx", "--fold", "RUN"], "--fold: only for run folders"),
        (["a.pt", "-o", "x.onnx", "--option", "a=1"], "--option: only used by --network"),
        (["a.pt", "-o", "x.onnx", "--network", "tim-tab1", "--option", "a"], "expected KEY=VALUE"),
    ],
)
def test_what_does_not_go_together(
    arguments: list[str], words: str, asked: list[Any], run: Path, capsys: Capture
) -> None:
    assert main(["export", *(str(run) if word == "RUN" else word for word in arguments)]) == 2
    assert words in capsys.readouterr().err
    assert asked == []


@pytest.mark.parametrize("option", ["--labels", "--frontend"])
def test_what_describes_a_model_is_never_written_over(
    option: str, asked: list[Any], tmp_path: Path, capsys: Capture
) -> None:
    place = tmp_path / "told.onnx"
    place.write_text("low\nhigh\n")
    assert main(["export", "a.keras", option, str(place), "-o", str(place)]) == 2
    assert "is one of the inputs" in capsys.readouterr().err
    assert asked == [] and place.read_text() == "low\nhigh\n"


def test_a_refusal_is_one_line_whatever_converters_print(
    asked: list[Any], monkeypatch: Patch, capfd: Capture
) -> None:
    import os

    def refusing(*_: Any) -> Any:
        os.write(2, b"W0000 converter: a page of advice\n")
        raise ModelError("no")

    monkeypatch.setattr("edge_ser.lab.export.sources.export_source", refusing)
    assert main(["export", "a.onnx", "-o", "x.onnx"]) == 3
    assert capfd.readouterr().err == "edge-ser: no\n"


def test_forms_are_those_of_the_workshop() -> None:
    from edge_ser.lab.export.forms import FORMS as KNOWN

    assert FORMS == KNOWN
