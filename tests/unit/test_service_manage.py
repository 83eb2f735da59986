"""The service installed, uninstalled and asked how it is: what is done in which order."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edge_ser import service
from edge_ser.errors import DependencyError, ModelError, ProviderError, StorageError, UsageError
from edge_ser.service.unit import MARK

from .service_fakes import (
    RUNNING,
    SYSTEM,
    Systemd,
    root_fixture,  # noqa: F401 for pytest to find
)


@pytest.fixture(scope="module")
def plan() -> service.Plan:
    return service.make_plan(SYSTEM)


def test_installing_writes_says_and_starts(root: Path, plan: service.Plan) -> None:
    systemd = Systemd()
    lines = list(service.install(plan, root, systemd))
    assert (root / "etc/systemd/system/edge-ser.service").read_text() == plan.unit
    assert (root / "etc/edge-ser.toml").read_text() == plan.config
    assert (root / "etc/edge-ser.toml").stat().st_mode & 0o777 == 0o644
    assert systemd.verbs == [
        "daemon-reload",
        "enable edge-ser.service",
        "restart edge-ser.service",
    ]
    assert [line.split(":")[0] for line in lines] == [
        "wrote /etc/edge-ser.toml",
        "wrote /etc/systemd/system/edge-ser.service",
        "told systemd to read it",
        "enabled it",
        "started it",
    ]


def test_installing_again_keeps_settings(root: Path, plan: service.Plan) -> None:
    list(service.install(plan, root, Systemd()))
    (root / "etc/edge-ser.toml").write_text("# mine\n")
    lines = list(service.install(plan, root, Systemd()))
    assert (root / "etc/edge-ser.toml").read_text() == "# mine\n"
    assert lines[:2] == [
        "kept /etc/edge-ser.toml",
        "replaced /etc/systemd/system/edge-ser.service",
    ]


def test_what_is_shown_of_a_home_is_said(root: Path) -> None:
    plan = service.Plan(unit=f"{MARK}\n", config="", visible=("/home/maker/venv",))
    lines = list(service.install(plan, root, Systemd()))
    assert any("/home/maker/venv, read-only" in line for line in lines)


def test_a_unit_of_somebody_else_is_left_alone(root: Path, plan: service.Plan) -> None:
    unit = root / "etc/systemd/system/edge-ser.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/bin/true\n")
    systemd = Systemd()
    for steps in (service.install(plan, root, systemd), service.uninstall(root, systemd)):
        with pytest.raises(UsageError, match="left alone"):
            list(steps)
    assert unit.read_text() == "[Service]\nExecStart=/bin/true\n"
    assert systemd.called == []
    assert not (root / "etc/edge-ser.toml").exists()


def test_a_start_that_fails_gives_its_cause(root: Path, plan: service.Plan) -> None:
    systemd = Systemd(
        restart=(1, "Job failed"),
        show=(0, "Result=exit-code\nExecMainStatus=3\n"),
        journal=(0, "edge-ser: x.tflite: damaged\n"),
    )
    with pytest.raises(ModelError, match=r"exit-code, exit status 3.*x\.tflite: damaged.*journalc"):
        list(service.install(plan, root, systemd))


def test_a_start_that_fails_without_a_word(root: Path, plan: service.Plan) -> None:
    systemd = Systemd(
        restart=(1, "Job failed"),
        show=(0, "Result=watchdog\nExecMainStatus=6\n"),
    )
    with pytest.raises(StorageError, match="it said nothing"):
        list(service.install(plan, root, systemd))
    systemd.answers["show"] = (0, "Result=timeout\nExecMainStatus=0\n")
    with pytest.raises(ProviderError, match="timeout"):
        list(service.install(plan, root, systemd))


def test_systemd_s_own_refusal_is_passed_on(root: Path, plan: service.Plan) -> None:
    systemd = Systemd(enable=(1, "Failed to enable unit: Read-only file system\n"))
    with pytest.raises(ProviderError, match=r"systemctl enable.*Read-only file system"):
        list(service.install(plan, root, systemd))


def test_a_place_that_cannot_be_written(root: Path, plan: service.Plan) -> None:
    (root / "etc/systemd").write_text("a file where a folder should be")
    with pytest.raises(StorageError):
        list(service.install(plan, root, Systemd()))


def test_uninstalling_takes_the_unit_and_nothing_else(root: Path, plan: service.Plan) -> None:
    list(service.install(plan, root, Systemd()))
    drop_in = root / "etc/systemd/system/edge-ser.service.d/mine.conf"
    drop_in.parent.mkdir()
    drop_in.touch()
    (root / "var/lib").mkdir(parents=True)
    (root / "var/lib/edge-ser").symlink_to("private/edge-ser")
    before = {path for path in root.rglob("*") if not path.is_dir()}
    systemd = Systemd(reset_failed=(1, "not loaded"))
    lines = list(service.uninstall(root, systemd))
    after = {path for path in root.rglob("*") if not path.is_dir()}
    assert before - after == {root / "etc/systemd/system/edge-ser.service"}
    assert systemd.verbs[:2] == ["disable --now edge-ser.service", "daemon-reload"]
    left = [line.split(":")[0] for line in lines if line.startswith("left ")]
    assert left == [
        "left /etc/edge-ser.toml",
        "left /etc/systemd/system/edge-ser.service.d",
        "left /var/lib/edge-ser and /var/lib/private/edge-ser",
    ]


def test_uninstalling_what_is_not_there(root: Path) -> None:
    with pytest.raises(UsageError, match="nothing to uninstall"):
        list(service.uninstall(root, Systemd()))


def test_without_systemd_each_says_so(tmp_path: Path, plan: service.Plan) -> None:
    systemd = Systemd()
    for steps in (service.install(plan, tmp_path, systemd), service.uninstall(tmp_path, systemd)):
        with pytest.raises(DependencyError, match="systemd does not run this machine"):
            list(steps)
    with pytest.raises(DependencyError):
        service.service_status(root=tmp_path, run=systemd)
    assert systemd.called == []


def test_the_status_is_what_systemd_says(root: Path) -> None:
    systemd = Systemd(show=(0, RUNNING), journal=(0, "one\ntwo\n"))
    found = service.service_status(2, root, systemd)
    assert found == service.ServiceStatus(
        active=True,
        state="active (running)",
        enabled=True,
        said="listening = well",
        since="Sat 2026-11-21 04:00:00 UTC",
        restarts=2,
        result="success",
        exit_status=0,
        pid=812,
        memory_mb=88.080384,
        lines=("one", "two"),
    )
    assert "--lines=2" in systemd.called[-1]


@pytest.mark.parametrize("memory", ["[not set]", "18446744073709551615"])
def test_memory_that_is_not_counted(root: Path, memory: str) -> None:
    text = RUNNING.replace("88080384", memory)
    assert service.service_status(1, root, Systemd(show=(0, text))).memory_mb is None


def test_the_status_of_what_is_not_installed(root: Path) -> None:
    with pytest.raises(UsageError, match="edge-ser service install"):
        service.service_status(1, root, Systemd(show=(0, "LoadState=not-found\n")))


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(DependencyError, match="not found"):
        service.run_command(["/nowhere/systemctl"])
    ended = service.run_command([sys.executable, "-c", "print('yes')"])
    assert (ended.returncode, ended.stdout) == (0, "yes\n")
