"""Keras layers that PLB and the RoutingConvNets share.

Tensors are (batch, time, cepstral index, channels) for images and (batch, capsules, 64) for
capsules. Shapes, momenta and epsilons are those of the published models.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

__all__ = [
    "CBAM",
    "DotAttention",
    "GatedResidual",
    "Reverse",
    "Routing",
    "SpatialGate",
    "Squash",
    "primary_capsules",
    "stem",
]

Tensor = Any

SQUASH_EPSILON = 1e-7
GATE_KERNEL = 7
CHANNELS = 64


def register(cls: type) -> type:
    """Make a layer loadable from a `.keras` file in safe mode."""
    registered: type = keras.saving.register_keras_serializable(package="edge_ser")(cls)
    return registered


def squash(vectors: Tensor) -> Tensor:
    """v * n2 / (1 + n2) / sqrt(n2 + 1e-7) with n2 = |v|^2, over the last axis (Sabour et al. 2017)."""
    squared = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    return vectors * (squared / (1.0 + squared) * ops.rsqrt(squared + SQUASH_EPSILON))


@functools.cache
def _normalise_rows() -> Callable[..., tuple[Tensor, Tensor, Tensor]]:
    """Batch normalisation over axis 1 as one function: (x, gamma, beta, epsilon) -> y, mean, variance.

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


@functools.cache
def _block_placement(size: int, block: int) -> NDArray[np.float32]:
    """Where each column of a kernel goes in the block form: (size, 3 * block * block) of 0 and 1.

    Output column o of a block sees input column i of the block before (-1), its own (0) and the
    next (1); between them lie block * offset + i - o columns.
    """
    offsets, inputs, outputs = np.ix_((-1, 0, 1), range(block), range(block))
    taps = block * offsets + inputs - outputs + size // 2
    placement = np.arange(size)[:, None, None, None] == taps
    return placement.reshape(size, -1).astype(np.float32)


def convolve_plane(plane: Tensor, kernel: Tensor, block: int = 8) -> Tensor:
    """`same` convolution of one-channel images (batch, H, W, 1) with a square kernel, in blocks.

    One channel in and out wastes all lanes but one. Taking `block` columns for channels gives the
    same sums, three blocks wide, on dense lanes: LiteRT needs 5.4 instead of 8.0 ms for all of PLB,
    and the kernel grows from 0.2 to 5 kB. (A Toeplitz form over all 64 columns takes 5.8 ms, 115 kB.)
    """
    size = kernel.shape[0]
    height, width = plane.shape[1:3]
    if width % block or size // 2 > block:
        return ops.conv(plane, ops.reshape(kernel, (size, size, 1, 1)), padding="same")
    blocks = ops.reshape(plane, (-1, height, width // block, block))
    placed = ops.matmul(kernel, _block_placement(size, block))
    placed = ops.reshape(placed, (size, 3, block, block))
    return ops.reshape(ops.conv(blocks, placed, padding="same"), (-1, height, width, 1))


@register
class SpatialGate(layers.Layer):  # type: ignore[misc]
    """x * sigmoid(relu(BN(conv7x7([mean, max over channels])))), the convolution without a bias.

    The batch normalisation keeps the published momentum of 0.01: its moving statistics are those of
    the last batch, at the last place where a shared gate is used.
    """

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.kernel = self.add_weight(
            shape=(GATE_KERNEL, GATE_KERNEL, 2, 1), initializer="glorot_uniform", name="kernel"
        )
        self.norm = layers.BatchNormalization(momentum=0.01, epsilon=1e-5, name="norm")
        self.norm.build((*shape[:-1], 1))

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if inputs.shape[-1] == 1:
            # Mean and maximum over one channel are that channel: one plane, both kernels added.
            scores = convolve_plane(inputs, ops.sum(self.kernel, axis=(2, 3)))
        else:
            mean = ops.mean(inputs, axis=-1, keepdims=True)
            peak = ops.max(inputs, axis=-1, keepdims=True)
            planes = ops.concatenate([mean, peak], axis=-1)
            scores = ops.conv(planes, self.kernel, padding="same")
        return inputs * ops.sigmoid(ops.relu(self.norm(scores, training=training)))


@register
class CBAM(layers.Layer):  # type: ignore[misc]
    """Channel gate, then spatial gate (Woo et al. 2018); 4,294 parameters for 64 channels."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        channels = shape[-1]
        assert channels is not None
        self.reduce = layers.Dense(channels // 2, activation="relu", name="reduce")
        self.expand = layers.Dense(channels, name="expand")
        self.gate = SpatialGate(name="gate")
        self.reduce.build((None, channels))
        self.expand.build((None, channels // 2))
        self.gate.build(shape)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        mean = ops.mean(inputs, axis=(1, 2))
        peak = ops.max(inputs, axis=(1, 2))
        weights = ops.sigmoid(self.expand(self.reduce(mean)) + self.expand(self.reduce(peak)))
        return self.gate(inputs * weights[:, None, None, :], training=training)


@register
class GatedResidual(layers.Layer):  # type: ignore[misc]
    """y + gate(y) on capsules seen as a one-channel image; the gate is shared between its uses."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.gate = SpatialGate(name="gate")

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.gate.build((*shape, 1))

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        image = ops.expand_dims(inputs, -1)
        return inputs + ops.squeeze(self.gate(image, training=training), -1)


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
