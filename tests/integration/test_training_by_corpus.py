"""A network that answers by corpus too, in training: what it learns, going on where it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ser.lab import compute
from edge_ser.lab.datasets import Dataset
from edge_ser.lab.experiment import Experiment
from edge_ser.lab.runs import read_run

from .training_clips import (
    SPLIT,
    Killed,
    of_two_corpora,
    trained,
    with_all_that_is_drawn,
    without_seconds,
)

pytestmark = [
    pytest.mark.needs("tensorflow", "torch", "matplotlib"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

CORPORA = {"one": 0.5, "two": 2.0}


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch) -> tuple[Experiment, Dataset]:
    """Corpora with labels a, b and a, b, c, which show in the features; sounds, mixtures too."""
    chosen, data = with_all_that_is_drawn(*of_two_corpora("functionals-24"), monkeypatch)
    two = np.array([each.corpus == "two" for each in data.utterances.values()])[:, None]
    labels = np.where(two[:, 0], data.labels, data.labels % 2)
    shown = np.hstack([100 * np.eye(3)[labels], np.repeat(200.0 * two, 5, axis=1)])
    rng = np.random.default_rng(0)
    first, *versions = (
        (shown + rng.normal(0, 5, shown.shape)).astype(np.float32) for _ in range(3)
    )
    options = chosen.network.with_options(corpora=CORPORA, label_sets=((0, 1), (0, 1, 2)))
    return replace(chosen, network=options), replace(
        data,
        features=first,
        versions=tuple(versions),
        known=np.where(two, True, [[True, True, False]]),
        labels=labels,
    )


def test_a_killed_training_ends_as_one_that_was_not(
    joined: tuple[Experiment, Dataset], tmp_path: Path
) -> None:
    chosen, data = joined
    whole = trained("keras", tmp_path / "whole", experiment=chosen, data=data)

    def kill(row: dict[str, float]) -> None:
        if row["epoch"] == 1:
            raise Killed

    with pytest.raises(Killed):
        trained("keras", tmp_path / "killed", experiment=chosen, data=data, report=kill)
    again = trained("keras", tmp_path / "killed", experiment=chosen, data=data)
    for mine, other in zip(again, whole, strict=True):
        np.testing.assert_array_equal(mine, other)
    assert without_seconds(tmp_path / "killed") == without_seconds(tmp_path / "whole")
    assert read_run(tmp_path / "whole").experiment == chosen


def test_corpora_labels_and_noise_are_told_apart(
    joined: tuple[Experiment, Dataset], tmp_path: Path
) -> None:
    """Where the corpus shows in the features, labels that it lacks are hardly believed."""
    compute.prepare()
    from edge_ser.lab.training import train

    chosen, data = joined
    training = replace(chosen.training, epochs=100, mixup=0.0, learning_rate=0.02)
    trainer: Any = train(replace(chosen, training=training), data, SPLIT, tmp_path)
    at = data.index(SPLIT.train)
    scores = trainer.scores(data.features[at])
    assert (scores.argmax(axis=1) == data.labels[at]).mean() > 0.8
    assert scores[~data.known[at]].max() < 0.3
    rows = read_run(tmp_path).rows
    assert rows[-1]["loss"] < rows[0]["loss"] / 2 and rows[-1]["accuracy"] > rows[0]["accuracy"]


def test_examples_ask_for_the_one_answer_or_for_corpus_and_label(
    joined: tuple[Experiment, Dataset],
) -> None:
    from edge_ser.lab.examples import examples_of
    from edge_ser.lab.training.batches import one_answer, two_answers

    chosen, data = joined
    examples = examples_of(chosen, data, SPLIT.train)
    features, targets = two_answers(examples, chosen, 3, np.random.default_rng(0))
    assert len(features) == len(targets) == 2 * examples.count
    assert targets.shape[1:] == (4, 3)
    first = (targets[:, 1:] == -1).all(axis=(1, 2))
    assert first.sum() == examples.count and (targets[~first, 0] == -1).all()
    alone, wanted = one_answer(examples, chosen, 3, np.random.default_rng(0))
    at = np.lexsort(features[first].T), np.lexsort(alone.T)
    np.testing.assert_array_equal(features[first][at[0]], alone[at[1]])
    np.testing.assert_array_equal(targets[first, 0][at[0]], wanted[at[1]])
    joint = targets[~first, 1:]
    np.testing.assert_allclose(joint.sum(axis=(1, 2)), 1, rtol=1e-6)
    # Of one corpus each, and of labels that it has; the last row is of sounds.
    assert ((joint > 0).any(axis=2).sum(axis=1) == 1).all()
    assert not joint[:, 0, 2].any()
    sounds = joint[:, 2].any(axis=1)
    assert sounds.sum() == examples.sounds
    np.testing.assert_allclose(joint[sounds, 2], 1 / 3)
    # Clips of the second corpus lie 200 higher: mixed within each, none lies between.
    heights = features[~first][~sounds, 3:].mean(axis=1)
    assert ((heights > 100) == joint[~sounds, 1].any(axis=1)).all()
