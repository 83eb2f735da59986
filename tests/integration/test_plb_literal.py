"""PLB as trained against a literal PLB of stock Keras layers, written from its description alone.

Ours takes shortcuts that are algebra: rows normalised in one XLA pass, a 7x7 convolution in blocks,
routing without votes. With the same weights and the same dropout masks, in float64, the two agree
in outputs, loss, every gradient, every moving statistic and, after two steps of Adam, every weight.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from edge_ser.lab import compute
from edge_ser.lab.experiment import find_experiment, from_tables

DROPOUTS = ("forward_dropout", "backward_dropout", "dilated_dropout", "dropout")
# Rounding moves a value by 1e-13; a squash epsilon of 1e-6 for 1e-7 moves a gradient by 2e-9.
close = partial(np.testing.assert_allclose, rtol=1e-8, atol=1e-11)


def named(model: Any, trainable: tuple[bool, ...] = (True, False)) -> dict[str, Any]:
    """Weights by names that both networks have."""
    weights = {w.path.replace("/", "_"): w for w in model.weights if w.trainable in trainable}
    return {name.replace("routing_transform", "routing_kernel"): w for name, w in weights.items()}


def literal_plb() -> Any:
    from keras import Input, Model, layers, ops

    inputs = Input((196, 39, 1))
    reduce = layers.Dense(32, activation="relu", name="cbam_reduce")
    expand = layers.Dense(64, name="cbam_expand")
    attention = layers.Attention(use_scale=True, name="attention")

    def stem(x: Any, dilation: int, name: str) -> Any:
        x = layers.Conv2D(64, 3, dilation_rate=dilation, name=f"{name}_conv")(x)
        x = layers.BatchNormalization(axis=1, momentum=0.99, epsilon=1e-3, name=f"{name}_norm")(x)
        x = layers.AveragePooling2D(2)(layers.ELU()(x))
        return layers.SpatialDropout2D(0.2, name=f"{name}_dropout")(x)

    def spatial_gate(name: str) -> Any:
        conv = layers.Conv2D(1, 7, padding="same", use_bias=False, name=name)
        norm = layers.BatchNormalization(momentum=0.01, epsilon=1e-5, name=f"{name}_norm")

        def gated(x: Any) -> Any:
            planes = [ops.mean(x, -1, keepdims=True), ops.max(x, -1, keepdims=True)]
            return x * ops.sigmoid(ops.relu(norm(conv(layers.Concatenate()(planes)))))

        return gated

    cbam_gate, capsule_gate = spatial_gate("cbam_gate"), spatial_gate("capsule_gate_gate")

    def plus_cbam(x: Any) -> Any:
        mean = layers.GlobalAveragePooling2D(keepdims=True)(x)
        peak = layers.GlobalMaxPooling2D(keepdims=True)(x)
        return x + cbam_gate(x * ops.sigmoid(expand(reduce(mean)) + expand(reduce(peak))))

    def plus_capsule_gate(y: Any) -> Any:
        return y + layers.Reshape((756, 64))(capsule_gate(layers.Reshape((756, 64, 1))(y)))

    def squash(v: Any) -> Any:
        n2 = ops.sum(v * v, axis=-1, keepdims=True)
        return v * n2 / (1 + n2) / ops.sqrt(n2 + 1e-7)

    f = plus_cbam(stem(inputs, 1, "forward"))
    b = plus_cbam(stem(inputs[:, :, ::-1], 1, "backward"))
    x = plus_cbam(stem(f + attention([f, b]), 2, "dilated"))
    x = layers.DepthwiseConv2D(3, dilation_rate=2, name="capsules_depthwise")(x)
    x = layers.Conv2D(384, 1, name="capsules_pointwise")(x)
    y = plus_capsule_gate(squash(layers.Reshape((756, 64))(x)))
    s = layers.LayerNormalization(epsilon=1e-3, name="attention_norm")(attention([y, y]))
    y = plus_capsule_gate(y * s)
    votes = layers.Reshape((756, 6, 64))(layers.Dense(384, use_bias=False, name="routing")(y))
    logits = ops.zeros_like(votes[..., 0])
    for last in (False, False, True):
        o = ops.einsum("bij,bijm->bjm", ops.softmax(logits, axis=2), votes)
        if not last:
            o = o / ops.sqrt(ops.maximum(ops.sum(o * o, axis=-1, keepdims=True), 1e-12))
            logits = ops.einsum("bjm,bijm->bij", o, votes)
    pooled = layers.Dropout(0.2, name="dropout")(layers.GlobalAveragePooling1D()(squash(o)))
    return Model(inputs, layers.Dense(7, activation="softmax", name="scores")(pooled))


def literal_loss(y: Any, p: Any) -> Any:
    from keras import ops

    margins = y * ops.maximum(0, 0.9 - p) ** 2 + 0.5 * (1 - y) * ops.maximum(0, p - 0.1) ** 2
    return ops.mean(ops.sum(margins, axis=1)) + 0.392 * ops.mean((y - p) ** 2)


def step(model: Any, loss: Any, x: Any, y: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Scores, loss and gradients of a training step; statistics and seeds move, weights stay."""
    import tensorflow

    with tensorflow.GradientTape() as tape:
        scores = model(x, training=True)
        value = tensorflow.reduce_mean(loss(y, scores))
    weights = {name: weight.value for name, weight in named(model, (True,)).items()}
    return scores, value, tape.gradient(value, weights)


