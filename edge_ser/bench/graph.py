"""Operators of a graph with the shapes they ran with, and the multiplications that each makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

__all__ = ["CUSTOM", "Operator", "Shape", "count", "is_uncounted", "layer"]

CUSTOM = "CUSTOM "
"""Before the name of a custom operator of TFLite, which may do anything."""

Shape = tuple[int, ...]
Shapes = Sequence[Shape | None]


@dataclass(frozen=True)
class Operator:
    """One operator of a graph, as a runtime lists it."""

    name: str
    kind: str
    """As the format names it: `CONV_2D` in a `.tflite`, `Conv` in an `.onnx`; `CUSTOM name`."""
    inputs: tuple[Shape | None, ...]
    """Shapes as they were in a run; None for an input that is left out."""
    outputs: tuple[Shape, ...]


def count(operator: Operator) -> int | None:
    """Multiply-accumulates of one run of an operator; 0 for one that has no products to add up.

    Convolutions and matrix products alone count, and a convolution counts what falls on its
    padding: the convention of published figures. None where there is no formula here; shapes
    that do not fit the operator are such a case.

    >>> count(Operator("dense", "FULLY_CONNECTED", ((1, 64), (7, 64), (7,)), ((1, 7),)))
    448
    """
    if is_uncounted(operator):
        return None
    if operator.kind not in _FORMULAS:
        return 0
    try:
        return _FORMULAS[operator.kind][1](operator.inputs, operator.outputs)
    except (IndexError, TypeError, ZeroDivisionError):
        return None


def layer(operator: Operator) -> str | None:
    """What sort of layer an operator is, by a name that both formats share; None for no products.

    `conv`, `depthwise_conv`, `transpose_conv`, `dense`, `matmul` or `recurrent`. A product with
    one matrix for the whole batch is `dense`: ONNX has no operator of its own for such a layer.
    """
    if operator.kind not in _FORMULAS:
        return None
    name = _FORMULAS[operator.kind][0]
    image, weights = operator.inputs[:1], operator.inputs[_WEIGHTS_AT.get(operator.kind, 1) :][:1]
    if not (image and weights and image[0] and weights[0]):
        return name
    if name == "conv" and operator.kind in _WEIGHTS_AT:
        apart = weights[0][1:2] == (1,) and image[0][1:2] > (1,)
        return "depthwise_conv" if apart else name
    return "dense" if name == "matmul" and len(weights[0]) == 2 else name


def is_uncounted(operator: Operator) -> bool:
    """Whether an operator multiplies matrices or may do so, and has no formula here."""
    return operator.kind in _UNCOUNTED or operator.kind.startswith(CUSTOM)


def _given(shape: Shape | None, rank: int | None = None) -> Shape:
    """A shape that a formula cannot do without.

    ONNX Runtime leaves weights that it has packed out of the list: then another input stands in
    their place, and only its rank tells.
    """
    if shape is None or (rank is not None and len(shape) != rank):
        raise TypeError(f"the shape is {shape}, expected {rank} axes")
    return shape


def _conv(weights_at: int) -> Callable[[Shapes, Shapes], int]:
    """Weights (out channels, ...): every output value sums over the rest of their axes."""

    def products(ins: Shapes, outs: Shapes) -> int:
        out = _given(outs[0])
        return prod(out) * prod(_given(ins[weights_at], len(out))[1:])

    return products


def _depthwise(ins: Shapes, outs: Shapes) -> int:
    """TFLite's weights are (1, height, width, channels)."""
    return prod(_given(outs[0])) * prod(_given(ins[1])[1:3])


def _conv_3d(ins: Shapes, outs: Shapes) -> int:
    """TFLite's weights are (depth, height, width, in, out)."""
    return prod(_given(outs[0])) * prod(_given(ins[1])[:-1])


def _tflite_transpose(ins: Shapes, _: Shapes) -> int:
    """Inputs are the output's shape, weights (out, height, width, in), and the image."""
    return prod(_given(ins[2])) * prod(_given(ins[1])[:-1])


