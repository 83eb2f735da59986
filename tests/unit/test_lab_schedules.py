"""Learning rates of an epoch, and the loss of PLB."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edge_ser.lab.experiment import TrainingOptions
from edge_ser.lab.training.schedules import learning_rate

PUBLISHED = [(0, 0), (60, 0), (61, 1), (80, 1), (81, 2), (101, 3), (280, 11), (281, 12), (299, 12)]
PLATEAU = TrainingOptions(schedule="plateau", learning_rate=0.01)


@pytest.mark.parametrize(("epoch", "decays"), PUBLISHED)
def test_rates_of_the_published_epochs(epoch: int, decays: int) -> None:
    rate = learning_rate(TrainingOptions(epochs=300, schedule="steps"), epoch)
    assert rate == pytest.approx(1e-3 * math.exp(-0.15 * decays))


@pytest.mark.parametrize(("epoch", "decays"), PUBLISHED[1::2])
def test_the_steps_are_stretched_to_other_lengths(epoch: int, decays: int) -> None:
    options = TrainingOptions(epochs=600, learning_rate=0.5, schedule="steps")
    assert learning_rate(options, 2 * epoch) == pytest.approx(0.5 * math.exp(-0.15 * decays))


def test_constant_and_cosine() -> None:
    assert learning_rate(TrainingOptions(), 59) == 1e-3
    cosine = TrainingOptions(schedule="cosine", epochs=10, learning_rate=0.2)
    assert learning_rate(cosine, 0) == 0.2
    assert learning_rate(cosine, 5) == pytest.approx(0.1)
    assert 0 < learning_rate(cosine, 9) < 0.01


@pytest.mark.needs("torch")
@pytest.mark.parametrize("seed", range(5))
def test_plateaus_are_those_of_torch(seed: int) -> None:
    import torch

    losses = np.cumsum(np.random.default_rng(seed).normal(-0.001, 0.01, 60)) + 1
    weight = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.Adam([weight], PLATEAU.learning_rate)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.25, patience=5)
    rows: list[dict[str, float]] = []
    rates = set()
    for epoch, loss in enumerate(losses):
        rate = learning_rate(PLATEAU, epoch, rows)
        assert rate == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        scheduler.step(loss)
        rows.append({"validation_loss": float(loss)})
        rates.add(rate)
    assert len(rates) > 2


@pytest.mark.needs("tensorflow")
def test_margin_loss_is_its_formula() -> None:
    from edge_ser.lab import compute

    compute.prepare()
    from edge_ser.lab.training.keras_trainer import margin_loss

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
