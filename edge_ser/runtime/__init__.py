"""Runtimes: a model's payload goes in, an `Interpreter` with one method comes out.

    interpreter = open_model("plb-emodb.tflite")
    interpreter.run([features])          # {"StatefulPartitionedCall:0": float32 array}

`.tflite` runs in LiteRT, tflite-runtime or TensorFlow, whichever is installed, in that order;
`.onnx` in ONNX Runtime. A provider that was asked for is used, or an error says why not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from edge_ser.container import check_payload, read_file, unwrap
from edge_ser.errors import ProviderError, UsageError
from edge_ser.runtime.tensors import Tensor
from edge_ser.threads import MAX_THREADS

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Interpreter", "Tensor", "open_model"]


class Interpreter(Protocol):
    """A model that is open in a runtime. Several threads may call `run`, at once or by turns."""

    @property
    def provider(self) -> str:
        """What computes: `cpu`, `cuda`, `tensorrt`, ..."""
        ...

    @property
    def details(self) -> Mapping[str, object]:
        """Runtime, version, threads, and where the runtime placed the graph's nodes."""
        ...

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """Input tensors, in the order in which `run` takes features."""
        ...

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """Output tensors."""
        ...

    def run(self, features: Sequence[NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Outputs by name, float32 and the caller's own.

        Args:
            features: float32, one array an input. The batch axis of 1 in front and a channel
                axis of 1, behind that or at the end, may be there or not. Quantised inputs and
                outputs are converted here, so that nobody else meets an int8.

        Raises:
            ModelError: another number of arrays or another shape than the graph takes, or the
                runtime failed.
        """
        ...


def open_model(model: str | Path | bytes, provider: str = "cpu", threads: int = 1) -> Interpreter:
    """Open a model in the runtime of its kind.

    Args:
        model: a payload, or a file whose card is not looked at. Give
            `edge_ser.card.read_model(path).payload`: that has compared the hashes, without which
            a damaged file can crash the process.
        provider: `cpu` or what ONNX Runtime offers: `cuda`, `tensorrt`, ...
        threads: 1 to 256; for these small graphs 1 is the fastest.

    Raises:
        ModelError: no model, damaged, or not accepted by the runtime.
        ProviderError: a provider that is not there or took no node of the graph, or a graph with
            operators that the runtime does not know.
        DependencyError: no runtime for this kind of file is installed.
        UsageError: a number of threads out of range.
    """
    if not 1 <= threads <= MAX_THREADS:
        raise UsageError(f"threads is {threads}, expected 1 to {MAX_THREADS}; try 1")
    payload = model if isinstance(model, bytes) else unwrap(read_file(Path(model))).payload
    kind = check_payload(payload)
    provider = provider.lower()
    if kind == "onnx":
        from edge_ser.runtime.onnx import OnnxInterpreter

        return OnnxInterpreter(payload, provider, threads)
    if provider != "cpu":
        raise ProviderError(
            f"provider {provider!r} was asked for with a .tflite model, which runs on the cpu "
            "alone; use the .onnx file of this model with a provider of ONNX Runtime, such as cuda "
            "or tensorrt, or --provider cpu"
        )
    from edge_ser.runtime.tflite import TfliteInterpreter

    return TfliteInterpreter(payload, threads)
