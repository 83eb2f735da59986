"""`.tflite` models in LiteRT, tflite-runtime or TensorFlow: one interface, three packages."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import metadata
from threading import Lock
from typing import TYPE_CHECKING, Any

from edge_ser.errors import DependencyError, ModelError, ProviderError
from edge_ser.runtime.tensors import Tensor, arranged, dequantise, one_line, quantise, unique

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TfliteInterpreter", "taken_nodes"]

RUNTIMES = (
    ("ai-edge-litert", "ai_edge_litert.interpreter"),
    ("tflite-runtime", "tflite_runtime.interpreter"),
    ("tensorflow", "tensorflow.lite.python.interpreter"),
)
"""Distribution and module that has `Interpreter`, in the order in which they are tried."""

_UNKNOWN_OPERATOR = ("Didn't find op", "Select TensorFlow op", "custom op", "Flex delegate")
_QUANTISED = ("int8", "uint8", "int16")
_FLOAT = ("float32", "float16")


class TfliteInterpreter:
    """A TFLite graph on the CPU; see `edge_ser.runtime.Interpreter`."""

    provider = "cpu"

    def __init__(self, payload: bytes, threads: int) -> None:
        """Open a graph.

        Args:
            payload: the FlatBuffer.
            threads: of the interpreter.

        Raises:
            ModelError: the runtime does not accept the graph, or tensors of a type without rule.
            ProviderError: the graph has operators that this runtime does not know.
            DependencyError: none of the runtimes is installed and usable.
        """
        self._runtime, interpreter = _runtime()
        self._threads = threads
        self._lock = Lock()
        try:
            self._interpreter = interpreter(model_content=payload, num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise _not_opened(self._runtime, error) from error
        self._input_details = self._interpreter.get_input_details()
        self._output_details = self._interpreter.get_output_details()
        self.inputs = tuple(map(_tensor, self._input_details))
        self.outputs = unique(list(map(_tensor, self._output_details)))

    @cached_property
    def details(self) -> Mapping[str, object]:
        """Runtime, version, threads, and how many nodes of the graph XNNPACK took."""
        return {
            "runtime": self._runtime,
            "version": _version(self._runtime),
            "threads": self._threads,
            **_placement(self._interpreter),
        }

    def run(self, features: Sequence[NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Outputs by name; see `edge_ser.runtime.Interpreter.run`."""
        blocks = arranged(features, self.inputs)
        # The tensors are the interpreter's own: another thread would write over them.
        with self._lock:
            try:
                for block, detail in zip(blocks, self._input_details, strict=True):
                    self._set(block, detail)
                self._interpreter.invoke()
            except (ValueError, RuntimeError) as error:
                raise ModelError(
                    f"{self._runtime} failed while it ran the model: {one_line(error)}; "
                    "run `edge-ser verify` on the file"
                ) from error
            # get_tensor copies; a view would change, and die, with the interpreter.
            return {
                tensor.name: _as_float(self._interpreter.get_tensor(detail["index"]), detail)
                for tensor, detail in zip(self.outputs, self._output_details, strict=True)
            }

    def _set(self, block: NDArray[Any], detail: dict[str, Any]) -> None:
        if block.shape != tuple(detail["shape"]):
            self._interpreter.resize_tensor_input(detail["index"], block.shape, strict=True)
            self._interpreter.allocate_tensors()
            detail["shape"] = block.shape
        dtype = detail["dtype"].__name__
        if dtype in _QUANTISED:
            block = quantise(block, dtype, *detail["quantization"])
        self._interpreter.set_tensor(detail["index"], block.astype(dtype, copy=False))


def _runtime() -> tuple[str, Any]:
    """Distribution name and `Interpreter` class of the first runtime that can be used."""
    import numpy as np

    mend = "pip install ai-edge-litert"
    for name, module in RUNTIMES:
        try:
            found = importlib.import_module(module)
        except ImportError:
            continue
        if name == "tflite-runtime" and int(np.__version__.split(".")[0]) >= 2:
            # Its binary wants numpy 1: it imports, and then dies in the first Interpreter.
            mend = "pip install 'numpy<2' for the tflite-runtime that is there"
            continue
        return name, found.Interpreter
    raise DependencyError(f"no runtime for .tflite models can be used; {mend}")


def _version(distribution: str) -> str:
    """The installed version; TensorFlow comes under two names."""
    for name in (distribution, f"{distribution}-cpu"):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "unknown"


def _not_opened(runtime: str, error: Exception) -> ModelError | ProviderError:
    reason = one_line(error)
    if any(sign in reason for sign in _UNKNOWN_OPERATOR):
        return ProviderError(
            f"{runtime} lacks an operator of the model: {reason}; "
            "pip install -U ai-edge-litert, or use the .onnx file of this model"
        )
    return ModelError(f"{runtime} does not accept the model: {reason}; export it again")


def _tensor(detail: dict[str, Any]) -> Tensor:
    """A tensor as the runtime describes it, if there is a rule for its type."""
    name, dtype = detail["name"], detail["dtype"].__name__
    scale = detail["quantization"][0]
    if dtype not in _FLOAT and not (dtype in _QUANTISED and scale > 0):
        raise ModelError(
            f"tensor {name!r} is {dtype} with scale {scale:g}, expected float, or int8, uint8 or "
            "int16 with one scale above 0; convert the model again"
        )
    # Some converters write no signature of free axes; then the shape is all there is.
    free = [int(n) for n in detail.get("shape_signature", ())] or [int(n) for n in detail["shape"]]
    shape = tuple(1 if axis == 0 and n == -1 else n for axis, n in enumerate(free))
    return Tensor(name, shape, dtype)


def _as_float(values: NDArray[Any], detail: dict[str, Any]) -> NDArray[Any]:
    if detail["dtype"].__name__ in _QUANTISED:
        return dequantise(values, *detail["quantization"])
    return values.astype("float32", copy=False)


def _placement(interpreter: Any) -> dict[str, object]:
    """Nodes of the graph, and those that a delegate took, where the runtime tells."""
    if not hasattr(interpreter, "_get_ops_details"):
        return {}
    plain, taken = taken_nodes(interpreter._get_ops_details())
    return {
        "nodes": len(plain),
        "delegated_nodes": len(taken),
        "other_nodes": sorted({plain[i]["op_name"] for i in range(len(plain)) if i not in taken}),
    }


def taken_nodes(nodes: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], set[int]]:
    """The nodes of the graph out of an interpreter's list, and which of them a delegate took.

    Delegated nodes stay in the list; each DELEGATE node stands for those between its inputs and
    its outputs.
    """
    plain = [node for node in nodes if node["op_name"] != "DELEGATE"]
    maker = {int(out): index for index, node in enumerate(plain) for out in node["outputs"]}
    taken: set[int] = set()
    for delegate in (node for node in nodes if node["op_name"] == "DELEGATE"):
        inputs = {int(tensor) for tensor in delegate["inputs"]}
        pending = [int(tensor) for tensor in delegate["outputs"]]
        while pending:
            index = maker.get(pending.pop())
            if index is not None and index not in taken:
                taken.add(index)
                pending += [int(t) for t in plain[index]["inputs"] if int(t) not in inputs]
    return plain, taken
