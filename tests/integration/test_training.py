"""Training on a few made-up clips: repeatable, resumable, and refusing what does not fit."""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from edge_ser import metrics
from edge_ser.corpora import Corpus, Utterance
from edge_ser.errors import ConfigError, DataError, StorageError, UsageError
from edge_ser.lab import compute, examples, jobs
from edge_ser.lab.architectures.networks import network
from edge_ser.lab.datasets import Dataset
from edge_ser.lab.experiment import DATA, Experiment, TrainingOptions
from edge_ser.lab.export.sources import run_source
from edge_ser.lab.protocols import ProtocolOptions, Split
from edge_ser.lab.runs import fold_of, read_run

pytestmark = [
    pytest.mark.needs("tensorflow", "torch", "matplotlib"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

NAMES = [f"clip{i}" for i in range(12)]
LABELS = {name: "abc"[i % 3] for i, name in enumerate(NAMES)}
SPLIT = Split("grouped-01", NAMES[:7], NAMES[7:10], NAMES[10:], ["x"], LABELS)
TRAINING = TrainingOptions(
    epochs=4, batch=4, label_smoothing=0.1, learning_rate=0.01, evaluate_every=2, seed=3
)
KERAS = replace(TRAINING, loss="margin", schedule="steps", keep="best_test")
TORCH = replace(TRAINING, schedule="plateau", keep="best_validation", accumulate=2)


def experiment(name: str, training: TrainingOptions) -> Experiment:
    chosen = network(name)
    data = replace(DATA[chosen.family], labels=("a", "b", "c"))
    return Experiment("made-up", data, chosen, ProtocolOptions("grouped"), training)


EXPERIMENTS = {"keras": experiment("routing", KERAS), "torch": experiment("tim-tab1", TORCH)}
MIXED = replace(TRAINING, optimizer="adamw", mixup=0.3)
VERSIONS = {"versions": 2, "step": [{"name": "gain"}]}
SHAPES = {"keras": (196, 39), "torch": (39, 30)}
SUFFIXES = {"keras": ".keras", "torch": ".pt"}


class Killed(Exception):
    """Stands for the end of the process."""


def made_up(framework: str) -> Dataset:
    """Features that tell the classes apart, with noise."""
    rng = np.random.default_rng(0)
    labels = np.arange(12) % 3
    features = rng.standard_normal((12, *SHAPES[framework])) * 20 + 10 * labels[:, None, None]
    known = np.ones((len(NAMES), 3), dtype=bool)
    spec: Any = None
    classes = ["a", "b", "c"]
    said = {
        name: Utterance(Path(name), classes[at]) for name, at in zip(NAMES, labels, strict=True)
    }
    return Dataset(NAMES, features.astype(np.float32), labels, classes, said, spec, known)


def trained(framework: str, folder: Path, **changes: Any) -> list[Any]:
    """Train; the weights."""
    compute.prepare()
    compute.prepare_torch(1)
    from edge_ser.lab.training import train

    chosen = changes.pop("experiment", EXPERIMENTS[framework])
    data = changes.pop("data", None) or made_up(framework)
    trainer: Any = train(chosen, data, changes.pop("split", SPLIT), folder, **changes)
    if framework == "keras":
        return [np.asarray(weight) for weight in trainer.model.get_weights()]
    return [weight.numpy() for weight in trainer.module.state_dict().values()]


@pytest.fixture(scope="module", params=["keras", "torch"])
def reference(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, list[Any]]:
    folder = tmp_path_factory.mktemp("runs") / request.param
    return request.param, folder, trained(request.param, folder)


Reference = tuple[str, Path, list[Any]]


def without_seconds(folder: Path) -> list[Any]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


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


def of_two_corpora(network_name: str) -> tuple[Experiment, Dataset]:
    """Clips of values alone, each with two versions; one corpus lacks the class c."""
    rng = np.random.default_rng(0)
    labels = np.arange(12) % 3
    shape = (8,) if network_name == "functionals-24" else SHAPES["torch"]
    made = [
        (5 + 30 * rng.standard_normal((12, *shape)) + 60 * labels.reshape(-1, *[1] * len(shape)))
        for _ in range(3)
    ]
    features, *versions = (each.astype(np.float32) for each in made)
    known = np.ones((12, 3), dtype=bool)
    known[labels != 2, 2] = np.arange(8) % 2
    spec: Any = None
    names, classes = list(NAMES), ["a", "b", "c"]
    said = {
        name: Utterance(Path(name), classes[at]) for name, at in zip(names, labels, strict=True)
    }
    data = Dataset(names, features, labels, classes, said, spec, known, tuple(versions))
    training = MIXED if network_name == "functionals-24" else replace(TORCH, mixup=0.3)
    return replace(experiment(network_name, training), augmentation=VERSIONS), data


def with_all_that_is_drawn(
    chosen: Experiment, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> tuple[Experiment, Dataset]:
    """The same with sounds that are no speech, and clips of the smaller corpus drawn more often."""
    sounds = np.random.default_rng(5).standard_normal((20, *data.features.shape[1:]))
    monkeypatch.setattr(examples, "cached_nonspeech", lambda *_: sounds.astype(np.float32))
    utterances = {
        name: Utterance(Path(name), LABELS[name], corpus="one" if at < 4 else "two")
        for at, name in enumerate(NAMES)
    }
    changed = replace(
        chosen,
        data=replace(chosen.data, nonspeech=0.5),
        training=replace(chosen.training, balance=0.7, corpus_temperature={"one": 2.0}),
    )
    return changed, replace(data, utterances=utterances)


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
    assert run.finished and run.experiment == EXPERIMENTS[framework] and run.split == SPLIT
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
    with pytest.raises(DataError, match=r"config\.toml is of another run"):
        trained(
            framework,
            folder,
            experiment=replace(chosen, training=replace(chosen.training, epochs=5)),
        )


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


def test_a_job_trains_the_folds_and_seeds_that_were_asked_for(
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
    rng = np.random.default_rng(0)
    made = []
    for index in range(9):
        path = tmp_path / f"{index}.wav"
        soundfile.write(path, rng.uniform(-0.5, 0.5, 4000 + 100 * index), 16_000)
        made.append(Utterance(path, "abc"[index % 3], f"s{index // 3}"))
    corpus = Corpus("tiny", tuple(made))
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
