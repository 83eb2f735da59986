"""Cold starts: a fresh process opens the model and classifies, again and again.

Cold is the process, not the disk: after the first run its files are in memory. Every run is kept.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_ser import errors
from edge_ser.doctor.outcome import Outcome
from edge_ser.errors import EdgeSerError, ProviderError
from edge_ser.threads import THREAD_VARIABLES

__all__ = ["cold"]

SCRIPT = Path(__file__).with_name("probe.py")
TIMEOUT_SECONDS = 120.0
TIMES = ("process_s", "import_s", "load_s", "first_s", "second_s", "total_s")
MEMORY = (
    "rss_before_import_mb",
    "rss_after_import_mb",
    "rss_after_load_mb",
    "rss_peak_mb",
    "gpu_mb",
)
CLIP_RATE = 16_000
"""Hertz, of the corpora that the models were trained on."""


def cold(
    model: str | Path,
    provider: str = "cpu",
    threads: int = 1,
    runs: int = 5,
    progress: Callable[[int, int], None] = lambda done, total: None,
    script: Path = SCRIPT,
) -> dict[str, Any]:
    """Time the way from the start of a process to its first result, and weigh the process.

    The clip is a file of 2.5 s of synthetic speech at 16 kHz. An interrupt ends the process that
    is under way.

    Args:
        model: file or installed name.
        provider: of the runtime.
        threads: of the runtime, and of BLAS where the environment does not say.
        runs: fresh processes, at least one.
        progress: called with the runs that are done and their number.
        script: what runs in each of them.

    Returns:
        `runs`: seconds and 10^6 bytes of each, see `edge_ser.bench.probe`; `medians`: of the
        times; `memory`: medians of the memory, `gpu_mb` null where nothing tells it.

    Raises:
        EdgeSerError: as opening the model or classifying raised there; ProviderError where the
            process crashed or did not end in time.
    """
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="edge-ser-") as folder:
        clip = Path(folder) / "clip.wav"
        _write_clip(clip)
        for done in range(runs):
            progress(done, runs)
            found.append(_run(script, [str(model), provider, str(threads), str(clip)], threads))
    progress(runs, runs)
    return {"runs": found, "medians": _medians(found, TIMES), "memory": _medians(found, MEMORY)}


def _run(script: Path, arguments: Sequence[str], threads: int) -> dict[str, Any]:
    # By its path, so that nothing is imported before it notes its memory; -P: neither its folder
    # nor the working directory may shadow a library.
    command = [sys.executable, "-P", str(script), *arguments, repr(time.monotonic())]
    environment = {**dict.fromkeys(THREAD_VARIABLES, str(threads)), **os.environ}
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=environment,
    ) as process:
        try:
            output, words = process.communicate(timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise ProviderError(
                f"{arguments[0]}: a fresh process gave no result within {TIMEOUT_SECONDS:.0f} s, "
                "expected one in seconds: see `edge-ser doctor`"
            ) from error
        finally:
            # Also after an interrupt, after which subprocess would not wait for its end.
            process.kill()
            process.wait()
    outcome = Outcome(process.returncode, output, words)
    answer = outcome.answer
    if answer is None:
        raise ProviderError(
            f"{arguments[0]}: a fresh process that opens it failed ({outcome.reason}), expected a "
            "result: see `edge-ser doctor`"
        )
    if "error" in answer:
        raise _error(answer)
    return answer


def _error(answer: Mapping[str, Any]) -> EdgeSerError:
    """The error that the process met, of its own kind."""
    kind, message = getattr(errors, str(answer["error"]), None), str(answer.get("message"))
    if isinstance(kind, type) and issubclass(kind, EdgeSerError):
        return kind(message)
    return EdgeSerError(message)


def _medians(runs: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, float | None]:
    """Median by name; None where a run does not have it."""
    columns: dict[str, list[Any]] = {name: [run.get(name) for run in runs] for name in names}
    return {
        name: None if None in column else statistics.median(map(float, column))
        for name, column in columns.items()
    }


def _write_clip(path: Path) -> None:
    from edge_ser.signals import demo_clip

    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(CLIP_RATE)
        file.writeframes((demo_clip(CLIP_RATE) * 32_767).astype("<i2").tobytes())
