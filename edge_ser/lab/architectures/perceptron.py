"""A perceptron on functionals: what a clip's statistics say of its emotion. Our own, in Keras.

With a few hundred clips of a few speakers, statistics over time with a linear machine are ahead of
the published networks, and one small hidden layer, kept from learning clips by heart with noise,
dropout and mixup, of the linear machine. Of several corpora it takes many units, which are cheap
behind a layer of fewer sums (docs/experiments.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from edge_ser.errors import DataError
from edge_ser.frontend.measures import MELODY
from edge_ser.lab.architectures.layers import register
from edge_ser.lab.architectures.options import FunctionalsOptions

__all__ = ["Familiarity", "TwoAnswers", "build"]

Tensor = Any

BARRED = -1e9
"""Added to the logit of a label that a corpus does not have."""
USUAL = 97
"""Of a hundred training examples, so many are as familiar as can be."""


@register
class Familiarity(layers.Layer):  # type: ignore[misc]
    """How far a network is to be believed of values so far from what it learnt on: 1 down to 0.

    The mean square of standardised values is near 1 for a clip like those of the training. Up to
    `usual` the trust is 1, beyond it (usual / mean square)^2. Training itself is not touched.
    """

    def build(self, shape: Any) -> None:
        self.usual = self.add_weight(shape=(), initializer="ones", trainable=False, name="usual")

    def adapt(self, values: Any) -> None:
        """Learn what is usual from standardised training examples, shape (examples, values)."""
        self.usual.assign(np.percentile(np.square(values).mean(axis=1), USUAL))

    def call(self, values: Tensor, training: bool = False) -> Tensor:
        strangeness = ops.mean(ops.square(values), axis=-1, keepdims=True)
        # Of all zeros the mean square is 0.
        trust = ops.square(self.usual / ops.maximum(strangeness, self.usual))
        return ops.ones_like(trust) if training else trust


@register
class TwoAnswers(layers.Layer):  # type: ignore[misc]
    """An answer among all labels, and one by corpus: rows of shape (2 + corpora, classes) a clip.

    The first row is the softmax of its logits. The others are probabilities of corpus and label at
    once: how much a clip is like a corpus, times how likely each of its labels is; in the last row,
    of what is like no corpus, every label is as likely as the others. Added up they are an answer
    too (a mixture of experts, R. Jacobs et al., "Adaptive Mixtures of Local Experts", Neural
    Computation 3, 1991). Temperatures serve in use alone: training would undo them.
    """

    def __init__(
        self,
        members: Sequence[Sequence[bool]],
        temperatures: Sequence[float],
        temperature: float,
        **named: Any,
    ) -> None:
        """`members`: which labels each corpus has, shape (corpora, classes)."""
        super().__init__(**named)
        self.members = [[bool(each) for each in row] for row in members]
        self.temperatures = [float(each) for each in temperatures]
        self.temperature = float(temperature)

    def call(self, given: Sequence[Tensor], training: bool = False) -> Tensor:
        """From logits among all and by corpus, (clips, classes), likeness (clips, corpora + 1) and
        trust (clips, 1)."""
        logits, by_corpus, likeness, trust = given
        warmth = np.ones(len(self.members)) if training else np.array(self.temperatures)
        barred = np.where(self.members, 0.0, BARRED)
        warmth, barred = warmth[None, :, None].astype("float32"), barred[None].astype("float32")
        among_all = ops.softmax(logits / (1.0 if training else self.temperature), axis=-1)
        within = ops.softmax(by_corpus[:, None, :] / warmth + barred, axis=-1)
        heard = likeness[:, :-1] * trust
        unlike = 1.0 - ops.sum(heard, axis=-1, keepdims=True)
        even = ops.ones_like(logits) / len(self.members[0])
        rows = [among_all[:, None, :], heard[:, :, None] * within, (unlike * even)[:, None, :]]
        return ops.concatenate(rows, axis=1)

    def get_config(self) -> dict[str, Any]:
        """For a file."""
        own = ("members", "temperatures", "temperature")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


def build(options: FunctionalsOptions, classes: int, shape: tuple[int, ...]) -> Any:
    """The network for features of `shape`.

    Its first layer takes the mean off and divides by the deviation, and the embedding fades where
    a clip's melody is unlike any voice's; the trainer lets both learn from the training clips.

    Args:
        options: see the class.
        classes: number of outputs.
        shape: (values,) of one clip, of which the last are the melody.

    Raises:
        DataError: features of another shape.
    """
    if len(shape) != 1:
        raise DataError(
            f"features of shape {shape}, expected (values,): set the frontend functionals"
        )
    inputs = keras.Input(shape, name="functionals")
    values = layers.Normalization(name="standardise")(inputs)
    values = ops.clip(values, -options.limit, options.limit)
    # By the melody alone, which a microphone or a room hardly touches, and which barks, rain and
    # engines have like no voice.
    trust = Familiarity(name="familiarity")(values[:, -len(MELODY) :])
    values = layers.GaussianNoise(options.noise)(values)
    values = layers.Dropout(options.input_dropout)(values)
    if options.rank:
        values = layers.Dense(options.rank, use_bias=False, name="sums")(values)
    sums = values
    values = layers.Dense(options.hidden, activation="relu", name="hidden")(values)
    values = layers.Multiply(name="embedding")([values, trust])
    values = layers.Dropout(options.dropout)(values)
    # Without a bias, which would be all that answers where the embedding has faded.
    if not options.corpora:
        outputs = layers.Dense(classes, activation="softmax", use_bias=False, name="scores")(values)
        return keras.Model(inputs, outputs, name="functionals")
    half = options.hidden // 2
    logits = layers.Dense(classes, use_bias=False, name="scores")(values[:, :half])
    by_corpus = layers.Dense(classes, use_bias=False, name="by_corpus")(values[:, half:])
    likeness = layers.Dense(len(options.corpora) + 1, activation="softmax", name="likeness")(sums)
    answers = TwoAnswers(
        options.members(classes),
        list(options.corpora.values()),
        options.temperature,
        name="two_answers",
    )([logits, by_corpus, likeness, trust])
    outputs = ops.sum(answers, axis=1) / 2
    return keras.Model(inputs, outputs, name="functionals")