@pytest.mark.needs("tensorflow")
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_training_is_that_of_the_literal_network(request: pytest.FixtureRequest) -> None:
    compute.prepare()
    from keras import config, optimizers

    from edge_ser.lab.training.keras_trainer import KerasTrainer, margin_loss

    request.addfinalizer(partial(config.set_floatx, config.floatx()))
    request.addfinalizer(partial(config.set_dtype_policy, config.dtype_policy()))
    config.set_floatx("float64")
    config.set_dtype_policy("float64")
    rng = np.random.default_rng(0)
    x = 20 * rng.standard_normal((3, 196, 39, 1)) - 300 * np.eye(39)[0][:, None]
    x[1, :60] = x[1, 0, 0] * np.eye(39)[0][:, None]  # padding: frames of equal cepstra
    y = np.eye(7)[rng.integers(0, 7, 3)] * 0.9 + 0.1 / 7
    title, tables, where = find_experiment("plb-emodb")
    trainer = KerasTrainer(from_tables(tables, title, where), 7, (196, 39))
    ours, theirs = trainer.model, literal_plb()
    for name, weight in named(theirs).items():  # no scale is 1 and no bias 0 any more
        away = named(ours)[name] + 0.1 * rng.standard_normal(weight.shape)
        for variable in (weight, named(ours)[name]):
            variable.assign(np.abs(away) if "variance" in name else away)
    for name in DROPOUTS:
        state = ours.get_layer(name).seed_generator.state
        theirs.get_layer(name).seed_generator.state.assign(state)
    close(ours(x), theirs(x))
    *results, gradients = step(ours, margin_loss, x, y)
    *expected, reference = step(theirs, literal_loss, x, y)
    close(results[0], expected[0])
    close(results[1], expected[1])
    assert len(gradients) == 32 and all(np.abs(g).max() > 1e-6 for g in reference.values())
    for name, gradient in reference.items():
        close(gradients[name], gradient, err_msg=name)
    ours.fit(x, y, 2, shuffle=False, verbose=0)  # the second step has one clip
    adam = optimizers.Adam(1e-3, beta_1=0.975, beta_2=0.932, epsilon=1e-8)
    for at in (slice(0, 2), slice(2, 3)):
        *_, gradients = step(theirs, literal_loss, x[at], y[at])
        adam.apply(list(gradients.values()), [named(theirs)[name] for name in gradients])
    assert named(ours).keys() == named(theirs).keys()
    for name, weight in named(theirs).items():
        close(named(ours)[name], weight, err_msg=name)
    close(ours(x), theirs(x))
    assert [int(ours.get_layer(d).seed_generator.state[1]) for d in DROPOUTS] == [3] * 4
