"""ONNX graphs: runs of ONNX Runtime under its own profiler, operator by operator."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from edge_ser.bench.graph import Operator, Shape
from edge_ser.container.onnx import tensors
from edge_ser.errors import ModelError
from edge_ser.runtime import open_model
from edge_ser.runtime.tensors import arranged, one_line

__all__ = ["Event", "Optimisation", "parameters", "profiled_runs", "read_profile"]

MAX_PROFILE_BYTES = 1 << 30
MAX_LINE = 1 << 20
"""Bytes of one event, which is one line."""
SUFFIX = "_kernel_time"

# TensorProto.DataType: float, uint8, int8, int32, float16, double, bfloat16. Those of 64-bit
# integers are shapes and axes, those of 32 the biases of quantised layers.
_WEIGHT_TYPES = frozenset({1, 2, 3, 6, 10, 11, 16})

Optimisation = Literal["none", "all"]


@dataclass(frozen=True)
class Event:
    """One operator in one run."""

    number: int
    """Of the node in its graph."""
    operator: Operator
    provider: str
    """`cpu`, `cuda`, ...: where it ran."""
    us: int
    """Whole microseconds that its kernel took on the calling thread."""


def parameters(payload: bytes) -> int:
    """Numbers in the tensors of a file: floating-point, 8-bit and 32-bit integers; no scalars.

    Raises:
        ModelError: not a whole ONNX model.
    """
    return sum(prod(shape) for kind, shape in tensors(payload) if shape and kind in _WEIGHT_TYPES)


@contextmanager
def profiled_runs(
    payload: bytes,
    features: Sequence[NDArray[Any]],
    runs: int,
    provider: str = "cpu",
    threads: int = 1,
    optimisation: Optimisation = "all",
) -> Iterator[Iterator[list[Event]]]:
    """Run a graph under the profiler; yields the events of each run, in the order of the runs.

    Args:
        payload: the model; its hash has been checked.
        features: as `edge_ser.runtime.Interpreter.run` takes them.
        runs: 1 or more.
        provider: as `open_model` takes it.
        threads: of the runtime.
        optimisation: none: the operators of the file, one by one; all: what really runs.

    Raises:
        ModelError: the runtime does not accept the graph, or the features.
        ProviderError: as `open_model`.
        DependencyError: ONNX Runtime is not installed.
    """
    inputs = open_model(payload, provider, threads).inputs
    blocks = arranged(features, inputs)
    feed = {
        tensor.name: block.astype(tensor.dtype, copy=False)
        for tensor, block in zip(inputs, blocks, strict=True)
    }
    with tempfile.TemporaryDirectory(prefix="edge-ser-") as folder:
        try:
            session = _session(payload, provider, threads, optimisation, Path(folder) / "profile")
            for _ in range(runs):
                session.run(None, feed)
            path = Path(session.end_profiling())
        except Exception as error:  # its errors have no base of their own
            raise ModelError(
                f"onnxruntime failed while it profiled the model: {one_line(error)}; "
                "run `edge-ser verify` on the file"
            ) from error
        if path.stat().st_size > MAX_PROFILE_BYTES:
            raise ModelError(
                f"the profile has {path.stat().st_size} bytes, expected at most "
                f"{MAX_PROFILE_BYTES}; ask for fewer runs"
            )
        with path.open(encoding="utf-8", errors="replace") as lines:
            yield read_profile(iter(lambda: lines.readline(MAX_LINE), ""))


def read_profile(lines: Iterable[str]) -> Iterator[list[Event]]:
    """Events of each run in a profile of ONNX Runtime, which has one event on a line.

    Raises:
        ModelError: a line that is no event, or events of another form.
    """
    events: list[Event] = []
    for line in lines:
        text = line.strip().rstrip(",")
        if text in ("", "[", "]"):
            continue
        try:
            found = json.loads(text)
            kind, name = found["cat"], found["name"]
            if kind == "Node" and name.endswith(SUFFIX):
                events.append(_event(found))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ModelError(
                "the profile that onnxruntime wrote has another form than expected; "
                "install an onnxruntime of 1.20 to 1.31"
            ) from error
        if kind == "Session" and name == "model_run":
            yield events
            events = []


def _event(found: dict[str, Any]) -> Event:
    args = found["args"]
    return Event(
        number=int(args["node_index"]),
        operator=Operator(
            name=found["name"].removesuffix(SUFFIX),
            kind=str(args["op_name"]),
            inputs=tuple(map(_shape, args["input_type_shape"])),
            outputs=tuple(map(_shape, args["output_type_shape"])),
        ),
        provider=str(args["provider"]).removesuffix("ExecutionProvider").lower(),
        us=int(found["dur"]),
    )


def _shape(tensor: dict[str, list[int]]) -> Shape:
    """Of `{"float": [1, 7]}`."""
    (sizes,) = tensor.values()
    return tuple(map(int, sizes))


def _session(
    payload: bytes, provider: str, threads: int, optimisation: Optimisation, prefix: Path
) -> Any:
    """A session with the settings of `edge_ser.runtime.onnx`, and the profiler on."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    if optimisation == "none":
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        # Weights that a kernel has packed are missing among the shapes of its inputs.
        options.add_session_config_entry("session.disable_prepacking", "1")
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_profiling = True
    options.profile_file_prefix = str(prefix)
    wanted = f"{provider}executionprovider"
    names = [name for name in ort.get_available_providers() if name.lower() == wanted]
    return ort.InferenceSession(
        payload,
        options,
        providers=list(dict.fromkeys([*names, "CPUExecutionProvider"])),
        enable_fallback=0,
        read_config_from_model=0,
    )
