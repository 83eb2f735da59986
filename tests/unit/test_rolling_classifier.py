"""Windows classified with the frames of the last one kept: the results of `Classifier.predict`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ser.card import InputSpec, ModelFile
from edge_ser.classifier import Classifier, RollingClassifier
from edge_ser.runtime import Tensor
from edge_ser.testing import FakeInterpreter, tiny_card

RATE = 16_000
HOP = 160


def answer(features: Sequence[np.ndarray]) -> Mapping[str, Any]:
    """Scores that hang on the features: a frame of another window would show."""
    score = 1 / (1 + np.exp(-float(features[0].mean()) / 10))
    return {"scores": [[score, 1 - score]]}


def model(level_dbfs: float | None = None) -> Classifier:
    card = tiny_card(input=InputSpec(rate=RATE, clip_samples=RATE, level_dbfs=level_dbfs))
    shape = (1, *card.frontend[0].shape(RATE), 1)
    interpreter = FakeInterpreter(
        answer, [Tensor("features", shape, "float32")], [Tensor("scores", (1, 2), "float32")]
    )
    return Classifier(ModelFile(Path("tiny.onnx"), "onnx", b"", card), interpreter)


@pytest.mark.parametrize("level_dbfs", [None, -26.0])
def test_windows_are_classified_as_from_scratch(level_dbfs: float | None) -> None:
    classifier = model(level_dbfs)
    rolling = RollingClassifier(classifier, RATE)
    stream = np.random.default_rng(0).standard_normal(4 * RATE).astype(np.float32) * 0.1
    stream *= np.linspace(0.1, 1, len(stream), dtype=np.float32)
    for start in range(0, 3 * RATE, 20 * HOP):
        window = stream[start : start + RATE]
        wanted, found = classifier.predict(window), rolling(window, start, run=0)
        assert found.scores == pytest.approx(wanted.scores, abs=1e-4)
        assert found.gain_db == pytest.approx(wanted.gain_db)
        assert found.seconds == 1.0


def test_nothing_is_kept_over_a_gap() -> None:
    classifier = model()
    rolling = RollingClassifier(classifier, RATE)
    rng = np.random.default_rng(0)
    before, after = (rng.standard_normal(RATE).astype(np.float32) * gain for gain in (0.5, 1e-3))
    rolling(before, 0, run=0)
    found = rolling(after, HOP, run=1)
    assert found.scores == pytest.approx(classifier.predict(after).scores, abs=1e-5)
