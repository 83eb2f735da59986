"""`edge-ser inspect`: a card to read, a frontend in a line, and models without a card."""

from __future__ import annotations

import csv
import io
import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from edge_ser.card import write_model, write_sidecar
from edge_ser.cli import main
from edge_ser.cli.inspect import _frontend
from edge_ser.frontend import PRESETS, FrontendSpec

from .cli_model_files import (
    CARD,
    GOLDENS,
    model_fixture,  # noqa: F401 for pytest to find
)

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    path = tmp_path / "theirs.tflite"
    path.write_bytes((GOLDENS / "float32.tflite").read_bytes())
    return path


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

    def test_export_is_the_first_advice_for_a_foreign_model_and_works(
        self, foreign: Path, monkeypatch: Patch, capsys: Capture
    ) -> None:
        monkeypatch.chdir(foreign.parent)
        for command in ("verify", "classify --model"):
            assert main([*command.split(), str(foreign), *["any.wav"] * ("--" in command)]) == 3
            assert "make a file that has one with 'edge-ser export " in "".join(capsys.readouterr())
        main(["inspect", str(foreign)])
        advice = capsys.readouterr().out.split("  edge-ser export ")[1].split("\n\n")[0]
        Path("mel.toml").write_text(
            'kind = "log_mel"\nrate = 16_000\nn_fft = 512\nwin_length = 512\nn_mels = 8\n'
            "fmax = 8_000\n"
        )
        for blank, filled in (
            ("A,B,C", "a,b,c"),
            ("PRESET", "mel.toml"),
            ("SECONDS", "0.6125"),
            ("\\\n", " "),
        ):
            assert blank in advice
            advice = advice.replace(blank, filled)
        assert main(["export", *shlex.split(advice)]) == 0
        assert main(["inspect", "theirs-with-card.tflite"]) == 0
        assert "theirs: speech emotion recognition" in capsys.readouterr().out

    def test_the_other_advice_for_a_foreign_model_works(
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


@pytest.mark.parametrize("name", PRESETS)
def test_every_frontend_has_its_line(name: str) -> None:
    spec = PRESETS[name]
    line = _frontend(spec, 100_000)
    assert line.startswith(spec.kind) and "\n" not in line
    assert f"hop {spec.hop_length}" in line or spec.kind == "waveform"


def test_functionals_tell_what_they_are_statistics_of() -> None:
    assert _frontend(PRESETS["functionals"], 128_000) == (
        "functionals: 1,437 statistics over the clip of 64 mel bands (htk) of 50 to 7900 Hz, "
        "26 cepstra, level and pitch of 75 to 500 Hz, hann window of 640 in an FFT of 1024, hop 256"
    )
