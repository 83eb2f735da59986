"""Networks and layers against the published counts and literal transcriptions in numpy."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edge_ser.errors import DataError

pytestmark = [
    pytest.mark.needs("tensorflow"),
    # TensorFlow's arrays do not know numpy 2's copy keyword; Keras runs into it when it saves.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

COUNTS = {
    "plb": (94_833, 966),
    "improved-routing": (93_417, 578),
    "routing": (155_929, 0),
}


@pytest.fixture(scope="module")
def lab() -> SimpleNamespace:
    from edge_ser.lab import compute

    compute.prepare()
    import keras
    import tensorflow

    from edge_ser.lab import architectures
    from edge_ser.lab.architectures import gates, layers

    return SimpleNamespace(
        keras=keras, tf=tensorflow, build=architectures.build, gates=gates, layers=layers
    )


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("classes", [7, 8, 4])
@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts_are_the_published_ones(lab: Any, name: str, classes: int) -> None:
    model = lab.build(name, classes)
    body, fixed = COUNTS[name]
    assert model.count_params() == body + 65 * classes
    frozen = sum(int(np.prod(weight.shape)) for weight in model.non_trainable_weights)
    states = [w for w in model.non_trainable_weights if "seed" in w.path]
    assert not fixed or frozen - sum(int(np.prod(w.shape)) for w in states) == fixed
    assert model.output_shape == (None, classes)


def test_published_totals() -> None:
    assert [COUNTS["plb"][0] + 65 * c for c in (7, 8, 4)] == [95_288, 95_353, 95_093]
    assert [COUNTS["improved-routing"][0] + 65 * c for c in (7, 8, 4)] == [93_872, 93_937, 93_677]
    assert [COUNTS["routing"][0] + 65 * c for c in (7, 8, 4)] == [156_384, 156_449, 156_189]


def test_an_unknown_architecture_is_named_with_those_there_are(lab: Any) -> None:
    with pytest.raises(DataError, match="'vgg', expected one of plb, improved-routing, routing"):
        lab.build("vgg", 7)


def test_a_saved_network_comes_back_the_same(lab: Any, tmp_path: Any) -> None:
    model = lab.build("routing", 3)
    model.save(tmp_path / "m.keras")
    again = lab.keras.saving.load_model(tmp_path / "m.keras", safe_mode=True)
    x = noise(1, 2, 196, 39, 1)
    np.testing.assert_array_equal(again(x), model(x))
    assert again.get_layer("reverse").axis == 2
    assert again.get_layer("routing").passes == 3


def test_row_normalization_is_batch_normalization_over_axis_1(lab: Any) -> None:
    x = lab.tf.constant(noise(2, 4, 6, 5, 3) * 3 + 1)
    upstream = noise(3, 4, 6, 5, 3)
    ours = lab.layers.RowNormalization(name="ours")
    theirs = lab.keras.layers.BatchNormalization(axis=1, name="theirs")
    gradients = []
    for layer in (ours, theirs):
        layer.build(x.shape)
        layer.set_weights([noise(4, 6), noise(5, 6), noise(6, 6), np.abs(noise(7, 6))])
        with lab.tf.GradientTape() as tape:
            tape.watch(x)
            loss = lab.tf.reduce_sum(layer(x, training=True) * upstream)
        gradients.append(tape.gradient(loss, [x, layer.gamma.value, layer.beta.value]))
    for mine, reference in zip(*gradients, strict=True):
        np.testing.assert_allclose(mine, reference, atol=2e-5)
    for mine, reference in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, reference, atol=1e-6)
    for training in (True, False):
        np.testing.assert_allclose(
            ours(x, training=training), theirs(x, training=training), atol=1e-5
        )


@pytest.mark.parametrize("size", [3, 7])
@pytest.mark.parametrize("width", [8, 16, 64, 5, 12])
def test_blocks_convolve_as_the_whole_plane(lab: Any, width: int, size: int) -> None:
    plane, kernel = noise(8, 2, 9, width, 1), noise(9, size, size)
    direct = lab.keras.ops.conv(plane, kernel[:, :, None, None], padding="same")
    np.testing.assert_allclose(lab.gates.convolve_plane(plane, kernel), direct, atol=1e-5)


def test_a_kernel_wider_than_its_blocks_is_not_cut(lab: Any) -> None:
    plane, kernel = noise(8, 1, 9, 8, 1), noise(9, 7, 7)
    direct = lab.keras.ops.conv(plane, kernel[:, :, None, None], padding="same")
    np.testing.assert_allclose(lab.gates.convolve_plane(plane, kernel, 2), direct, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_the_gate_of_one_plane_is_that_of_two_equal_planes(lab: Any, training: bool) -> None:
    x = noise(10, 2, 20, 64, 1)
    gate = lab.gates.SpatialGate()
    gate.build(x.shape)
    weights = [noise(11, 7, 7, 2, 1), *(np.abs(noise(12 + i, 1)) for i in range(4))]
    gate.set_weights(weights)
    norm = lab.keras.layers.BatchNormalization(momentum=0.01, epsilon=1e-5)
    norm.build(x.shape)
    norm.set_weights(weights[1:])
    planes = np.concatenate([x.mean(axis=-1, keepdims=True), x.max(axis=-1, keepdims=True)], -1)
    scores = norm(lab.keras.ops.conv(planes, weights[0], padding="same"), training=training)
    expected = x / (1 + np.exp(-np.maximum(scores, 0)))
    np.testing.assert_allclose(gate(x, training=training), expected, atol=1e-5)
    np.testing.assert_allclose(gate.norm.moving_mean, norm.moving_mean, atol=1e-6)
    np.testing.assert_allclose(gate.norm.moving_variance, norm.moving_variance, rtol=1e-5)


def test_squash(lab: Any) -> None:
    v = noise(13, 3, 5, 8).astype(np.float64)
    squared = (v**2).sum(axis=-1, keepdims=True)
    expected = v * squared / (1 + squared) / np.sqrt(squared + 1e-7)
    np.testing.assert_allclose(lab.layers.squash(v.astype(np.float32)), expected, atol=1e-6)
    assert (np.linalg.norm(expected, axis=-1) < 1).all()
    np.testing.assert_array_equal(lab.layers.squash(np.zeros((1, 4), np.float32)), 0)


def test_routing_is_the_votes_form(lab: Any) -> None:
    """Three passes of c = softmax(b), o = sum c u_hat, b = o . u_hat, with u_hat = u W."""
    u = noise(14, 2, 30, 64).astype(np.float64)
    layer = lab.layers.Routing()
    outputs = layer(u.astype(np.float32))
    votes = (u @ layer.transform.numpy().astype(np.float64)).reshape(2, 30, 6, 64)
    logits = np.zeros((2, 30, 6))
    for step in range(3):
        powers = np.exp(logits - logits.max(axis=2, keepdims=True))
        shares = powers / powers.sum(axis=2, keepdims=True)
        o = np.einsum("bij,bijm->bjm", shares, votes)
        if step < 2:
            o /= np.sqrt(np.maximum((o**2).sum(axis=-1, keepdims=True), 1e-12))
            logits = np.einsum("bjm,bijm->bij", o, votes)
    squared = (o**2).sum(axis=-1, keepdims=True)
    expected = o * squared / (1 + squared) / np.sqrt(squared + 1e-7)
    np.testing.assert_allclose(outputs, expected, atol=1e-5)


def test_attention_is_a_scaled_softmax_over_the_keys(lab: Any) -> None:
    q, k = noise(15, 2, 3, 5, 4), noise(16, 2, 3, 5, 4)
    layer = lab.layers.DotAttention()
    layer.scale.assign(0.7)
    scores = 0.7 * np.einsum("btic,btjc->btij", q, k)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    expected = (powers / powers.sum(axis=-1, keepdims=True)) @ k
    np.testing.assert_allclose(layer(q, k), expected, atol=1e-5)


def test_another_backend_computes_the_same_routing(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors, matrices = noise(17, 2, 6, 8), noise(18, 6, 5, 8)
    own = lab.layers._per_capsule_transposed(vectors, matrices)
    monkeypatch.setattr(lab.keras.backend, "backend", lambda: "jax")
    np.testing.assert_allclose(
        lab.layers._per_capsule_transposed(vectors, matrices), own, atol=1e-5
    )
