"""`edge-ser adapt`: its report, its file, its exit status and its one-line errors; `--profile`."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from edge_ser.adaptation import Adapted, adapt
from edge_ser.card import Population, read_model
from edge_ser.classifier import read_profile
from edge_ser.cli import main
from edge_ser.testing import TINY_CLIP_SAMPLES, TINY_FRONTEND, write_tiny_model

from .adaptation_models import RATE, write_base, write_tones

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """base.onnx and tones/, in the working directory."""
    write_base(tmp_path / "base.onnx")
    write_tones(tmp_path / "tones")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def adapted(*options: str) -> int:
    return main(["adapt", "base.onnx", "tones", "-o", "mine.onnx", *options])


@pytest.mark.usefixtures("home")
class TestAdapt:
    def test_table(self, capsys: Capture) -> None:
        assert adapted() == 0
        lines = capsys.readouterr().out.splitlines()
        size = Path("mine.onnx").stat().st_size
        assert lines[0] == f"mine.onnx: base-adapted, {size} bytes, read again and verified"
        assert lines[2].split() == ["label", "clips", "before", "after"]
        assert lines[3].split()[:2] == ["low", "4"] and lines[3].endswith("100.0 %")
        assert lines[7].split()[:2] == ["(uar)", "12"] and lines[7].endswith("100.0 %")
        assert any("an estimate" in line for line in lines)
        assert main(["verify", "mine.onnx"]) == 0
        assert main(["classify", "tones/high/0.wav", "--model", "mine.onnx"]) == 0
        assert "high" in capsys.readouterr().out

    @pytest.mark.parametrize("lower", [True, False])
    def test_a_model_that_got_worse_is_better_not_used(
        self, lower: bool, monkeypatch: pytest.MonkeyPatch, capsys: Capture
    ) -> None:
        def worse(*arguments: Any) -> Adapted:
            made = adapt(*arguments)
            after = replace(made.after, accuracy=made.after.accuracy - 0.1 * lower)
            return replace(made, before=made.after, after=after)

        monkeypatch.setattr("edge_ser.adaptation.adapt", worse)
        assert adapted() == 0
        assert ("better keep the original model" in capsys.readouterr().out) == lower

    def test_json(self, capsys: Capture) -> None:
        assert adapted("--format", "json", "--only", "--l2", "0.5") == 0
        found = json.loads(capsys.readouterr().out)
        assert found["labels"] == ["low", "middle", "high"]
        assert found["clips"] == {"high": 4, "low": 4, "middle": 4}
        assert found["after_left_out"]["uar"] == 1.0
        assert found["before"]["recalls"].keys() == {"low", "middle", "high"}
        assert found["failures"] == [] and found["seen_in_training"] == 0

    def test_csv_and_json_lines(self, capsys: Capture) -> None:
        assert adapted("--format", "csv") == 0
        rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
        assert [row["label"] for row in rows] == ["low", "middle", "high", "(accuracy)", "(uar)"]
        assert rows[4]["after"] == "1.0"
        assert adapted("--format", "jsonl") == 0
        (line,) = capsys.readouterr().out.splitlines()
        assert json.loads(line)["name"] == "base-adapted"

    def test_labels_of_ones_own(self, capsys: Capture) -> None:
        write_tones(Path("own"), names=("stop", "go"))
        assert main(["adapt", "base.onnx", "own", "-o", "own.onnx"]) == 0
        out = capsys.readouterr().out
        assert "labels of your own" in out and out.splitlines()[2].split()[2] == "right"
        assert read_model("own.onnx").card.labels == ("go", "stop")

    def test_a_bad_recording_is_told_and_is_1(self, capsys: Capture) -> None:
        Path("tones/low/0.wav").write_bytes(b"no audio")
        assert adapted() == 1
        assert "left out: tones/low/0.wav: " in capsys.readouterr().out
        assert Path("mine.onnx").is_file()

    def test_inspect_tells_of_the_head(self, capsys: Capture) -> None:
        assert adapted() == 0
        capsys.readouterr()
        assert main(["inspect", "mine.onnx"]) == 0
        out = capsys.readouterr().out
        assert "adapted: labels made of 11 values" in out
        assert main(["inspect", "base.onnx"]) == 0
        assert "adapted" not in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("arguments", "code", "said"),
        [
            (["base.onnx", "tones", "-o", "base.onnx"], 2, "is one of the inputs"),
            (["base.onnx", "tones", "-o", "tones/low/0.wav"], 2, "is one of the inputs"),
            (["base.onnx", "tones", "-o", "m.tflite"], 2, "expected a name that ends in .onnx"),
            (["base.onnx", "tones", "-o", "m.onnx", "--l2", "0"], 2, "--l2"),
            (["base.onnx", "tones"], 2, "--output"),
            (["tiny.onnx", "tones", "-o", "m.onnx"], 3, "names no embedding"),
            (["gone.onnx", "tones", "-o", "m.onnx"], 3, "gone.onnx"),
            (["base.onnx", "gone", "-o", "m.onnx"], 7, "gone"),
            (["base.onnx", "tones/low", "-o", "m.onnx"], 7, "tones/low"),
            (
                ["base.onnx", "tones", "-o", "gone/m.onnx"],
                6,
                "gone/m.onnx: no such folder: make it",
            ),
        ],
    )
    def test_errors_are_one_line(
        self, arguments: list[str], code: int, said: str, capsys: Capture
    ) -> None:
        write_tiny_model("tiny.onnx", {"low": 0.5, "middle": 0.3, "high": 0.2})
        assert main(["adapt", *arguments]) == code
        out, err = capsys.readouterr()
        assert out == "" and said in err and len(err.splitlines()) == 1
        assert not Path("m.onnx").exists()


VALUES = math.prod(TINY_FRONTEND.shape(TINY_CLIP_SAMPLES))


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """base.onnx with a population of 12 clips' doubt, and tones/, in the working directory."""
    population = Population.of([0.0] * VALUES, [12.0] * VALUES)
    write_base(tmp_path / "base.onnx", population=population)
    write_tones(tmp_path / "tones")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def profiled(place: str, *options: str) -> int:
    return main(["adapt", "base.onnx", place, "--unlabelled", "-o", "me.json", *options])


