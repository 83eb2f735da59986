"""Keras networks in training."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from edge_ser.errors import DataError
from edge_ser.lab.architectures.keras_files import refuse_large
from edge_ser.lab.architectures.networks import build
from edge_ser.lab.architectures.perceptron import TwoAnswers
from edge_ser.lab.experiment import Experiment
from edge_ser.metrics import SMALLEST_SCORE

__all__ = ["KerasTrainer", "answers_cross_entropy", "known_cross_entropy", "margin_loss"]

Tensor = Any
Floats = NDArray[np.float32]

MSE_WEIGHT = 0.392


@keras.saving.register_keras_serializable(package="edge_ser")  # type: ignore[untyped-decorator]
def margin_loss(targets: Tensor, scores: Tensor) -> Tensor:
    """Capsule margin loss on softmax outputs plus 0.392 x mean squared error, per example."""
    present = targets * ops.square(ops.maximum(0.0, 0.9 - scores))
    absent = 0.5 * (1.0 - targets) * ops.square(ops.maximum(0.0, scores - 0.1))
    squared = ops.mean(ops.square(targets - scores), axis=-1)
    return ops.sum(present + absent, axis=-1) + MSE_WEIGHT * squared


@keras.saving.register_keras_serializable(package="edge_ser")  # type: ignore[untyped-decorator]
def known_cross_entropy(targets: Tensor, scores: Tensor) -> Tensor:
    """Cross entropy among the classes that the example's corpus has: others' targets are -1.

    What the targets add up to is what the logits are multiplied by.
    """
    known = ops.cast(targets >= 0, scores.dtype)
    sharpness = ops.sum(known * targets, axis=-1, keepdims=True)
    kept = ops.power(ops.clip(scores, SMALLEST_SCORE, 1.0), sharpness) * known
    kept = kept / ops.sum(kept, axis=-1, keepdims=True)
    return -ops.sum(known * targets / sharpness * ops.log(kept + (1.0 - known)), axis=-1)


def answers_cross_entropy(targets: Tensor, answers: Tensor) -> Tensor:
    """Of `TwoAnswers`, per example, shapes (examples, rows, classes): of those that it is asked.

    An example is asked for its first row, by `known_cross_entropy`, or for the others, which are
    one distribution; targets of the rest are -1.
    """
    first = ops.any(targets[:, 0] >= 0, axis=-1, keepdims=True)
    # Where it is not asked, what has a finite loss, whose gradient is multiplied by 0.
    even = ops.ones_like(targets[:, 0]) / targets.shape[-1]
    given = ops.where(first, targets[:, 0], even)
    asked = ops.cast(first[:, 0], answers.dtype)
    likely = ops.log(ops.clip(answers[:, 1:], SMALLEST_SCORE, 1.0))
    joint = -ops.sum(ops.maximum(targets[:, 1:], 0.0) * likely, axis=(1, 2))
    return asked * known_cross_entropy(given, answers[:, 0]) + joint


def _accuracy_of_answers(targets: Tensor, answers: Tensor) -> Tensor:
    """Of the answer that is asked for."""
    first = ops.any(targets[:, 0] >= 0, axis=-1, keepdims=True)
    said = ops.where(first, answers[:, 0], ops.sum(answers[:, 1:], axis=1))
    wanted = ops.sum(ops.maximum(targets, 0.0), axis=1)
    return ops.equal(ops.argmax(wanted, axis=-1), ops.argmax(said, axis=-1))


class KerasTrainer:
    """A Keras model that gives probabilities, compiled."""

    suffix = ".keras"

    def __init__(self, experiment: Experiment, classes: int, shape: tuple[int, ...]) -> None:
        options = experiment.training
        self.batch = options.batch
        self.model = build(experiment.network, classes, shape, options.seed)
        kind = keras.optimizers.AdamW if options.optimizer == "adamw" else keras.optimizers.Adam
        optimizer = kind(
            options.learning_rate,
            beta_1=options.beta_1,
            beta_2=options.beta_2,
            epsilon=options.epsilon,
            # AdamW's own default is not 0.
            **({"weight_decay": options.weight_decay} if kind is keras.optimizers.AdamW else {}),
        )
        loss = margin_loss if options.loss == "margin" else known_cross_entropy
        self.model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)
        optimizer.build(self.model.trainable_variables)
        self.taught = _taught(self.model)

    def epochs(self, examples: int) -> int:
        """By the steps that the optimiser has made."""
        return int(self.model.optimizer.iterations) // math.ceil(examples / self.batch)

    def begin(self, hear: Callable[[], Floats]) -> None:
        """Layers with something to `adapt` do so, from what they will be given; see `Trainer`."""
        learning = [layer for layer in self.model.layers if hasattr(layer, "adapt")]
        heard = self._shaped(hear()) if learning else None
        for layer in learning:
            before = keras.Model(self.model.input, layer.input)
            layer.adapt(ops.convert_to_numpy(before(heard, training=False)))

    def run_epoch(
        self, features: Floats, targets: Floats, rate: float, seed: np.random.SeedSequence
    ) -> tuple[float, float]:
        """One pass; see `Trainer`."""
        states = np.random.default_rng(seed)
        for layer in self.model.layers:
            generator = getattr(layer, "seed_generator", None)
            if generator is not None:
                generator.state.assign(states.integers(0, 2**32, 2, dtype=np.uint32))
        self.model.optimizer.learning_rate = rate
        history = self.taught.fit(
            self._shaped(features), targets, self.batch, shuffle=False, verbose=0
        ).history
        right = history.get("accuracy") or history[_accuracy_of_answers.__name__]
        return float(history["loss"][-1]), float(right[-1])

    def scores(self, features: Floats) -> Floats:
        """Probabilities; see `Trainer`."""
        scores: Floats = self.model.predict(
            self._shaped(features), batch_size=self.batch, verbose=0
        )
        return scores

    def save(self, path: Path) -> None:
        """Model and optimizer."""
        self.model.save(path)

    def load(self, path: Path) -> None:
        """What `save` wrote, read in safe mode."""
        try:
            refuse_large(path)
            loaded = keras.saving.load_model(path, safe_mode=True)
        except Exception as error:
            # Keras raises whatever its parts raise, at times without a word.
            said = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise DataError(
                f"{path}: Keras cannot load it ({said}); remove the run folder to start afresh"
            ) from error
        wanted = [weight.shape for weight in self.model.weights]
        if [weight.shape for weight in loaded.weights] != wanted:
            raise DataError(
                f"{path}: a checkpoint of {loaded.name} with {loaded.count_params()} parameters, "
                f"expected {self.model.name} with {self.model.count_params()}: give another folder"
            )
        self.model, self.taught = loaded, _taught(loaded)

    def _shaped(self, features: Floats) -> Floats:
        """With the channel axis that images have."""
        return features.reshape(len(features), *self.model.inputs[0].shape[1:])


def _taught(model: Any) -> Any:
    """What is fitted: the model, or its part that gives two answers, by their own loss.

    Both have the same layers and the same optimiser, so that the model alone is kept.
    """
    answers = next((layer for layer in model.layers if isinstance(layer, TwoAnswers)), None)
    if answers is None:
        return model
    part = keras.Model(model.input, answers.output)
    part.compile(
        model.optimizer, answers_cross_entropy, metrics=[_accuracy_of_answers], jit_compile=False
    )
    return part
