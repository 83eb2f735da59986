"""`edge-ser doctor`: its table and its exit status."""

from __future__ import annotations

import json

import pytest

from edge_ser.cli import main
from edge_ser.doctor import Finding

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


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
