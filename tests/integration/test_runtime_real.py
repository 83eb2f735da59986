"""Real runtimes on the golden models: what Keras gave, whatever the container and quantisation."""

from __future__ import annotations

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ser.card import read_model, write_model
from edge_ser.container import prepare, wrap
from edge_ser.container.tflite import add_marker
from edge_ser.errors import ModelError, ProviderError
from edge_ser.runtime import open_model, tflite
from edge_ser.testing import tiny_card

CHECKOUT = Path(__file__).resolve().parents[2]
MODELS = CHECKOUT / "tests" / "goldens" / "models"
RECORD = json.loads((MODELS / "models.json").read_text())
FEATURES = np.array(RECORD["features"], np.float32).reshape(RECORD["shape"])
SCORES, EMBEDDING = np.array(RECORD["scores"]), np.array(RECORD["embedding"])

TOLERANCES = {
    "float32.tflite": 1e-6,
    "two_outputs.tflite": 1e-6,
    "foreign.tflite": 1e-6,
    "float16.tflite": 1e-3,
    "dynamic.tflite": 5e-3,
    "int8.tflite": 1e-2,
    "uint8.tflite": 1e-2,
    "float32.onnx": 1e-6,
    "two_outputs.onnx": 1e-6,
}
ALL = pytest.mark.parametrize("name", sorted(TOLERANCES))


def outputs_agree(name: str, outputs: dict[str, Any]) -> None:
    by_size = {np.size(values): np.ravel(values) for values in outputs.values()}
    np.testing.assert_allclose(by_size[3], SCORES, atol=TOLERANCES[name])
    if name.startswith("two_outputs"):
        np.testing.assert_allclose(by_size[len(EMBEDDING)], EMBEDDING, atol=1e-6)
        assert len(outputs) == 2


@ALL
def test_outputs_are_those_of_keras(name: str) -> None:
    interpreter = open_model(MODELS / name)
    assert interpreter.inputs[0].shape == FEATURES.shape
    assert [tensor.shape[0] for tensor in interpreter.outputs] == [1] * len(interpreter.outputs)
    outputs = interpreter.run([FEATURES])
    outputs_agree(name, outputs)
    assert {values.dtype for values in outputs.values()} == {np.dtype(np.float32)}
    assert list(outputs) == [tensor.name for tensor in interpreter.outputs]


@ALL
def test_a_file_with_a_card_computes_the_same_numbers(name: str, tmp_path: Path) -> None:
    card = tiny_card(("calm", "angry", "sad"))
    path = write_model(tmp_path / name, (MODELS / name).read_bytes(), card).path
    model = read_model(path)
    plain = open_model(MODELS / name).run([FEATURES])
    for source in (path, model.payload, path.read_bytes()):
        outputs = open_model(source).run([FEATURES])
        assert {k: v.tolist() for k, v in outputs.items()} == {
            k: v.tolist() for k, v in plain.items()
        }


@ALL
def test_outputs_belong_to_the_caller(name: str) -> None:
    interpreter = open_model(MODELS / name)
    first = interpreter.run([FEATURES])
    kept = {key: values.copy() for key, values in first.items()}
    other = interpreter.run([-FEATURES])
    for key, values in first.items():
        np.testing.assert_array_equal(values, kept[key])
        assert (values != other[key]).any()
        values[:] = 0
    for key, values in interpreter.run([FEATURES]).items():
        np.testing.assert_array_equal(values, kept[key])


@ALL
def test_batch_and_channel_may_be_left_out(name: str) -> None:
    interpreter = open_model(MODELS / name)
    with_axes, without = interpreter.run([FEATURES]), interpreter.run([FEATURES[0, :, :, 0]])
    assert {k: v.tolist() for k, v in without.items()} == {
        k: v.tolist() for k, v in with_axes.items()
    }
    with pytest.raises(ModelError, match=r"\(8, 20\).*\(1, 20, 8, 1\)"):
        interpreter.run([FEATURES[0, :, :, 0].T])


@ALL
def test_details_name_the_runtime(name: str) -> None:
    interpreter = open_model(MODELS / name, threads=2)
    details = interpreter.details
    assert interpreter.provider == "cpu"
    assert details["runtime"] == ("onnxruntime" if name.endswith("onnx") else "ai-edge-litert")
    assert str(details["version"])[0].isdigit()
    assert details["threads"] == 2


def test_details_say_where_nodes_went() -> None:
    details = open_model(MODELS / "float32.tflite").details
    assert details["nodes"] == details["delegated_nodes"] == 6
    assert open_model(MODELS / "int8.tflite").details["other_nodes"] == ["SOFTMAX"]
    placed = open_model(MODELS / "float32.onnx").details["nodes"]
    assert isinstance(placed, dict)
    assert list(placed) == ["CPUExecutionProvider"]
    assert "MatMul" in placed["CPUExecutionProvider"]


def test_quantised_features_saturate_as_the_graph_does() -> None:
    interpreter = open_model(MODELS / "int8.tflite")
    far = interpreter.run([np.full(FEATURES.shape, 1e9)])
    further = interpreter.run([np.full(FEATURES.shape, 1e12)])
    assert {k: v.tolist() for k, v in far.items()} == {k: v.tolist() for k, v in further.items()}


