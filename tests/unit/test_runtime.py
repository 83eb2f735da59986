"""What the runtimes share, and the choice of runtime and provider, without opening a real one."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.errors import (
    DependencyError,
    ModelDamagedError,
    ModelError,
    ProviderError,
    UsageError,
)
from edge_ser.runtime import Tensor, open_model
from edge_ser.runtime import onnx as onnx_runtime
from edge_ser.runtime import tflite as tflite_runtime
from edge_ser.runtime.tensors import arranged, dequantise, one_line, quantise, unique

MODELS = Path(__file__).resolve().parents[1] / "goldens" / "models"
TFLITE, ONNX = MODELS / "float32.tflite", MODELS / "float32.onnx"
INPUT = Tensor("x", (1, 20, 8, 1), "float32")


@pytest.mark.parametrize(
    "shape",
    [(20, 8), (1, 20, 8), (20, 8, 1), (1, 20, 8, 1)],
    ids=["bare", "batch", "channel", "both"],
)
def test_batch_and_channel_may_be_left_out(shape: tuple[int, ...]) -> None:
    values = np.arange(160.0)
    (block,) = arranged([values.reshape(shape)], [INPUT])
    assert block.shape == INPUT.shape
    assert block.dtype == np.float32
    np.testing.assert_array_equal(block.ravel(), values)


def test_batch_and_channel_may_be_too_many() -> None:
    block = np.zeros((1, 20, 8, 1))
    assert arranged([block], [Tensor("x", (20, 8), "float32")])[0].shape == (20, 8)
    assert arranged([block], [Tensor("x", (1, 20, 8), "float32")])[0].shape == (1, 20, 8)
    assert arranged([np.zeros((1, 39))], [Tensor("x", (1, 1, 39, 1), "float32")])[0].ndim == 4


def test_a_free_axis_takes_any_length_but_none() -> None:
    free = Tensor("x", (1, -1, 8), "float32")
    assert arranged([np.zeros((5, 8))], [free])[0].shape == (1, 5, 8)
    with pytest.raises(ModelError, match=r"\(0, 8\).*\(1, any, 8\)"):
        arranged([np.zeros((0, 8))], [free])


@pytest.mark.parametrize("shape", [(8, 20), (160,), (2, 20, 8), (20, 8, 2), ()])
def test_another_shape_is_refused_with_both(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"shape \(.*'x' takes \(1, 20, 8, 1\)"):
        arranged([np.zeros(shape)], [INPUT])


def test_blocks_are_counted_and_kept_in_order() -> None:
    two = [INPUT, Tensor("pitch", (1, 20), "float32")]
    first, second = arranged([np.zeros((20, 8)), np.ones(20)], two)
    assert first.shape == (1, 20, 8, 1)
    assert second.tolist() == [[1.0] * 20]
    with pytest.raises(ModelError, match="1 feature blocks were given, the graph takes 2"):
        arranged([np.zeros((20, 8))], two)


@pytest.mark.parametrize(
    ("dtype", "low", "high"), [("int8", -128, 127), ("uint8", 0, 255), ("int16", -32768, 32767)]
)
def test_quantised_values_saturate(dtype: str, low: int, high: int) -> None:
    values = quantise(np.array([-1e30, 0.0, 1e30]), dtype, 0.5, 3)
    assert values.tolist() == [low, 3, high]
    assert values.dtype == dtype


def test_ties_go_to_even_as_the_runtimes_round() -> None:
    assert quantise(np.array([0.5, 1.5, 2.5, -0.5]), "int8", 1.0, 0).tolist() == [0, 2, 2, 0]


@given(
    st.lists(st.floats(-60, 60), min_size=1),
    st.floats(0.01, 2),
    st.integers(-128, 127),
    st.sampled_from(["int8", "int16"]),
)
def test_a_round_trip_is_within_half_a_step_where_it_does_not_saturate(
    values: list[float], scale: float, zero_point: int, dtype: str
) -> None:
    limits = np.iinfo(dtype)
    x = np.array(values)
    low, high = (limits.min - zero_point) * scale, (limits.max - zero_point) * scale
    back = dequantise(quantise(x, dtype, scale, zero_point), scale, zero_point)
    assert back.dtype == np.float32
    assert np.abs(back - np.clip(x, low, high)).max() <= scale * 0.5 + 1e-4


def test_names_of_outputs_are_unique_and_some() -> None:
    with pytest.raises(ModelError, match=r"outputs named \['x', 'x'\]"):
        unique([INPUT, INPUT])
    with pytest.raises(ModelError, match=r"named \[\]"):
        unique([])


def test_what_a_runtime_says_becomes_one_line() -> None:
    assert one_line(ValueError("a\n  b.")) == "a b"
    assert one_line(ValueError()) == "ValueError"
    assert len(one_line(ValueError("x" * 1000))) == 300


@pytest.mark.parametrize("threads", [0, -1, 257])
def test_threads_are_bounded(threads: int) -> None:
    with pytest.raises(UsageError, match=f"threads is {threads}, expected 1 to 256"):
        open_model(TFLITE, threads=threads)


@pytest.mark.parametrize("provider", ["cuda", "tensorrt", "CoreML"])
def test_a_tflite_model_runs_on_the_cpu_alone(provider: str) -> None:
    with pytest.raises(ProviderError, match=r"use the \.onnx file of this model") as caught:
        open_model(TFLITE, provider)
    assert caught.value.exit_code == 4


def test_what_is_no_model_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tflite_runtime, "_runtime", pytest.fail)
    with pytest.raises(ModelDamagedError):
        open_model(TFLITE.read_bytes()[:30])
    with pytest.raises(ModelError, match="external data"):
        open_model((MODELS / "external.onnx").read_bytes())


def hide(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Make modules that may be installed look as if they were not."""
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)


