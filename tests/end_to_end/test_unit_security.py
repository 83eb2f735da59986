"""The unit before the judge: systemd's own checks, without a systemd that runs the machine."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ser.service.unit import render, template

CHECKOUT = Path(__file__).resolve().parents[2]
HIGHEST_EXPOSURE = 2.0
pytestmark = pytest.mark.needs("systemd_analyze")

PROGRAMS = {"plain": ["/usr/bin/env", "listen"], "odd": ["/usr/bin/env", "--mic", 'a "b" 100% $c']}
SHOWN = {"nothing": [], "a home": ["/home/maker/my 100% venv", "/root/.pyenv/versions/3.11.7"]}


def analyzed(unit: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *command, str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )


def exposure(unit: Path) -> float:
    judged = analyzed(unit, "security", "--offline=true", "--no-pager")
    assert judged.returncode == 0, judged.stderr
    figure = re.search(r"Overall exposure level for \S+: ([0-9.]+)", judged.stdout)
    assert figure is not None, judged.stdout
    return float(figure[1])


@pytest.mark.parametrize("shown", SHOWN)
@pytest.mark.parametrize("program", PROGRAMS)
def test_systemd_finds_no_fault_and_little_exposure(
    program: str, shown: str, tmp_path: Path
) -> None:
    unit = tmp_path / "edge-ser.service"
    unit.write_text(render(PROGRAMS[program], SHOWN[shown]))
    verified = analyzed(unit, "verify", "--man=no")
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")
    assert exposure(unit) <= HIGHEST_EXPOSURE


def test_the_checks_can_fail(tmp_path: Path) -> None:
    unit = tmp_path / "edge-ser.service"
    unit.write_text(render(["/usr/bin/env"]).replace("ProtectSystem=strict", "ProtectsSystem=on"))
    assert "ProtectsSystem" in analyzed(unit, "verify", "--man=no").stderr
    unit.write_text("[Service]\nExecStart=/usr/bin/env\n")
    assert exposure(unit) > HIGHEST_EXPOSURE


def test_the_template_as_it_is_has_about_the_exposure_that_the_docs_print(tmp_path: Path) -> None:
    unit = tmp_path / "edge-ser.service"
    unit.write_text(template())
    docs = (CHECKOUT / "docs" / "service.md").read_text()
    (printed,) = re.findall(r"Overall exposure level for edge-ser.service: ([0-9.]+)", docs)
    # Each version of systemd looks for a little more than the one before.
    assert exposure(unit) == pytest.approx(float(printed), abs=0.4)
    assert exposure(unit) <= HIGHEST_EXPOSURE


NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\0\"'\\:"),
    min_size=1,
    max_size=40,
).filter(lambda name: name not in (".", "..") and len(name.encode()) < 200)


@settings(max_examples=15)
@given(name=NAMES)
def test_systemd_finds_the_program_whatever_its_folder_is_called(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("named")
    program = folder / name / "edge-ser"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = folder / "edge-ser.service"
    unit.write_text(render([str(program)]))
    verified = analyzed(unit, "verify", "--man=no")
    assert (verified.returncode, verified.stderr) == (0, "")
