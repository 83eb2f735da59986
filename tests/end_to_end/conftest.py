"""The program in a process of its own, and small models for real runtimes."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 120


def _command(arguments: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", "edge_ser.cli", *arguments]


def _environment(given: Mapping[str, str] = os.environ) -> dict[str, str]:
    paths = [str(CHECKOUT), *filter(None, [given.get("PYTHONPATH")])]
    return {**given, "PYTHONPATH": os.pathsep.join(paths)}


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


def _starting() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    running: list[subprocess.Popen[bytes]] = []

    def begin(
        *arguments: str,
        stdin: bool = True,
        stdout: Any = None,
        stderr: Any = None,
        env: Mapping[str, str] = os.environ,
    ) -> subprocess.Popen[bytes]:
        # A suite that a shell runs in the background ignores SIGINT, and children inherit that.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        process = subprocess.Popen(
            _command(arguments),
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE if stderr is None else stderr,
            env=_environment(env),
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


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """`start("classify", ..., stderr=...)`: a running process with pipes; ended after the test."""
    yield from _starting()


class Listening:
    """A running `edge-ser listen --format jsonl`: its events and its log, as they come."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.events: list[dict[str, Any]] = []
        self.log: list[str] = []
        self._news = threading.Condition()
        readers = ((process.stdout, self._event), (process.stderr, self._line))
        self._threads = [threading.Thread(target=self._read, args=pair) for pair in readers]
        for thread in self._threads:
            thread.start()

    def wait_for_events(self, count: int) -> list[dict[str, Any]]:
        """The events so far, once there are `count`."""
        self._wait_for(lambda: len(self.events) >= count, f"{count} events")
        return self.events

    def wait_for_log(self, text: str) -> None:
        """Return once a line on standard error holds `text`."""
        self._wait_for(lambda: self.said(text) > 0, f"{text!r} in the log")

    def said(self, text: str) -> int:
        """How many lines on standard error hold `text`."""
        return sum(text in line for line in list(self.log))

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; the exit status, when all that was written has been read."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(TIMEOUT_S)
        for thread in self._threads:
            thread.join()
        return status

    def _wait_for(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        with self._news:
            while not condition():
                left = deadline - time.monotonic()
                ended = not any(thread.is_alive() for thread in self._threads)
                if left <= 0 or (ended and not condition()):
                    raise AssertionError(f"no {what}: {self.events} {self.log}")
                self._news.wait(min(left, 0.5))

    def _read(self, stream: Any, take: Callable[[str], None]) -> None:
        for line in stream:
            with self._news:
                take(line.decode().rstrip("\n"))
                self._news.notify_all()

    def _event(self, line: str) -> None:
        self.events.append(json.loads(line))

    def _line(self, line: str) -> None:
        self.log.append(line)


def _listeners() -> Iterator[Callable[..., Listening]]:
    starting = _starting()
    begin = next(starting)
    running: list[Listening] = []

    def listen(*arguments: str, **how: Any) -> Listening:
        running.append(Listening(begin("listen", "--format", "jsonl", *arguments, **how)))
        return running[-1]

    yield listen
    for listening in running:
        listening.end(signal.SIGKILL)
    next(starting, None)


@pytest.fixture
def listen() -> Iterator[Callable[..., Listening]]:
    """`listen("--mic", "pulse", env=...)`: a running `edge-ser listen`; ended after the test."""
    yield from _listeners()


@pytest.fixture(scope="module")
def listen_long() -> Iterator[Callable[..., Listening]]:
    """As `listen`, for what the tests of a module look at together."""
    yield from _listeners()


def _sound_server(folder: Path) -> Iterator[Any]:
    place = CHECKOUT / "tests" / "sound_server.py"
    spec = importlib.util.spec_from_file_location("sound_server", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    server = module.SoundServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def sound_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A `SoundServer` that runs."""
    yield from _sound_server(tmp_path_factory.mktemp("sound"))


@pytest.fixture(scope="module")
def sound_server_long(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """As `sound_server`, for what the tests of a module look at together."""
    yield from _sound_server(tmp_path_factory.mktemp("sound"))


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