@pytest.mark.usefixtures("people")
class TestUnlabelled:
    def test_table(self, capsys: Capture) -> None:
        assert profiled("tones") == 0
        out, err = capsys.readouterr()
        assert err == ""
        assert out.splitlines() == [
            "me.json: 12 clips, 6.0 s, for base",
            "50.0 % of how they differ from other speakers is believed; more clips, more of it",
            "",
            "edge-ser classify new.wav --model base.onnx --profile me.json",
        ]
        profile = read_profile(Path("me.json"))
        assert (profile.clips, profile.seconds) == (12, 6.0)
        assert main(["classify", "tones", "--model", "base.onnx", "--profile", "me.json"]) == 0
        assert not list(Path().glob(".*"))

    def test_formats_for_programs(self, capsys: Capture) -> None:
        expected = {
            "path": "me.json",
            "model": "base",
            "clips": 4,
            "seconds": 2.0,
            "believed": 0.25,
        }
        for format_ in ("json", "jsonl"):
            assert profiled("tones/low", "--format", format_) == 0
            assert json.loads(capsys.readouterr().out) == {**expected, "failures": []}
        assert profiled("tones/low", "--format", "csv") == 0
        assert capsys.readouterr().out.splitlines() == [
            "path,model,clips,seconds,believed",
            "me.json,base,4,2.0,0.25",
        ]

    def test_a_file_a_manifest_and_a_folder_of_any_shape(self, capsys: Capture) -> None:
        Path("clips.csv").write_text("path,label\ntones/low/0.wav,a\ntones/high/1.wav,strange\n")
        Path("tones/deep/er").mkdir(parents=True)
        Path("tones/low/3.wav").rename("tones/deep/er/3.wav")
        soundfile.write("one.wav", np.tile(soundfile.read("tones/low/0.wav")[0], 2), RATE)
        for place, clips in (("one.wav", 1), ("clips.csv", 2), ("tones", 12)):
            assert profiled(place) == 0
            assert read_profile(Path("me.json")).clips == clips
        assert "me.json: 1 clip, 1.0 s" in capsys.readouterr().out

    def test_a_bad_recording_is_told_and_is_1(self, capsys: Capture) -> None:
        Path("tones/low/0.wav").write_bytes(b"no audio")
        assert profiled("tones", "--format", "json") == 1
        (failure,) = json.loads(capsys.readouterr().out)["failures"]
        assert failure["path"] == "tones/low/0.wav"
        assert profiled("tones") == 1
        assert "left out: tones/low/0.wav: " in capsys.readouterr().out
        assert read_profile(Path("me.json")).clips == 11

    @pytest.mark.parametrize(
        ("arguments", "code", "said"),
        [
            (["base.onnx", "tones", "-o", "me.onnx"], 2, "expected a name that ends in .json"),
            (["base.onnx", "tones", "-o", "-"], 2, "expected a name that ends in .json"),
            (["base.onnx", "tones", "-o", "x.json", "--only"], 2, "--only and --l2 mean nothing"),
            (["base.onnx", "tones", "-o", "x.json", "--l2", "1"], 2, "--only and --l2 mean"),
            (["base.onnx", "clip.json", "-o", "clip.json"], 2, "is one of the inputs"),
            (["gone.onnx", "tones", "-o", "x.json"], 3, "gone.onnx"),
            (["tiny.onnx", "tones", "-o", "x.json"], 3, "knows nothing of how speakers differ"),
            (["base.onnx", "gone", "-o", "x.json"], 7, "gone: no such folder or manifest"),
            (["base.onnx", "empty", "-o", "x.json"], 7, "empty: no audio in this folder"),
            (["base.onnx", "bad.wav", "-o", "x.json"], 7, "(1 left out: bad.wav: "),
            (
                ["base.onnx", "tones/low/0.wav", "-o", "x.json"],
                7,
                "0.50 s of speech in 1 recording",
            ),
            (["base.onnx", "tones", "-o", "gone/x.json"], 6, "cannot be written"),
        ],
    )
    def test_errors_are_one_line(
        self, arguments: list[str], code: int, said: str, capsys: Capture
    ) -> None:
        write_tiny_model("tiny.onnx", {"low": 0.5, "middle": 0.3, "high": 0.2})
        Path("clip.json").write_bytes(Path("tones/low/0.wav").read_bytes())
        Path("bad.wav").write_bytes(b"no audio")
        Path("empty").mkdir()
        assert main(["adapt", *arguments, "--unlabelled"]) == code
        out, err = capsys.readouterr()
        assert out == "" and said in err and len(err.splitlines()) == 1
        assert not Path("x.json").exists() and not Path("me.onnx").exists()


