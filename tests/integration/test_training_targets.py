"""What a trainer is given of an epoch's examples, and what the losses make of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge_ser.lab import compute
from edge_ser.lab.architectures.networks import network
from edge_ser.lab.experiment import DATA, Experiment, TrainingOptions
from edge_ser.lab.protocols import ProtocolOptions

pytestmark = [
    pytest.mark.needs("tensorflow", "torch"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

TRAINING = TrainingOptions(batch=4, label_smoothing=0.1)


def experiment(training: TrainingOptions) -> Experiment:
    chosen = network("tim-tab1")
    data = replace(DATA[chosen.family], labels=("a", "b", "c"))
    return Experiment("made-up", data, chosen, ProtocolOptions("grouped"), training)


class TestTargets:
    """What `Trainer.run_epoch` is given, and what the losses make of it."""

    KNOWN = np.array([[1, 1, 1, 1], [1, 1, 0, 1], [0, 1, 1, 0], [1, 0, 0, 0]], dtype=bool)
    TARGETS = np.array(
        [[0.7, 0.3, 0, 0], [0, 1, 0, 0], [0, 0.2, 0.8, 0], [1, 0, 0, 0]], dtype=np.float32
    )

    def expected(self, scores: Any, sharpness: float = 1.0) -> Any:
        """Cross entropy of each row by hand, among the classes that are known."""
        rows = []
        for row, known, targets in zip(scores, self.KNOWN, self.TARGETS, strict=True):
            among = row[known] ** sharpness / (row[known] ** sharpness).sum()
            rows.append(-(targets[known] * np.log(among)).sum())
        return np.array(rows)

    def given(self) -> Any:
        return self.with_sum(1.0)

    def with_sum(self, sharpness: float) -> Any:
        return np.where(self.KNOWN, np.float32(sharpness) * self.TARGETS, np.float32(-1))

    def test_loss_in_keras(self) -> None:
        compute.prepare()
        from edge_ser.lab.training.keras_trainer import known_cross_entropy

        logits = np.random.default_rng(0).normal(0, 2, (4, 4)).astype(np.float32)
        scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        found = np.asarray(known_cross_entropy(self.given(), scores))
        np.testing.assert_allclose(found, self.expected(scores), rtol=1e-5, atol=1e-6)
        for sharpness in (0.4, 2.5):
            found = np.asarray(known_cross_entropy(self.with_sum(sharpness), scores))
            np.testing.assert_allclose(found, self.expected(scores, sharpness), 1e-5, 1e-6)
        # A score of 0 costs a bounded amount.
        sure = np.eye(4, dtype=np.float32)[[3, 0, 3, 1]]
        found = np.asarray(known_cross_entropy(self.given(), sure))
        assert np.isfinite(found).all() and (found >= 0).all()

    def test_loss_in_torch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import torch

        from edge_ser.lab.training import torch_trainer

        compute.prepare_torch(1)
        logits = torch.nn.Linear(3, 4)
        monkeypatch.setattr(torch_trainer, "_module", lambda *_: logits)
        options = replace(TRAINING, learning_rate=1e-9)
        made = torch_trainer.TorchTrainer(experiment(options), 4, (3,))
        features = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
        scores = made.scores(features)
        for sum_ in (1.0, 0.4, 2.5):
            loss, _ = made.run_epoch(features, self.with_sum(sum_), 1e-9, np.random.SeedSequence(0))
            assert loss == pytest.approx(self.expected(scores, sum_).mean(), rel=1e-5)
        assert all(torch.isfinite(weight).all() for weight in logits.parameters())
        # The last row has one class, the third lacks the first and the last.
        alone = made.run_epoch(features[3:], self.given()[3:], 1e-9, np.random.SeedSequence(0))
        assert alone[0] == pytest.approx(0, abs=1e-6)

    def epochs(self, chosen: Any, options: TrainingOptions, count: int) -> list[Any]:
        """(features, targets) that a trainer is given in each epoch."""
        from edge_ser.lab.training.loop import _run_epoch

        given: list[Any] = []

        class Recorder:
            def run_epoch(self, features: Any, targets: Any, *_: Any) -> tuple[float, float]:
                given.append((features, targets))
                return 0.0, 0.0

        for epoch in range(count):
            _run_epoch(Recorder(), chosen, experiment(options), epoch, 0.1)  # type: ignore[arg-type]
        return given

    @pytest.mark.parametrize("mixup", [0.0, 0.3])
    @pytest.mark.parametrize("smoothing", [0.0, 0.1])
    def test_they_sum_to_1_among_the_classes_that_are_known(
        self, mixup: float, smoothing: float
    ) -> None:
        from edge_ser.lab.examples import Examples

        rng = np.random.default_rng(0)
        labels = np.arange(60) % 4
        known = rng.random((60, 4)) < 0.4
        known[np.arange(60), labels] = True
        features = np.arange(60, dtype=np.float32)[:, None] * [1, -1]
        examples = Examples(60, 4, lambda epoch: (features, labels), known)
        options = replace(TRAINING, mixup=mixup, label_smoothing=smoothing)
        (mixed, targets), other = self.epochs(examples, options, 2)
        (again,) = self.epochs(examples, options, 1)
        np.testing.assert_array_equal(mixed, again[0])
        np.testing.assert_array_equal(targets, again[1])
        assert (mixed != other[0]).any()
        assert mixed.shape == (60, 2) and targets.dtype == np.float32
        np.testing.assert_allclose(np.where(targets < 0, 0, targets).sum(axis=1), 1, rtol=1e-5)
        assert set(targets[targets < 0].tolist()) == {-1.0}
        if not mixup:
            order = mixed[:, 0].astype(int)
            assert sorted(order) == list(range(60))
            np.testing.assert_array_equal(targets >= 0, known[order])
            assert (targets.argmax(axis=1) == labels[order]).all()

    @pytest.mark.parametrize("smoothing", [0.0, 0.1])
    def test_sounds_have_even_targets_among_all_classes(self, smoothing: float) -> None:
        from edge_ser.lab.examples import Examples

        labels = np.arange(30) % 3
        known = np.ones((30, 3), dtype=bool)
        known[labels != 2, 2] = False
        features = np.arange(30, dtype=np.float32)[:, None]
        sounds = -1 - np.arange(50, dtype=np.float32)[:, None]
        chosen = Examples(42, 3, lambda epoch: (features, labels), known, sounds)
        options = replace(TRAINING, label_smoothing=smoothing)
        epochs = self.epochs(chosen, options, 20)
        drawn: set[float] = set()
        places = np.zeros(42)
        for found, targets in epochs:
            assert found.shape == (42, 1) and found.dtype == targets.dtype == np.float32
            which = found[:, 0] < 0
            assert which.sum() == 12
            np.testing.assert_allclose(targets[which], np.full((12, 3), 1 / 3), rtol=1e-6)
            order = found[~which, 0].astype(int)
            assert sorted(order) == list(range(30))
            np.testing.assert_array_equal(targets[~which] >= 0, known[order])
            assert (targets[~which].argmax(axis=1) == labels[order]).all()
            drawn |= set(found[which, 0].tolist())
            places += which
        assert drawn <= set(sounds[:, 0].tolist()) and len(drawn) > 40
        # Among the clips, not behind them: 20 epochs of 12 in 42 places, 5.7 each on average.
        assert places.max() < 18 and places.min() < 10 and (places > 0).mean() > 0.9
        for (one, targets), (other, again) in zip(
            epochs, self.epochs(chosen, options, 20), strict=True
        ):
            np.testing.assert_array_equal(one, other)
            np.testing.assert_array_equal(targets, again)

    def test_clips_are_drawn_by_their_chances(self) -> None:
        from edge_ser.lab.examples import Examples

        chances = np.array([0.0, 0.1, 0.2, 0.3, 0.4])
        labels = np.arange(5) % 3
        features = np.arange(5, dtype=np.float32)[:, None]
        known = np.ones((5, 3), dtype=bool)
        chosen = Examples(5, 3, lambda epoch: (features, labels), known, chances=chances)
        epochs = self.epochs(chosen, TRAINING, 400)
        assert all(found.shape == (5, 1) for found, _ in epochs)
        for found, targets in epochs:
            assert (targets.argmax(axis=1) == labels[found[:, 0].astype(int)]).all()
        counts = np.bincount(np.concatenate([found for found, _ in epochs])[:, 0].astype(int))
        assert counts[0] == 0
        # 2,000 draws: deviations of at most 22.
        np.testing.assert_allclose(counts, 2000 * chances, atol=110)

    def test_they_add_up_to_one_over_the_temperature(self) -> None:
        from edge_ser.lab.examples import Examples

        labels = np.arange(6) % 3
        features = np.arange(6, dtype=np.float32)[:, None]
        known = np.ones((6, 3), dtype=bool)
        known[0, 1] = False
        warmth = np.array([2.0, 0.5, 1, 1, 2, 0.5])
        sounds = np.full((4, 1), -1, dtype=np.float32)
        chosen = Examples(
            8, 3, lambda epoch: (features, labels), known, sounds, temperatures=warmth
        )
        for found, targets in self.epochs(chosen, TRAINING, 3):
            clip = found[:, 0].astype(int)
            wanted = np.where(clip < 0, 1, 1 / warmth[clip])
            np.testing.assert_allclose(np.where(targets < 0, 0, targets).sum(axis=1), wanted)
            assert (targets.argmax(axis=1) == labels[clip])[clip >= 0].all()

    def test_a_mixture_knows_the_classes_of_both(self) -> None:
        from edge_ser.lab.training.batches import _mixed

        known = np.array([[1, 1, 0], [0, 1, 1]] * 20, dtype=bool)
        targets = np.eye(3, dtype=np.float32)[[0, 2] * 20]
        features = np.eye(40, dtype=np.float32)
        sharpness = np.array([0.5, 2.0] * 20, dtype=np.float32)
        mixed, mixture, union, sharp = _mixed(
            features, targets, known, sharpness, 0.5, np.random.default_rng(0)
        )
        assert mixed.dtype == mixture.dtype == sharp.dtype == np.float32
        np.testing.assert_allclose(sharp, mixed @ sharpness, rtol=1e-6)
        for row, (found, shares, both) in enumerate(zip(mixed, mixture, union, strict=True)):
            parts = np.flatnonzero(found)
            assert row in parts and len(parts) <= 2 and found.sum() == pytest.approx(1)
            np.testing.assert_allclose(shares, found @ targets, rtol=1e-6)
            # A share may be too small to see.
            assert (both | ~known[parts].any(axis=0)).all()
        assert union.all(axis=1).any() and not union.all()
