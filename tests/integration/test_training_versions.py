"""Training on versions and mixtures of clips of two corpora: resumable, tested on clips alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ser.errors import DataError
from edge_ser.lab import compute
from edge_ser.lab.runs import fold_of, read_run

from .training_clips import (
    MIXED,
    SPLIT,
    TRAINING,
    VERSIONS,
    Killed,
    experiment,
    of_two_corpora,
    trained,
    with_all_that_is_drawn,
    without_seconds,
)

pytestmark = [
    pytest.mark.needs("tensorflow", "torch", "matplotlib"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("name", ["functionals-24", "tim-tab1"])
def test_versions_and_mixtures_are_those_of_a_training_that_was_not_killed(
    name: str, everything: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    framework = "keras" if name == "functionals-24" else "torch"
    chosen, data = of_two_corpora(name)
    if everything:
        chosen, data = with_all_that_is_drawn(chosen, data, monkeypatch)
    whole = trained(framework, tmp_path / "whole", experiment=chosen, data=data)

    def kill(row: dict[str, float]) -> None:
        if row["epoch"] == 1:
            raise Killed

    with pytest.raises(Killed):
        trained(framework, tmp_path / "killed", experiment=chosen, data=data, report=kill)
    again = trained(framework, tmp_path / "killed", experiment=chosen, data=data)
    for mine, other in zip(again, whole, strict=True):
        np.testing.assert_array_equal(mine, other)
    assert without_seconds(tmp_path / "killed") == without_seconds(tmp_path / "whole")
    run = read_run(tmp_path / "whole")
    assert run.finished and run.experiment.augmentation == VERSIONS
    assert run.experiment == chosen
    # Scores are among the classes of the clip's own corpus.
    scores = fold_of(run).scores
    known = data.known[data.index(run.split.test)]
    assert not known.all() and (scores[~known] == 0).all() and scores.any(axis=1).all()
    # Of three scores of six decimals each.
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=2e-6)


def test_clips_that_are_tested_are_never_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute.prepare()
    from edge_ser.lab.training.keras_trainer import KerasTrainer

    chosen, data = of_two_corpora("functionals-24")
    seen: list[Any] = []
    monkeypatch.setattr(
        KerasTrainer, "scores", lambda self, x: seen.append(x) or np.full((len(x), 3), 1 / 3)
    )
    trained("keras", tmp_path, experiment=chosen, data=data)
    expected = [data.features[data.index(at)] for at in (SPLIT.validation, SPLIT.test)]
    assert len(seen) > 4
    assert all(any(np.array_equal(x, side) for side in expected) for x in seen)


def test_the_first_epoch_standardises_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute.prepare()
    import keras

    chosen, data = of_two_corpora("functionals-24")
    chosen = replace(chosen, augmentation={}, training=replace(MIXED, mixup=0.0, epochs=3))
    adapted: list[Any] = []
    real = keras.layers.Normalization.adapt

    def adapt(layer: Any, features: Any) -> None:
        adapted.append(features)
        real(layer, features)

    monkeypatch.setattr(keras.layers.Normalization, "adapt", adapt)

    def kill(row: dict[str, float]) -> None:
        raise Killed

    with pytest.raises(Killed):
        trained("keras", tmp_path, experiment=chosen, data=data, report=kill)
    weights = trained("keras", tmp_path, experiment=chosen, data=data)
    assert len(adapted) == 1
    clips = data.features[data.index(SPLIT.train)]
    np.testing.assert_allclose(weights[0], clips.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(weights[1], clips.var(axis=0), rtol=1e-4)
    assert sorted(map(tuple, adapted[0].tolist())) == sorted(map(tuple, clips.tolist()))


def test_margins_know_no_class_that_a_corpus_lacks(tmp_path: Path) -> None:
    _, data = of_two_corpora("functionals-24")
    chosen = experiment("functionals-24", replace(TRAINING, loss="margin"))
    with pytest.raises(DataError, match="corpora of different labels with loss = margin"):
        trained("keras", tmp_path, experiment=chosen, data=data)


def test_a_temperature_of_a_corpus_that_is_not_there_is_refused(tmp_path: Path) -> None:
    chosen, data = of_two_corpora("functionals-24")
    options = replace(chosen.training, corpus_temperature={"oen": 0.5})
    with pytest.raises(DataError, match=r"names oen, expected corpora of the clips: none is known"):
        trained("keras", tmp_path, experiment=replace(chosen, training=options), data=data)
