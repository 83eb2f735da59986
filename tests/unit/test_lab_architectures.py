"""Networks and layers against the published counts and literal transcriptions in numpy."""

from __future__ import annotations

import re
import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edge_ser.errors import DataError
from edge_ser.lab.architectures import network
from edge_ser.lab.architectures.options import CapsuleOptions

pytestmark = [
    pytest.mark.needs("tensorflow"),
    # TensorFlow's arrays do not know numpy 2's copy keyword; Keras runs into it when it saves.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def lab() -> SimpleNamespace:
    from edge_ser.lab import compute

    compute.prepare()
    import keras
    import tensorflow

    from edge_ser.lab.architectures import capsules, gates, layers

    return SimpleNamespace(
        keras=keras, tf=tensorflow, build=capsules.build, gates=gates, layers=layers
    )


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def options(name: str, **chosen: Any) -> CapsuleOptions:
    found: CapsuleOptions = network(name).with_options(**chosen).options
    return found


def mfccs(count: int) -> np.ndarray:
    """Clips as MFCCs are: a loud first coefficient, falling spread, silence before and after."""
    rng = np.random.default_rng(1)
    falling = np.geomspace(60, 5, 39)
    clips = falling * rng.standard_normal((count, 196, 39)) * rng.uniform(0.3, 1.5, (count, 1, 39))
    clips += falling * rng.standard_normal((count, 1, 39))
    clips[..., 0] -= rng.uniform(100, 500, (count, 1))
    for clip, silent in zip(clips, rng.integers(1, 80, count), strict=True):
        for edge in (clip[:silent], clip[-silent:]):
            edge[:] = -700 * np.eye(39)[0]
    return clips[..., None].astype(np.float32)


def awake(model: Any) -> Any:
    """The network with weights under which clips differ by all of a score: fresh ones hardly do."""
    import keras

    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.dtype == "float32":
            away = weight.numpy() + 0.1 * rng.standard_normal(weight.shape)
            weight.assign(np.abs(away) if "variance" in weight.path else away)
    pooled = keras.Model(model.input, model.get_layer("pool").output)
    head = model.get_layer("scores")
    inputs = mfccs(4)
    embedded = np.concatenate([pooled(inputs[at : at + 1]) for at in range(4)])
    kernel = head.kernel.numpy()
    kernel *= 2 / (embedded @ kernel).std(axis=0).mean()
    head.set_weights([kernel, -embedded.mean(axis=0) @ kernel])
    return model


def nodes(model: Any) -> dict[str, int]:
    """How often each layer is used."""
    config = model.get_config()["layers"]
    return {layer["name"]: len(layer["inbound_nodes"]) for layer in config}


@pytest.mark.parametrize(
    ("name", "capsules", "cbam", "gate", "attention"),
    [
        ("plb", 756, 3, 2, 2),
        ("plb-capsules", 322, 3, 1, 2),
        ("plb-cbam", 756, 0, 2, 2),
        ("plb-spa", 756, 2, 0, 1),
        ("plb-sa", 756, 3, 1, 1),
        ("plb-routing", 756, 3, 2, 2),
        ("plb-gate", 756, 3, 0, 2),
        ("improved-routing", 1320, 2, 4, 1),
        ("improved-routing-routing", 1320, 2, 3, 1),
        ("improved-routing-sa", 1320, 2, 2, 0),
        ("improved-routing-capsules", 322, 2, 3, 1),
        ("improved-routing-cbam-spa", 1320, 0, 0, 1),
        ("improved-routing-spa", 1320, 2, 0, 1),
        ("improved-routing-cbam", 1320, 0, 4, 1),
        ("routing", 40, 0, 0, 1),
    ],
)
def test_each_row_uses_its_modules_as_often_as_described(
    lab: Any, name: str, capsules: int, cbam: int, gate: int, attention: int
) -> None:
    """What the counts of parameters do not tell: shared modules count once however often used."""
    model = lab.build(options(name), 7)
    used = nodes(model)
    assert model.get_layer("capsules").output.shape == (None, capsules, 64)
    assert [used.get(n, 0) for n in ("cbam", "capsule_gate", "attention")] == [
        cbam,
        gate,
        attention,
    ]
    body = options(name).body
    assert ("reverse" in used) == (body != "improved")
    assert ("cross_attention" in used) == (body == "plb" and name != "plb-spa")
    assert ("capsules_squash" in used) == (name != "improved-routing-capsules")
    assert ("routing" in used) == (not name.endswith("-routing-routing") and name != "plb-routing")


def test_the_row_spa_of_plb_sees_reversed_clips_only(lab: Any) -> None:
    used = nodes(lab.build(options("plb-spa"), 7))
    assert "backward_conv" in used and "forward_conv" not in used


@pytest.mark.parametrize("body", ["plb", "improved"])
def test_without_cbam_is_a_cbam_that_gives_nothing(lab: Any, body: Any) -> None:
    whole = awake(lab.build(CapsuleOptions(body), 3))
    without = lab.build(CapsuleOptions(body, "cbam"), 3)
    values = {weight.path: weight.numpy() for weight in whole.weights}
    for weight in without.weights:
        weight.assign(values[weight.path])
    x = mfccs(4)  # all those that `awake` spreads: two may lie together
    assert np.abs(whole(x) - without(x)).max() > 1e-2
    expand = whole.get_layer("cbam").expand
    expand.set_weights([np.zeros((32, 64)), np.full(64, -500.0)])  # of which a sigmoid is 0
    np.testing.assert_allclose(whole(x), without(x), atol=1e-6)


def test_a_reversed_branch_flips_the_axis_it_is_told(lab: Any) -> None:
    by_index = awake(lab.build(options("plb-spa"), 3))
    by_time = lab.build(options("plb-spa", reverse_axis="time"), 3)
    by_time.set_weights(by_index.get_weights())
    x = mfccs(4)  # all those that `awake` spreads: two may lie together
    np.testing.assert_allclose(by_time(x[:, ::-1]), by_index(x[:, :, ::-1]), atol=1e-6)
    assert np.abs(by_time(x) - by_index(x)).max() > 1e-2


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("plb", 12),
        ("plb-sa", 8),
        ("plb-spa", 4),
        ("plb-gate", 8),
        ("improved-routing", 16),
        ("improved-routing-sa", 8),
        ("improved-routing-cbam", 12),
    ],
)
def test_a_normalisation_for_each_site_adds_four_parameters_a_site(
    lab: Any, name: str, more: int
) -> None:
    shared, own = lab.build(options(name), 7), lab.build(options(name, gate_bn="site"), 7)
    assert own.count_params() - shared.count_params() == more