def test_the_marker_leaves_the_model_as_flatbuffers_reads_it() -> None:
    from ai_edge_litert import schema_py_generated as schema

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(item) for item in value]
        if hasattr(value, "__dict__"):
            return {key: plain(item) for key, item in vars(value).items()}
        return value.tolist() if isinstance(value, np.ndarray) else value

    for name in sorted(TOLERANCES):
        if name.endswith(".tflite"):
            data = (MODELS / name).read_bytes()
            before = plain(schema.ModelT.InitFromPackedBuf(data))
            after = plain(schema.ModelT.InitFromPackedBuf(add_marker(data)))
            marker = after["metadata"].pop()
            assert marker["name"] in (b"edge_ser", "edge_ser")
            assert after == before


@pytest.mark.needs("onnx")
def test_the_onnx_package_reads_a_file_with_a_card() -> None:
    import onnx

    data = (MODELS / "float32.onnx").read_bytes()
    model = onnx.load_model_from_string(wrap(prepare(data), b'{"name":"tiny"}'))
    onnx.checker.check_model(model)
    assert {p.key: p.value for p in model.metadata_props}["edge_ser"] == '{"name":"tiny"}'
    del model.metadata_props[:]
    assert model == onnx.load_model_from_string(data)


@pytest.mark.parametrize("provider", ["cuda", "tensorrt", "nonsense"])
def test_a_provider_that_is_not_there_is_an_error(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime

    plain = ["CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: plain)
    with pytest.raises(ProviderError, match=f"'{provider}' is not in this onnxruntime") as caught:
        open_model(MODELS / "float32.onnx", provider)
    assert caught.value.exit_code == 4


def test_a_provider_that_is_there_and_computes_nothing_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import onnxruntime

    # Azure's provider comes with the wheels and takes no local node. Where a wheel is without it,
    # a session that is told to be one shows the same.
    if "AzureExecutionProvider" not in onnxruntime.get_available_providers():
        available = ["AzureExecutionProvider", "CPUExecutionProvider"]
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
    with pytest.raises(ProviderError, match=r"'azure' (took none|did not)"):
        open_model(MODELS / "float32.onnx", "azure")


def test_what_a_runtime_refuses_is_one_typed_line() -> None:
    onnx_data = (MODELS / "float32.onnx").read_bytes().replace(b"Softmax", b"Sopfmax")
    with pytest.raises(ModelError, match="onnxruntime does not accept the model") as caught:
        open_model(onnx_data)
    assert "\n" not in str(caught.value)
    data = bytearray((MODELS / "float32.tflite").read_bytes())
    data[8:10] = b"\0\0"
    with pytest.raises(ModelError) as caught:
        open_model(bytes(data))
    assert "\n" not in str(caught.value)


def test_what_fails_while_it_runs_is_one_typed_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("float32.tflite", "float32.onnx"):
        interpreter = open_model(MODELS / name)
        wrong = np.zeros((1, 21, 8, 1), np.float32)
        module = type(interpreter).__module__
        monkeypatch.setattr(f"{module}.arranged", lambda *_, wrong=wrong: [wrong])
        with pytest.raises(ModelError, match="failed while it ran the model") as caught:
            interpreter.run([FEATURES])
        assert "\n" not in str(caught.value)


@pytest.mark.needs("tensorflow")
@pytest.mark.filterwarnings("ignore")
def test_tensorflows_own_runtime_is_the_last_resort(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tflite, "RUNTIMES", tflite.RUNTIMES[-1:])
    interpreter = open_model(MODELS / "float32.tflite")
    assert interpreter.details["runtime"] == "tensorflow"
    outputs_agree("float32.tflite", interpreter.run([FEATURES]))


@pytest.mark.needs("tflite_runtime")
def test_tflite_runtime_gives_the_same_in_its_own_environment() -> None:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    python = os.environ.get(
        "EDGE_SER_TFLITE_RUNTIME_PYTHON", cache / "edge-ser" / "tflite-runtime" / "bin" / "python"
    )
    names = [name for name in sorted(TOLERANCES) if name.endswith(".tflite")]
    ran = subprocess.run(
        [python, "tests/integration/tflite_runtime_child.py", *(str(MODELS / n) for n in names)],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    results = json.loads(ran.stdout)
    # TensorFlow 2.21 writes FULLY_CONNECTED of a version that came after tflite-runtime's last.
    refused = results.pop("dynamic.tflite")
    assert refused["error"] == "ProviderError"
    assert "pip install -U ai-edge-litert" in refused["message"]
    for name, result in results.items():
        assert result["details"]["runtime"] == "tflite-runtime"
        outputs_agree(name, result["outputs"])
    assert results["float32.tflite"]["details"]["delegated_nodes"] == 6


def test_a_free_axis_follows_the_features() -> None:
    interpreter = open_model(MODELS / "free_length.tflite")
    assert interpreter.inputs[0].shape == (1, -1, 8)
    for frames in (5, 20, 3):
        block = np.random.default_rng(frames).normal(size=(frames, 8)).astype(np.float32)
        (scores,) = interpreter.run([block]).values()
        np.testing.assert_allclose(scores.ravel(), block.mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("name", ["float32.tflite", "float32.onnx"])
def test_threads_do_not_mix_up_their_results(name: str) -> None:
    interpreter = open_model(MODELS / name)
    inputs = [FEATURES * factor for factor in (1.0, -1.0, 0.5, 2.0)]
    expected = [interpreter.run([block]) for block in inputs]

    def wrong(at: int) -> int:
        results = (interpreter.run([inputs[at]]) for _ in range(200))
        return sum(
            not np.array_equal(result[key], expected[at][key])
            for result in results
            for key in result
        )

    with ThreadPoolExecutor(len(inputs)) as pool:
        assert list(pool.map(wrong, range(len(inputs)))) == [0] * len(inputs)
