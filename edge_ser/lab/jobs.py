"""The jobs of the workshop: from an experiment to run folders. What `edge-ser train` calls."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edge_ser.card.checks import NO_SPEECH
from edge_ser.corpora import Corpus
from edge_ser.errors import ConfigError, DataError, DependencyError, UsageError
from edge_ser.lab import compute
from edge_ser.lab.architectures.networks import Framework, Network
from edge_ser.lab.augmentation import FeatureStep, name_of, read_augmentation
from edge_ser.lab.datasets import by_name, classes_of, known_classes, read_dataset, selected
from edge_ser.lab.examples import versions_of
from edge_ser.lab.experiment import Experiment, is_frozen
from edge_ser.lab.features import runs_folder
from edge_ser.lab.protocols import Split, splits_of
from edge_ser.lab.runs import held

__all__ = ["Plan", "check_job", "plan", "prepare", "train_job"]

EpochDone = Callable[[str, Mapping[str, float]], None]
"""Told the run's name and its row of metrics.jsonl after every epoch."""


@dataclass(frozen=True)
class Plan:
    """What a training comes to, before any of it is done."""

    experiment: Experiment
    """With its labels and the corpus's name, so that run folders tell them."""
    corpus: Corpus
    """The clips that it is about."""
    splits: tuple[Split, ...]
    """The folds that were asked for."""
    folder: Path
    """Where the run folders go."""


def plan(
    experiment: Experiment,
    corpus: Corpus,
    folds: Sequence[int] | None = None,
    folder: Path | None = None,
) -> Plan:
    """Choose clips and folds, and refuse what cannot be.

    Args:
        experiment: what is trained and how.
        corpus: labelled speech.
        folds: numbers from 1; None for all.
        folder: where the run folders go; None for the experiment's name in the user's cache.

    Raises:
        UsageError: no such fold.
        ConfigError: augmented clips for a backbone that hears each clip once, or masks over
            functionals.
        DataError: labels, speakers or splits of the corpus do not fit the experiment, or there is
            one label alone, or one that stands for silence.
    """
    if is_frozen(experiment) and experiment.augmentation:
        raise ConfigError(
            "[augmentation] with network.freeze = 'all': a frozen backbone hears every clip once; "
            "leave the section out, or freeze less"
        )
    if experiment.data.spec().kind == "functionals":
        steps = read_augmentation(experiment.augmentation).steps
        for name in (name_of(step) for step in steps if isinstance(step, FeatureStep)):
            raise ConfigError(
                f"[augmentation]: {name} masks frames or bands, which functionals do not have: "
                "leave it out"
            )
    clips = selected(corpus, experiment.data)
    labels = experiment.data.labels or classes_of(corpus)
    _refuse_labels(corpus, labels)
    data = dataclasses.replace(experiment.data, labels=tuple(labels), corpus=corpus.name)
    network = _with_label_sets(experiment.network, clips, labels)
    splits = splits_of(by_name(clips), experiment.protocol)
    for number in folds or ():
        if not 1 <= number <= len(splits):
            raise UsageError(
                f"fold {number} of {experiment.protocol.name}: expected 1 to {len(splits)}"
            )
    chosen = splits if not folds else [splits[number - 1] for number in folds]
    return Plan(
        dataclasses.replace(experiment, data=data, network=network),
        clips,
        tuple(chosen),
        folder or runs_folder() / experiment.name,
    )


def _refuse_labels(corpus: Corpus, labels: Sequence[str]) -> None:
    """What no card could say, before it is learnt for hours."""
    if len(labels) < 2:
        raise DataError(
            f"{corpus.name}: {', '.join(labels)} is its only label, expected two or more: add "
            "clips of another"
        )
    if NO_SPEECH in labels:
        raise DataError(
            f"{corpus.name}: a label is {NO_SPEECH}, which stands for silence in results: rename "
            "it, or leave it out by data.labels and data.other_labels = 'drop'"
        )


