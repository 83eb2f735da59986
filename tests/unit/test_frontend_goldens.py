"""Features against those that the real libraries gave once (tests/goldens/frontend)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser import signals
from edge_ser.frontend import PRESETS, Frontend

GOLDENS = Path(__file__).parents[1] / "goldens" / "frontend"


def goldens(name: str) -> dict[str, NDArray[Any]]:
    with np.load(GOLDENS / f"{name}.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def close(ours: NDArray[Any], theirs: NDArray[Any], atol: float) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol)


def test_librosa_stage_by_stage() -> None:
    golden = goldens("librosa")
    frontend = Frontend(PRESETS["librosa"])
    samples = signals.as_float(signals.test_signal(20_000, 22_050))
    power = frontend.power(samples)
    close(power[0:40:8], golden["power"], 1e-6 * golden["power"].max())
    close(frontend.mel(power), golden["mel"], 1e-6 * golden["mel"].max())
    close(frontend.log(golden["mel"]), golden["log"], 5e-3)
    close(frontend.cepstra(golden["log"]), golden["mfcc"], 1e-3)
    close(frontend(samples), golden["mfcc"], 1e-3)
    close(Frontend(PRESETS["log-mel"])(samples), golden["log"], 5e-3)
    close(Frontend(PRESETS["librosa-0.8"])(samples), golden["reflect_mfcc"], 1e-3)


def test_reflection_is_not_zeros() -> None:
    golden = goldens("librosa")
    assert np.abs(golden["reflect_mfcc"] - golden["mfcc"]).max() > 1


def test_python_speech_features() -> None:
    golden = goldens("python_speech_features")
    frontend = Frontend(PRESETS["python_speech_features"])
    samples = signals.as_float(signals.test_signal(16_000, 16_000))
    close(frontend.mel(frontend.power(samples)), golden["mel"], 1e-6 * golden["mel"].max())
    close(frontend(samples), golden["mfcc"], 1e-3)


def test_torchaudio() -> None:
    """The library itself, and its documented formula written out, both in float64."""
    golden = goldens("torchaudio")
    features = Frontend(PRESETS["torchaudio"])(
        signals.as_float(signals.test_signal(16_000, 16_000))
    )
    assert features.shape == (40, 81)
    close(features, golden["mfcc"], 1e-3)
    close(features, golden["formula"], 1e-3)
