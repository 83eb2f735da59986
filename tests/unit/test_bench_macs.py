"""Multiply-accumulates: formulas against counting, tiny models by hand, PLB by its layers."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.bench.graph import CUSTOM, Operator, count, is_uncounted, layer
from edge_ser.bench.macs import Macs, count_payload, example_features, macs
from edge_ser.card import read_model
from edge_ser.errors import CardError, ModelDamagedError, ModelError

CHECKOUT = Path(__file__).resolve().parents[2]
TINY = CHECKOUT / "tests" / "goldens" / "models"
MODELS = CHECKOUT / "models"

sizes = st.integers(1, 6)


def operator(kind: str, ins: list[tuple[int, ...] | None], *outs: tuple[int, ...]) -> Operator:
    return Operator("x", kind, tuple(ins), outs)


@given(st.lists(sizes, max_size=2), sizes, sizes, sizes, st.booleans())
def test_a_matrix_product_is_what_numpy_multiplies(
    batch: list[int], m: int, k: int, n: int, transposed: bool
) -> None:
    a, b = (*batch, m, k), (*batch, k, n)
    result = np.matmul(np.ones(a), np.ones(b))
    given_a = (*batch, k, m) if transposed else a
    for kind in ("MatMul", "BATCH_MATMUL", "FusedMatMul", "Gemm"):
        # Every product of ones adds one.
        assert count(operator(kind, [given_a, b], result.shape)) == result.sum()


@given(sizes, sizes, sizes)
def test_a_factor_may_be_shared_by_the_batch_or_be_a_vector(m: int, k: int, n: int) -> None:
    assert count(operator("MatMul", [(m, k), (5, k, n)], (5, m, n))) == 5 * m * k * n
    assert count(operator("MatMul", [(5, m, k), (k, n)], (5, m, n))) == 5 * m * k * n
    assert count(operator("MatMul", [(m, k), (k,)], (m,))) == m * k
    assert count(operator("MatMul", [(k,), (k, n)], (n,))) == k * n
    assert count(operator("MatMul", [(k,), (k,)], ())) == k
    assert count(operator("MatMul", [(0, k), (k, n)], (0, n))) == 0


@given(st.integers(3, 7), st.integers(3, 7), sizes, sizes, st.integers(1, 3), st.integers(1, 3))
def test_a_convolution_is_counted_tap_by_tap(
    height: int, width: int, channels: int, filters: int, kh: int, kw: int
) -> None:
    out_h, out_w = height - kh + 1, width - kw + 1
    places = product(range(out_h), range(out_w), range(filters), range(kh), range(kw))
    taps = sum(1 for _ in places)
    image, out = (1, height, width, channels), (1, out_h, out_w, filters)
    full = operator("CONV_2D", [image, (filters, kh, kw, channels), (filters,)], out)
    assert count(full) == taps * channels
    weights = (filters, channels, kh, kw)
    first = operator("Conv", [(1, channels, height, width), weights], (1, filters, out_h, out_w))
    assert count(first) == taps * channels
    depthwise = operator("DEPTHWISE_CONV_2D", [image, (1, kh, kw, filters), None], out)
    assert count(depthwise) == taps


def test_channels_apart_are_a_depthwise_convolution_in_both_formats() -> None:
    apart = operator("Conv", [(1, 64, 46, 7), (64, 1, 3, 3)], (1, 64, 42, 3))
    tflite = operator("DEPTHWISE_CONV_2D", [(1, 46, 7, 64), (1, 3, 3, 64)], (1, 42, 3, 64))
    assert layer(apart) == layer(tflite) == "depthwise_conv"
    assert count(apart) == count(tflite) == 42 * 3 * 64 * 9
    assert layer(operator("Conv", [(1, 1, 46, 7), (64, 1, 3, 3)], (1, 64, 44, 5))) == "conv"


@pytest.mark.parametrize(
    ("made", "products", "name"),
    [
        (operator("FULLY_CONNECTED", [(2, 5), (3, 5), None], (2, 3)), 30, "dense"),
        (operator("TRANSPOSE_CONV", [(4,), (3, 2, 2, 5), (1, 4, 4, 5)], (1, 8, 8, 3)), 960,
         "transpose_conv"),
        (operator("ConvTranspose", [(1, 5, 4, 4), (5, 3, 2, 2)], (1, 3, 8, 8)), 960,
         "transpose_conv"),
        (operator("CONV_3D", [(1, 3, 3, 3, 2), (2, 2, 2, 2, 4)], (1, 2, 2, 2, 4)), 512, "conv"),
        (operator("QLinearConv", [(1, 2, 4, 4), (), (), (3, 2, 1, 1)], (1, 3, 4, 4)), 96, "conv"),
        (operator("LSTM", [(7, 1, 4), (1, 12, 4), (1, 12, 3)], (7, 1, 1, 3)), 7 * 84, "recurrent"),
        (operator("UNIDIRECTIONAL_SEQUENCE_RNN", [(1, 7, 4), (3, 4), (3, 3), (3,)], (1, 7, 3)),
         7 * 21, "recurrent"),
        (operator("UNIDIRECTIONAL_SEQUENCE_LSTM",
                  [(1, 7, 4), *[(3, 4)] * 4, *[(3, 3)] * 4, *[None] * 12], (1, 7, 3)),
         7 * 84, "recurrent"),
        (operator("ADD", [(5,), (5,)], (5,)), 0, None),
    ],
    ids=lambda value: value.kind if isinstance(value, Operator) else "",
)  # fmt: skip
def test_other_layers(made: Operator, products: int, name: str | None) -> None:
    assert count(made) == products
    assert layer(made) == name


@pytest.mark.parametrize("kind", ["WHILE", "Einsum", CUSTOM + "Mfcc"])
def test_what_may_multiply_unseen_is_not_counted_as_nothing(kind: str) -> None:
    made = operator(kind, [(3, 3)], (3, 3))
    assert is_uncounted(made)
    assert count(made) is None


def test_weights_that_are_packed_away_leave_the_count_unknown() -> None:
    assert count(operator("Conv", [(1, 64, 97, 18), (64,)], (1, 64, 93, 14))) is None
    assert count(operator("LSTM", [(7, 1, 4), (1, 24)], (7, 1, 1, 3))) is None
    assert count(operator("Gemm", [(1, 64), (7,)], (1, 7))) == 64 * 7


@given(
    st.sampled_from(["CONV_2D", "Conv", "MatMul", "FULLY_CONNECTED", "LSTM", "TRANSPOSE_CONV"]),
    st.lists(st.none() | st.lists(st.integers(0, 5), max_size=4).map(tuple), max_size=3),
    st.lists(st.lists(st.integers(0, 5), max_size=4).map(tuple), max_size=2),
)
def test_shapes_that_do_not_fit_are_unknown_and_no_failure(
    kind: str, ins: list[tuple[int, ...] | None], outs: list[tuple[int, ...]]
) -> None:
    made = operator(kind, ins, *outs)
    number = count(made)
    assert number is None or number >= 0
    assert layer(made) is not None


@pytest.mark.parametrize(
    "name",
    ["float32.tflite", "dynamic.tflite", "float16.tflite", "int8.tflite", "uint8.tflite",
     "float32.onnx"],
)  # fmt: skip
def test_tiny_models_by_hand(name: str) -> None:
    features = [np.zeros((20, 8), np.float32)]
    found = count_payload((TINY / name).read_bytes(), features)
    # 4 filters of 3x3 at 9x3 places; 108 values into 16, those into 3.
    assert found.by_layer == {"dense": 108 * 16 + 16 * 3, "conv": 9 * 3 * 4 * 9}
    assert found.total == 2748
    # Converters leave biases of zeros out: TensorFlow's of dense layers, tf2onnx of all.
    zeros = 4 if name.endswith("tflite") else 0
    assert found.parameters == 4 * 9 + zeros + 108 * 16 + 16 * 3
    assert found.uncounted == ()


def test_a_graph_without_products_has_none() -> None:
    features = [np.zeros((50, 8), np.float32)]
    found = count_payload((TINY / "free_length.tflite").read_bytes(), features)
    assert found == Macs({}, 0)
    assert found.total == 0


def test_features_of_another_shape_are_refused() -> None:
    with pytest.raises(ModelError, match="features of shape"):
        count_payload((TINY / "float32.tflite").read_bytes(), [np.zeros((3, 3))])


@pytest.mark.parametrize("name", ["plb-emodb.tflite", "plb-emodb-dynamic.tflite", "plb-emodb.onnx"])
def test_plb_by_its_layers(name: str) -> None:
    stems = 2 * 194 * 37 * 64 * 9
    gates = 2 * (97 * 18 * 98) + 46 * 7 * 98  # planes of mean and maximum, 7x7
    dilated = 93 * 14 * 64 * 64 * 9
    pointwise = 42 * 3 * 64 * 384
    capsule_gates = 2 * 756 * 8 * 8 * (7 * 3 * 8)  # 7x7 on 64 values as 8 blocks of 8
    cross, attention = 2 * 97 * 18 * 18 * 64, 2 * 756 * 756 * 64
    routing = 4 * 756 * 6 * 64 + 5 * 6 * 64 * 64  # sums and agreements, without votes
    found = macs(MODELS / name)
    assert found.by_layer == {
        "matmul": cross + attention + routing,
        "conv": stems + gates + dilated + pointwise + capsule_gates,
        "depthwise_conv": 42 * 3 * 64 * 9,
        "dense": 6 * 2 * 64 * 32 + 64 * 7,  # three CBAMs of mean and maximum, and the scores
    }
    assert list(found.by_layer.values()) == sorted(found.by_layer.values(), reverse=True)
    assert found.total == sum(found.by_layer.values())
    assert found.parameters > 95_000


def test_example_features_fit_the_card() -> None:
    card = read_model(MODELS / "plb-emodb.tflite").card
    (features,) = example_features(card)
    assert features.shape == (196, 39)
    assert np.isfinite(features).all()
    assert features.std() > 1


def test_a_file_without_its_card_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes((TINY / "float32.tflite").read_bytes())
    with pytest.raises(CardError):
        macs(tmp_path / "m.tflite")


def test_a_damaged_file_never_reaches_a_runtime(tmp_path: Path) -> None:
    data = bytearray((MODELS / "plb-emodb.tflite").read_bytes())
    data[200_000] ^= 1
    (tmp_path / "m.tflite").write_bytes(data)
    with pytest.raises(ModelDamagedError):
        macs(tmp_path / "m.tflite")
