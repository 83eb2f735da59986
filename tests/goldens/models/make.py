"""Make the tiny models of this folder: `python tests/goldens/models/make.py`.

Needs tensorflow, tf2onnx and onnx. Weights are seeded, so that the models compute the same
whenever they are made; `models.json` records the versions that made them, the input, and what
Keras gives for it.
"""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx

HERE = Path(__file__).resolve().parent
SHAPE = (1, 20, 8, 1)
SEED = 3
TOOLS = ("tensorflow-cpu", "keras", "numpy", "onnx", "tf2onnx")


def build(embedding: bool = False) -> Any:
    """A convolution and two dense layers, 3 labels; with `embedding`, two outputs.

    The first dense layer has over 1024 weights: the converter leaves smaller ones as they are.
    """
    keras.utils.set_random_seed(SEED)
    inputs = keras.Input(SHAPE[1:], batch_size=1, name="features")
    x = keras.layers.Conv2D(4, 3, strides=2, activation="relu")(inputs)
    x = keras.layers.Flatten()(x)
    hidden = keras.layers.Dense(16, activation="tanh", name="embedding")(x)
    scores = keras.layers.Dense(3, activation="softmax", name="scores")(hidden)
    return keras.Model(inputs, [scores, hidden] if embedding else scores)


def signal(count: int = 1) -> Any:
    """Features with the spread of a log-mel in units of 10 dB."""
    return np.random.default_rng(SEED).normal(size=(count, *SHAPE[1:])).astype(np.float32)


def tflite(model: Any, quantisation: str) -> bytes:
    """The model by TensorFlow's converter."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if quantisation != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantisation == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantisation in ("int8", "uint8"):
        converter.representative_dataset = lambda: ([x[None]] for x in signal(100))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.as_dtype(quantisation)
    return converter.convert()


def as_onnx(model: Any) -> Any:
    """The model by tf2onnx, opset 17."""
    signature = [tf.TensorSpec(SHAPE, tf.float32, name="features")]
    return tf2onnx.convert.from_keras(model, input_signature=signature, opset=17)[0]


def main() -> None:
    """Write every model and models.json."""
    model, double = build(), build(embedding=True)
    for quantisation in ("float32", "dynamic", "float16", "int8", "uint8"):
        (HERE / f"{quantisation}.tflite").write_bytes(tflite(model, quantisation))
    (HERE / "two_outputs.tflite").write_bytes(tflite(double, "float32"))
    free = keras.Input((None, SHAPE[2]), batch_size=1)
    mean = keras.Model(free, keras.ops.mean(free, axis=1))
    (HERE / "free_length.tflite").write_bytes(tflite(mean, "float32"))
    onnx.save(as_onnx(model), HERE / "float32.onnx")
    onnx.save(as_onnx(double), HERE / "two_outputs.onnx")
    side = HERE / "external.onnx.data"
    side.unlink(missing_ok=True)
    onnx.save(
        as_onnx(model),
        HERE / "external.onnx",
        save_as_external_data=True,
        location=side.name,
        size_threshold=0,
    )
    side.chmod(0o644)
    scores, hidden = double(signal())
    record = {
        "tools": {name: importlib.metadata.version(name) for name in TOOLS},
        "features": signal().ravel().tolist(),
        "shape": SHAPE,
        "scores": np.asarray(scores).ravel().tolist(),
        "embedding": np.asarray(hidden).ravel().tolist(),
    }
    (HERE / "models.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
