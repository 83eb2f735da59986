"""For tests of programs that use edge-ser: an interpreter without a runtime, and tiny models.

    interpreter = FakeInterpreter({"scores": [0.9, 0.1]})
    model = load_model(write_tiny_model(tmp_path / "tiny.onnx", {"calm": 0.9, "angry": 0.1}))
    assert model(clip).label == "calm"

`write_tiny_model` makes a real file of under 2 kB with a card, so that the whole path is
exercised: the hashes, the card, decoding, features, ONNX Runtime, calibration.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_ser.card import InputSpec, ModelCard, ModelFile, OutputSpec, Provenance, write_model
from edge_ser.container.onnx import encode
from edge_ser.errors import UsageError
from edge_ser.frontend import FrontendSpec
from edge_ser.runtime import Tensor

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["FakeInterpreter", "tiny_card", "tiny_onnx", "write_tiny_model"]

TINY_FRONTEND = FrontendSpec(
    kind="log_mel", rate=16_000, n_fft=512, win_length=400, hop_length=160, n_mels=8, fmax=8000.0
)
TINY_CLIP_SAMPLES = 16_000

_FLOAT = 1


class FakeInterpreter:
    """An `Interpreter` that answers what it is told to, and remembers what it was given."""

    provider = "fake"

    def __init__(
        self,
        outputs: Mapping[str, ArrayLike] | Callable[[Sequence[NDArray[Any]]], Mapping[str, Any]],
        inputs: Sequence[Tensor] = (Tensor("features", (1, -1, -1, 1), "float32"),),
        output_tensors: Sequence[Tensor] | None = None,
    ) -> None:
        """Prepare the answers.

        Args:
            outputs: what `run` gives, by name; or a function of the features that makes it.
            inputs: what `inputs` shows.
            output_tensors: what `outputs` shows; needed where `outputs` is a function.

        Raises:
            UsageError: a function without `output_tensors`.
        """
        import numpy as np

        if callable(outputs):
            if output_tensors is None:
                raise UsageError("outputs is a function, expected output_tensors with it; give it")
            self._answer = outputs
            self.outputs = tuple(output_tensors)
        else:
            arrays = {name: np.asarray(value, np.float32) for name, value in outputs.items()}
            self._answer = lambda _features: arrays
            self.outputs = tuple(
                output_tensors or (Tensor(n, a.shape, "float32") for n, a in arrays.items())
            )
        self.inputs = tuple(inputs)
        self.details: Mapping[str, object] = {"runtime": "fake", "version": "0", "threads": 1}
        self.calls: list[tuple[NDArray[Any], ...]] = []
        """Features of every call of `run`, oldest first."""

    def run(self, features: Sequence[NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The prepared outputs, each a copy in float32."""
        import numpy as np

        self.calls.append(tuple(np.array(block) for block in features))
        return {k: np.array(v, np.float32) for k, v in self._answer(features).items()}


def tiny_card(labels: Sequence[str] = ("calm", "angry"), **changes: Any) -> ModelCard:
    """A small valid card: 1 s at 16 kHz, 8 mel bands, no conditioning.

    Args:
        labels: in the order of the outputs.
        changes: other fields of `ModelCard`.
    """
    fields: dict[str, Any] = {
        "name": "tiny",
        "task": "emotion",
        "labels": tuple(labels),
        "input": InputSpec(rate=TINY_FRONTEND.rate, clip_samples=TINY_CLIP_SAMPLES),
        "frontend": (TINY_FRONTEND,),
        "output": OutputSpec(scores="scores"),
        "provenance": Provenance(state="trained", data="none", licence="CC0-1.0"),
    }
    return ModelCard(**{**fields, **changes})


def tiny_onnx(scores: Sequence[float], shape: Sequence[int]) -> bytes:
    """An ONNX model, made without the onnx package, that gives `scores` whatever it hears.

    softmax(0 * mean(features) + ln(scores)): a NaN in the features still shows in the result.

    Args:
        scores: probabilities above 0 that add up to 1.
        shape: of the input `features`, batch and channel axes included.
    """
    bias = struct.pack(f"<{len(scores)}f", *map(math.log, scores))
    graph = b"".join(
        (
            encode(1, _node("ReduceMean", ["features"], "mean", keepdims=0)),
            encode(1, _node("Mul", ["mean", "zero"], "nothing")),
            encode(1, _node("Add", ["nothing", "bias"], "logits")),
            encode(1, _node("Softmax", ["logits"], "scores")),
            encode(2, b"tiny"),
            encode(5, _tensor("zero", (1,), struct.pack("<f", 0.0))),
            encode(5, _tensor("bias", (1, len(scores)), bias)),
            encode(11, _value("features", shape)),
            encode(12, _value("scores", (1, len(scores)))),
        )
    )
    opset = encode(1, b"") + encode(2, 17)
    return encode(1, 8) + encode(2, b"edge_ser.testing") + encode(7, graph) + encode(8, opset)


def write_tiny_model(
    path: str | Path, scores: Mapping[str, float], card: ModelCard | None = None
) -> ModelFile:
    """Write a model file that gives the same scores for every clip.

    Args:
        path: of the file, `.onnx`.
        scores: probability above 0 of each label; they add up to 1.
        card: what the file says of itself; its labels are those of `scores`.
    """
    card = card or tiny_card(tuple(scores))
    (spec,) = card.frontend
    shape = (1, *spec.shape(card.input.clip_samples), 1)
    return write_model(path, tiny_onnx(list(scores.values()), shape), card)


def _node(operator: str, inputs: Sequence[str], output: str, **attributes: int) -> bytes:
    """A NodeProto; whole-number attributes only."""
    encoded = [
        encode(5, encode(1, name.encode()) + encode(3, value) + encode(20, 2))
        for name, value in attributes.items()
    ]
    names = [encode(1, name.encode()) for name in inputs]
    return b"".join([*names, encode(2, output.encode()), encode(4, operator.encode()), *encoded])


def _tensor(name: str, shape: Sequence[int], data: bytes) -> bytes:
    """A TensorProto of float32."""
    axes = b"".join(encode(1, n) for n in shape)
    return axes + encode(2, _FLOAT) + encode(8, name.encode()) + encode(9, data)


def _value(name: str, shape: Sequence[int]) -> bytes:
    """A ValueInfoProto of float32."""
    axes = b"".join(encode(1, encode(1, n)) for n in shape)
    return encode(1, name.encode()) + encode(2, encode(1, encode(1, _FLOAT) + encode(2, axes)))
