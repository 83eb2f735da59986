"""The systemd service: its unit, what it must be shown, and what is done in which order."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import edge_ser
from edge_ser import service
from edge_ser.cli import main
from edge_ser.errors import (
    DependencyError,
    ModelError,
    ProviderError,
    StorageError,
    UsageError,
)
from edge_ser.service.environment import Environment, running_environment, visible_paths
from edge_ser.service.unit import MARK, bind_path, command_line, quoted, render, template

SYSTEM = Environment(("/usr/bin/edge-ser",), ("/usr/lib",))


def understood(value: str) -> list[str]:
    """The words that systemd makes of a command line, by systemd.syntax(7) and systemd.unit(5)."""
    words: list[str] = []
    word: bytearray | None = None
    quote = ""
    at = 0
    names = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "s": 32}
    while at < len(value):
        c = value[at]
        at += 1
        if c == "\\":
            c = value[at]
            at += 1
            word = bytearray() if word is None else word
            if c == "x":
                word.append(int(value[at : at + 2], 16))
                at += 2
            elif c in names:
                word.append(names[c])
            else:
                assert c in "\\\"'"
                word += c.encode()
        elif quote:
            if c == quote:
                quote = ""
            else:
                assert word is not None
                word += c.encode()
        elif c in "\"'":
            quote = c
            word = bytearray() if word is None else word
        elif c in " \t\n\r":
            if word is not None:
                words.append(word.decode())
            word = None
        else:
            word = bytearray() if word is None else word
            word += c.encode()
    assert not quote
    if word is not None:
        words.append(word.decode())
    # Specifiers are replaced afterwards: only %% may be left, which stands for one.
    assert all(re.fullmatch(r"(?:[^%]|%%)*", word) for word in words)
    return [word.replace("%%", "%") for word in words]


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\0\"'\\:"), min_size=1
)


@given(st.lists(TEXT))
def test_any_argument_comes_through_a_unit(arguments: list[str]) -> None:
    line = command_line(["/usr/bin/edge-ser", *arguments])
    assert "\n" not in line
    program, *read = understood(line)
    assert program == ":/usr/bin/edge-ser"
    assert read == arguments


@given(TEXT)
def test_a_quoted_word_is_one_line_for_every_reader_of_lines(text: str) -> None:
    assert len(f"ExecStart={quoted(text)}".splitlines()) == 1


@given(st.lists(NAMES, min_size=1).map(lambda names: "/" + "/".join(names)))
def test_any_path_comes_through_a_unit(path: str) -> None:
    assert understood(command_line([path])) == [f":{path}"]
    assert understood(bind_path(path)) == [path]
    lines = render([path], [path]).splitlines()
    assert f"ExecStart={command_line([path])}" in lines
    assert f"BindReadOnlyPaths={bind_path(path)}" in lines


@pytest.mark.parametrize("path", ["/a\nb", "/a'b", '/a"b', "/a\\b", "/a:b", "/a\x7f", "/a\udc80"])
def test_a_path_that_no_unit_can_carry_is_refused(path: str) -> None:
    with pytest.raises(UsageError):
        render(["/usr/bin/edge-ser"], [path])
    with pytest.raises(UsageError):
        render([path])


@pytest.mark.parametrize("argument", ["\0", "\udc80"])
def test_an_argument_that_no_unit_can_carry_is_refused(argument: str) -> None:
    with pytest.raises(UsageError, match="UTF-8"):
        command_line(["/usr/bin/edge-ser", argument])


def test_a_relative_program_is_refused() -> None:
    with pytest.raises(UsageError, match="absolute"):
        command_line(["edge-ser"])


def test_the_unit_is_the_template_with_two_settings_changed() -> None:
    def settings(text: str) -> list[str]:
        return [line for line in text.splitlines() if line and not line.startswith("#")]

    plain = settings(render(["/usr/bin/edge-ser", "listen"]))
    changed = set(settings(template())) ^ set(plain)
    assert changed == {
        "ExecStart=:/opt/edge-ser/bin/edge-ser listen --config /etc/edge-ser.toml",
        "ExecStart=:/usr/bin/edge-ser listen",
    }
    shown = settings(render(["/usr/bin/edge-ser", "listen"], ["/home/a", "/home/b"]))
    assert [line for line in shown if line not in plain] == [
        "ProtectHome=tmpfs",
        "BindReadOnlyPaths=/home/a",
        "BindReadOnlyPaths=/home/b",
    ]
    assert [line for line in plain if line not in shown] == ["ProtectHome=yes"]


def test_this_environment_is_described() -> None:
    found = running_environment()
    assert os.path.isabs(found.program[0])
    ended = subprocess.run(
        [*found.program, "--version"], env={}, cwd="/", capture_output=True, text=True, check=True
    )
    assert ended.stdout.startswith("edge-ser ")
    places = [os.path.realpath(place) for place in found.places]
    assert os.path.dirname(os.path.realpath(edge_ser.__file__)) in places
    assert os.path.realpath(sys.executable) in places
    assert os.path.realpath(sys.base_prefix) in places


def test_an_environment_without_edge_ser_is_refused(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(UsageError, match="PYTHONPATH or for one user only"):
        running_environment(str(python))


def test_without_the_script_the_interpreter_is_run(tmp_path: Path) -> None:
    python = tmp_path / "python"
    answer = {"prefix": str(tmp_path), "places": [str(tmp_path), "relative"]}
    python.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
    python.chmod(0o755)
    found = running_environment(str(python))
    assert found.program == (str(python), "-I", "-m", "edge_ser.cli")
    assert found.places == (str(tmp_path), str(python))


def home_of_a_maker(home: Path) -> tuple[Path, list[str]]:
    """A virtual environment whose interpreter is reached through three links in other folders."""
    real = home / "pyenv" / "versions" / "3.11.7"
    for folder in (real / "bin", real / "lib", home / "venv" / "bin", home / "bin"):
        folder.mkdir(parents=True)
    (real / "bin" / "python3.11").write_text("")
    (home / "pyenv" / "versions" / "3.11").symlink_to("3.11.7")
    (home / "bin" / "python3").symlink_to("../pyenv/versions/3.11/bin/python3.11")
    python = home / "venv" / "bin" / "python"
    python.symlink_to(home / "bin" / "python3")
    from edge_ser.service.environment import _link_chain

    return python, [str(home / "venv"), *_link_chain(str(python))]


def test_every_link_on_the_way_to_the_interpreter_is_shown(tmp_path: Path) -> None:
    _, places = home_of_a_maker(tmp_path)
    shown = visible_paths(places, homes=[str(tmp_path)], emptied=[])
    assert [os.path.relpath(path, tmp_path) for path in shown] == [
        "bin/python3",
        "pyenv/versions/3.11.7/bin/python3.11",
        "pyenv/versions/3.11/bin/python3.11",
        "venv",
    ]


def test_what_lies_in_a_shown_folder_is_not_shown_again(tmp_path: Path) -> None:
    for name in ("a", "a/lib", "a-b", "ab"):
        (tmp_path / name).mkdir()
    given_ = [str(tmp_path / name) for name in ("ab", "a/lib", "a", "a-b", "absent")]
    shown = visible_paths(given_, homes=[str(tmp_path)], emptied=[])
    assert [Path(path).name for path in shown] == ["a", "a-b", "ab"]


def test_a_home_that_is_a_link_is_a_home(tmp_path: Path) -> None:
    (tmp_path / "data" / "venv").mkdir(parents=True)
    (tmp_path / "home").symlink_to("data")
    home = str(tmp_path / "home")
    shown = visible_paths([f"{home}/venv"], homes=[home], emptied=[])
    assert shown == [str(tmp_path / "data" / "venv"), f"{home}/venv"]


def test_nothing_is_shown_of_what_all_can_see() -> None:
    assert visible_paths(["/usr/bin", "/usr/bin/env"]) == []


@pytest.mark.parametrize("closed", ["venv", "venv/lib", "venv/lib/package"])
def test_a_closed_folder_is_refused_by_name(tmp_path: Path, closed: str) -> None:
    package = tmp_path / "venv" / "lib" / "package"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    places = [str(tmp_path / "venv"), str(tmp_path / "venv" / "lib")]
    look = partial(visible_paths, places, homes=[str(tmp_path)], emptied=[])
    assert look() == [str(tmp_path / "venv")]
    (tmp_path / closed).chmod(0o700)
    with pytest.raises(UsageError, match=f"{re.escape(closed)}: mode 0700.*/opt/edge-ser.*chmod"):
        look()


def test_a_closed_folder_above_is_refused_where_there_is_no_home(tmp_path: Path) -> None:
    (tmp_path / "closed" / "venv").mkdir(parents=True)
    (tmp_path / "closed").chmod(0o750)
    with pytest.raises(UsageError, match="mode 0"):
        visible_paths([str(tmp_path / "closed" / "venv")], homes=[], emptied=[])


def test_a_folder_that_is_emptied_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="emptied now and then"):
        visible_paths([str(tmp_path)], homes=[], emptied=[str(tmp_path)])


def test_options_follow_the_configuration() -> None:
    plan = service.make_plan(SYSTEM, ["--mic", "USB Audio"])
    assert (
        'ExecStart=:/usr/bin/edge-ser listen --config /etc/edge-ser.toml --mic "USB Audio"\n'
        in plan.unit
    )
    assert plan.visible == ()


def test_another_configuration_takes_its_place() -> None:
    plan = service.make_plan(SYSTEM, ["--config=/etc/other.toml"])
    assert "ExecStart=:/usr/bin/edge-ser listen --config=/etc/other.toml\n" in plan.unit


def test_files_are_named_from_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/usr/bin")
    plan = service.make_plan(SYSTEM, ["--model", "env", "--config=env", "-o", "env", "-m", "plb"])
    assert "listen --model /usr/bin/env --config=/usr/bin/env -o env -m plb\n" in plan.unit


@pytest.mark.parametrize("place", ["option", "configuration"])
def test_a_profile_in_a_home_is_shown_to_the_service(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_ser.cli.service import _files_of

    for name in ("me.json", "other.toml"):
        (tmp_path / name).touch()
    (tmp_path / "other.toml").write_text(f'[model]\nprofile = "{tmp_path / "me.json"}"\n')
    monkeypatch.chdir(tmp_path)
    given = {"option": ("--profile", "me.json"), "configuration": ("--config", "other.toml")}[place]
    shown: list[list[str]] = []

    def visible(places: Sequence[str]) -> list[str]:
        shown.append(list(places))
        return []

    monkeypatch.setattr("edge_ser.service.manage.visible_paths", visible)
    plan = service.make_plan(SYSTEM, given, _files_of(given))
    assert str(tmp_path / "me.json") in shown[0]
    if place == "option":
        assert f"--profile {tmp_path / 'me.json'}\n" in plan.unit


class Systemd:
    """Stands for systemctl and journalctl: remembers, and answers what it was told to."""

    def __init__(self, **answers: tuple[int, str]) -> None:
        self.called: list[list[str]] = []
        self.answers = answers

    def __call__(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        self.called.append(list(command))
        key = "journal" if command[0] == "journalctl" else command[1].replace("-", "_")
        status, text = self.answers.get(key, (0, ""))
        return subprocess.CompletedProcess(command, status, text, text if status else "")

    @property
    def verbs(self) -> list[str]:
        return [" ".join(command[1:]) for command in self.called if command[0] == "systemctl"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine that systemd runs."""
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    return tmp_path


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


RUNNING = """\
LoadState=loaded
UnitFileState=enabled
ActiveState=active
SubState=running
Result=success
NRestarts=2
StatusText=listening = well
MainPID=812
ActiveEnterTimestamp=Sat 2026-11-21 04:00:00 UTC
MemoryCurrent=88080384
ExecMainStatus=0
"""


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


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(DependencyError, match="not found"):
        service.run_command(["/nowhere/systemctl"])
    ended = service.run_command([sys.executable, "-c", "print('yes')"])
    assert (ended.returncode, ended.stdout) == (0, "yes\n")
