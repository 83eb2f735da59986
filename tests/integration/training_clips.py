"""Trainings on a few made-up clips, of one corpus or of two."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from edge_ser.corpora import Corpus, Utterance
from edge_ser.lab import compute, examples
from edge_ser.lab.architectures.networks import network
from edge_ser.lab.datasets import Dataset
from edge_ser.lab.experiment import DATA, Experiment, TrainingOptions
from edge_ser.lab.protocols import ProtocolOptions, Split

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


@dataclass(frozen=True, eq=False)
class Unrecorded(Dataset):
    """Clips without recordings to make digests of: each has its name's, and what else is said."""

    sound: str = ""

    @property
    def digests(self) -> Mapping[str, str]:  # type: ignore[override]
        return {name: name + self.sound for name in self.names}


class Killed(Exception):
    """Stands for the end of the process."""


def made_up(framework: str) -> Unrecorded:
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
    return Unrecorded(NAMES, features.astype(np.float32), labels, classes, said, spec, known)


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


def recorded(home: Path, labels: str, lengths: Sequence[int]) -> Corpus:
    """Noise in files, a letter's label each; each run of all letters is of one speaker."""
    rng = np.random.default_rng(0)
    made = []
    for at, (label, samples) in enumerate(zip(labels, lengths, strict=True)):
        path = home / f"{at}.wav"
        soundfile.write(path, rng.uniform(-0.5, 0.5, samples), 16_000)
        made.append(Utterance(path, label, f"s{at // len(set(labels))}"))
    return Corpus("tiny", tuple(made))


def without_seconds(folder: Path) -> list[Any]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


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
    data = Unrecorded(names, features, labels, classes, said, spec, known, tuple(versions))
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