def _onnx_transpose(ins: Shapes, _: Shapes) -> int:
    """Weights are (in, out in a group, ...): every input value goes to the rest of their axes."""
    image = _given(ins[0])
    return prod(image) * prod(_given(ins[1], len(image))[1:])


def _dense(ins: Shapes, outs: Shapes) -> int:
    """TFLite's weights are (out, in)."""
    return prod(_given(outs[0])) * _given(ins[1])[-1]


def _matmul(ins: Shapes, outs: Shapes) -> int:
    """(..., m, k) by (..., k, n); k from sizes, as the first factor may be transposed."""
    first, result = _given(ins[0]), _given(outs[0])
    if len(first) < 2 or len(result) < len(first):  # one factor is a vector
        depth = first[-1]
    else:
        depth = prod(first[-2:]) // max(1, result[-2])
    return prod(result) * depth


def _recurrent(ins: Shapes, _: Shapes) -> int:
    """ONNX: (steps, batch, in), weights (directions, gates, in) and (directions, gates, units)."""
    weights = (_given(ins[at], 3) for at in (1, 2))
    return prod(_given(ins[0], 3)[:2]) * sum(map(prod, weights))


def _tflite_lstm(ins: Shapes, _: Shapes) -> int:
    """Inputs 1 to 8 and 16 are weights: of input and of state for each gate, and a projection."""
    weights = [shape for at in (*range(1, 9), 16) if (shape := ins[at])]
    return prod(_given(ins[0])[:-1]) * sum(map(prod, weights))


def _tflite_rnn(ins: Shapes, _: Shapes) -> int:
    """Weights (units, in) and (units, units)."""
    return prod(_given(ins[0])[:-1]) * (prod(_given(ins[1])) + prod(_given(ins[2])))


_WEIGHTS_AT = {"Conv": 1, "FusedConv": 1, "ConvInteger": 1, "QLinearConv": 3}
"""Index of the weights among the inputs of ONNX's convolutions, which have channels second."""

_FORMULAS: Mapping[str, tuple[str, Callable[[Shapes, Shapes], int]]] = {
    "CONV_2D": ("conv", _conv(1)),
    "CONV_3D": ("conv", _conv_3d),
    "DEPTHWISE_CONV_2D": ("depthwise_conv", _depthwise),
    "TRANSPOSE_CONV": ("transpose_conv", _tflite_transpose),
    "FULLY_CONNECTED": ("dense", _dense),
    "BATCH_MATMUL": ("matmul", _matmul),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": ("recurrent", _tflite_lstm),
    "UNIDIRECTIONAL_SEQUENCE_RNN": ("recurrent", _tflite_rnn),
    **{kind: ("conv", _conv(at)) for kind, at in _WEIGHTS_AT.items()},
    "ConvTranspose": ("transpose_conv", _onnx_transpose),
    "Gemm": ("dense", _matmul),
    "FusedGemm": ("dense", _matmul),
    "MatMul": ("matmul", _matmul),
    "FusedMatMul": ("matmul", _matmul),
    "MatMulInteger": ("matmul", _matmul),
    "QLinearMatMul": ("matmul", _matmul),
    "LSTM": ("recurrent", _recurrent),
    "GRU": ("recurrent", _recurrent),
    "RNN": ("recurrent", _recurrent),
}

_UNCOUNTED = frozenset(
    {
        *("BIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_RNN", "CONV_3D_TRANSPOSE"),
        *("IF", "LSTM_CELL", "RNN_CELL", "SVDF", "WHILE"),
        *("Attention", "DeformConv", "DynamicQuantizeLSTM", "DynamicQuantizeMatMul", "Einsum"),
        *("GroupQueryAttention", "MatMulNBits", "MultiHeadAttention", "NhwcFusedConv"),
        *("QAttention", "QGemm"),
    }
)
