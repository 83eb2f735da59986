"""TFLite graphs: their operators, and each operator cut out as a graph of its own.

The runtime's Python wheel tells no times of operators. But a FlatBuffer can be edited in place: its
list of operators shortened to one, and that one's tensors made the inputs and outputs of the graph.
"""

from __future__ import annotations

import importlib
import re
import struct
from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser.bench.graph import CUSTOM, Operator, Shape
from edge_ser.container.flatbuffer import Table, root, unsigned
from edge_ser.errors import ModelError
from edge_ser.runtime import open_model
from edge_ser.runtime.tensors import Tensor, arranged, one_line, quantise
from edge_ser.runtime.tflite import RUNTIMES, taken_nodes

__all__ = ["OpenGraph", "isolated"]

# Fields of the tables Model and SubGraph, by their order in tensorflow's schema.fbs.
_SUBGRAPHS, _SIGNATURES = 2, 7
_INPUTS, _OUTPUTS, _OPERATORS = 1, 2, 3

_BUILTIN = re.compile("[A-Z0-9_]+")
_CELLS = {"LSTM": "LSTM_CELL", "RNN": "RNN_CELL"}
"""ONNX has other operators of these names."""


class OpenGraph:
    """A graph that has run once on the plain kernels, with all of its tensors kept."""

    def __init__(self, payload: bytes, features: Sequence[NDArray[Any]]) -> None:
        """Run a graph.

        Args:
            payload: the FlatBuffer; its hash has been checked.
            features: as `edge_ser.runtime.Interpreter.run` takes them.

        Raises:
            ModelError: the runtime or this module does not accept the graph, or the features.
            ProviderError: the graph has operators that the runtime does not know.
            DependencyError: there is no runtime.
        """
        opened = open_model(payload)
        self._payload = payload
        self._module = importlib.import_module(dict(RUNTIMES)[str(opened.details["runtime"])])
        resolver = self._module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        try:
            self._interpreter = self._module.Interpreter(
                model_content=payload,
                experimental_op_resolver_type=resolver,
                experimental_preserve_all_tensors=True,
            )
            self._run(arranged(features, opened.inputs), opened.inputs)
        except (ValueError, RuntimeError) as error:
            raise ModelError(
                f"the .tflite model does not run on the plain kernels: {one_line(error)}; "
                "run `edge-ser verify` on the file"
            ) from error
        self._nodes = self._interpreter._get_ops_details()
        self._tensors = {int(t["index"]): t for t in self._interpreter.get_tensor_details()}
        self._sources = [int(t["index"]) for t in self._interpreter.get_input_details()]
        self._constant = self._constant_nodes()

    def _run(self, blocks: Sequence[NDArray[Any]], inputs: Sequence[Tensor]) -> None:
        details = self._interpreter.get_input_details()
        for block, detail in zip(blocks, details, strict=True):
            if block.shape != tuple(detail["shape"]):
                self._interpreter.resize_tensor_input(detail["index"], block.shape)
        self._interpreter.allocate_tensors()
        for block, detail, tensor in zip(blocks, details, inputs, strict=True):
            if "int" in tensor.dtype:
                block = quantise(block, tensor.dtype, *detail["quantization"])
            self._interpreter.set_tensor(detail["index"], block.astype(tensor.dtype, copy=False))
        self._interpreter.invoke()

    def operators(self) -> list[Operator]:
        """The operators in the order in which they run, with the shapes of this run."""
        return [
            Operator(
                name=self._name(node),
                kind=_kind(str(node["op_name"])),
                inputs=tuple(self._shape(int(t)) if t >= 0 else None for t in node["inputs"]),
                outputs=tuple(self._shape(int(t)) for t in node["outputs"]),
            )
            for node in self._nodes
        ]

    def parameters(self) -> int:
        """Numbers in the constant tensors: floating-point, or quantised with a scale; no scalars.

        Constants of integers alone are shapes and axes.
        """
        made = {int(t) for node in self._nodes for t in node["outputs"]} | {*self._sources}
        used = {int(t) for node in self._nodes for t in node["inputs"] if t >= 0}
        return sum(
            prod(shape)
            for shape, tensor in ((self._shape(t), self._tensors[t]) for t in used - made)
            if shape and (np.issubdtype(tensor["dtype"], np.floating) or _has_scale(tensor))
        )

    def taken(self, threads: int) -> set[int]:
        """Numbers of the operators that the default delegate takes of the whole graph."""
        interpreter = self._module.Interpreter(model_content=self._payload, num_threads=threads)
        interpreter.allocate_tensors()
        return taken_nodes(interpreter._get_ops_details())[1]

    def alone(self, number: int, threads: int) -> Any | None:
        """An interpreter of one operator alone, fed with what it got in the whole graph.

        It runs as it does in the whole graph, on the default delegate where that takes it. What
        makes its inputs out of constants (weights that are unpacked, say) comes with it.

        Returns:
            None for an operator of constants alone, which runs once when the model is opened, and
            for one that does not run alone.
        """
        if number in self._constant:
            return None
        chosen = sorted({number, *self._constant_makers(number)})
        inputs = self._live(self._nodes[number]["inputs"])
        outputs = [int(t) for t in self._nodes[number]["outputs"]]
        try:
            interpreter = self._module.Interpreter(
                model_content=isolated(self._payload, chosen, inputs, outputs), num_threads=threads
            )
            values = {t: self._interpreter.get_tensor(t) for t in inputs}
            for detail in interpreter.get_input_details():
                shape = values[int(detail["index"])].shape
                if shape != tuple(detail["shape"]):
                    interpreter.resize_tensor_input(detail["index"], shape)
            interpreter.allocate_tensors()
            for tensor, value in values.items():
                interpreter.set_tensor(tensor, value)
            interpreter.invoke()
        except (ValueError, RuntimeError):
            return None
        return interpreter

    def _name(self, node: dict[str, Any]) -> str:
        """Operators have none: that of the first layer that went into the operator's output."""
        for tensor in node["outputs"]:
            return str(self._tensors[int(tensor)]["name"]).split(";")[0]
        return ""

    def _shape(self, tensor: int) -> Shape:
        return tuple(int(n) for n in self._tensors[tensor]["shape"])

    def _live(self, tensors: Iterable[int]) -> list[int]:
        """Those that depend on the graph's input, each once, in order."""
        live = {*self._sources} | {
            int(t)
            for number, node in enumerate(self._nodes)
            if number not in self._constant
            for t in node["outputs"]
        }
        return list(dict.fromkeys(int(t) for t in tensors if int(t) in live))

    def _constant_nodes(self) -> set[int]:
        """Operators that compute from constants alone."""
        live, constant = {*self._sources}, set()
        for number, node in enumerate(self._nodes):
            if live.isdisjoint(int(t) for t in node["inputs"]):
                constant.add(number)
            else:
                live |= {int(t) for t in node["outputs"]}
        return constant

    def _constant_makers(self, number: int) -> set[int]:
        """Operators of constants that an operator needs, at any remove."""
        maker = {int(t): at for at in self._constant for t in self._nodes[at]["outputs"]}
        found: set[int] = set()
        pending = [number]
        while pending:
            new = {maker[int(t)] for t in self._nodes[pending.pop()]["inputs"] if int(t) in maker}
            pending += new - found
            found |= new
        return found


