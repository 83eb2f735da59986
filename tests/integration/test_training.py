"""Training on a few made-up clips: repeatable, resumable, and refusing what does not fit."""

from __future__ import annotations

import errno
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ser.errors import ConfigError, DataError, StorageError
from edge_ser.lab.architectures.networks import network
from edge_ser.lab.experiment import TrainingOptions
from edge_ser.lab.protocols import Split
from edge_ser.lab.runs import claim, fold_of, read_run

from .training_clips import (
    EXPERIMENTS,
    KERAS,
    SPLIT,
    TORCH,
    TRAINING,
    Killed,
    experiment,
    made_up,
    trained,
    without_seconds,
)

pytestmark = [
    pytest.mark.needs("tensorflow", "torch", "matplotlib"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]
SUFFIXES = {"keras": ".keras", "torch": ".pt"}


@pytest.fixture(scope="module", params=["keras", "torch"])
def reference(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, list[Any]]:
    folder = tmp_path_factory.mktemp("runs") / request.param
    return request.param, folder, trained(request.param, folder)


Reference = tuple[str, Path, list[Any]]


@pytest.mark.parametrize("last_whole_epoch", [1, 3])
def test_a_killed_training_ends_as_one_that_was_not(
    reference: Reference, tmp_path: Path, last_whole_epoch: int
) -> None:
    framework, folder, weights = reference

    def kill(row: dict[str, float]) -> None:
        if row["epoch"] + 1 == last_whole_epoch:
            raise Killed

    with pytest.raises(Killed):
        trained(framework, tmp_path, report=kill)
    # Died while it wrote: half a model beside, and a row of an epoch whose weights are lost.
    (tmp_path / f"last.part{SUFFIXES[framework]}").write_bytes(b"half")
    with (tmp_path / "metrics.jsonl").open("a") as metrics:
        metrics.write('{"epoch": 9, "loss": 9.0}\n')
    for mine, other in zip(trained(framework, tmp_path), weights, strict=True):
        np.testing.assert_array_equal(mine, other)
    for name in ("predictions.json", "split.json", "config.toml"):
        assert (tmp_path / name).read_text() == (folder / name).read_text()
    assert without_seconds(tmp_path) == without_seconds(folder)


def test_seeds_decide(reference: Reference, tmp_path: Path) -> None:
    framework, _, weights = reference
    same = trained(framework, tmp_path / "same")
    chosen = EXPERIMENTS[framework]
    other = trained(
        framework,
        tmp_path / "other",
        experiment=replace(chosen, training=replace(chosen.training, seed=43)),
    )
    for mine, known in zip(same, weights, strict=True):
        np.testing.assert_array_equal(mine, known)
    assert any((a != b).any() for a, b in zip(same, other, strict=True))


def test_a_finished_run_is_read_and_not_trained_again(reference: Reference) -> None:
    framework, folder, weights = reference

    def never(row: dict[str, float]) -> None:
        raise AssertionError(row)

    again = trained(framework, folder, report=never)
    assert all((a == b).all() for a, b in zip(again, weights, strict=True))
    run = read_run(folder)
    assert run.finished and run.experiment == EXPERIMENTS[framework]
    assert run.split.audio and replace(run.split, audio="") == SPLIT
    fold = fold_of(run)
    assert fold.labels.tolist() == [1, 2, 0]
    np.testing.assert_allclose(fold.scores.sum(axis=1), 1, atol=1e-5)
    assert "test_wa" not in run.rows[0] and "test_wa" in run.rows[1]
    assert (folder / f"best{SUFFIXES[framework]}").exists()
    assert run.weights.name == {"keras": "last.keras", "torch": "best.pt"}[framework]
    if framework == "keras":
        right = fold.scores.argmax(axis=1) == fold.labels
        assert run.rows[-1]["test_accuracy"] == pytest.approx(right.mean())


def test_a_folder_of_another_run_is_refused(reference: Reference) -> None:
    framework, folder, _ = reference
    chosen = EXPERIMENTS[framework]
    with pytest.raises(DataError, match=r"another run: training\.epochs is '4' there, '5' here"):
        trained(
            framework,
            folder,
            experiment=replace(chosen, training=replace(chosen.training, epochs=5)),
        )
    with pytest.raises(DataError, match=r"split\.json is of another run: it has other clips"):
        trained(framework, folder, split=replace(SPLIT, test=SPLIT.test[:2]))


def test_other_recordings_under_the_same_names_are_refused(reference: Reference) -> None:
    framework, folder, weights = reference
    other = replace(made_up(framework), sound="recorded anew")
    with pytest.raises(DataError, match=r"its clips are called so, but are other recordings"):
        trained(framework, folder, data=other)
    again = trained(framework, folder)
    assert all((a == b).all() for a, b in zip(again, weights, strict=True))


def test_a_run_of_an_earlier_version_goes_on(reference: Reference, tmp_path: Path) -> None:
    framework, folder, weights = reference
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    told = json.loads((copy / "split.json").read_text())
    del told["audio"]
    (copy / "split.json").write_text(json.dumps(told))
    again = trained(framework, copy)
    assert all((a == b).all() for a, b in zip(again, weights, strict=True))


def test_a_run_without_an_epoch_has_nothing_to_lose(tmp_path: Path) -> None:
    experiment = EXPERIMENTS["keras"]
    claim(tmp_path, replace(experiment, training=replace(experiment.training, batch=5)), SPLIT)
    claim(tmp_path, experiment, SPLIT)
    assert read_run(tmp_path).experiment == experiment


def test_a_checkpoint_of_another_network_is_refused(reference: Reference, tmp_path: Path) -> None:
    framework, folder, _ = reference
    other = {"keras": "plb", "torch": "tim-tab3"}[framework]
    name = f"last{SUFFIXES[framework]}"
    (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(DataError, match=r"last\.(keras|pt): (a|no) checkpoint of"):
        trained(
            framework,
            tmp_path,
            experiment=replace(EXPERIMENTS[framework], network=network(other)),
        )
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / name).write_bytes(b"PK no checkpoint at all")
    with pytest.raises(DataError, match=r"remove the\s+run folder to start afresh"):
        trained(framework, damaged)


def test_a_full_disk_leaves_the_checkpoint_before(
    reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third checkpoint does not fit; afterwards the run goes on as if nothing had been."""
    framework, _, weights = reference
    import edge_ser.lab.runs as runs

    real, saved = runs.os.replace, []

    def full(source: Path, target: Path) -> None:
        if Path(target).stem == "last":
            saved.append(target)
            if len(saved) == 3:
                raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(runs.os, "replace", full)
        with pytest.raises(StorageError, match=r"No space left on device.*free some space"):
            trained(framework, tmp_path)
    assert not list(tmp_path.glob("*.part*"))
    for mine, other in zip(trained(framework, tmp_path), weights, strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize("framework", ["keras", "torch"])
def test_a_loss_that_is_no_number_stops(framework: str, tmp_path: Path) -> None:
    data = made_up(framework)
    data.features[0] = np.nan
    with pytest.raises(DataError, match="the loss of epoch 0 is nan, expected a number: lower"):
        trained(framework, tmp_path, data=data)
    assert not list(tmp_path.glob("last*"))


@pytest.mark.parametrize(
    ("training", "split", "message"),
    [
        (TORCH, replace(SPLIT, train=["clip0", "clip1"]), "no clip of c to train on"),
        (TORCH, replace(SPLIT, validation=[]), "no validation clips"),
        (replace(TRAINING, keep="best_test"), replace(SPLIT, test=[]), "no test clips"),
        (TORCH, replace(SPLIT, test=["clip99"]), "clip 'clip99' is not in this corpus"),
    ],
)
def test_splits_that_cannot_be_trained(
    training: TrainingOptions, split: Split, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        trained("torch", tmp_path, experiment=experiment("tim-tab1", training), split=split)


def test_options_of_the_other_framework(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="accumulate and mixed_precision are for Torch"):
        experiment("routing", replace(KERAS, accumulate=2))
    with pytest.raises(ConfigError, match=r"weight_decay is 0.1 with adam.* take optimizer"):
        experiment("routing", replace(KERAS, weight_decay=0.1))
    margin = replace(TRAINING, loss="margin")
    with pytest.raises(ConfigError, match="loss is margin, expected cross_entropy"):
        trained("torch", tmp_path / "other", experiment=experiment("tim-tab1", margin))


def test_the_published_accuracy_is_the_mean_of_batches() -> None:
    from edge_ser.lab.training.loop import _measured

    scores = np.eye(2, dtype=np.float32)[[0, 0, 0, 1, 1]]
    measured = _measured("test", scores, np.array([0, 0, 0, 1, 0]), replace(TRAINING, batch=4))
    assert measured == {
        "test_loss": pytest.approx(-np.log(1e-7) / 5),
        "test_accuracy": pytest.approx(0.8),
        "test_uar": pytest.approx((3 / 4 + 1) / 2),
        "test_wa": pytest.approx((1 + 0) / 2),
    }
