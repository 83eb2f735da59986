"""`edge-ser verify`: its table, its exit status, and the reference libraries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge_ser.cli import main
from edge_ser.errors import AudioError, EdgeSerError, ProviderError
from edge_ser.verification import ReferenceReport, StageResult, Verification

from .cli_model_files import model_fixture  # noqa: F401 for pytest to find

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


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
