"""Verification: the stage that differs is named, and those after it are not run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ser.card import GoldenFeatures, Goldens, InputSpec, ModelCard, write_model, write_sidecar
from edge_ser.doctor.probes import ONNX_MODEL, TFLITE_MODEL, _model
from edge_ser.errors import (
    ExitCode,
    ModelDamagedError,
    ModelError,
    ModelNotFoundError,
    ProviderError,
)
from edge_ser.frontend import PRESETS, Frontend
from edge_ser.runtime import Tensor
from edge_ser.signals import as_float, test_signal
from edge_ser.verification import STAGES, goldens, verify

from .verification_cards import card_of

# y = 2 x of four samples: the smallest model that both runtimes open.
MODELS = {"tflite": _model(TFLITE_MODEL), "onnx": _model(ONNX_MODEL)}
WEIGHT = np.float32(2).tobytes()


def with_goldens(**changes: Any) -> ModelCard:
    """The card with other goldens."""
    card = card_of()
    assert card.goldens is not None
    return replace(card, goldens=replace(card.goldens, **changes))


def statuses(path: Path, **options: Any) -> dict[str, str]:
    """Stage -> status."""
    return {stage.stage: stage.status for stage in verify(path, **options).stages}


def failed_at(stage: str) -> dict[str, str]:
    """What `statuses` gives when `stage` is the one that fails."""
    place = STAGES.index(stage)
    after = dict.fromkeys(STAGES[place + 1 :], "not run")
    return {**dict.fromkeys(STAGES[:place], "ok"), stage: "failed", **after}


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    """`file(card, kind)` writes y = 2 x with a card."""

    def written(card: ModelCard, kind: str = "tflite") -> Path:
        path = tmp_path / f"double.{kind}"
        write_model(path, MODELS[kind], card)
        return path

    return written


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_a_whole_file_passes_every_stage(file: Callable[..., Path], kind: str) -> None:
    verification = verify(file(card_of(), kind))
    assert [(s.stage, s.status) for s in verification.stages] == [(s, "ok") for s in STAGES]
    assert verification.ok
    assert verification.exit_code == ExitCode.OK
    measured = {stage.stage: stage for stage in verification.stages if stage.worst is not None}
    assert set(measured) == {"features", "scores"}
    assert measured["features"].ok
    assert measured["features"].tolerance == 1e-6
    assert all(stage.detail and "\n" not in stage.detail for stage in verification.stages)


def test_without_goldens_it_says_so_and_still_opens_the_graph(file: Callable[..., Path]) -> None:
    verification = verify(file(replace(card_of(), goldens=None)))
    found = {stage.stage: stage.status for stage in verification.stages}
    unchecked = dict.fromkeys(("signal", "features", "scores"), "no goldens")
    assert found == {**dict.fromkeys(STAGES, "ok"), **unchecked}
    assert verification.ok
    assert "the card has no goldens" in verification.stages[2].detail


def test_a_flipped_weight_fails_the_payload(file: Callable[..., Path]) -> None:
    path = file(card_of())
    data = bytearray(path.read_bytes())
    data[data.index(WEIGHT) + 2] ^= 1
    path.write_bytes(data)
    verification = verify(path)
    assert statuses(path) == failed_at("payload")
    assert verification.exit_code == ExitCode.MODEL
    assert isinstance(verification.stages[1].error, ModelDamagedError)
    assert verification.stages[2].detail == "payload failed"


def test_a_changed_label_fails_the_card(file: Callable[..., Path]) -> None:
    path = file(card_of(), "onnx")
    path.write_bytes(path.read_bytes().replace(b'["a","b"', b'["a","x"'))
    assert statuses(path) == failed_at("card")


def test_a_cut_file_fails_the_card(file: Callable[..., Path]) -> None:
    path = file(card_of())
    path.write_bytes(path.read_bytes()[:-10])
    assert statuses(path) == failed_at("card")


def test_a_foreign_model_with_a_sidecar(tmp_path: Path) -> None:
    path = tmp_path / "theirs.tflite"
    path.write_bytes(MODELS["tflite"])
    assert statuses(path) == failed_at("card")
    write_sidecar(path, card_of())
    assert statuses(path) == dict.fromkeys(STAGES, "ok")
    path.write_bytes(MODELS["tflite"].replace(WEIGHT, np.float32(3).tobytes()))
    assert statuses(path) == failed_at("payload")


def test_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError):
        verify(tmp_path / "none.tflite")


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"signal_sha256": "0" * 64}, "is not the one that the goldens were made of"),
        ({"signal": "sweep"}, "'sweep', which this version does not make"),
    ],
)
def test_another_signal_fails(
    file: Callable[..., Path], changes: dict[str, Any], detail: str
) -> None:
    path = file(with_goldens(**changes))
    assert statuses(path) == failed_at("signal")
    assert detail in verify(path).stages[2].detail


@pytest.mark.parametrize(
    ("golden", "detail"),
    [
        (GoldenFeatures((4,), (0, 2), (0.0, 0.5), 1e-3), "2 values; worst in block 1 of 1 at (2)"),
        (GoldenFeatures((2, 2), (0,), (0.0,), 1e-3), "shape (4,), expected (2, 2)"),
        (GoldenFeatures((4,), (), (), 1e-3), "has no golden values"),
    ],
)
def test_other_features_fail_with_block_and_place(
    file: Callable[..., Path], golden: GoldenFeatures, detail: str
) -> None:
    path = file(with_goldens(features=(golden,)))
    assert statuses(path) == failed_at("features")
    assert detail in verify(path).stages[3].detail


def test_a_frontend_that_refuses_the_signal_fails_the_features(
    file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(goldens, "as_float", lambda signal: np.full(len(signal), np.nan))
    path = file(card_of())
    assert statuses(path) == failed_at("features")


def test_other_scores_fail_with_the_label(file: Callable[..., Path]) -> None:
    path = file(with_goldens(scores=(0.0, 9.0, 0.0, 0.0)))
    assert statuses(path) == failed_at("scores")
    last = verify(path).stages[-1]
    assert last.detail == "worst for b on provider cpu"
    assert last.worst == pytest.approx(9, abs=0.1)


def test_a_wrong_number_of_labels_fails(file: Callable[..., Path]) -> None:
    card = card_of()
    assert card.goldens is not None
    five = replace(card.goldens, scores=(0.0,) * 5)
    path = file(replace(card, labels=("a", "b", "c", "d", "e"), goldens=five))
    assert statuses(path) == failed_at("labels")
    assert "5 labels" in verify(path).stages[4].detail


def test_a_missing_provider_keeps_its_exit_code(file: Callable[..., Path]) -> None:
    path = file(card_of())
    verification = verify(path, provider="cuda")
    assert statuses(path, provider="cuda") == failed_at("labels")
    assert verification.exit_code == ExitCode.PROVIDER
    assert isinstance(verification.stages[4].error, ProviderError)


@dataclass
class Graph:
    """An interpreter that answers with what it is told."""

    answer: Sequence[float] | ModelError
    blocks: int = 1
    provider: str = "fake"
    details: dict[str, object] = field(default_factory=dict)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return tuple(Tensor(f"x{n}", (1, 4), "float32") for n in range(self.blocks))

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        return (Tensor("y", (1, 4), "float32"),)

    def run(self, features: Sequence[Any]) -> dict[str, Any]:
        if isinstance(self.answer, ModelError):
            raise self.answer
        return {"y": np.array([self.answer], dtype=np.float32)}


@pytest.mark.parametrize("answer", [(np.nan, 0.0, 0.0, 0.0), ModelError("it failed")])
def test_a_graph_that_gives_nan_or_an_error_fails_the_scores(
    file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    monkeypatch.setattr(goldens, "open_model", lambda *arguments: Graph(answer))
    assert statuses(file(card_of())) == failed_at("scores")


@pytest.mark.parametrize(("error", "status"), [(0.0, "ok"), (1.0, "failed")])
def test_the_block_that_differs_is_named(
    file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, error: float, status: str
) -> None:
    specs = (PRESETS["torchaudio"], PRESETS["python_speech_features"])
    samples = 16_000
    signal = test_signal(samples, 16_000)
    features = []
    for spec in specs:
        block = Frontend(spec)(as_float(signal))
        places = (0, block.size // 2, block.size - 1)
        values = tuple(float(block.ravel()[place]) for place in places)
        features.append(GoldenFeatures(block.shape, places, values, 1e-3))
    second = features[1]
    values = (second.values[0], second.values[1] + error, second.values[2])
    card = replace(
        card_of(),
        input=InputSpec(rate=16_000, clip_samples=samples),
        frontend=specs,
        goldens=Goldens(
            signal="test_signal",
            signal_sha256=hashlib.sha256(signal.astype("<i2").tobytes()).hexdigest(),
            samples=samples,
            features=(features[0], replace(second, values=values)),
            scores=(0.0,) * 4,
            scores_tolerance=0.0,
        ),
    )
    monkeypatch.setattr(goldens, "open_model", lambda *arguments: Graph((0.0,) * 4, blocks=2))
    stage = verify(file(card)).stages[3]
    assert stage.status == status
    if status == "failed":
        row, column = divmod(second.positions[1], second.shape[1])
        assert stage.detail == f"3 values; worst in block 2 of 2 at ({row}, {column})"
