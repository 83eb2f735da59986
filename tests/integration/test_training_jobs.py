"""Jobs of several folds and seeds, and backbones that hear every clip once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_ser import metrics
from edge_ser.errors import ConfigError, UsageError
from edge_ser.lab import jobs
from edge_ser.lab.architectures.networks import network
from edge_ser.lab.experiment import DATA, Experiment, TrainingOptions
from edge_ser.lab.export.sources import run_source
from edge_ser.lab.protocols import ProtocolOptions
from edge_ser.lab.runs import fold_of, read_run

from .training_clips import TRAINING, experiment, recorded

pytestmark = [
    pytest.mark.needs("tensorflow", "torch", "matplotlib"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


def test_a_job_trains_the_folds_and_seeds_that_were_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_SER_RUNS", str(tmp_path / "runs"))
    corpus = recorded(tmp_path, "ab" * 3, [8000] * 6)
    chosen = replace(
        experiment("tim-tab1", TrainingOptions(epochs=1, batch=4)),
        data=replace(DATA["tim"], clip_samples=9_000),
        protocol=ProtocolOptions("loso"),
        augmentation={"step": [{"name": "gain", "db": [-6.0, 6.0]}]},
    )
    told: list[tuple[str, Mapping[str, float]]] = []
    planned = jobs.plan(chosen, corpus, [2])
    folders = jobs.train_job(planned, [42, 7], lambda run, row: told.append((run, row)))
    home = tmp_path / "runs" / "made-up"
    assert folders == [home / "loso-s1", home / "loso-s1-seed-7"]
    assert [run for run, _ in told] == ["loso-s1", "loso-s1-seed-7"] and told[0][1]["epoch"] == 0
    run = read_run(folders[1])
    assert run.split.test == ["2", "3"] and run.classes == ("a", "b")
    assert run.experiment.training.seed == 7 and run.experiment.data.corpus == "tiny"
    assert run.experiment.augmentation == chosen.augmentation
    assert {path.name for path in folders[0].iterdir()} >= {"confusion.png", "classification.txt"}
    masked = experiment("functionals-24", TRAINING)
    masked = replace(masked, augmentation={"step": [{"name": "time_mask"}]})
    masked = replace(masked, data=replace(masked.data, labels=("a", "b")))
    with pytest.raises(ConfigError, match="time_mask masks frames or bands, which functionals"):
        jobs.plan(masked, corpus)
    with pytest.raises(UsageError, match="fold 4 of loso: expected 1 to 3"):
        jobs.plan(chosen, corpus, [4])


@pytest.mark.needs("transformers")
def test_a_frozen_backbone_sees_every_clip_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head is trained on cached vectors, and joined to its backbone gives the same scores."""
    from edge_ser.lab.datasets import read_dataset

    monkeypatch.setenv("EDGE_SER_RUNS", str(tmp_path / "runs"))
    corpus = recorded(tmp_path, "abc" * 3, range(4000, 4900, 100))
    tiny = network("wav2vec2").with_options(size="tiny", freeze="all")
    chosen = Experiment(
        "frozen",
        replace(DATA["wav2vec2"], clip_samples=4_500),
        tiny,
        ProtocolOptions("loso"),
        TrainingOptions(epochs=2, batch=4),
    )
    with pytest.raises(ConfigError, match=r"frozen backbone hears every clip once"):
        jobs.plan(replace(chosen, augmentation={"gain": {}}), corpus, [1])
    planned = jobs.plan(chosen, corpus, [1])
    (folder,) = jobs.train_job(planned, threads=1)
    assert len(list((tmp_path / "runs" / "embeddings").rglob("*.npy"))) == 9

    # Another seed has another backbone, where no folder gives one.
    (other,) = jobs.train_job(planned, [7], threads=1)
    data = read_dataset(planned.corpus, planned.experiment.data)
    at = data.index(planned.splits[0].test)
    for run in map(read_run, (folder, other)):
        logits = run_source(run).bind(((4_500,),), 3).scores([data.features[at]])
        scores = metrics.softmax(logits.astype(np.float64))
        np.testing.assert_allclose(scores, fold_of(run).scores, atol=1e-5)
