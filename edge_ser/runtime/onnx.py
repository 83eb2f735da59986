"""`.onnx` models in ONNX Runtime, on the provider that was asked for or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edge_ser.errors import DependencyError, ModelError, ProviderError
from edge_ser.runtime.tensors import Tensor, arranged, one_line, unique

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["OnnxInterpreter"]

SUFFIX = "ExecutionProvider"
CPU = "CPU" + SUFFIX
CUDA_MEND = (
    "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu, "
    "with CUDA and cuDNN of the versions that it names"
)
_MENDS = {
    "cuda": CUDA_MEND,
    "tensorrt": CUDA_MEND + ", and TensorRT",
    "dml": "pip uninstall -y onnxruntime && pip install onnxruntime-directml",
    "openvino": "pip uninstall -y onnxruntime && pip install onnxruntime-openvino",
    "migraphx": "pip uninstall -y onnxruntime && pip install onnxruntime-migraphx",
}
_TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64"}
_ERROR_SEVERITY = 3
_HOUSEKEEPING = frozenset(
    {
        *("Cast", "Concat", "Constant", "ConstantOfShape", "Expand", "Flatten", "Gather"),
        *("Identity", "MemcpyFromHost", "MemcpyToHost", "Range", "Reshape", "Shape", "Size"),
        *("Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"),
    }
)
"""Operators that move data; a provider that took nothing else computes nothing."""


class OnnxInterpreter:
    """An ONNX graph; see `edge_ser.runtime.Interpreter`."""

    def __init__(self, payload: bytes, provider: str, threads: int) -> None:
        """Open a graph.

        Args:
            payload: a ModelProto in one file.
            provider: lower-case name, without `ExecutionProvider`.
            threads: within operators; one operator runs at a time.

        Raises:
            ModelError: the runtime does not accept the graph.
            ProviderError: the provider is not there, did not load, or took no computing node.
            DependencyError: ONNX Runtime is not installed.
        """
        ort = _onnxruntime()
        full_name = _provider_name(ort, provider)
        self._session = _session(ort, payload, full_name, threads)
        placed = _placement(self._session)
        _prove(self._session, provider, full_name, placed)
        self.provider = provider
        self.details: Mapping[str, object] = {
            "runtime": "onnxruntime",
            "version": ort.__version__,
            "threads": threads,
            **({"nodes": placed} if placed is not None else {}),
        }
        self.inputs = tuple(map(_input, self._session.get_inputs()))
        self.outputs = unique(
            [
                Tensor(node.name, _shape(node.shape), _TYPES[node.type])
                for node in self._session.get_outputs()
                if node.type in _TYPES
            ]
        )

    def run(self, features: Sequence[NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Outputs by name; see `edge_ser.runtime.Interpreter.run`."""
        blocks = arranged(features, self.inputs)
        feed = {
            tensor.name: block.astype(tensor.dtype, copy=False)
            for tensor, block in zip(self.inputs, blocks, strict=True)
        }
        names = [tensor.name for tensor in self.outputs]
        try:
            outputs = self._session.run(names, feed)
        except Exception as error:  # its errors have no base of their own
            raise ModelError(
                f"onnxruntime failed while it ran the model: {one_line(error)}; "
                "run `edge-ser verify` on the file"
            ) from error
        return {
            name: output.astype("float32", copy=False)
            for name, output in zip(names, outputs, strict=True)
        }


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise DependencyError(
            f"the .onnx model needs ONNX Runtime ({one_line(error)}); pip install onnxruntime"
        ) from error
    return onnxruntime


def _provider_name(ort: Any, provider: str) -> str:
    """ONNX Runtime's name of a provider that this build has.

    Raises:
        ProviderError: it has not.
    """
    available = {name.removesuffix(SUFFIX).lower(): name for name in ort.get_available_providers()}
    if provider in available:
        return str(available[provider])
    raise ProviderError(
        f"provider {provider!r} is not in this onnxruntime {ort.__version__}, which has "
        f"{', '.join(sorted(available))}; {_mend(provider)}"
    )


def _mend(provider: str) -> str:
    return _MENDS.get(provider, "install an onnxruntime that has it, or use --provider cpu")


def _session(ort: Any, payload: bytes, provider: str, threads: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERROR_SEVERITY
    # An idle pool that spins takes the cores from the frontend.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.add_session_config_entry("session.load_model_format", "ONNX")
    providers = [provider]
    if provider == CPU or hasattr(ort, "OrtEpAssignedSubgraph"):
        # Shape operators belong on the CPU even where another provider computes.
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        providers = list(dict.fromkeys([provider, CPU]))
    else:
        # Too old to tell where nodes went: then nothing may go to the CPU.
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        return ort.InferenceSession(
            payload, options, providers=providers, enable_fallback=0, read_config_from_model=0
        )
    except Exception as error:  # its errors have no base of their own
        reason, mend = one_line(error), _mend(provider.removesuffix(SUFFIX).lower())
        if provider == CPU:
            raise ModelError(
                f"onnxruntime does not accept the model: {reason}; export it again"
            ) from error
        raise ProviderError(
            f"{provider} did not take the model: {reason}; use --provider cpu, or {mend}"
        ) from error


def _placement(session: Any) -> dict[str, list[str]] | None:
    """Operators by provider, as the session assigned them; None where it does not tell."""
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return None
    placed: dict[str, list[str]] = {}
    for part in session.get_provider_graph_assignment_info():
        placed.setdefault(part.ep_name, []).extend(node.op_type for node in part.get_nodes())
    return placed


def _prove(
    session: Any, provider: str, full_name: str, placed: Mapping[str, Sequence[str]] | None
) -> None:
    """Raise ProviderError unless the provider computes."""
    if full_name not in session.get_providers():
        raise ProviderError(
            f"provider {provider!r} did not load (its libraries are missing or of other "
            f"versions); {_mend(provider)}"
        )
    if full_name != CPU and placed is not None:
        operators = set(placed.get(full_name, ())) - _HOUSEKEEPING
        if not operators:
            elsewhere = Counter(operator for names in placed.values() for operator in names)
            raise ProviderError(
                f"provider {provider!r} took none of the model's {elsewhere.total()} nodes to "
                "compute; use --provider cpu for this model"
            )


def _input(node: Any) -> Tensor:
    if node.type not in _TYPES:
        raise ModelError(
            f"input {node.name!r} is {node.type}, expected floating point; re-export the model "
            "with float inputs (quantised inside, as QDQ)"
        )
    return Tensor(node.name, _shape(node.shape), _TYPES[node.type])


def _shape(shape: Sequence[int | str | None]) -> tuple[int, ...]:
    """Axes of free length are named or None in ONNX; a free batch is 1."""
    return tuple(
        n if isinstance(n, int) else (1 if axis == 0 else -1) for axis, n in enumerate(shape)
    )