def _with_label_sets(network: Network, clips: Corpus, labels: Sequence[str]) -> Network:
    """The network with the outputs that each of its corpora has, where it answers by corpus."""
    named = getattr(network.options, "corpora", {})
    if not named:
        return network
    homes = {
        each.corpus: row
        for each, row in zip(clips.utterances, known_classes(clips.utterances, labels), strict=True)
    }
    if set(homes) != set(named):
        raise ConfigError(
            f"[network]: corpora names {', '.join(named)}, expected those of the clips: "
            f"{', '.join(sorted(map(str, homes)))}"
        )
    outputs = [[at for at, has in enumerate(homes[name]) if has] for name in named]
    if len(set(map(tuple, outputs))) < len(outputs):
        raise ConfigError(
            "[network]: corpora of the same labels, expected some that differ: an example's corpus "
            "is told by its labels; leave corpora out"
        )
    return network.with_options(label_sets=outputs)


def train_job(
    planned: Plan,
    seeds: Sequence[int] = (),
    progress: EpochDone = lambda run, row: None,
    reading: Callable[[int], None] = lambda done: None,
    threads: int = compute.THREADS,
) -> list[Path]:
    """Train the planned folds one after the other; a run that was stopped goes on.

    Args:
        planned: by `plan`.
        seeds: of weights and order; each trains all folds, into folders of its own. Empty for the
            experiment's.
        progress: told of every epoch.
        reading: told how many clips are turned into features, where they are not cached.
        threads: within an operator; the weights do not depend on it beyond rounding.

    Returns:
        The run folders.

    Raises:
        DataError: a run folder is of another run, or the loss is not finite.
        StorageError: a checkpoint cannot be written.
        DependencyError: the network's framework is not installed.
    """
    prepare(planned.experiment.network.kind.framework, threads)
    from edge_ser.lab.training import train

    versions = versions_of(planned.experiment)
    read = read_dataset(planned.corpus, planned.experiment.data, reading, versions)
    done = []
    for seed in seeds or (planned.experiment.training.seed,):
        training = dataclasses.replace(planned.experiment.training, seed=seed)
        experiment = dataclasses.replace(planned.experiment, training=training)
        data = read
        if is_frozen(experiment):
            from edge_ser.lab.frozen import embedded

            # By seed: a backbone without a folder has weights of it.
            data = embedded(read, experiment, reading)
        for split in planned.splits:
            name = run_name(planned, split, seed)
            with held(planned.folder / name):
                train(experiment, data, split, planned.folder / name, partial(progress, name))
                _draw(planned.folder / name)
            done.append(planned.folder / name)
    return done


def check_job(
    planned: Plan,
    seeds: Sequence[int] = (),
    reading: Callable[[int], None] = lambda done: None,
    threads: int = compute.THREADS,
) -> None:
    """All of `train_job` that fails before the first epoch, writing nothing but cached features.

    Changed versions of the clips are not made, which takes as long again for each; recordings of
    noise that they need are read.

    Raises:
        DataError: what is asked for cannot be trained on these clips, or a run folder is of another
            run.
        AudioError: a recording cannot be decoded.
        DependencyError: the network's framework is not installed.
    """
    prepare(planned.experiment.network.kind.framework, threads)
    from edge_ser.lab.training import check, open_trainer

    for version in versions_of(planned.experiment):
        version.key()
    data = read_dataset(planned.corpus, planned.experiment.data, reading)
    if is_frozen(planned.experiment):
        from edge_ser.lab.frozen import embedded

        data = embedded(data, planned.experiment, reading)
    for seed in seeds or (planned.experiment.training.seed,):
        training = dataclasses.replace(planned.experiment.training, seed=seed)
        experiment = dataclasses.replace(planned.experiment, training=training)
        for split in planned.splits:
            check(experiment, data, split, planned.folder / run_name(planned, split, seed))
    open_trainer(planned.experiment, len(data.classes), data.features.shape[1:])


def prepare(framework: Framework, threads: int = compute.THREADS) -> None:
    """Set a framework up; to be called before anything imports it."""
    if framework == "keras":
        compute.prepare(threads)
    else:
        compute.prepare_torch(threads)


def run_name(planned: Plan, split: Split, seed: int) -> str:
    """Of a run folder: the split's name, with the seed where it is not the experiment's own."""
    own = planned.experiment.training.seed == seed
    return split.name if own else f"{split.name}-seed-{seed}"


def _draw(folder: Path) -> None:
    """Curves, confusion and classification report beside the records, where [plot] is installed."""
    from edge_ser.lab.pictures.runs import write_run_report
    from edge_ser.lab.report.records import read_record

    with contextlib.suppress(DependencyError):
        write_run_report(read_record(folder))
