"""`edge-ser evaluate`: its report and its forms, perturbed clips, folds, pictures."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge_ser.cli import main
from edge_ser.corpora import Corpus, Utterance
from edge_ser.errors import DataError
from edge_ser.evaluation import Failure, ModelResult, Report, Robustness, RobustnessRow, Spread

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch

FAKE = SimpleNamespace(path=Path("fake.tflite"))
"""What `evaluate` needs of a classifier before it scores."""

REPORT = Report(
    corpus="mine",
    labels=("calm", "glad"),
    n=4,
    seen_in_training=2,
    unknown_labels={"shy": 1},
    failures=(Failure("x.wav", "x.wav: empty"),),
    accuracy=0.75,
    uar=0.7,
    ece=0.1,
    chance_ece=0.02,
    accuracy_at_80=0.8,
    oracle_share_at_80=0.3,
    calibrated_share_at_80=Spread(0.43, 0.09),
    negative_log_likelihood=0.5,
    confusion=((2, 1), (0, 1)),
    models=(ModelResult("fold 1", 2, 0.5, 0.5), ModelResult("fold 2", 2, 1.0, 1.0)),
)


class TestEvaluate:
    @pytest.fixture(autouse=True)
    def prepared(self, monkeypatch: Patch) -> None:
        corpus = Corpus("mine", (Utterance(Path("a.wav"), "calm"),))
        monkeypatch.setattr("edge_ser.corpora.read_corpus", lambda _: corpus)
        monkeypatch.setattr("edge_ser.cli.evaluate.open_classifier", lambda *_: FAKE)
        self.asked: list[bool] = []
        self.score(monkeypatch, REPORT)

    def score(self, monkeypatch: Patch, report: Report) -> None:
        def score(corpus: Corpus, models: Any, *, own_labels: bool, progress: Any) -> Report:
            self.asked.append(own_labels)
            return report

        monkeypatch.setattr("edge_ser.evaluation.score", score)

    def test_table(self, capsys: Capture) -> None:
        assert main(["evaluate", "mine"]) == 1
        text = capsys.readouterr().out
        for expected in (
            "mine: 4 of 8 clips scored",
            "2 clips seen in training",
            "1 clips of label 'shy'",
            "accuracy              75.0 %        75.0 %     35.4 %",
            "which is 30.0 % of what an oracle would gain",
            "perfectly calibrated it would be 43 ± 9 %",
            "fold 2      2   100.0 %  100.0 %",
            "calm     2     1   66.7 %",
            "failed: x.wav: empty",
        ):
            assert expected in text

    def test_seen_in_training_has_no_figures(self, monkeypatch: Patch, capsys: Capture) -> None:
        self.score(monkeypatch, Report("mine", ("calm", "glad"), 0, 5, {}, ()))
        assert main(["evaluate", "mine"]) == 0
        text = capsys.readouterr().out
        assert "5 clips seen in training" in text
        assert "accuracy" not in text

    def test_labels_that_no_model_knows_are_7(self, monkeypatch: Patch, capsys: Capture) -> None:
        self.score(monkeypatch, Report("mine", ("calm", "glad"), 0, 0, {"shy": 5}, ()))
        assert main(["evaluate", "mine"]) == DataError.exit_code
        assert "expected some of the model's: calm, glad" in capsys.readouterr().err

    def test_nothing_readable_is_5(self, monkeypatch: Patch, capsys: Capture) -> None:
        failures = tuple(Failure(f"{n}.wav", f"{n}.wav: empty") for n in range(12))
        self.score(monkeypatch, Report("mine", ("calm", "glad"), 0, 0, {}, failures))
        assert main(["evaluate", "mine"]) == 5
        assert "and 2 more failed" in capsys.readouterr().out

    def test_json_is_the_report(self, capsys: Capture) -> None:
        main(["evaluate", "mine", "--format", "json"])
        assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(REPORT.to_dict()))
        main(["evaluate", "mine", "--format", "jsonl"])
        assert json.loads(capsys.readouterr().out)["uar"] == 0.7

    def test_csv_is_the_confusion(self, capsys: Capture) -> None:
        main(["evaluate", "mine", "--format", "csv"])
        rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
        assert [row["glad"] for row in rows] == ["1", "1"]

    def test_own_labels_are_asked_for(self) -> None:
        main(["evaluate", "mine"])
        main(["evaluate", "mine", "--own-labels"])
        assert self.asked == [False, True]

    def test_perturb(self, monkeypatch: Patch, capsys: Capture, tmp_path: Path) -> None:
        rows = (
            RobustnessRow("clean", 0.75, 0.7, 1.0),
            RobustnessRow("gain +6 dB", 0.5, 0.35, 0.5, 0.25, 0.125),
        )
        heard: list[Any] = []

        def table(
            corpus: Corpus, models: Any, noise: Any, *, own_labels: bool, progress: Any
        ) -> Robustness:
            heard.extend(noise)
            self.asked.append(own_labels)
            return Robustness(REPORT, rows)

        monkeypatch.setattr("edge_ser.evaluation.robustness_table", table)
        soundfile = pytest.importorskip("soundfile")
        soundfile.write(tmp_path / "hum.wav", [0.1, 0.2], 8_000)
        assert main(["evaluate", "mine", "--perturb", "--noise", str(tmp_path)]) == 1
        assert (
            "gain +6 dB      50.0 %  35.0 %   50.0 %  25.0 %     12.5 %" in capsys.readouterr().out
        )
        [(samples, rate)] = heard
        assert (len(samples), rate) == (2, 8_000)
        assert main(["evaluate", "mine", "--perturb", "--format", "csv"]) == 1
        assert capsys.readouterr().out.splitlines()[2] == "gain +6 dB,0.5,0.35,0.5,0.25,0.125"
        main(["evaluate", "mine", "--perturb", "--own-labels"])
        assert self.asked == [False, False, True]

    def test_noise_that_cannot_be_used_is_left_out_and_named(
        self, monkeypatch: Patch, capsys: Capture, tmp_path: Path
    ) -> None:
        heard: list[Any] = []

        def table(corpus: Corpus, models: Any, noise: Any, **_: Any) -> Robustness:
            heard.extend(noise)
            return Robustness(REPORT, ())

        monkeypatch.setattr("edge_ser.evaluation.robustness_table", table)
        monkeypatch.setattr("edge_ser.cli.evaluate.NOISE_S", 0.5)
        soundfile = pytest.importorskip("soundfile")
        soundfile.write(tmp_path / "hum.wav", [0.1] * 8_000, 8_000)
        soundfile.write(tmp_path / "silent.wav", [0.0] * 80, 8_000)
        (tmp_path / "bad.wav").write_text("no audio")
        noisy = ["evaluate", "mine", "--perturb", "--noise", str(tmp_path)]
        assert main(noisy) == 1
        said = capsys.readouterr().err
        assert f"left out: {tmp_path / 'silent.wav'}: silent" in said
        assert f"left out: {tmp_path / 'bad.wav'}: not audio" in said
        [(samples, rate)] = heard
        assert (len(samples), rate) == (4_000, 8_000), "the first half second"
        assert main([*noisy, "-o", str(tmp_path / "hum.wav")]) == 2
        assert "is one of the inputs" in capsys.readouterr().err

    def test_the_picture_is_not_the_report(self, tmp_path: Path, capsys: Capture) -> None:
        pytest.importorskip("matplotlib")
        place = str(tmp_path / "a.png")
        assert main(["evaluate", "mine", "-o", place, "--plot", place]) == 2
        assert "named for two results" in capsys.readouterr().err and not Path(place).exists()

    def test_folds_are_all_models_of_the_folder(
        self, monkeypatch: Patch, tmp_path: Path, capsys: Capture
    ) -> None:
        for name in ("b.onnx", "a.tflite", "notes.txt"):
            (tmp_path / name).touch()
        opened: list[str] = []
        monkeypatch.setattr(
            "edge_ser.cli.evaluate.open_classifier", lambda name, *_: opened.append(name) or FAKE
        )
        assert main(["evaluate", "mine", "--folds", str(tmp_path)]) == 1
        assert opened == [str(tmp_path / "a.tflite"), str(tmp_path / "b.onnx")]

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--noise", "."], "--noise: only used by --perturb"),
            (["--folds", ".", "--model", "x"], "--model and --folds"),
            (["--folds", "."], "no .tflite or .onnx file"),
            (["--perturb", "--noise", "."], "no noise that can be used in this folder"),
        ],
    )
    def test_what_does_not_go_together(
        self,
        arguments: list[str],
        words: str,
        tmp_path: Path,
        monkeypatch: Patch,
        capsys: Capture,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert main(["evaluate", "mine", *arguments]) in (2, 7)
        said = capsys.readouterr()
        assert words in said.err
        assert said.out == ""

    @pytest.mark.parametrize("name", ["m.svg", "m", "-", "png"])
    def test_a_picture_is_called_what_it_is(
        self, name: str, tmp_path: Path, monkeypatch: Patch, capsys: Capture
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert main(["evaluate", "mine", "--plot", name]) == 2
        assert f"{name}: expected a name that ends in .png" in capsys.readouterr().err
        assert self.asked == [] and not list(tmp_path.iterdir())

    @pytest.mark.needs("matplotlib")
    def test_a_picture_in_place_of_a_folder_is_refused_before_the_work(
        self, tmp_path: Path, capsys: Capture
    ) -> None:
        (tmp_path / "a.png").mkdir()
        assert main(["evaluate", "mine", "--plot", str(tmp_path / "a.png")]) == 6
        assert "a.png: a folder, expected the name of a file" in capsys.readouterr().err
        assert self.asked == []

    @pytest.mark.parametrize(("missing", "code"), [("folder", 6), ("matplotlib", 4)])
    def test_a_picture_that_cannot_be_is_said_before_the_work(
        self, missing: str, code: int, tmp_path: Path, monkeypatch: Patch
    ) -> None:
        if missing == "matplotlib":
            monkeypatch.setitem(sys.modules, "matplotlib", None)
            monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        place = tmp_path / ("nowhere/a.png" if missing == "folder" else "a.png")
        assert main(["evaluate", "mine", "--plot", str(place)]) == code
        assert self.asked == []

    @pytest.mark.needs("matplotlib")
    def test_plot(self, tmp_path: Path) -> None:
        target = tmp_path / "confusion.png"
        assert main(["evaluate", "mine", "--plot", str(target), "-o", "/dev/null"]) == 1
        assert target.read_bytes().startswith(b"\x89PNG")
