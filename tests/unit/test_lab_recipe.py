"""The published recipe: learning rates and loss."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edge_ser.lab.recipe import Recipe, learning_rate, recipe_for

PUBLISHED = [(0, 0), (60, 0), (61, 1), (80, 1), (81, 2), (101, 3), (280, 11), (281, 12), (299, 12)]


@pytest.mark.parametrize(("epoch", "decays"), PUBLISHED)
def test_rates_of_the_published_epochs(epoch: int, decays: int) -> None:
    rate = learning_rate(Recipe(epochs=300), epoch)
    assert rate == pytest.approx(1e-3 * math.exp(-0.15 * decays))


@pytest.mark.parametrize(("epoch", "decays"), PUBLISHED[1::2])
def test_the_schedule_is_stretched_to_other_lengths(epoch: int, decays: int) -> None:
    rate = learning_rate(Recipe(epochs=600, learning_rate=0.5), 2 * epoch)
    assert rate == pytest.approx(0.5 * math.exp(-0.15 * decays))


@pytest.mark.needs("tensorflow")
def test_margin_loss_is_its_formula() -> None:
    from edge_ser.lab import compute

    compute.prepare()
    from edge_ser.lab.training import margin_loss

    rng = np.random.default_rng(0)
    scores = rng.dirichlet(np.ones(7), 20)
    targets = np.eye(7)[rng.integers(0, 7, 20)] * 0.9 + 0.1 / 7
    expected = []
    for y, p in zip(targets, scores, strict=True):
        margins = sum(
            y[k] * max(0, 0.9 - p[k]) ** 2 + 0.5 * (1 - y[k]) * max(0, p[k] - 0.1) ** 2
            for k in range(7)
        )
        expected.append(margins + 0.392 * sum((y[k] - p[k]) ** 2 for k in range(7)) / 7)
    got = margin_loss(targets.astype(np.float32), scores.astype(np.float32))
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_the_published_protocol_is_trained_in_full_and_looks_at_every_epoch() -> None:
    full = recipe_for("published")
    assert (full.epochs, full.evaluate_every, full.keep_best) == (300, 1, True)
    assert recipe_for("published", 2).epochs == 2
    assert recipe_for("grouped", None, seed=7) == Recipe(seed=7)
    assert recipe_for("whole", 5) == Recipe(epochs=5)