def test_without_any_runtime_the_pip_line_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, *(module for _, module in tflite_runtime.RUNTIMES))
    with pytest.raises(DependencyError, match=r"no runtime.*pip install ai-edge-litert"):
        open_model(TFLITE)
    hide(monkeypatch, "onnxruntime")
    with pytest.raises(DependencyError, match=r"needs ONNX Runtime.*pip install onnxruntime"):
        open_model(ONNX)


class Interpreter:
    """A runtime that accepts nothing, for a reason."""

    reason = ""

    def __init__(self, **_: object) -> None:
        raise ValueError(self.reason)


@pytest.fixture
def old_runtime(monkeypatch: pytest.MonkeyPatch) -> Any:
    """tflite-runtime alone, with an interpreter of the test's."""
    hide(monkeypatch, "ai_edge_litert.interpreter", "tensorflow.lite.python.interpreter")
    fake = SimpleNamespace(Interpreter=Interpreter)
    monkeypatch.setitem(sys.modules, "tflite_runtime", SimpleNamespace(interpreter=fake))
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", fake)
    return fake


def test_tflite_runtime_with_numpy_2_is_passed_over(
    old_runtime: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(np, "__version__", "2.4.0")
    with pytest.raises(DependencyError, match="pip install 'numpy<2'"):
        open_model(TFLITE)


@pytest.mark.parametrize(
    ("reason", "kind", "expected"),
    [
        (
            "Didn't find op for builtin opcode 'SQRT' version '2'.",
            ProviderError,
            "lacks an operator",
        ),
        ("Select TensorFlow op(s) are not supported", ProviderError, "lacks an operator"),
        ("Could not open\nmodel", ModelError, "does not accept the model: Could not open model;"),
    ],
)
def test_a_refusal_is_typed(
    old_runtime: object,
    monkeypatch: pytest.MonkeyPatch,
    reason: str,
    kind: type[Exception],
    expected: str,
) -> None:
    monkeypatch.setattr(np, "__version__", "1.26.4")
    monkeypatch.setattr(Interpreter, "reason", reason)
    with pytest.raises(kind, match=expected) as caught:
        open_model(TFLITE)
    assert "\n" not in str(caught.value)


def test_versions_are_found_under_either_name_or_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name != "tensorflow-cpu":
            raise importlib.metadata.PackageNotFoundError(name)
        return "2.21.0"

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert tflite_runtime._version("tensorflow") == "2.21.0"
    assert tflite_runtime._version("tflite-runtime") == "unknown"


def test_a_runtime_that_tells_no_placement_is_not_asked() -> None:
    assert tflite_runtime._placement(object()) == {}
    assert onnx_runtime._placement(object()) is None


def detail(dtype: Any, scale: float) -> dict[str, Any]:
    return {"name": "x", "dtype": dtype, "quantization": (scale, 0), "shape": np.array([1, 3])}


@pytest.mark.parametrize(("dtype", "scale"), [(np.int8, 0.0), (np.int32, 0.0), (np.bool_, 0.0)])
def test_a_tensor_without_a_rule_is_refused(dtype: Any, scale: float) -> None:
    with pytest.raises(ModelError, match="with scale 0, expected float"):
        tflite_runtime._tensor(detail(dtype, scale))


def test_a_free_batch_is_one() -> None:
    free = {**detail(np.float32, 0.0), "shape_signature": np.array([-1, -1])}
    assert tflite_runtime._tensor(free).shape == (1, -1)
    assert tflite_runtime._tensor(detail(np.float32, 0.0)).shape == (1, 3)
    assert onnx_runtime._shape(["batch", None, 3]) == (1, -1, 3)


class Session:
    """An ONNX Runtime session on paper."""

    def __init__(self, loaded: list[str], placed: dict[str, list[str]]) -> None:
        self._loaded, self._placed = loaded, placed

    def get_providers(self) -> list[str]:
        return self._loaded

    def get_provider_graph_assignment_info(self) -> list[SimpleNamespace]:
        return [
            SimpleNamespace(
                ep_name=name,
                get_nodes=lambda types=types: [SimpleNamespace(op_type=t) for t in types],
            )
            for name, types in self._placed.items()
        ]


CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


def prove(loaded: list[str], placed: dict[str, list[str]]) -> None:
    session = Session(loaded, placed)
    onnx_runtime._prove(session, "cuda", CUDA, onnx_runtime._placement(session))


def test_a_provider_that_computes_is_proved() -> None:
    prove([CUDA, CPU], {CUDA: ["MatMul"], CPU: ["Shape"]})


def test_a_provider_that_did_not_load_is_an_error_with_the_mend() -> None:
    with pytest.raises(
        ProviderError, match=r"did not load.*pip uninstall -y onnxruntime "
    ) as caught:
        prove([CPU], {CPU: ["MatMul"]})
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("placed", [{CPU: ["MatMul"]}, {CUDA: ["Reshape"], CPU: ["MatMul"]}])
def test_a_provider_that_computes_nothing_is_an_error(placed: dict[str, list[str]]) -> None:
    with pytest.raises(ProviderError, match="took none of the model's"):
        prove([CUDA, CPU], placed)


def test_an_old_onnxruntime_that_cannot_tell_gets_no_fallback() -> None:
    asked: dict[str, Any] = {}

    class Options:
        def add_session_config_entry(self, key: str, value: str) -> None:
            asked[key] = value

    def session(_payload: bytes, _options: object, **arguments: Any) -> object:
        asked.update(arguments)
        raise RuntimeError("nodes are assigned to the default CPU EP")

    old = SimpleNamespace(SessionOptions=Options, InferenceSession=session)
    with pytest.raises(ProviderError, match=r"did not take the model.*onnxruntime-gpu"):
        onnx_runtime._session(old, b"", CUDA, 1)
    assert asked["session.disable_cpu_ep_fallback"] == "1"
    assert asked["session.intra_op.allow_spinning"] == "0"
    assert asked["providers"] == [CUDA]
    with pytest.raises(ModelError, match="does not accept the model"):
        onnx_runtime._session(old, b"", CPU, 1)


def test_an_input_that_is_no_float_is_refused() -> None:
    with pytest.raises(ModelError, match=r"'x' is tensor\(int8\), expected floating point"):
        onnx_runtime._input(SimpleNamespace(name="x", type="tensor(int8)", shape=[1]))
