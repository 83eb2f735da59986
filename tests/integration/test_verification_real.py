"""Our features beside the real libraries on real clips, and the shipped models on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edge_ser.card import InputSpec, ModelCard, OutputSpec, Provenance
from edge_ser.frontend import PRESETS
from edge_ser.verification import STAGES, compare_with_reference, verify

MODELS = Path(__file__).resolve().parents[2] / "models"
CLIPS = 100


def spread(folder: Path) -> list[Path]:
    """`CLIPS` recordings from all over a corpus."""
    recordings = sorted(p for p in folder.rglob("*") if p.suffix in {".wav", ".flac"})
    assert len(recordings) >= CLIPS
    return recordings[:: len(recordings) // CLIPS][:CLIPS]


@pytest.mark.parametrize(
    ("preset", "samples"),
    [
        pytest.param("librosa", 100_000, marks=pytest.mark.needs("librosa")),
        pytest.param(
            "python_speech_features", 72_563, marks=pytest.mark.needs("python_speech_features")
        ),
    ],
)
@pytest.mark.parametrize("name", ["emodb", "ravdess", "emovo"])
def test_every_stage_holds_on_real_clips(
    corpus: Callable[[str], Path], name: str, preset: str, samples: int
) -> None:
    spec = PRESETS[preset]
    card = ModelCard(
        name="frontend",
        task="test",
        labels=("a", "b"),
        input=InputSpec(rate=spec.rate, clip_samples=samples),
        frontend=(spec,),
        output=OutputSpec(),
        provenance=Provenance(state="untrained"),
    )
    report = compare_with_reference(card, spread(corpus(name)))
    assert report.failed == ()
    assert report.files == CLIPS
    # A corpus that is at the model's rate already needs no resampling.
    assert [s for s in report.stages if not s.ok and s.stage != "resampled"] == []
    assert report.ok


def test_shipped_models_verify_here() -> None:
    for path in sorted((*MODELS.glob("*.tflite"), *MODELS.glob("*.onnx"))):
        stages = verify(path).stages
        assert [(path.name, s.stage, s.status, s.detail) for s in stages if not s.ok] == []
        assert len(stages) == len(STAGES)
