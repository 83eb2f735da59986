"""A perceptron on functionals: what a clip's statistics say of its emotion. Our own, in Keras.

With a few hundred clips of a few speakers, statistics over time with a linear machine are ahead of
the published networks, and one small hidden layer, kept from learning clips by heart with noise,
dropout and mixup, of the linear machine (docs/experiments.md).
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from edge_ser.errors import DataError
from edge_ser.lab.architectures.options import FunctionalsOptions

__all__ = ["build"]

MAX_HIDDEN = 4096


def build(options: FunctionalsOptions, classes: int, shape: tuple[int, ...]) -> Any:
    """The network for features of `shape`.

    Its first layer takes the mean off and divides by the deviation; the trainer lets it learn both
    from the training clips.

    Args:
        options: see the class.
        classes: number of outputs.
        shape: (values,) of one clip.

    Raises:
        DataError: a shape or an option that cannot be taken.
    """
    if len(shape) != 1:
        raise DataError(
            f"features of shape {shape}, expected (values,): set the frontend functionals"
        )
    if not 1 <= options.hidden <= MAX_HIDDEN:
        raise DataError(f"hidden is {options.hidden}, expected 1 to {MAX_HIDDEN}")
    for name in ("input_dropout", "dropout"):
        if not 0 <= getattr(options, name) < 1:
            raise DataError(f"{name} is {getattr(options, name)}, expected 0 to below 1")
    if not 0 <= options.noise <= options.limit <= 1e6:
        raise DataError(
            f"noise is {options.noise} and limit {options.limit}, expected 0 <= noise <= limit"
        )
    inputs = keras.Input(shape, name="functionals")
    values = layers.Normalization(name="standardise")(inputs)
    values = keras.ops.clip(values, -options.limit, options.limit)
    values = layers.GaussianNoise(options.noise)(values)
    values = layers.Dropout(options.input_dropout)(values)
    values = layers.Dense(options.hidden, activation="relu", name="embedding")(values)
    values = layers.Dropout(options.dropout)(values)
    outputs = layers.Dense(classes, activation="softmax", name="scores")(values)
    return keras.Model(inputs, outputs, name="functionals")
