"""Keras layers that PLB and the RoutingConvNets share.

Tensors are (batch, time, cepstral index, channels) for images and (batch, capsules, 64) for
capsules. Shapes, momenta and epsilons are those of the published models.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops

__all__ = [
    "DotAttention",
    "Reverse",
    "Routing",
    "Squash",
    "primary_capsules",
    "register",
    "squash",
    "stem",
]

Tensor = Any

SQUASH_EPSILON = 1e-7
CHANNELS = 64


def register(cls: type) -> type:
    """Make a layer loadable from a `.keras` file in safe mode."""
    registered: type = keras.saving.register_keras_serializable(package="edge_ser")(cls)
    return registered


def squash(vectors: Tensor) -> Tensor:
    """v * n2 / (1 + n2) / sqrt(n2 + 1e-7) with n2 = |v|^2, over the last axis (Sabour 2017)."""
    squared = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    return vectors * (squared / (1.0 + squared) * ops.rsqrt(squared + SQUASH_EPSILON))


@functools.cache
def _normalise_rows() -> Callable[..., tuple[Tensor, Tensor, Tensor]]:
    """Batch normalisation over axis 1: (x, gamma, beta, epsilon) -> y, mean, variance.

    On TensorFlow it is compiled by XLA, which makes one pass of what are a dozen passes over 60 MB:
    48 ms instead of 170 for the first stem's batch of 32, forward and backward, on one core.
    """

    def normalise(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> tuple[Tensor, ...]:
        mean = ops.mean(x, axis=(0, 2, 3))
        centred = x - mean[:, None, None]
        variance = ops.mean(ops.square(centred), axis=(0, 2, 3))
        scale = gamma * ops.rsqrt(variance + epsilon)
        return centred * scale[:, None, None] + beta[:, None, None], mean, variance

    if keras.backend.backend() != "tensorflow":
        return normalise
    import tensorflow

    compiled: Callable[..., tuple[Tensor, Tensor, Tensor]] = tensorflow.function(
        normalise, jit_compile=True
    )
    return compiled


@register
class RowNormalization(layers.BatchNormalization):  # type: ignore[misc]
    """`BatchNormalization(axis=1)` of images: the same variables and results, trained faster."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "axis": 1})

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        gamma, beta = self.gamma + 0.0, self.beta + 0.0
        if not training:
            # Centred first: converters otherwise push the scale through the convolution's bias and
            # store (rows, channels) constants, 123 kB in PLB.
            scale = gamma * ops.rsqrt(self.moving_variance + self.epsilon)
            centred = inputs - self.moving_mean[:, None, None]
            return centred * scale[:, None, None] + beta[:, None, None]
        outputs, mean, variance = _normalise_rows()(inputs, gamma, beta, self.epsilon)
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))
        return outputs


@register
class Reverse(layers.Layer):  # type: ignore[misc]
    """Flip one axis: 2 is the cepstral index (as published), 1 is time."""

    def __init__(self, axis: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Tensor) -> Tensor:
        return ops.flip(inputs, axis=self.axis)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


@register
class Squash(layers.Layer):  # type: ignore[misc]
    """`squash` as a layer."""

    def call(self, inputs: Tensor) -> Tensor:
        return squash(inputs)


@register
class DotAttention(layers.Layer):  # type: ignore[misc]
    """softmax(g q k^T) k with one learned scalar g, over the last two axes; no projections."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    def call(self, query: Tensor, key: Tensor) -> Tensor:
        axes = (*range(len(key.shape) - 2), len(key.shape) - 1, len(key.shape) - 2)
        scores = ops.softmax(self.scale * ops.matmul(query, ops.transpose(key, axes)), axis=-1)
        return ops.matmul(scores, key)


@register
class Routing(layers.Layer):  # type: ignore[misc]
    """Dynamic routing to `capsules` output capsules of `size` values, in `passes` passes.

    Agreements replace the routing logits (they are not accumulated), and outputs between passes are
    brought to unit length, as published.
    """

    def __init__(
        self, capsules: int = 6, size: int = CHANNELS, passes: int = 3, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.capsules, self.size, self.passes = capsules, size, passes

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.transform = self.add_weight(
            shape=(shape[-1], self.capsules * self.size),
            initializer="glorot_uniform",
            name="transform",
        )

    def call(self, inputs: Tensor) -> Tensor:
        """Outputs of shape (batch, capsules, size).

        One transform serves all inputs, so the votes u_i W_j never have to be made: a weighted sum
        of votes is (sum_i c_ij u_i) W_j, and an agreement o_j . (u_i W_j) is u_i . (W_j o_j).
        """
        features = inputs.shape[-1]
        transform = ops.transpose(
            ops.reshape(self.transform, (features, self.capsules, self.size)), (1, 0, 2)
        )
        mean = ops.sum(inputs, axis=1, keepdims=True) / self.capsules
        weighted = ops.repeat(mean, self.capsules, axis=1)
        for _ in range(self.passes - 1):
            outputs = _per_capsule(weighted, transform)
            outputs = outputs * ops.rsqrt(
                ops.maximum(ops.sum(ops.square(outputs), axis=-1, keepdims=True), 1e-12)
            )
            directions = _per_capsule_transposed(outputs, transform)
            agreements = ops.matmul(inputs, ops.transpose(directions, (0, 2, 1)))
            shares = ops.softmax(agreements, axis=-1)
            weighted = ops.matmul(ops.transpose(shares, (0, 2, 1)), inputs)
        return squash(_per_capsule(weighted, transform))

    def get_config(self) -> dict[str, Any]:
        own = {"capsules": self.capsules, "size": self.size, "passes": self.passes}
        return {**super().get_config(), **own}


def _per_capsule(vectors: Tensor, matrices: Tensor) -> Tensor:
    """Vector j of each example times matrix j: (batch, j, n) and (j, n, m) to (batch, j, m)."""
    return ops.squeeze(ops.matmul(vectors[:, :, None], matrices[None]), 2)


def _per_capsule_transposed(vectors: Tensor, matrices: Tensor) -> Tensor:
    """Vector j of each example times the transpose of matrix j: (batch, j, m) to (batch, j, n).

    TensorFlow is told to transpose within the product: of a transposed constant, converters store
    a second copy, 98 kB.
    """
    rows, constants = vectors[:, :, None], matrices[None]
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        return ops.squeeze(tensorflow.matmul(rows, constants, transpose_b=True), 2)
    return ops.squeeze(ops.matmul(rows, ops.transpose(constants, (0, 1, 3, 2))), 2)


def stem(x: Tensor, filters: int, dilation: int, dropout: float, name: str) -> Tensor:
    """3x3 convolution -> BN over time rows -> ELU -> average pool 2x2 -> spatial dropout."""
    x = layers.Conv2D(filters, 3, dilation_rate=dilation, name=f"{name}_conv")(x)
    x = RowNormalization(name=f"{name}_norm")(x)
    x = layers.Activation("elu", name=f"{name}_elu")(x)
    x = layers.AveragePooling2D(2, name=f"{name}_pool")(x)
    return layers.SpatialDropout2D(dropout, name=f"{name}_dropout")(x)


def primary_capsules(x: Tensor, dilation: int) -> Tensor:
    """Depthwise 3x3 and 1x1 to 384 channels: every position gives 6 capsules of 64, squashed."""
    x = layers.DepthwiseConv2D(3, dilation_rate=dilation, name="capsules_depthwise")(x)
    x = layers.Conv2D(6 * CHANNELS, 1, name="capsules_pointwise")(x)
    x = layers.Reshape((-1, CHANNELS), name="capsules")(x)
    return Squash(name="capsules_squash")(x)
