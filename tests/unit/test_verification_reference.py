"""Verification beside the reference libraries: they are really asked, stage by stage."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile

from edge_ser.audio import Clip, resample
from edge_ser.card import InputSpec, ModelCard
from edge_ser.errors import DependencyError, ExitCode
from edge_ser.frontend import PRESETS, FrontendSpec
from edge_ser.signals import demo_clip
from edge_ser.verification import compare_with_reference, libraries, reference, reference_library

from .verification_cards import card_of


def framed(*specs: FrontendSpec, samples: int = 50_000) -> ModelCard:
    """A card with these frontends."""
    rate = specs[0].rate
    layout = ",".join("NTFC" for _ in specs)
    wanted = InputSpec(rate=rate, clip_samples=samples, layout=layout)
    return replace(card_of(), input=wanted, frontend=specs, goldens=None)


@pytest.fixture
def recordings(tmp_path: Path) -> list[Path]:
    """A voice at 16 kHz and 22.05 kHz, and silence."""
    paths = []
    for name, rate in (("voice", 16_000), ("native", 22_050), ("silence", 16_000)):
        samples = demo_clip(rate) if name != "silence" else np.zeros(rate, np.float32)
        paths.append(tmp_path / f"{name}.wav")
        soundfile.write(paths[-1], samples, rate)
    return paths


@pytest.mark.parametrize(
    ("changes", "library"),
    [
        ({}, "librosa"),
        ({"window": "hamming", "win_length": 1024, "mel_scale": "htk", "top_db": None}, "librosa"),
        ({"centre": False, "lifter": 22, "precision": "float64"}, "librosa"),
        ({"lifter": 22, "lifter_first": 0}, None),
        ({"log": "natural"}, None),
        ({"preemphasis": 0.97}, None),
        ({"window_align": "start"}, None),
        ({"kind": "waveform"}, None),
        ({**PRESETS["functionals"].to_dict()}, None),
    ],
)
def test_librosa_computes_what_it_has_arguments_for(
    changes: dict[str, Any], library: str | None
) -> None:
    assert reference_library(replace(PRESETS["librosa"], **changes)) == library


@pytest.mark.parametrize(
    ("changes", "library"),
    [
        ({}, "python_speech_features"),
        ({"n_mels": 40, "n_mfcc": 20, "lifter": 0, "c0": "keep"}, "python_speech_features"),
        ({"n_fft": 1024, "power_scale": 1 / 1024, "preemphasis": 0.0}, "python_speech_features"),
        ({"n_fft": 1024}, None),
        ({"window": "hamming"}, None),
        ({"top_db": 80.0}, None),
    ],
)
def test_python_speech_features_computes_its_own(
    changes: dict[str, Any], library: str | None
) -> None:
    assert reference_library(replace(PRESETS["python_speech_features"], **changes)) == library


@pytest.mark.needs("librosa")
@pytest.mark.parametrize(
    "spec",
    [
        PRESETS["librosa"],
        PRESETS["log-mel"],
        PRESETS["torchaudio"],
        replace(PRESETS["librosa"], window="hamming", win_length=1500, lifter=22, dct_norm="none"),
        replace(PRESETS["librosa"], window="rectangular", centre=False, mel_norm="none"),
        replace(PRESETS["librosa-0.8"], sample_scale=32768.0, precision="float64", fmin=50.0),
    ],
)
def test_our_stages_are_those_of_librosa(spec: FrontendSpec, recordings: list[Path]) -> None:
    report = compare_with_reference(framed(spec), recordings)
    wanted = ["resampled", "power", "mel", "log", *(["mfcc"] if spec.kind == "mfcc" else [])]
    assert [(s.stage, s.status) for s in report.stages] == [(name, "ok") for name in wanted]
    assert report.ok
    assert report.files == 3
    assert report.libraries[0].startswith("librosa 0.")


@pytest.mark.needs("python_speech_features")
@pytest.mark.parametrize(
    "changes",
    [{}, {"kind": "log_mel"}, {"n_mels": 40, "n_mfcc": 20, "lifter": 0, "c0": "keep"}],
)
def test_our_stages_are_those_of_python_speech_features(
    changes: dict[str, Any], recordings: list[Path]
) -> None:
    spec = replace(PRESETS["python_speech_features"], **changes)
    report = compare_with_reference(framed(spec), recordings)
    wanted = ["power", "mel", "log", *(["mfcc"] if spec.kind == "mfcc" else [])]
    assert [(s.stage, s.status) for s in report.stages] == [(name, "ok") for name in wanted]
    assert report.libraries == ("python_speech_features 0.6",)


@pytest.mark.needs("librosa")
def test_another_resampler_is_found_out(
    recordings: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def worse(clip: Clip, rate: int, quality: str) -> Clip:
        return resample(clip, rate, "soxr_lq")

    monkeypatch.setattr(reference, "resample", worse)
    report = compare_with_reference(framed(PRESETS["librosa"]), recordings[:1])
    assert report.stages[0].status == "failed"
    assert report.stages[-1].status == "failed"
    assert report.stages[-1].detail.endswith(f"in plain orthonormal MFCC; worst in {recordings[0]}")
    assert not report.ok


@pytest.mark.needs("librosa")
def test_other_frames_are_found_out(
    recordings: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = libraries.librosa_stages

    def shorter(spec: FrontendSpec, samples: Any) -> dict[str, Any]:
        return {stage: values[1:] for stage, values in computed(spec, samples).items()}

    monkeypatch.setattr(reference, "librosa_stages", shorter)
    report = compare_with_reference(framed(PRESETS["librosa"]), recordings[1:2])
    assert [stage.status for stage in report.stages] == ["not run", *["failed"] * 4]
    assert report.stages[0].detail == "no file needed resampling to 22050 Hz"
    assert report.stages[1].worst == np.inf


@pytest.mark.needs("librosa")
def test_files_that_cannot_be_read_are_listed(recordings: list[Path], tmp_path: Path) -> None:
    bad = tmp_path / "text.wav"
    bad.write_text("no audio")
    report = compare_with_reference(framed(PRESETS["librosa"]), [bad, *recordings])
    assert (report.files, [path for path, _ in report.failed]) == (3, [str(bad)])
    none = compare_with_reference(framed(PRESETS["librosa"]), [bad])
    assert not none.ok
    assert [stage.status for stage in none.stages] == ["not run"] * 5
    assert none.stages[1].detail == "no file could be read"


@pytest.mark.needs("librosa")
def test_blocks_are_told_apart_and_one_without_library_is_plain(recordings: list[Path]) -> None:
    card = framed(PRESETS["torchaudio"], PRESETS["waveform"])
    report = compare_with_reference(card, recordings[:1])
    assert [stage.stage for stage in report.stages][-2:] == ["block 1 mfcc", "block 2 features"]
    assert report.stages[-1].status == "not run"
    assert report.stages[-1].detail.startswith("no reference library computes this frontend")
    assert report.libraries[1] == ""


@pytest.mark.parametrize("name", ["librosa", "python_speech_features"])
def test_a_missing_library_names_the_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DependencyError, match=r"pip install 'edge-ser\[reference\]'") as caught:
        compare_with_reference(framed(PRESETS[name]), [])
    assert caught.value.exit_code == ExitCode.PROVIDER


def test_an_old_librosa_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    old = ModuleType("librosa")
    old.__dict__["__version__"] = "0.9.2"
    monkeypatch.setitem(sys.modules, "librosa", old)
    with pytest.raises(DependencyError, match=r"librosa 0\.9\.2 is installed, expected 0\.10"):
        compare_with_reference(framed(PRESETS["librosa"]), [])


def test_a_log_in_nepers_is_compared_in_decibels(
    recordings: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = replace(PRESETS["python_speech_features"], kind="log_mel")

    def louder(spec: FrontendSpec, samples: Any) -> dict[str, Any]:
        stages = dict(reference._ours(spec, samples / spec.sample_scale))
        return {**stages, "log": stages["log"] + np.log(10)}

    module = ModuleType("python_speech_features")
    monkeypatch.setitem(sys.modules, "python_speech_features", module)
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0")
    monkeypatch.setattr(reference, "python_speech_features_stages", louder)
    report = compare_with_reference(framed(spec), recordings[:1])
    assert [stage.status for stage in report.stages] == ["ok", "ok", "failed"]
    assert report.stages[2].worst == pytest.approx(10.0)
