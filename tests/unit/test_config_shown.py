"""Configuration shown: the effective one, the example, the page of the docs."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from edge_ser.config import SECTIONS, Key, as_toml, load_config
from edge_ser.config.options import ModelOptions
from edge_ser.config.rendering import documentation
from edge_ser.config.sections import option_class, option_kinds
from edge_ser.documents import is_table, to_toml

from .config_files import (
    CHECKOUT,
    KEYS,
    card,
    file_fixture,  # noqa: F401 for pytest to find
    loaded,
)

EXAMPLE = CHECKOUT / "deploy/edge-ser.toml"
PAGE = CHECKOUT / "docs/configuration.md"


# Showing it


def test_the_effective_configuration_says_where_each_value_came_from(file: Path) -> None:
    file.write_text("[source]\nmic = 'Günther \"1\"'\n[decide.thresholds]\n'a b' = 0.5\n")
    config = load_config(file, {"EDGE_SER_GATE_ENTER_DB": "12"}, {"segment.hop_s": "0.5"})
    text = as_toml(config, card({"leave_db": 5}, {"thresholds": {"fear": 0.3}}))
    for line in (
        f'mic = "Günther \\"1\\""  # file {file}',
        "enter_db = 12.0  # environment EDGE_SER_GATE_ENTER_DB",
        "leave_db = 5.0  # card",
        "hop_s = 0.5  # flag",
        'input = ""  # default',
        f'"a b" = 0.5  # file {file}',
        "fear = 0.3  # card",
        "# Decibels above the noise floor at which speech begins.",
    ):
        assert line in text.splitlines()


@pytest.mark.parametrize("segmenting", [{}, {"enter_db": 21.5, "mode": "window", "window_s": 2.0}])
def test_what_is_shown_gives_the_same_again(file: Path, segmenting: dict[str, object]) -> None:
    overrides = {
        "source.mic": 'tab\tquote" del\x7f nbsp\xa0',
        "decide.thresholds.é.\n": "0.25",
        "report.heartbeat_s": "1e3",
        "clips.max_age_s": "1e9",
        "jsonl.path": "\\x",
    }
    model = card(segmenting, {"thresholds": {"fear": 0.125}})
    config = load_config(None, {}, overrides)
    again = loaded(file, as_toml(config, model))
    assert again.for_card(card()) == config.for_card(model)
    for section in ("model", "source", "jsonl", "clips", "report"):
        assert getattr(again, section) == getattr(config, section)


def test_the_name_of_a_file_cannot_end_a_comment(tmp_path: Path) -> None:
    path = tmp_path / "a\nmic = 'x'.toml"
    path.write_text("[model]\nthreads = 2\n")
    text = as_toml(load_config(path, {}, {}))
    assert tomllib.loads(text)["model"]["threads"] == 2
    assert "\nmic = 'x'" not in text


@pytest.mark.parametrize("section", SECTIONS)
def test_every_option_has_a_line_on_what_it_is(section: str) -> None:
    options = option_class(section)
    assert {field.name for field in fields(options)} == set(documentation(options))


def test_without_source_there_is_no_documentation(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_source(_: object) -> str:
        raise OSError("source code not available")

    monkeypatch.setattr("inspect.getsource", no_source)
    assert documentation(ModelOptions) == {}
    assert "threads = 1  # default" in as_toml(load_config(None, {}, {}))


# The example and the page


def test_the_example_changes_nothing() -> None:
    assert load_config(EXAMPLE, {}, {}).settings == {}


def test_the_example_holds_every_default(file: Path) -> None:
    switched_on = re.sub(r"^#(?=\w)", "", EXAMPLE.read_text(), flags=re.M)
    config = loaded(file, switched_on)
    tables = [key for key in KEYS if is_table(option_kinds(key.section)[key.name])]
    assert {*config.settings} == {*KEYS} - {*tables}
    document = tomllib.loads(switched_on)
    assert [document[key.section][key.name] for key in tables] == [{}] * len(tables)
    defaults = load_config(None, {}, {})
    for section in ("model", "source", "jsonl", "clips", "report"):
        assert getattr(config, section) == getattr(defaults, section)
    assert config.for_card(card()) == defaults.for_card(card())


def test_each_key_and_its_default_are_in_the_docs() -> None:
    documented: dict[Key, str] = {}
    for part in PAGE.read_text().split("\n## ")[1:]:
        if heading := re.match(r"`\[(\w+)\]`\n", part):
            for name, default in re.findall(r"^\| `(\w+)` \| (.*?) \| \S.* \|$", part, re.M):
                documented[Key(heading[1], name)] = default
    there = {}
    for key in KEYS:
        value = getattr(option_class(key.section)(), key.name)
        if is_table(option_kinds(key.section)[key.name]):
            there[key] = "empty"
        else:
            there[key] = "not set" if value is None else f"`{to_toml(value)}`"
    assert documented == there


def test_the_python_of_the_docs_works(tmp_path: Path) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    (tmp_path / "edge-ser.toml").write_text("[source]\nstall_s = 4\n")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("USB 4.0\n[model]\n")
