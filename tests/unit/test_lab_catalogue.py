"""models/README.md is what the cards say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from edge_ser.lab.catalogue import catalogue, families, read_latency

CHECKOUT = Path(__file__).resolve().parents[2]
PLB = CHECKOUT / "models" / "plb-emodb.tflite"


def test_the_committed_page_is_that_of_the_cards() -> None:
    done = subprocess.run(
        [sys.executable, CHECKOUT / "scripts/models_readme.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"run scripts/models_readme.py ({done.stderr})"


def test_forms_of_the_same_weights_stand_together() -> None:
    names = ["b-dynamic.tflite", "a.onnx", "b.tflite", "b.onnx", "b-int8.onnx"]
    found = families([Path(name) for name in names])
    assert {name: [p.name for p in paths] for name, paths in found.items()} == {
        "a": ["a.onnx"],
        "b": ["b.onnx", "b.tflite", "b-int8.onnx", "b-dynamic.tflite"],
    }


def test_latency_is_shown_with_its_machine(tmp_path: Path) -> None:
    assert read_latency(tmp_path / "none.json") == {}
    text = catalogue([PLB], {"machine": "a made-up CPU", "ms": {PLB.name: 1.234}})
    row = next(line for line in text.splitlines() if PLB.name in line)
    assert "| 1.23 |" in row and "154.6" in row and "CC0-1.0" in row
    assert "on a made-up CPU" in text and "## plb-emodb" in text
    assert "| high-pass 120 Hz | 32.7 % | 23.2 % | 46% |" in text
