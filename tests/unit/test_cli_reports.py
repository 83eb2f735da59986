"""The commands that print what other rooms found: models, inspect, verify, evaluate, doctor."""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge_ser import zoo
from edge_ser.card import (
    ConditionFigures,
    InputSpec,
    ModelCard,
    OutputSpec,
    Provenance,
    write_model,
    write_sidecar,
)
from edge_ser.cli import main
from edge_ser.corpora import Corpus, Utterance
from edge_ser.doctor import Finding
from edge_ser.errors import AudioError, DataError, EdgeSerError, ProviderError
from edge_ser.evaluation import (
    Failure,
    ModelResult,
    Report,
    Robustness,
    RobustnessRow,
    Spread,
)
from edge_ser.frontend import FrontendSpec
from edge_ser.verification import ReferenceReport, StageResult, Verification

GOLDENS = Path(__file__).resolve().parents[1] / "goldens" / "models"
Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch

FAKE = SimpleNamespace(path=Path("fake.tflite"))
"""What `evaluate` needs of a classifier before it scores."""

SPEC = FrontendSpec(kind="log_mel", rate=16_000, n_fft=512, win_length=512, n_mels=8, fmax=8_000)
CARD = ModelCard(
    name="tiny",
    task="emotion",
    labels=("calm", "glad", "cross"),
    input=InputSpec(rate=16_000, clip_samples=9_800),
    frontend=(SPEC,),
    output=OutputSpec(),
    provenance=Provenance(
        state="trained",
        protocol="grouped, 5 folds",
        metrics={"uar": {"mean": 0.61, "deviation": 0.04}},
        robustness=(ConditionFigures("white noise", 0.5, 0.4),),
        licence="CC0-1.0",
        training_clips=("0123456789abcdef",),
        speakers=("08", "09"),
    ),
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    payload = (GOLDENS / "float32.tflite").read_bytes()
    return write_model(tmp_path / "tiny.tflite", payload, CARD).path


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    path = tmp_path / "theirs.tflite"
    path.write_bytes((GOLDENS / "float32.tflite").read_bytes())
    return path


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


class TestInspect:
    def test_table(self, model: Path, capsys: Capture) -> None:
        assert main(["inspect", str(model)]) == 0
        text = capsys.readouterr().out
        for expected in (
            "tiny: emotion",
            "calm, glad, cross",
            "CC0-1.0",
            "log_mel, 20 x 8",
            "Measured\n  protocol       grouped, 5 folds",
            "  uar.deviation  0.04",
            "  uar.mean       0.61",
            "  white noise     0.500  0.400",
            "  speakers  08, 09",
            "  training clips  1",
            "card and model are as they were exported",
        ):
            assert expected in text

    def test_json_is_the_card(self, model: Path, capsys: Capture) -> None:
        assert main(["inspect", str(model), "--format", "json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["labels"] == list(CARD.labels)
        assert document["frontend"][0]["n_mels"] == 8
        assert document["card_sha256"]

    def test_csv_is_its_leaves(self, model: Path, capsys: Capture) -> None:
        assert main(["inspect", str(model), "--format", "csv"]) == 0
        rows = dict(csv.reader(io.StringIO(capsys.readouterr().out)))
        assert rows["input.rate"] == "16000"
        assert rows["frontend.0.hop_length"] == "512"

    def test_waveform_models(self, foreign: Path, capsys: Capture) -> None:
        spec = FrontendSpec(kind="waveform", rate=16_000)
        write_sidecar(foreign, replace(CARD, frontend=(spec, spec)))
        assert main(["inspect", str(foreign)]) == 0
        text = capsys.readouterr().out
        assert "  block 2  waveform, 9800 samples, normalised: none" in text

    def test_a_foreign_model_is_told_how_to_get_a_card(
        self, foreign: Path, capsys: Capture
    ) -> None:
        assert main(["inspect", str(foreign)]) == 0
        text = capsys.readouterr().out
        assert "a model without a card of edge-ser" in text
        assert "theirs.tflite.edge_ser.json beside it" in text
        assert "missing  labels, rate, clip length, frontend, calibration" in text
        assert main(["inspect", str(foreign), "--format", "json"]) == 0
        assert json.loads(capsys.readouterr().out)["card"] is None

    def test_the_advice_for_a_foreign_model_works(
        self, foreign: Path, monkeypatch: Patch, capsys: Capture
    ) -> None:
        main(["inspect", str(foreign)])
        advice = capsys.readouterr().out.split("beside it:\n")[1].split("The labels stand")[0]
        program = "\n".join(line.removeprefix("  ") for line in advice.splitlines())
        for blank, filled in (
            ("labels=(...)", 'labels=("a", "b", "c")'),
            ("rate=...", "rate=16000"),
            ("clip_samples=...", "clip_samples=9800"),
            ("kind=...", 'kind="log_mel", n_fft=512, win_length=512, n_mels=8, fmax=8000'),
            ("licence=...", 'licence="MIT"'),
        ):
            assert blank in program
            program = program.replace(blank, filled)
        monkeypatch.chdir(foreign.parent)
        exec(program, {})
        assert main(["inspect", str(foreign)]) == 0
        assert "MIT" in capsys.readouterr().out

    def test_a_broken_sidecar_is_an_error(self, foreign: Path, capsys: Capture) -> None:
        beside = write_sidecar(foreign, CARD)
        beside.write_text(beside.read_text().replace("calm", "clam"))
        assert main(["inspect", str(foreign)]) == 3
        assert "the card was changed or damaged" in capsys.readouterr().err
        beside.write_text("[]")
        assert main(["inspect", str(foreign)]) == 3
        assert "no JSON object" in capsys.readouterr().err

    def test_a_long_name_of_a_value_does_not_break_the_layout(
        self, tmp_path: Path, capsys: Capture
    ) -> None:
        card = replace(CARD, segmenting={"k" * 150: "a value"})
        payload = (GOLDENS / "float32.tflite").read_bytes()
        path = write_model(tmp_path / "long.tflite", payload, card).path
        assert main(["inspect", str(path)]) == 0
        assert "k" * 150 + "  a value" in capsys.readouterr().out

    def test_the_model_is_not_written_over(self, model: Path, capsys: Capture) -> None:
        before = model.read_bytes()
        for command in ("inspect", "verify"):
            assert main([command, str(model), "-o", str(model)]) == 2
            assert "is one of the inputs" in capsys.readouterr().err
        assert model.read_bytes() == before


class TestVerify:
    def report(self, monkeypatch: Patch, *stages: StageResult) -> None:
        result = Verification("tiny.tflite", stages)
        monkeypatch.setattr("edge_ser.verification.verify", lambda *_: result)

    def test_table(self, model: Path, monkeypatch: Patch, capsys: Capture) -> None:
        self.report(
            monkeypatch,
            StageResult("card", "ok", detail="its hash holds"),
            StageResult("features", "failed", 0.5, 0.001, "worst at (0, 1)"),
            StageResult("scores", "not run", detail="features failed"),
        )
        assert main(["verify", str(model)]) == 3
        assert capsys.readouterr().out.splitlines() == [
            "check  stage     status   worst  allowed",
            "model  card      ok                       its hash holds",
            "model  features  FAILED     0.5    0.001  worst at (0, 1)",
            "model  scores    not run                  features failed",
        ]

    def test_a_missing_provider_is_4(self, model: Path, monkeypatch: Patch) -> None:
        error = ProviderError("no cuda")
        self.report(monkeypatch, StageResult("labels", "failed", detail="no cuda", error=error))
        assert main(["verify", str(model), "-o", "/dev/null"]) == 4

    @pytest.mark.parametrize(
        ("stage", "failed", "files", "code"),
        [
            ("ok", (), 1, 0),
            ("failed", (), 1, 3),
            ("ok", (("b.wav", AudioError("b.wav: empty")),), 1, 1),
            ("not run", (("b.wav", AudioError("b.wav: empty")),), 0, 5),
        ],
    )
    def test_reference(
        self,
        stage: Any,
        failed: tuple[tuple[str, EdgeSerError], ...],
        files: int,
        code: int,
        model: Path,
        monkeypatch: Patch,
        capsys: Capture,
    ) -> None:
        self.report(monkeypatch, StageResult("card", "ok"))
        result = ReferenceReport(
            (StageResult("mel", stage, 1e-7, 1e-6),), ("librosa 0.11.0",), files, failed
        )
        monkeypatch.setattr(
            "edge_ser.verification.compare_with_reference", lambda card, paths: result
        )
        arguments = ["verify", str(model), "--reference", "b.wav", "--format", "jsonl"]
        assert main(arguments) == code
        first, second, *rest = map(json.loads, capsys.readouterr().out.splitlines())
        assert first["check"] == "model"
        assert second["check"] == "librosa 0.11.0"
        assert [r["detail"] for r in rest] == [str(error) for _, error in failed]


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


class TestDoctor:
    FINDINGS = (
        Finding("system", "ok", "Python 3.11"),
        Finding("runtime", "ok", "LiteRT ran a model"),
        Finding("runtime", "problem", "ONNX Runtime is there twice", "pip uninstall\npip install"),
    )

    @pytest.mark.parametrize(("count", "code"), [(1, 4), (2, 0), (3, 1)])
    def test_exit_status(self, count: int, code: int, monkeypatch: Patch) -> None:
        monkeypatch.setattr("edge_ser.doctor.examine", lambda: self.FINDINGS[:count])
        assert main(["doctor", "-o", "/dev/null"]) == code

    def test_table(self, monkeypatch: Patch, capsys: Capture) -> None:
        monkeypatch.setattr("edge_ser.doctor.examine", lambda: self.FINDINGS)
        main(["doctor"])
        assert capsys.readouterr().out.splitlines() == [
            "system",
            "  ok    Python 3.11",
            "",
            "runtime",
            "  ok    LiteRT ran a model",
            "  MEND  ONNX Runtime is there twice",
            "        -> pip uninstall",
            "        -> pip install",
        ]

    def test_json(self, monkeypatch: Patch, capsys: Capture) -> None:
        monkeypatch.setattr("edge_ser.doctor.examine", lambda: self.FINDINGS[:2])
        main(["doctor", "--format", "json"])
        assert json.loads(capsys.readouterr().out)[0] == {
            "area": "system",
            "status": "ok",
            "what": "Python 3.11",
            "mend": "",
        }


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
