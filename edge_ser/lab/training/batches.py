"""What an epoch shows the network: examples drawn, mixed with one another, sounds among them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_ser.lab.examples import Examples
from edge_ser.lab.experiment import Experiment, TrainingOptions

__all__ = ["answers_by_corpus", "one_answer", "two_answers"]

Floats = NDArray[np.float32]
Known = NDArray[np.bool_]
Batch = tuple[Floats, Floats, Known, Floats]
"""Features, targets, which classes each example's corpus has, and what the loss multiplies its
logits by."""

UNKNOWN = np.float32(-1)
"""In place of a target: the example is not asked for it."""


def answers_by_corpus(experiment: Experiment) -> bool:
    """Whether the network gives a second answer, by corpus, and is shown examples for both."""
    return bool(getattr(experiment.network.options, "corpora", ()))


def one_answer(
    examples: Examples, experiment: Experiment, epoch: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Examples in an order, with targets of shape (examples, classes) as `Trainer` takes them."""
    options = experiment.training
    features, targets, drawn = _drawn(examples, options, epoch, rng)
    known = examples.known
    sharpness = np.ones(len(known), dtype=np.float32)
    if examples.temperatures is not None:
        sharpness /= examples.temperatures.astype(np.float32)
    batch = features[drawn], targets[drawn], known[drawn], sharpness[drawn]
    if examples.nonspeech is not None:
        batch = _with_sounds(*batch, examples.nonspeech, examples.sounds, rng)
    if options.mixup:
        batch = _mixed(*batch, options.mixup, rng)
    features, targets, known, sharpness = batch
    return features, np.where(known, sharpness[:, None] * targets, UNKNOWN)


def two_answers(
    examples: Examples, experiment: Experiment, epoch: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """For networks that answer by corpus too: targets of shape (examples, 2 + corpora, classes).

    Half of them ask for the answer among all labels, as `one_answer` has it. The other half is
    drawn anew and asks for corpus and label, mixed within each corpus alone; sounds ask for neither
    but for the last row.
    """
    options = experiment.training
    first, among_all = one_answer(examples, experiment, epoch, rng)
    features, targets, drawn = _drawn(examples, options, options.epochs + epoch, rng)
    features, targets = features[drawn], targets[drawn]
    members = np.array(experiment.network.options.members(examples.classes))
    homes = (examples.known[drawn][:, None] == members).all(axis=2).argmax(axis=1)
    joint = np.zeros((len(drawn), len(members) + 1, examples.classes), np.float32)
    joint[range(len(drawn)), homes] = targets
    if options.mixup:
        share = rng.beta(options.mixup, options.mixup, len(drawn)).astype(np.float32)
        other = _of_the_same(homes, rng)
        features = _between(share, features, features[other])
        joint = _between(share, joint, joint[other])
    if examples.nonspeech is not None:
        heard = examples.nonspeech[rng.choice(len(examples.nonspeech), examples.sounds)]
        none = np.zeros((examples.sounds, *joint.shape[1:]), np.float32)
        none[:, -1] = 1 / examples.classes
        features, joint = np.concatenate([features, heard]), np.concatenate([joint, none])
    shape = len(first) + len(features), joint.shape[1] + 1, examples.classes
    rows = np.full(shape, UNKNOWN)
    rows[: len(first), 0], rows[len(first) :, 1:] = among_all, joint
    order = rng.permutation(len(rows))
    return np.concatenate([first, features])[order], rows[order]


def _drawn(
    examples: Examples, options: TrainingOptions, epoch: int, rng: np.random.Generator
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Features and targets of all examples, and which of them an epoch takes, in its order."""
    features, labels = examples.of_epoch(epoch)
    if examples.chances is None:
        drawn = rng.permutation(len(labels))
    else:
        drawn = rng.choice(len(labels), len(labels), p=examples.chances)
    known = examples.known
    targets = np.eye(examples.classes, dtype=np.float32)[labels] * (1 - options.label_smoothing)
    targets += options.label_smoothing * known / known.sum(axis=1, keepdims=True)
    return features, targets, drawn


def _with_sounds(
    features: Floats,
    targets: Floats,
    known: Known,
    sharpness: Floats,
    sounds: Floats,
    number: int,
    rng: np.random.Generator,
) -> Batch:
    """So many sounds that are no speech among the examples, each class as right as the others."""
    heard = sounds[rng.choice(len(sounds), number)]
    even = np.full((number, targets.shape[1]), 1 / targets.shape[1], np.float32)
    order = rng.permutation(len(features) + number)
    return (
        np.concatenate([features, heard])[order],
        np.concatenate([targets, even])[order],
        np.concatenate([known, even > 0])[order],
        np.concatenate([sharpness, np.ones(number, np.float32)])[order],
    )


def _mixed(
    features: Floats,
    targets: Floats,
    known: Known,
    sharpness: Floats,
    alpha: float,
    rng: np.random.Generator,
) -> Batch:
    """Each example mixed with another one, by a share from Beta(alpha, alpha).

    H. Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
    """
    share = rng.beta(alpha, alpha, len(features)).astype(np.float32)
    other = rng.permutation(len(features))
    return (
        _between(share, features, features[other]),
        _between(share, targets, targets[other]),
        known | known[other],
        _between(share, sharpness, sharpness[other]),
    )


def _between(share: Floats, one: Floats, other: Floats) -> Floats:
    """`share` of each of the ones and the rest of the others."""
    of_each = share.reshape(-1, *[1] * (one.ndim - 1))
    return of_each * one + (1 - of_each) * other


def _of_the_same(homes: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """For each example another one of the same home."""
    other = np.arange(len(homes))
    for home in np.unique(homes):
        at = np.flatnonzero(homes == home)
        other[at] = rng.permutation(at)
    return other
