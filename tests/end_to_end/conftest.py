"""The program in a process of its own, and small models for real runtimes."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 120


def _command(arguments: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", "edge_ser.cli", *arguments]


def _environment() -> dict[str, str]:
    paths = [str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


@pytest.fixture(scope="session")
def edge_ser() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`edge_ser("classify", ..., input=b"")`: run to the end; output and errors are text."""

    def run(*arguments: str, input: bytes = b"") -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(
            _command(arguments),
            input=input,
            capture_output=True,
            env=_environment(),
            timeout=TIMEOUT_S,
        )
        return subprocess.CompletedProcess(
            ended.args, ended.returncode, ended.stdout.decode(), ended.stderr.decode()
        )

    return run


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """`start("classify", ..., stderr=...)`: a running process with pipes; ended after the test."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(
        *arguments: str, stdin: bool = True, stdout: Any = None, stderr: Any = None
    ) -> subprocess.Popen[bytes]:
        # A suite that a shell runs in the background ignores SIGINT, and children inherit that.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        process = subprocess.Popen(
            _command(arguments),
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE if stderr is None else stderr,
            env=_environment(),
        )
        signal.signal(signal.SIGINT, before)
        running.append(process)
        return process

    yield begin
    for process in running:
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


GOLDENS = CHECKOUT / "tests" / "goldens" / "models"
RATE = 16_000
CLIP_SAMPLES = 9_800
LABELS = ("calm", "glad", "cross")


def _card(payload: bytes) -> Any:
    """A card for the tiny models: log-mel of 20 frames by 8 bands, with goldens made here."""
    from edge_ser.card import (
        ConditionFigures,
        GoldenFeatures,
        Goldens,
        InputSpec,
        ModelCard,
        OutputSpec,
        Provenance,
    )
    from edge_ser.frontend import Frontend, FrontendSpec
    from edge_ser.runtime import open_model
    from edge_ser.signals import as_float, test_signal

    spec = FrontendSpec(
        kind="log_mel", rate=RATE, n_fft=512, win_length=512, n_mels=8, fmax=RATE / 2
    )
    signal = test_signal(CLIP_SAMPLES, RATE)
    features = Frontend(spec)(as_float(signal))
    interpreter = open_model(payload)
    scores = interpreter.run([features])[interpreter.outputs[0].name].ravel()
    some = range(0, features.size, 7)
    goldens = Goldens(
        signal="test_signal",
        signal_sha256=hashlib.sha256(signal.astype("<i2").tobytes()).hexdigest(),
        samples=CLIP_SAMPLES,
        features=(
            GoldenFeatures(
                shape=features.shape,
                positions=tuple(some),
                values=tuple(float(features.ravel()[at]) for at in some),
                tolerance=1e-3,
            ),
        ),
        scores=tuple(map(float, scores)),
        scores_tolerance=1e-3,
    )
    return ModelCard(
        name="tiny",
        task="emotion",
        labels=LABELS,
        input=InputSpec(rate=RATE, clip_samples=CLIP_SAMPLES),
        frontend=(spec,),
        output=OutputSpec(temperature=10.0),
        provenance=Provenance(
            state="trained",
            data="seeded random weights",
            protocol="none",
            metrics={"accuracy": 0.33},
            robustness=(ConditionFigures("gain +6 dB", 0.33, 0.33),),
            licence="CC0-1.0",
            intended_use="tests",
            excluded_use="everything else",
        ),
        goldens=goldens,
    )


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """One tiny model as `tflite` and as `onnx`, with cards."""
    from edge_ser.card import write_model

    folder = tmp_path_factory.mktemp("models")
    written = {}
    for kind in ("tflite", "onnx"):
        payload = (GOLDENS / f"float32.{kind}").read_bytes()
        written[kind] = write_model(folder / f"tiny.{kind}", payload, _card(payload)).path
    return written


@pytest.fixture(scope="session")
def model(models: Mapping[str, Path]) -> Path:
    """The tiny `.tflite`."""
    return models["tflite"]