def isolated(
    payload: bytes, operators: Sequence[int], inputs: Sequence[int], outputs: Sequence[int]
) -> bytes:
    """A FlatBuffer whose main graph has only some of its operators.

    Args:
        payload: the whole graph.
        operators: their numbers, ascending.
        inputs: tensors that the new graph takes.
        outputs: tensors that it gives.

    Raises:
        ModelDamagedError: the FlatBuffer does not hold together.
        ModelError: a layout that cannot be edited in place.
    """
    model = root(payload)
    graph = next(model.tables(_SUBGRAPHS), None)
    vector = graph.target(_OPERATORS) if graph else None
    tables = list(graph.tables(_OPERATORS)) if graph else []
    if graph is None or vector is None or max(operators) >= len(tables):
        raise ModelError(
            f"operators {list(operators)} were asked for, the .tflite model has {len(tables)}; "
            "export it again"
        )
    data = bytearray(payload)
    struct.pack_into("<I", data, vector, len(operators))
    for slot, number in enumerate(operators):
        position = vector + 4 + 4 * slot
        struct.pack_into("<I", data, position, tables[number].position - position)
    _lead_to(data, graph, _INPUTS, inputs)
    _lead_to(data, graph, _OUTPUTS, outputs)
    signatures = model.target(_SIGNATURES)
    if signatures is not None and unsigned(payload, signatures, 4):
        struct.pack_into("<I", data, signatures, 0)  # they name tensors that may be gone
    return bytes(data)


def _lead_to(data: bytearray, table: Table, field: int, values: Sequence[int]) -> None:
    """Append a vector of 32-bit integers and let a field of a table lead there."""
    position = table.locate(field, 4)
    if position is None:
        raise ModelError("the .tflite model has no inputs or outputs; export it again")
    data += bytes(-len(data) % 4)
    struct.pack_into("<I", data, position, len(data) - position)
    data += struct.pack(f"<I{len(values)}i", len(values), *values)


def _kind(name: str) -> str:
    return _CELLS.get(name, name) if _BUILTIN.fullmatch(name) else CUSTOM + name


def _has_scale(tensor: dict[str, Any]) -> bool:
    return len(tensor["quantization_parameters"]["scales"]) > 0
