"""The fit of a last layer on a few clips: multinomial logistic regression that starts somewhere.

A layer gives logits = weights @ values + bias. `fit` adds to the layer that it starts from

    argmin over D, d of  sum_i w_i (-ln softmax(start(x_i) + D z_i + d)[y_i]) + l2/2 |D, d|^2

where z_i is the embedding of clip i, its mean taken off and divided by the clips' root mean square
distance from it, and w_i makes every label weigh the same. So a strong l2, or few clips, leave the
answers as they were, and many clips outweigh it. Labels without clips keep their logits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_ser.metrics import softmax

__all__ = ["L2", "Layer", "answers", "fit", "left_out"]

Floats = NDArray[np.float64]
Targets = NDArray[np.int64]

L2 = 0.1
"""Strength of the penalty. On RAVDESS, actors 1 to 12, 1 to 6 clips a label, with networks of the
family functionals trained without them: within 0.005 of the best UAR of 0.02 to 2, with and
without a start; 0.05 to 0.5 are within 0.03."""
STEPS = 500
SMALL = 1e-6
"""Largest change of a weight at which the fit ends."""
MOST_SINGLY = 100
"""Clips that are left out one by one."""
PARTS = 10
"""In which more of them are."""


@dataclass(frozen=True, eq=False)
class Layer:
    """logits = weights @ values + bias."""

    weights: Floats
    """Shape (labels, values)."""
    bias: Floats
    """Shape (labels,)."""

    def logits(self, values: Floats) -> Floats:
        """Of clips of shape (n, values): shape (n, labels)."""
        return values @ self.weights.T + self.bias


def answers(layer: Layer, values: Floats) -> Floats:
    """Probabilities of clips of shape (n, values): shape (n, labels)."""
    return softmax(layer.logits(values))


def fit(values: Floats, targets: Targets, start: Layer, free: int, l2: float = L2) -> Layer:
    """The layer of least loss, see above; the same for the same clips on every call.

    Args:
        values: what the layer takes of each clip, shape (n, values).
        targets: index of each clip's label, shape (n,).
        start: the layer that it is drawn to; all zeros for labels of one's own.
        free: how many of the values, from the first, D is for: those of the embedding.
        l2: above 0.
    """
    labels = len(start.bias)
    counts = np.bincount(targets, minlength=labels)
    weights = (len(targets) / np.count_nonzero(counts) / np.maximum(counts, 1))[targets]
    # Labels without clips take no part: their probability is 0, and so is their slope.
    origin = np.where(counts > 0, start.logits(values), -np.inf)
    mean = values[:, :free].mean(axis=0)
    scale = max(float(np.sqrt(((values[:, :free] - mean) ** 2).sum(axis=1).mean())), 1e-12)
    inner = np.hstack([(values[:, :free] - mean) / scale, np.ones((len(values), 1))])
    added = _descended(inner, np.eye(labels)[targets], weights, origin, l2)
    change = added[:-1].T / scale
    return Layer(
        start.weights + np.pad(change, ((0, 0), (0, values.shape[1] - free))),
        start.bias + added[-1] - change @ mean,
    )


def _descended(inner: Floats, wanted: Floats, weights: Floats, origin: Floats, l2: float) -> Floats:
    """Weights of least loss, shape (inputs, labels).

    The second derivative of the loss is nowhere above X' diag(w) X / 2 + l2 (Boehning, Ann. Inst.
    Stat. Math. 44, 1992), which the singular vectors of the clips make diagonal: steps need no
    search and no inverse, and there are as many inputs as clips at most. With Nesterov's momentum,
    which starts again where it leads uphill.
    """
    rooted = np.sqrt(weights)[:, None] * inner
    _, singular, axes = np.linalg.svd(rooted, full_matrices=False)
    turned = inner @ axes.T
    step = 1 / (0.5 * singular**2 + l2)[:, None]
    found = ahead = np.zeros((len(singular), wanted.shape[1]))
    momentum = 1.0
    for _ in range(STEPS):
        missed = softmax(origin + turned @ ahead) - wanted
        slope = turned.T @ (weights[:, None] * missed) + l2 * ahead
        stepped = ahead - step * slope
        moved = stepped - found
        if (slope * moved).sum() > 0:
            momentum = 1.0
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = stepped + (momentum - 1) / following * moved
        found, momentum = stepped, following
        if np.abs(moved).max() < SMALL:
            break
    result: Floats = axes.T @ found
    return result


def left_out(values: Floats, targets: Targets, start: Layer, free: int, l2: float = L2) -> Floats:
    """Probabilities of each clip by a layer fitted without it, shape (n, labels).

    Beyond 100 clips without a tenth of them, spread over the labels, so that it stays quick.
    """
    count = len(targets) if len(targets) <= MOST_SINGLY else PARTS
    parts = np.empty(len(targets), dtype=np.intp)
    parts[np.argsort(targets, kind="stable")] = np.arange(len(targets)) % count
    found = np.empty((len(targets), len(start.bias)))
    for part in range(count):
        out = parts == part
        layer = fit(values[~out], targets[~out], start, free, l2)
        found[out] = answers(layer, values[out])
    return found
