"""`verify`: the hashes, then the card's goldens stage by stage, so that what differs is named."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio import fit
from edge_ser.card import Goldens, ModelCard, read_model, sidecar_path
from edge_ser.classifier import Classifier, Outputs
from edge_ser.container import read_file, unwrap
from edge_ser.errors import EdgeSerError, ModelError, ModelNotFoundError
from edge_ser.frontend import Frontend
from edge_ser.runtime import Interpreter, open_model
from edge_ser.signals import as_float, test_signal
from edge_ser.verification.results import StageResult, Status, Verification

__all__ = ["STAGES", "verify"]

Array = NDArray[Any]

STAGES = ("card", "payload", "signal", "features", "labels", "scores")
TEST_SIGNAL = "test_signal"
NO_GOLDENS = "the card has no goldens: what the model computes here was not checked"


def verify(model_path: str | Path, provider: str = "cpu", threads: int = 1) -> Verification:
    """Check a model file on this machine.

    card: the card can be read and its hash holds. payload: the hash of the bytes that a runtime
    opens. signal: the test signal made here is the one the goldens were made of. features: each
    frontend block of it, against the goldens. labels: the graph opens, with as many scores as the
    card has labels. scores: the graph's output against the goldens.

    Stages after one that failed are "not run". A runtime or provider that is missing fails the
    stage `labels`, and `exit_code` says so.

    Raises:
        ModelNotFoundError: there is no such file.
    """
    done: list[StageResult] = []
    for result in _stages(Path(model_path), provider, threads):
        done.append(result)
        if result.status == "failed":
            break
    after = f"{done[-1].stage} failed"
    not_run = (StageResult(name, "not run", detail=after) for name in STAGES[len(done) :])
    return Verification(str(model_path), (*done, *not_run))


def _stages(path: Path, provider: str, threads: int) -> Iterator[StageResult]:
    """The stages in order; whoever iterates stops after the first that failed."""
    try:
        model = read_model(path)
    except ModelNotFoundError:
        raise
    except ModelError as error:
        if _card_holds(path):
            yield StageResult("card", "ok", detail="its hash holds")
            yield _raised("payload", error)
        else:
            yield _raised("card", error)
        return
    card = model.card
    yield StageResult("card", "ok", detail=f"{card.name}, schema {card.schema}; its hash holds")
    size = len(model.payload)
    yield StageResult("payload", "ok", detail=f"{size} bytes of {model.kind}; their hash holds")
    features: list[Array] = []
    if card.goldens is None:
        yield StageResult("signal", "no goldens", detail=NO_GOLDENS)
        yield StageResult("features", "no goldens", detail=NO_GOLDENS)
    else:
        yield _signal_stage(card, card.goldens)
        try:
            features = _signal_features(card, card.goldens)
        except EdgeSerError as error:
            yield _raised("features", error)
            return
        yield _features_stage(features, card.goldens)
    try:
        interpreter = open_model(model.payload, provider, threads)
        Classifier(model, interpreter)  # refuses outputs and inputs that the card does not fit
    except EdgeSerError as error:
        yield _raised("labels", error)
        return
    detail = f"{len(card.labels)} labels and as many scores, on provider {interpreter.provider}"
    yield StageResult("labels", "ok", detail=detail)
    if card.goldens is None:
        yield StageResult("scores", "no goldens", detail=NO_GOLDENS)
    else:
        yield _scores_stage(interpreter, features, card, card.goldens)


def _card_holds(path: Path) -> bool:
    """Whether the card of a file that was refused is whole, so that the payload is to blame."""
    try:
        document = unwrap(read_file(path)).document
        if document is None:
            document = read_file(sidecar_path(path))
        ModelCard.from_document(document)
    except ModelError:
        return False
    return True


def _raised(stage: str, error: EdgeSerError) -> StageResult:
    return StageResult(stage, "failed", detail=str(error), error=error)


def _signal_stage(card: ModelCard, goldens: Goldens) -> StageResult:
    """The test signal, made by integers alone: its hash is the same on every machine."""
    if goldens.signal != TEST_SIGNAL:
        detail = f"the goldens are of {goldens.signal!r}, which this version does not make; upgrade"
        return StageResult("signal", "failed", detail=detail)
    signal = test_signal(goldens.samples, card.input.rate)
    if hashlib.sha256(signal.astype("<i2").tobytes()).hexdigest() != goldens.signal_sha256:
        detail = f"the {TEST_SIGNAL} made here is not the one that the goldens were made of"
        return StageResult("signal", "failed", detail=detail)
    detail = f"{goldens.samples} samples of {TEST_SIGNAL} at {card.input.rate} Hz; their hash holds"
    return StageResult("signal", "ok", detail=detail)


def _signal_features(card: ModelCard, goldens: Goldens) -> list[Array]:
    samples = as_float(test_signal(goldens.samples, card.input.rate))
    fitted = fit(samples, card.input.clip_samples, card.input.pad_side)
    return [Frontend(spec)(fitted) for spec in card.frontend]


def _features_stage(features: Sequence[Array], goldens: Goldens) -> StageResult:
    """The first block that fails, else the one that comes nearest to its tolerance."""
    results = []
    for number, (block, golden) in enumerate(zip(features, goldens.features, strict=True), 1):
        name = f"block {number} of {len(features)}"
        if block.shape != golden.shape:
            detail = f"{name} has shape {block.shape}, expected {golden.shape}"
            results.append(StageResult("features", "failed", detail=detail))
            continue
        if not golden.positions:
            detail = f"{name} has no golden values to compare with; export the model again"
            results.append(StageResult("features", "failed", detail=detail))
            continue
        places = np.array(golden.positions, dtype=np.intp)
        worst, at = _largest(block.ravel()[places], golden.values)
        where = ", ".join(map(str, np.unravel_index(places[at], block.shape)))
        detail = f"{len(places)} values; worst in {name} at ({where})"
        results.append(_measured("features", worst, golden.tolerance, detail))
    failed = [result for result in results if not result.ok]
    return failed[0] if failed else max(results, key=_share_of_tolerance)


def _scores_stage(
    interpreter: Interpreter, features: Sequence[Array], card: ModelCard, goldens: Goldens
) -> StageResult:
    """What graph and head give, before calibration."""
    try:
        scores = Outputs(card, interpreter).scores(interpreter.run(features))
    except EdgeSerError as error:
        return _raised("scores", error)
    worst, at = _largest(scores, goldens.scores)
    detail = f"worst for {card.labels[at]} on provider {interpreter.provider}"
    return _measured("scores", worst, goldens.scores_tolerance, detail)


def _largest(found: Array, expected: Sequence[float]) -> tuple[float, int]:
    """Largest absolute difference and its place; a value that is no number counts as infinite."""
    differences = np.abs(found.astype(np.float64) - np.array(expected))
    differences[np.isnan(differences)] = np.inf
    at = int(differences.argmax())
    return float(differences[at]), at


def _measured(stage: str, worst: float, tolerance: float, detail: str) -> StageResult:
    status: Status = "ok" if worst <= tolerance else "failed"
    return StageResult(stage, status, worst, tolerance, detail)


def _share_of_tolerance(result: StageResult) -> float:
    return (result.worst or 0.0) / (result.tolerance or 1.0)
