"""A tiny model file with a card, for commands that read one."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_ser.card import (
    ConditionFigures,
    InputSpec,
    ModelCard,
    OutputSpec,
    Provenance,
    write_model,
)
from edge_ser.frontend import FrontendSpec

GOLDENS = Path(__file__).resolve().parents[1] / "goldens" / "models"
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


@pytest.fixture(name="model")
def model_fixture(tmp_path: Path) -> Path:
    payload = (GOLDENS / "float32.tflite").read_bytes()
    return write_model(tmp_path / "tiny.tflite", payload, CARD).path