def test_sites_have_statistics_of_their_own(lab: Any, tmp_path: Any) -> None:
    shared = awake(lab.build(options("improved-routing"), 3))
    model = lab.build(options("improved-routing", gate_bn="site"), 3)
    values = {weight.path: weight.numpy() for weight in shared.weights}
    for weight in model.weights:
        weight.assign(values[re.sub(r"norm_\d/", "norm/", weight.path)])
    x = mfccs(2)
    np.testing.assert_array_equal(model(x), shared(x))  # as long as none has learned
    model(x, training=True)
    gate = model.get_layer("capsule_gate").gate
    norms = [gate.norm, *gate.other_norms]
    assert len({float(norm.moving_variance[0]) for norm in norms}) == 4
    assert all(norm.momentum == 0.99 for norm in norms)
    model.save(tmp_path / "m.keras")
    again = lab.keras.saving.load_model(tmp_path / "m.keras", safe_mode=True)
    np.testing.assert_array_equal(again(x), model(x))


def test_two_gates_in_a_row_where_self_attention_is_left_out(lab: Any) -> None:
    twice = lab.build(options("improved-routing-sa", gate_calls=2), 8)
    assert nodes(twice)["capsule_gate"] == 3
    assert twice.count_params() == network("improved-routing-sa").parameters[8]


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (CapsuleOptions("vgg"), "body is 'vgg', expected one of plb, improved, routing"),  # type: ignore[arg-type]
        (CapsuleOptions("plb", "cbam+spa"), "without is 'cbam.spa', but plb can be without caps"),
        (CapsuleOptions("routing", "sa"), "but routing can be without nothing"),
        (CapsuleOptions("improved", reverse_axis="time"), "expected coefficient for improved"),
        (CapsuleOptions(reverse_axis="tme"), "expected coefficient or time for plb"),  # type: ignore[arg-type]
        (CapsuleOptions("routing", gate_bn="site"), "gate_bn is 'site', expected published for r"),
        (CapsuleOptions("plb", "sa", gate_calls=2), "gate_calls is 2, .* for plb without sa"),
    ],
)
def test_what_a_body_does_not_have_is_refused(
    lab: Any, chosen: CapsuleOptions, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        lab.build(chosen, 7)


@pytest.mark.parametrize(("body", "least"), [("plb", 30), ("improved", 22), ("routing", 38)])
def test_other_lengths_are_taken_down_to_one_position(lab: Any, body: Any, least: int) -> None:
    model = lab.build(CapsuleOptions(body), 3, (least, least))
    assert model.get_layer("capsules").output.shape[1] == {"routing": 2}.get(body, 6)
    for shape in ((least - 1, 39), (196, least - 1), (196,), (196, 39, 1)):
        with pytest.raises(DataError, match="features of shape"):
            lab.build(CapsuleOptions(body), 3, shape)


def test_a_fixed_batch(lab: Any) -> None:
    assert lab.build(CapsuleOptions("routing"), 3, batch=2).input_shape == (2, 196, 39, 1)


@pytest.mark.parametrize("name", ["plb-spa", "improved-routing-capsules", "routing"])
def test_a_row_in_litert_is_the_row_in_keras(lab: Any, name: str) -> None:
    """Among them a reversed branch alone, capsules without a squash, and no gate at all."""
    from edge_ser.runtime import open_model

    model = awake(lab.build(options(name), 7, batch=1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converter warns of its own internals
        payload = lab.tf.lite.TFLiteConverter.from_keras_model(model).convert()  # built-in ops only
    interpreter = open_model(payload)
    clips = mfccs(8)
    (output,) = interpreter.outputs
    expected = np.concatenate([model(clip[None]) for clip in clips])
    assert np.ptp(expected, axis=0).max() > 0.2
    scores = np.concatenate([interpreter.run([clip[None]])[output.name] for clip in clips])
    np.testing.assert_allclose(scores, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["plb-sa", "routing"])
def test_a_saved_network_comes_back_the_same(lab: Any, tmp_path: Any, name: str) -> None:
    model = awake(lab.build(options(name), 3))
    model.save(tmp_path / "m.keras")
    again = lab.keras.saving.load_model(tmp_path / "m.keras", safe_mode=True)
    x = mfccs(2)
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