@pytest.mark.usefixtures("people")
class TestProfile:
    """`--profile` of the commands that hear."""

    @pytest.fixture(autouse=True)
    def prepared(self, people: Path, capsys: Capture) -> None:
        assert profiled("tones/high") == 0
        quiet, loud = np.zeros(RATE * 2), 0.1 * np.sin(2 * np.pi * 300 * np.arange(RATE) / RATE)
        noise = 1e-4 * np.random.default_rng(0).standard_normal(5 * RATE)
        soundfile.write("talk.wav", np.concatenate([quiet, loud, quiet]) + noise, RATE)
        capsys.readouterr()

    def scores(self, capsys: Capture, *arguments: str) -> list[dict[str, float]]:
        assert main([*arguments, "--model", "base.onnx", "--format", "jsonl"]) == 0
        return [json.loads(line)["scores"] for line in capsys.readouterr().out.splitlines()]

    def test_classify(self, capsys: Capture) -> None:
        (plain,) = self.scores(capsys, "classify", "tones/low/0.wav")
        (mine,) = self.scores(capsys, "classify", "tones/low/0.wav", "--profile", "me.json")
        assert mine != pytest.approx(plain, abs=1e-3)

    @pytest.mark.parametrize("mode", ["utterance", "window"])
    def test_listen_by_flag_and_by_every_other_way(
        self, mode: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        listen = ("listen", "--input", "talk.wav", "--pace", "fast", "--mode", mode)
        plain = self.scores(capsys, *listen)
        mine = self.scores(capsys, *listen, "--profile", "me.json")
        assert len(plain) == len(mine) > 0
        assert all(a != pytest.approx(b, abs=1e-3) for a, b in zip(plain, mine, strict=True))
        assert self.scores(capsys, *listen, "--set", "model.profile=me.json") == mine
        Path("edge-ser.toml").write_text('[model]\nprofile = "me.json"\n')
        assert self.scores(capsys, *listen, "--config", "edge-ser.toml") == mine
        monkeypatch.setenv("EDGE_SER_MODEL_PROFILE", "me.json")
        assert self.scores(capsys, *listen) == mine

    def test_what_is_read_is_not_written(self, capsys: Capture) -> None:
        before = Path("me.json").read_bytes()
        for arguments in (["classify", "talk.wav"], ["listen", "--input", "talk.wav"]):
            given = [*arguments, "--model", "base.onnx", "--profile", "me.json", "-o", "me.json"]
            assert main(given) == 2
            assert "me.json: the place to write to is one of the inputs" in capsys.readouterr().err
        assert Path("me.json").read_bytes() == before

    @pytest.mark.parametrize(
        ("profile", "code", "said"),
        [
            ("gone.json", 2, "gone.json: No such file or directory; expected a profile by"),
            ("talk.wav", 2, "talk.wav: "),
            ("other.json", 3, "the profile is of another frontend than base's"),
        ],
    )
    def test_errors_are_one_line(self, profile: str, code: int, said: str, capsys: Capture) -> None:
        other = json.loads(Path("me.json").read_text()) | {"frontend": "0" * 64}
        Path("other.json").write_text(json.dumps(other))
        for arguments in (["classify", "talk.wav"], ["listen", "--input", "talk.wav"]):
            assert main([*arguments, "--model", "base.onnx", "--profile", profile]) == code
            out, err = capsys.readouterr()
            assert out == "" and said in err and len(err.splitlines()) == 1
