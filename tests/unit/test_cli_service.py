"""`edge-ser service`: the status to read, the dry run, and what is refused."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from edge_ser import service
from edge_ser.cli import main
from edge_ser.service.environment import Environment

from .service_fakes import (
    RUNNING,
    SYSTEM,
    Systemd,
    root_fixture,  # noqa: F401 for pytest to find
)


def test_the_status_to_read(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    systemd = Systemd(show=(0, RUNNING), journal=(0, "one\ntwo \x1b[2J\n"))
    monkeypatch.setattr(
        service, "service_status", partial(service.service_status, root=root, run=systemd)
    )
    assert main(["service", "status"]) == 0
    text = capsys.readouterr().out
    assert text.splitlines() == [
        "edge-ser   active (running), listening = well",
        "since      Sat 2026-11-21 04:00:00 UTC",
        "at boot    starts",
        "restarts   2",
        "memory     88 MB",
        "",
        "one",
        "two \\x1b[2J",
    ]
    failed = RUNNING.replace("=active", "=failed").replace("=running", "=failed")
    systemd.answers["show"] = (0, failed.replace("Result=success", "Result=watchdog"))
    assert main(["service", "status"]) == 1
    assert "last end   watchdog, exit status 0" in capsys.readouterr().out
    assert main(["service", "status", "--format", "json"]) == 1
    (record,) = json.loads(capsys.readouterr().out)
    assert record["result"] == "watchdog"


def test_the_status_without_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(service, "service_status", partial(service.service_status, root=tmp_path))
    assert main(["service", "status"]) == 4
    assert "systemd does not run this machine" in capsys.readouterr().err


def test_a_dry_run_prints_the_unit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(service, "running_environment", lambda: SYSTEM)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["service", "install", "--dry-run", "--", "--mic", "USB"]) == 0
    captured = capsys.readouterr()
    assert captured.out == service.make_plan(SYSTEM, ["--mic", "USB"]).unit
    assert captured.err == ""


def test_a_wrong_option_of_listen_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(service, "running_environment", lambda: SYSTEM)
    assert main(["service", "install", "--dry-run", "--", "--microphone", "USB"]) == 2
    assert "--microphone" in capsys.readouterr().err


def test_a_model_that_the_settings_name_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "mine.tflite"
    model.touch()
    config = tmp_path / "edge-ser.toml"
    config.write_text(f'[model]\nname = "{model}"\n')
    monkeypatch.setattr(service, "running_environment", lambda: SYSTEM)
    monkeypatch.setattr(service, "CONFIG", config)
    read: list[str] = []

    def make_plan(_: Environment, arguments: Sequence[str], files: Sequence[str]) -> service.Plan:
        read.extend(files)
        return service.Plan("unit of " + " ".join(arguments), "", ())

    monkeypatch.setattr(service, "make_plan", make_plan)
    assert main(["service", "install", "--dry-run", "--", "--mic", "USB"]) == 0
    assert capsys.readouterr().out == "unit of --mic USB"
    assert read == [str(model)]
    config.write_text("[model]\nnome = 1\n")
    assert main(["service", "install", "--dry-run"]) == 2
    assert "nome" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["install", "uninstall"])
def test_others_than_root_are_told_the_command(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        service, "running_environment", lambda: Environment(("/opt/my venv/bin/edge-ser",), ())
    )
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["service", verb]) == 2
    error = capsys.readouterr().err
    assert f"run sudo '/opt/my venv/bin/edge-ser' service {verb}\n" in error
    assert error.count("\n") == 1
