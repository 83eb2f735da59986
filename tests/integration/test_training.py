"""Training on a few made-up clips: repeatable, resumable, and refusing what does not fit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from edge_ser.corpora import Corpus, Utterance
from edge_ser.errors import DataError, UsageError
from edge_ser.lab import compute, jobs
from edge_ser.lab.datasets import Dataset
from edge_ser.lab.protocols import Split
from edge_ser.lab.recipe import Recipe
from edge_ser.lab.runs import fold_of, read_run

pytestmark = [
    pytest.mark.needs("tensorflow"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

RECIPE = Recipe("routing", epochs=3, batch=4, evaluate_every=2, keep_best=True)
NAMES = [f"clip{i}" for i in range(10)]
SPLIT = Split("grouped-01", NAMES[:7], NAMES[7:], speakers=["x"])


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.fixture(scope="module")
def data() -> Dataset:
    rng = np.random.default_rng(0)
    labels = np.arange(10) % 3
    features = rng.standard_normal((10, 196, 39)) * 20 + 10 * labels[:, None, None]
    return Dataset(NAMES, features.astype(np.float32), labels, ["a", "b", "c"])


def trained(data: Dataset, folder: Path, recipe: Recipe = RECIPE, **kwargs: Any) -> list[Any]:
    compute.prepare()
    from edge_ser.lab.training import train

    weights: list[Any] = train(recipe, data, SPLIT, folder, **kwargs).get_weights()
    return weights


@pytest.fixture(scope="module")
def reference(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    folder = tmp_path_factory.mktemp("runs") / "reference"
    return folder, trained(data, folder)


def test_a_killed_training_ends_as_one_that_was_not(
    data: Dataset, reference: tuple[Path, list[Any]], tmp_path: Path
) -> None:
    def kill(row: dict[str, float]) -> None:
        raise Killed

    with pytest.raises(Killed):
        trained(data, tmp_path, report=kill)
    # Died while it wrote: half a model beside, and a row of an epoch whose weights are lost.
    (tmp_path / "last.part.keras").write_bytes(b"half")
    with (tmp_path / "metrics.jsonl").open("a") as metrics:
        metrics.write('{"epoch": 1, "loss": 9.0}\n')
    for mine, other in zip(trained(data, tmp_path), reference[1], strict=True):
        np.testing.assert_array_equal(mine, other)
    for name in ("metrics.jsonl", "predictions.json", "split.json", "recipe.json"):
        assert (tmp_path / name).read_text() == (reference[0] / name).read_text()


def test_seeds_decide(data: Dataset, reference: tuple[Path, list[Any]], tmp_path: Path) -> None:
    same = trained(data, tmp_path / "same")
    other = trained(data, tmp_path / "other", replace(RECIPE, seed=43))
    for mine, known in zip(same, reference[1], strict=True):
        np.testing.assert_array_equal(mine, known)
    assert any((a != b).any() for a, b in zip(same, other, strict=True))


def test_a_finished_run_is_read_and_not_trained_again(
    data: Dataset, reference: tuple[Path, list[Any]]
) -> None:
    folder, weights = reference

    def never(row: dict[str, float]) -> None:
        raise AssertionError(row)

    again = trained(data, folder, report=never)
    assert all((a == b).all() for a, b in zip(again, weights, strict=True))
    run = read_run(folder)
    assert run.finished and run.recipe == RECIPE and run.split == SPLIT
    fold = fold_of(run, data)
    assert fold.labels.tolist() == data.labels[7:].tolist()
    np.testing.assert_allclose(fold.scores.sum(axis=1), 1, atol=1e-5)
    right = fold.scores.argmax(axis=1) == fold.labels
    assert run.rows[-1]["test_accuracy"] == pytest.approx(right.mean())
    assert "test_wa" not in run.rows[0] and "test_wa" in run.rows[1]
    assert (folder / "best.keras").exists()


def test_the_published_accuracy_is_the_mean_of_batches() -> None:
    compute.prepare()
    from edge_ser.lab.training import _measure

    scores = np.eye(2, dtype=np.float32)[[0, 0, 0, 1, 1]]
    measured = _measure(scores, np.array([0, 0, 0, 1, 0]), batch=4)
    assert measured == {
        "test_accuracy": pytest.approx(0.8),
        "test_uar": pytest.approx((3 / 4 + 1) / 2),
        "test_wa": pytest.approx((1 + 0) / 2),
    }


def test_a_folder_of_another_run_is_refused(
    data: Dataset, reference: tuple[Path, list[Any]]
) -> None:
    with pytest.raises(DataError, match=r"recipe\.json is of another run"):
        trained(data, reference[0], replace(RECIPE, epochs=4))


def test_a_loss_that_is_no_number_stops(data: Dataset, tmp_path: Path) -> None:
    features = data.features.copy()
    features[0] = np.nan
    with pytest.raises(DataError, match="the loss of epoch 0 is nan; lower the rate"):
        trained(replace(data, features=features), tmp_path)
    assert not (tmp_path / "last.keras").exists()


def test_a_job_trains_the_folds_that_were_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_SER_RUNS", str(tmp_path / "runs"))
    rng = np.random.default_rng(0)
    made = []
    for index in range(6):
        path = tmp_path / f"{index}.wav"
        soundfile.write(path, rng.uniform(-0.5, 0.5, 8000), 16_000)
        made.append(Utterance(path, "ab"[index % 2], f"s{index // 2}"))
    corpus = Corpus("tiny", tuple(made))
    recipe = Recipe("routing", epochs=1, batch=4)
    told: list[tuple[str, Mapping[str, float]]] = []
    (folder,) = jobs.train_job(
        corpus, recipe, "loso", [2], lambda run, row: told.append((run, row))
    )
    assert folder == tmp_path / "runs" / "tiny-routing" / "loso-s1"
    assert [run for run, _ in told] == ["loso-s1"] and told[0][1]["epoch"] == 0
    assert json.loads((folder / "split.json").read_text())["test"] == ["2", "3"]
    with pytest.raises(UsageError, match="fold 4 of loso: expected 1 to 3"):
        jobs.train_job(corpus, recipe, "loso", [4])
