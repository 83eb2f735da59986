"""The real peers on a few synthetic clips: the same weights give the same labels everywhere."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from edge_ser.benchmarks.peer_process import by_librosa, keras_model

from edge_ser import signals, zoo
from edge_ser.audio import fit, read_clip, resample
from edge_ser.bench.options import BenchOptions
from edge_ser.bench.peers import available_peers, run_peers
from edge_ser.bench.workload import Workload, open_workload
from edge_ser.errors import ModelError
from edge_ser.frontend import PRESETS, Frontend

RATE = 16_000
OPTIONS = BenchOptions(runs=3, warm_up_clips=1, most_s=300.0)
STAGES = {"load", "resample", "frontend", "model", "post", "total"}
KERAS = Path(__file__).parents[2] / "models" / "folds" / "plb-emodb" / "whole.keras"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    """A voice as it is, one of a larger speaker, and one longer than the model's clip."""
    folder = tmp_path_factory.mktemp("clips")
    voice = signals.demo_clip(RATE)
    deep = np.interp(np.arange(0, len(voice) - 1, 0.8), np.arange(len(voice)), voice)
    for name, samples in (("a", voice), ("b", deep), ("c", np.tile(voice, 3))):
        soundfile.write(folder / f"{name}.wav", samples, RATE)
    return open_workload(str(folder))


@pytest.mark.needs("librosa", "tensorflow")
def test_all_ways_agree_with_ours(clips: Workload) -> None:
    names = ["keras-eager", "keras-predict", "tf-function", "librosa-litert", "librosa-onnx"]
    peers = available_peers(zoo.find_model(zoo.BENCHMARK_MODEL), names, KERAS)
    entries: list[dict[str, Any]] = []
    run_peers(peers, clips, OPTIONS, entries)
    assert [entry["name"] for entry in entries] == ["edge-ser", *names]
    for entry in entries:
        assert entry["error"] is None, entry["name"]
        assert {stage: len(times) for stage, times in entry["samples_ms"].items()} == (
            dict.fromkeys(STAGES, 3)
        )
        assert "untrained" not in entry["what"]
    for entry in entries[1:]:
        assert (entry["labels_agree"], entry["labels"]) == (3, 3), entry["name"]
        assert entry["ratio"]["low"] <= entry["ratio"]["value"] <= entry["ratio"]["high"]


@pytest.mark.needs("librosa")
def test_the_workers_features_are_ours(clips: Workload) -> None:
    for name in ("librosa", "log-mel"):
        spec = PRESETS[name]
        clip = resample(read_clip(clips.items[0].source), spec.rate)
        samples = fit(clip.samples, 100_000)
        assert np.abs(by_librosa(spec, samples) - Frontend(spec)(samples)).max() < 5e-3


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize(
    ("name", "parameters"),
    [("plb-other", 95_288), ("improved-routing-untrained", 93_872), ("routing", 156_384)],
)
def test_without_weights_the_architecture_is_built(name: str, parameters: int) -> None:
    card = SimpleNamespace(name=name, labels=range(7))
    assert keras_model({"keras": None}, card).count_params() == parameters


@pytest.mark.needs("tensorflow")
def test_no_weights_and_no_architecture_is_said() -> None:
    with pytest.raises(ModelError, match=r"no Keras weights of mine .* give .* --keras FILE"):
        keras_model({"keras": None}, SimpleNamespace(name="mine", labels=range(7)))


def test_what_a_worker_cannot_open_is_said_in_its_own_words(
    clips: Workload, tmp_path: Path
) -> None:
    model = tmp_path / "gone.tflite"
    model.write_bytes(zoo.find_model(zoo.BENCHMARK_MODEL).read_bytes())
    peers = available_peers(model, [])
    model.write_bytes(b"no model")
    entries: list[dict[str, Any]] = []
    run_peers(peers, clips, OPTIONS, entries)
    (error,) = [entry["error"] for entry in entries]
    assert error.startswith(f"ended with status 3: {model}: ")
