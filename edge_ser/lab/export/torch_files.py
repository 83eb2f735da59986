"""Torch networks: built, loaded without pickles, run, and turned into `.onnx` and `.tflite`."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_ser.lab import compute
from edge_ser.lab.architectures.networks import Network, build
from edge_ser.lab.architectures.weights import load_weights
from edge_ser.lab.export.converting import computing, converting
from edge_ser.lab.export.forms import Candidate
from edge_ser.lab.export.reference import Blocks, Floats, Reference, Shapes, Source, counted
from edge_ser.lab.export.tflite_forms import with_short_names

if TYPE_CHECKING:
    import torch

__all__ = ["module_source", "network_source", "normalised_to", "to_onnx", "to_tflite"]

OPSET = 18
"""Of the ONNX operators: the least that torch's exporter writes; every ONNX Runtime since 1.14."""
BATCH = 16
EXAMPLES = 12
"""Clips on which a folded network is compared with the one that it was made of."""
ADVICE = "use layers that the converter knows"


def module_source(module: torch.nn.Module, inputs: Shapes | None = None, name: str = "") -> Source:
    """Any module that takes (N, *features) and returns (N, labels); it is left as it is.

    `module.embed(x)`, where there is one, gives the embedding.

    Args:
        module: takes one tensor a block of the frontend.
        inputs: shapes of these without the batch; None for those of the frontend.
        name: for messages; None for the class's.
    """
    name = name or type(module).__name__

    def bind(shapes: Shapes, labels: int) -> Reference:
        return _reference(module, shapes, labels, name)

    return Source("torch", name, inputs, bind)


def network_source(
    network: Network,
    weights: Path | None = None,
    seed: int | None = None,
    part: Callable[[Any], Any] = lambda module: module,
) -> Source:
    """One of our Torch networks, built for the features that it gets.

    Args:
        network: which, with its options.
        weights: a state dict, or a checkpoint of a run; None for random weights.
        seed: of random weights.
        part: of the network that the weights are for, where the rest is built with its own.

    Raises:
        DependencyError: torch is not installed.
    """
    compute.prepare_torch()

    def bind(shapes: Shapes, labels: int) -> Reference:
        module = build(network, labels, shapes[0], seed)
        if weights is not None:
            load_weights(part(module), weights, network)
        return _reference(module, shapes, labels, network.name)

    return Source("torch", network.name, None, bind, network.kind.output)


def normalised_to(module: Any, features: Floats) -> Any:
    """The module, its batch normalisation set to what it meets in features, as training does.

    Untrained, a deep network would otherwise give numbers that no rounding leaves alone.
    """
    import torch
    from torch.nn.modules.batchnorm import _BatchNorm

    layers = [layer for layer in module.eval().modules() if isinstance(layer, _BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.train()
        layer.momentum = None
    with torch.no_grad():
        module(torch.from_numpy(features))
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    return module.eval()


def to_onnx(reference: Reference, clips: Blocks) -> Candidate:
    """By torch's exporter: in one file, with a batch of 1 and both outputs.

    Raises:
        DependencyError: onnx or onnxscript is not installed.
        ModelError: the exporter refuses the network.
    """
    with converting(reference.name, ".onnx", "torch,export", ADVICE):
        import onnx
        import torch

        module, note = _prepared(reference, clips)
        buffer = io.BytesIO()
        torch.onnx.export(
            module,
            _example(reference),
            buffer,
            input_names=[f"features_{number}" for number in range(len(reference.shapes))],
            output_names=["scores", "embedding"][: 1 + (reference.embedding is not None)],
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        graph = onnx.load_from_string(buffer.getvalue())
        # Where in the code each node came from: a third of a small file.
        for node in graph.graph.node:
            node.doc_string = ""
            del node.metadata_props[:]
        return Candidate(graph.SerializeToString(), note)


def to_tflite(reference: Reference, clips: Blocks) -> Candidate:
    """By litert-torch: with a batch of 1 and both outputs.

    Raises:
        DependencyError: litert-torch is not installed.
        ModelError: the converter refuses the network.
    """
    with converting(reference.name, ".tflite", "litert-torch", ADVICE):
        import litert_torch

        module, note = _prepared(reference, clips)
        made = litert_torch.convert(module, _example(reference))
        return Candidate(with_short_names(bytes(made.model_content())), note)


def _reference(module: torch.nn.Module, shapes: Shapes, labels: int, name: str) -> Reference:
    original = copy.deepcopy(module).cpu().eval()

    def of(function: Callable[..., Any]) -> Callable[[Blocks], Floats]:
        return lambda blocks: _in_batches(function, blocks, shapes, name)

    scores, embed = of(original), getattr(original, "embed", None)
    return Reference(
        "torch",
        name,
        shapes,
        lambda blocks: counted(scores(blocks), labels, name),
        original,
        None if embed is None else of(embed),
    )


def _in_batches(function: Callable[..., Any], blocks: Blocks, shapes: Shapes, name: str) -> Floats:
    import torch

    found = []
    with computing(name), torch.inference_mode():
        for at in range(0, len(blocks[0]), BATCH):
            rows = [
                torch.from_numpy(np.ascontiguousarray(block[at : at + BATCH])).reshape(-1, *shape)
                for block, shape in zip(blocks, shapes, strict=True)
            ]
            found.append(function(*rows).numpy())
    return np.concatenate(found)


def _example(reference: Reference) -> tuple[Any, ...]:
    import torch

    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(1, *shape, generator=generator) for shape in reference.shapes)


def _prepared(reference: Reference, clips: Blocks) -> tuple[Any, str]:
    """The network as it is converted, and how it was folded: what depends on weights alone goes."""
    from torch.nn.utils import parametrize

    module, note = copy.deepcopy(reference.graph), ""
    if getattr(getattr(module, "options", None), "continuous", False):
        module, note = _folded(module, reference, clips)
    for part in filter(parametrize.is_parametrized, list(module.modules())):
        # Its class has the computed weights as properties. A copy shares it, and with it would
        # lose them in the original too.
        kind = type(part)
        part.__class__ = type(kind.__name__, kind.__bases__, dict(kind.__dict__))
        for name in list(part.parametrizations):
            parametrize.remove_parametrizations(part, name)
    return _with_embedding(module) if reference.embedding else module, note


def _folded(module: Any, reference: Reference, clips: Blocks) -> tuple[Any, str]:
    import torch

    from edge_ser.lab.export.folding import folded

    examples = torch.from_numpy(np.ascontiguousarray(clips[0][:EXAMPLES]))
    result, report = folded(module, reference.shapes[0][1], examples)
    rank = f" of rank {report.rank}" if report.rank else ""
    note = f"folded for {report.frames} frames ({report.form}{rank}), logits within "
    return result, f"{note}{report.difference:.1e}"


def _with_embedding(module: Any) -> Any:
    """A module that gives scores and embedding; converters compute what both share once."""
    from torch import nn

    class Both(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.network = module

        def forward(self, *blocks: Any) -> tuple[Any, Any]:
            return self.network(*blocks), self.network.embed(*blocks)

    return Both().eval()
