"""The unit of the service: arguments and paths come through it whole, or are refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser import service
from edge_ser.errors import UsageError
from edge_ser.service.unit import bind_path, command_line, quoted, render, template

from .service_fakes import SYSTEM


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
