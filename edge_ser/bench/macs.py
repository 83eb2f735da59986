"""Multiply-accumulates of a model file, by type of layer, and its parameters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_ser.bench.graph import Operator, count, layer
from edge_ser.card import ModelCard, naming, read_model
from edge_ser.container import kind_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Macs", "count_payload", "example_features", "macs"]


@dataclass(frozen=True)
class Macs:
    """The arithmetic of one clip through a graph."""

    by_layer: Mapping[str, int]
    """Multiply-accumulates by type of layer, most first; see `edge_ser.bench.graph.layer`."""
    parameters: int
    """Numbers in the file's constant tensors. Training frameworks count their own form of a
    layer: an exporter folds normalisation into weights, and may lay out a kernel anew."""
    uncounted: tuple[str, ...] = ()
    """Types of operators that multiply and are not in here; then the total is a lower bound."""

    @property
    def total(self) -> int:
        """Multiply-accumulates of one clip."""
        return sum(self.by_layer.values())


def macs(model: str | Path) -> Macs:
    """Count what a model file computes for one clip, by running its graph once on the CPU.

    It counts the file's own operators, before a runtime fuses any: convolutions (with what falls
    on their padding), dense layers, matrix products and recurrent layers. Sums, products element
    by element and activations are left out, as in published figures.

    Args:
        model: a `.tflite` or `.onnx` file with its card.

    Raises:
        ModelError: the file cannot be read, its hashes do not hold, or it does not run.
        DependencyError: no runtime for this kind of file is installed.
    """
    file = read_model(model)
    with naming(file.path):
        return count_payload(file.payload, example_features(file.card))


def count_payload(payload: bytes, features: Sequence[NDArray[Any]]) -> Macs:
    """As `macs`, of the bytes that a runtime opens and features that the graph takes."""
    if kind_of(payload) == "tflite":
        from edge_ser.bench.graph_tflite import OpenGraph

        graph = OpenGraph(payload, features)
        return _summed(graph.operators(), graph.parameters())
    from edge_ser.bench.graph_onnx import parameters, profiled_runs

    with profiled_runs(payload, features, runs=1, optimisation="none") as runs:
        operators = [event.operator for events in runs for event in events]
    return _summed(operators, parameters(payload))


def example_features(card: ModelCard) -> list[NDArray[Any]]:
    """Features of the goldens' test signal, one clip long: one array a block of the frontend."""
    from edge_ser.frontend import Frontend
    from edge_ser.signals import as_float, test_signal

    samples = as_float(test_signal(card.input.clip_samples, card.input.rate))
    return [Frontend(spec)(samples) for spec in card.frontend]


def _summed(operators: Sequence[Operator], parameters: int) -> Macs:
    found: Counter[str] = Counter()
    uncounted = set()
    for operator in operators:
        name, number = layer(operator), count(operator)
        if number is None:
            uncounted.add(operator.kind)
        elif name is not None:
            found[name] += number
    return Macs(dict(found.most_common()), parameters, tuple(sorted(uncounted)))
