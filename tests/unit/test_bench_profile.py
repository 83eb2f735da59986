"""Times of operators: that what is timed is the operator, and what is made of the times."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.bench import graph_onnx
from edge_ser.bench.graph_onnx import profiled_runs, read_profile
from edge_ser.bench.graph_tflite import OpenGraph, isolated
from edge_ser.bench.macs import count_payload, example_features, macs
from edge_ser.bench.operator_times import ROUNDS, settled
from edge_ser.bench.profile import OperatorTime, Profile, as_markdown, profile, profile_payload
from edge_ser.card import read_model
from edge_ser.errors import ModelError, ProviderError
from edge_ser.runtime import open_model

CHECKOUT = Path(__file__).resolve().parents[2]
TINY = CHECKOUT / "tests" / "goldens" / "models"
MODELS = CHECKOUT / "models"
FEATURES = [np.random.default_rng(0).standard_normal((20, 8)).astype(np.float32)]
KINDS = ("float32", "dynamic", "float16", "int8", "uint8")


def differences(payload: bytes, features: Sequence[Any]) -> list[float]:
    """What each operator computes alone, against what it computes in the whole graph.

    In units of the larger of one quantisation step and 1e-5 of the largest value.
    """
    graph = OpenGraph(payload, features)
    found = []
    for number, node in enumerate(graph._nodes):
        alone = graph.alone(number, 1)
        if alone is None:
            continue
        for detail, tensor in zip(alone.get_output_details(), node["outputs"], strict=True):
            wanted = graph._interpreter.get_tensor(int(tensor)).astype(np.float64)
            off = np.abs(alone.get_tensor(detail["index"]) - wanted).max()
            quantised = np.issubdtype(detail["dtype"], np.integer)
            found.append(float(off / (1 if quantised else 1e-5 * max(1, np.abs(wanted).max()))))
    return found


@pytest.mark.parametrize("name", KINDS)
def test_an_operator_alone_computes_what_it_does_in_the_graph(name: str) -> None:
    payload = (TINY / f"{name}.tflite").read_bytes()
    off = differences(payload, FEATURES)
    assert len(off) >= 4
    # Weights of 8 bits: the delegate quantises the values too, the plain kernels another way.
    assert max(off) <= (1e3 if name == "dynamic" else 1)


def test_all_operators_of_plb_alone_compute_what_they_do_in_it() -> None:
    model = read_model(MODELS / "plb-emodb.tflite")
    off = differences(model.payload, example_features(model.card))
    assert len(off) == 168
    assert max(off) <= 1


def test_a_free_length_is_that_of_the_features() -> None:
    payload = (TINY / "free_length.tflite").read_bytes()
    features = [np.random.default_rng(0).standard_normal((50, 8)).astype(np.float32)]
    assert max(differences(payload, features)) <= 1
    shapes = [operator.inputs[0] for operator in OpenGraph(payload, features).operators()]
    assert shapes[0] == (1, 50, 8)


def test_what_unpacks_weights_comes_with_the_operator_and_has_no_time_of_its_own() -> None:
    payload = (TINY / "float16.tflite").read_bytes()
    found = profile_payload(payload, FEATURES, runs=5)
    assert set(found.untimed) == {"DEQUANTIZE"}
    assert "DEQUANTIZE" not in {operator.kind for operator in found.operators}
    assert "FULLY_CONNECTED" in {operator.kind for operator in found.operators}
    assert f"DEQUANTIZE {found.untimed['DEQUANTIZE']}." in as_markdown(found)


def test_an_operator_that_the_model_does_not_have_is_refused() -> None:
    with pytest.raises(ModelError, match=r"operators \[99\] were asked for"):
        isolated((TINY / "float32.tflite").read_bytes(), [99], [0], [1])


@given(st.integers(8, 2000), st.integers(0, 255))
def test_editing_a_damaged_graph_fails_as_one_or_not_at_all(at: int, byte: int) -> None:
    data = bytearray((TINY / "float32.tflite").read_bytes())
    data[at % len(data)] = byte
    try:
        edited = isolated(bytes(data), [1], [0], [5])
    except ModelError:
        return
    assert len(edited) > len(data)


@given(st.lists(st.floats(0, 1e3), min_size=1, max_size=9))
def test_a_figure_lies_among_its_rounds_and_its_error_within_their_spread(
    rounds: list[float],
) -> None:
    ms, error = settled(rounds)
    assert min(rounds) <= ms <= max(rounds)
    assert 0 <= error <= (max(rounds) - min(rounds)) / 2 + 1e-9
    assert settled(sorted(rounds)) == (ms, error)


def test_one_disturbed_round_moves_neither_figure_nor_error() -> None:
    assert settled([1.0, 1.0, 1.0, 1.0, 1.0]) == settled([1.0, 50.0, 1.0, 1.0, 1.0]) == (1.0, 0.0)


@pytest.mark.parametrize("name", ["float32.tflite", "int8.tflite", "float32.onnx"])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_profile_holds_together(name: str, threads: int) -> None:
    payload = (TINY / name).read_bytes()
    rounds: list[tuple[int, int]] = []
    found = profile_payload(
        payload, FEATURES, threads=threads, runs=5, progress=lambda *at: rounds.append(at)
    )
    assert rounds == [(at, ROUNDS) for at in range(ROUNDS + 1)]
    assert (found.provider, found.threads) == ("cpu", threads)
    assert sum(operator.share for operator in found.operators) == pytest.approx(1)
    times = [operator.ms for operator in found.operators]
    assert times == sorted(times, reverse=True)
    assert found.sum_ms == pytest.approx(sum(times))
    assert found.whole_ms > 0
    assert ("processor" if threads == 1 else "wall") in found.method
    # ONNX Runtime fills a convolution's channels up to a whole vector of the processor.
    dense = [op.macs for op in found.operators if op.kind not in ("CONV_2D", "Conv", "FusedConv")]
    assert sum(filter(None, dense)) == 108 * 16 + 16 * 3


def test_what_the_delegate_left_is_what_the_runtime_says() -> None:
    path = MODELS / "plb-emodb.tflite"
    details = open_model(read_model(path).payload).details
    found = profile(path, runs=5)
    assert sorted(found.left) == details["other_nodes"]
    assert sum(found.left.values()) == details["nodes"] - details["delegated_nodes"]  # type: ignore[operator]
    assert len(found.operators) == details["nodes"]
    assert sum(operator.macs or 0 for operator in found.operators) == macs(path).total
    assert found.operators[0].macs


def test_plb_in_onnx_runtime() -> None:
    path = MODELS / "plb-emodb.onnx"
    found = profile(path, runs=5)
    assert {"Conv", "FusedMatMul", "Softmax"} <= {operator.kind for operator in found.operators}
    assert found.runtime == "onnxruntime"
    assert not found.left
    assert not found.untimed
    products = [op.macs for op in found.operators if op.kind in ("MatMul", "FusedMatMul")]
    assert sum(filter(None, products)) == macs(path).by_layer["matmul"]


def test_a_provider_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ProviderError):
        profile(MODELS / "plb-emodb.tflite", provider="cuda")


def test_no_profile_stays_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    payload = (TINY / "float32.onnx").read_bytes()
    with profiled_runs(payload, FEATURES, runs=3) as runs:
        assert list(tmp_path.iterdir())
        assert len(list(runs)) == 3
    assert not list(tmp_path.iterdir())
    count_payload(payload, FEATURES)
    assert not list(tmp_path.iterdir())


def test_a_profile_that_grew_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_onnx, "MAX_PROFILE_BYTES", 100)
    with (
        pytest.raises(ModelError, match="fewer runs"),
        profiled_runs((TINY / "float32.onnx").read_bytes(), FEATURES, runs=1),
    ):
        pass


def event(name: str = "conv_kernel_time", **args: Any) -> str:
    """A line as ONNX Runtime 1.31 writes it."""
    args = {
        "op_name": "Conv",
        "node_index": "4",
        "provider": "CUDAExecutionProvider",
        "input_type_shape": [{"float": [1, 1, 196, 39]}, {"float": [64, 1, 3, 3]}],
        "output_type_shape": [{"float": [1, 64, 194, 37]}],
        **args,
    }
    return json.dumps({"cat": "Node", "pid": 1, "dur": 157, "ts": 1, "name": name, "args": args})


RUN = json.dumps({"cat": "Session", "dur": 9, "ts": 1, "name": "model_run", "args": {}})


def test_runs_are_told_apart_and_other_events_left_out() -> None:
    fence = event("conv_fence_before")
    lines = ["[\n", event() + ",\n", fence + ",\n", RUN + ",\n", event() + ",\n", event() + ",\n"]
    first, second = read_profile([*lines, RUN + "\n", event() + "\n", "]\n"])
    assert (len(first), len(second)) == (1, 2)
    (found,) = first
    assert (found.number, found.us, found.provider) == (4, 157, "cuda")
    assert (found.operator.name, found.operator.kind) == ("conv", "Conv")
    assert found.operator.inputs == ((1, 1, 196, 39), (64, 1, 3, 3))
    assert found.operator.outputs == ((1, 64, 194, 37),)


@pytest.mark.parametrize(
    "line",
    [
        event()[:-5],
        "7",
        "[" * 100_000,
        '{"cat": "Node"}',
        event(node_index="x"),
        event(input_type_shape=[{}]),
        event(output_type_shape=[{"float": 3}]),
        event().replace('"dur": 157', '"dur": null'),
    ],
    ids=["cut", "number", "deep", "no name", "no index", "no shape", "odd shape", "no time"],
)
def test_a_profile_of_another_form_is_refused(line: str) -> None:
    with pytest.raises(ModelError, match="another form"):
        list(read_profile([line]))


@given(st.lists(st.text(max_size=60), max_size=5))
def test_any_text_is_a_profile_or_refused(lines: list[str]) -> None:
    with contextlib.suppress(ModelError):
        assert list(read_profile(lines)) == []


def made(*operators: OperatorTime, **changes: Any) -> Profile:
    fields: dict[str, Any] = {
        "runtime": "ai-edge-litert",
        "version": "2.3.0",
        "provider": "cpu",
        "threads": 1,
        "method": "by hand",
        "operators": operators,
        "whole_ms": 4.0,
        "whole_error_ms": 0.1,
        "untimed": {},
    }
    return Profile(**{**fields, **changes})


CONV = OperatorTime(1, "dilated", "CONV_2D", 3.0, 0.02, 0.6, 48_000_000, True)
REVERSE = OperatorTime(0, "a|b", "REVERSE_V2", 1.5, 0.01, 0.3, 0, False)
WHILE = OperatorTime(2, "x" * 60, "WHILE", 0.5, 0.0, 0.1, None, False)


def test_the_tables_say_all_that_matters() -> None:
    text = as_markdown(made(CONV, REVERSE, WHILE))
    assert "ai-edge-litert 2.3.0, provider cpu, threads 1. Times: by hand." in text
    assert "together 5.000 ms; the whole graph 4.000 +- 0.100 ms (+25% between them)" in text
    assert "| dilated | CONV_2D | 3.000 | 0.020 | 60.0% | 48.000 | 16.0 | yes |" in text
    assert "| a\\|b | REVERSE_V2 | 1.500 | 0.010 | 30.0% |  |  | no |" in text
    assert f"| ...{'x' * 45} | WHILE | 0.500 | 0.000 | 10.0% | unknown |  | no |" in text
    assert "| CONV_2D | 1 | 3.000 | 60.0% | 48.000 | 16.0 |" in text
    assert "Not taken by the delegate: REVERSE_V2 1, WHILE 1." in text
    assert "Without a time" not in text


def test_what_the_table_leaves_out_is_one_row() -> None:
    text = as_markdown(made(CONV, REVERSE, WHILE), top=1)
    assert "| 2 more |  | 2.000 |  | 40.0% | unknown |  |  |" in text
    assert "a\\|b" not in text
    onnx = as_markdown(made(CONV, runtime="onnxruntime"))
    assert "Not taken by the provider: none." in onnx
