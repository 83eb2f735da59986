"""Features against the real libraries, stage by stage: what `benchmarks/parity.py` prints."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_ser.frontend import PRESETS, Frontend

CLIPS = 100
CORPORA = ("emodb", "ravdess", "emovo")
SCRIPT = Path(__file__).parents[2] / "benchmarks" / "parity.py"

parity = SimpleNamespace(**runpy.run_path(str(SCRIPT)))


def check(folder: Path, reference: str) -> None:
    paths = parity.clips_of(folder, CLIPS)
    assert len(paths) == CLIPS
    worst = parity.worst_differences(paths, reference)
    print(*parity.table(folder.name, CLIPS, worst), sep="\n")
    assert {stage: d for stage, d in worst.items() if not d <= parity.TOLERANCES[stage]} == {}


@pytest.mark.needs("librosa")
@pytest.mark.parametrize("name", CORPORA)
def test_real_speech_against_librosa(name: str, corpus: Callable[[str], Path]) -> None:
    check(corpus(name), "librosa")


@pytest.mark.needs("python_speech_features")
@pytest.mark.parametrize("name", CORPORA)
def test_real_speech_against_python_speech_features(
    name: str, corpus: Callable[[str], Path]
) -> None:
    check(corpus(name), "python_speech_features")


def signals() -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    click = np.zeros(30_000)
    click[[5, 12_345]] = 1, -1
    made = {
        "silence": np.zeros(30_000),
        "offset": np.full(30_000, 0.5),
        "clicks": click,
        "full-scale square": np.where(np.arange(30_000) % 50 < 25, 1.0, -1.0),
        "noise": rng.uniform(-1, 1, 30_000),
        "faint noise": 1e-4 * rng.uniform(-1, 1, 30_000),
        "one sample": np.array([0.5]),
        "a few samples": rng.uniform(-1, 1, 700),
    }
    return {name: samples.astype(np.float32) for name, samples in made.items()}


@pytest.mark.needs("librosa")
@pytest.mark.filterwarnings("ignore:n_fft=2048 is too large")
@pytest.mark.parametrize("pad_mode", ["constant", "reflect"])
@pytest.mark.parametrize("name", signals())
def test_synthetic_signals_against_librosa(name: str, pad_mode: str) -> None:
    import librosa

    samples = signals()[name]
    mel = librosa.feature.melspectrogram(y=samples, sr=22_050, pad_mode=pad_mode)
    log = librosa.power_to_db(mel)
    mfcc = librosa.feature.mfcc(S=log, n_mfcc=39)
    spec = PRESETS["librosa" if pad_mode == "constant" else "librosa-0.8"]
    log_mel = Frontend(replace(spec, kind="log_mel"))(samples)
    floor = 1e-6 * float(mel.max())
    ours = 10 ** (log_mel / 10)
    np.testing.assert_allclose(ours, np.maximum(mel.T, ours.min()), rtol=1e-5, atol=floor)
    above = 1e-4 * mel.max() < mel.T  # further down float32 rounds each FFT its own way
    np.testing.assert_allclose(log_mel[above], log.T[above], atol=5e-3)
    if name != "offset":  # all bands but one are rounding errors
        np.testing.assert_allclose(Frontend(spec)(samples), mfcc.T, atol=1e-3)


@pytest.mark.needs("librosa")
@pytest.mark.parametrize("rate", [8_000, 48_000])
def test_other_rates_against_librosa(rate: int) -> None:
    import librosa

    from edge_ser.audio import Clip, resample

    samples = signals()["noise"]
    theirs = librosa.resample(samples, orig_sr=rate, target_sr=22_050)
    ours = resample(Clip(samples, rate), 22_050).samples
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
    mfcc = librosa.feature.mfcc(y=theirs, sr=22_050, n_mfcc=39)
    np.testing.assert_allclose(Frontend(PRESETS["librosa"])(ours), mfcc.T, atol=1e-3)
