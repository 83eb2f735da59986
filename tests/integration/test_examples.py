"""The examples of docs/examples run as they are, on tiny models and made-up clips."""

from __future__ import annotations

import importlib.util
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from edge_ser import load_model
from edge_ser.errors import ModelError
from edge_ser.lab.shipping import export_untrained

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
RATE = 16_000

pytestmark = [
    pytest.mark.needs("torch", "onnxscript", "sklearn"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch"),
]


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("untrained") / "cnn-features-32.onnx"
    return export_untrained("cnn-features-32", 2, path).model.path


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Two words, one deep and one high, twelve clips to train on each and four to test."""
    rng = np.random.default_rng(0)
    rows = ["path,label,split"]
    times = np.arange(RATE) / RATE
    for word, hertz in (("deep", 200), ("high", 3000)):
        for number in range(16):
            tone = 0.3 * np.sin(2 * np.pi * hertz * times + rng.uniform(0, 6))
            clip = tone + 0.01 * rng.standard_normal(RATE)
            soundfile.write(tmp_path / f"{word}{number}.wav", clip, RATE)
            rows.append(f"{word}{number}.wav,{word},{'train' if number < 12 else 'test'}")
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    return tmp_path


def test_features_reused_by_other_classifiers(
    untrained: Path,
    corpus: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    features_svm = example("features_svm")
    with pytest.raises(ModelError, match="never trained"):
        features_svm.main(str(untrained), str(corpus))
    # Even random filters tell a deep tone from a high one.
    monkeypatch.setattr(features_svm, "load_model", partial(load_model, allow_untrained=True))
    features_svm.main(str(untrained), str(corpus))
    assert capsys.readouterr().out.splitlines() == [
        "32 features; 24 clips train, 8 test",
        "support vector machine: 1.000",
        "5 nearest neighbours: 1.000",
    ]
    manifest = corpus / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("test", "train"))
    with pytest.raises(SystemExit, match="expected splits train and test"):
        features_svm.main(str(untrained), str(corpus))
