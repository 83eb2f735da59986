"""Configuration: which value counts, what is refused and how that is said."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.config import (
    FLAGS,
    MAX_BYTES,
    SECTIONS,
    Config,
    Key,
    as_toml,
    load_config,
    overrides_from_flags,
    sections,
    sources,
)
from edge_ser.config.options import MAX_THREADS, ModelOptions, ReportOptions
from edge_ser.config.rendering import documentation
from edge_ser.config.sections import option_class, option_kinds
from edge_ser.config.values import from_text
from edge_ser.documents import expected, from_toml, is_table, to_toml
from edge_ser.errors import CardError, ConfigError

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLE = CHECKOUT / "deploy/edge-ser.toml"
PAGE = CHECKOUT / "docs/configuration.md"
KEYS = [Key(section, name) for section in SECTIONS for name in option_kinds(section)]


def card(segmenting: object = None, deciding: object = None) -> Any:
    """As much of a model's card as configuration looks at."""
    return SimpleNamespace(segmenting=segmenting or {}, deciding=deciding or {})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "edge-ser.toml"


def loaded(file: Path, text: str, **environ: str) -> Config:
    file.write_text(text)
    return load_config(file, environ, {})


def refused(file: Path, text: str) -> str:
    """What is said about a file, after its name."""
    with pytest.raises(ConfigError) as caught:
        loaded(file, text).for_card(card())
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{file}: ")


# Which value counts


def test_without_anything_all_is_default() -> None:
    config = load_config(None, {}, {})
    assert config.settings == {}
    for section in ("model", "source", "jsonl", "clips", "report"):
        assert getattr(config, section) == option_class(section)()
    defaults = tuple(option_class(section)() for section in ("gate", "segment", "decide"))
    assert config.for_card(card()) == defaults


def test_flags_win_over_environment_over_file(file: Path) -> None:
    file.write_text("[source]\nstall_s = 4\nblock_ms = 40\nrate = 16000\n")
    environ = {"EDGE_SER_SOURCE_STALL_S": "5", "EDGE_SER_SOURCE_BLOCK_MS": "50"}
    config = load_config(file, environ, {"source.stall_s": "6"})
    assert config.source.stall_s == 6
    assert config.source.block_ms == 50
    assert config.source.rate == 16_000
    assert {str(key): str(setting) for key, setting in config.settings.items()} == {
        "[source] stall_s": "flag",
        "[source] block_ms": "environment EDGE_SER_SOURCE_BLOCK_MS",
        "[source] rate": f"file {file}",
    }


def test_what_was_given_wins_over_the_card_and_that_over_defaults(file: Path) -> None:
    config = loaded(file, "[gate]\nenter_db = 20\n[segment]\nmode = 'window'\n")
    gate, segment, decide = config.for_card(
        card(
            {"enter_db": 12, "leave_db": 7, "hop_s": 0.5, "mode": "utterance"},
            {"smoothing_s": 3.0},
        )
    )
    assert (gate.enter_db, gate.leave_db, gate.frame_ms) == (20.0, 7.0, 10.0)
    assert (segment.mode, segment.hop_s) == ("window", 0.5)
    assert decide.smoothing_s == 3.0


def test_thresholds_are_laid_over_each_other_label_by_label(file: Path) -> None:
    file.write_text("[decide.thresholds]\nanger = 0.5\n'a.b c' = 1\n")
    config = load_config(file, {}, {"decide.thresholds.anger": "0.6"})
    _, _, decide = config.for_card(card({}, {"thresholds": {"anger": 0.1, "fear": 0.2}}))
    assert dict(decide.thresholds) == {"anger": 0.6, "fear": 0.2, "a.b c": 1.0}


def test_thresholds_as_one_text() -> None:
    environ = {"EDGE_SER_DECIDE_THRESHOLDS": "anger=0.6, fear=0.5"}
    _, _, decide = load_config(None, environ, {}).for_card(card())
    assert dict(decide.thresholds) == {"anger": 0.6, "fear": 0.5}


def test_a_label_may_hold_dots() -> None:
    config = load_config(None, {}, {"decide.thresholds.a.b": "0.5"})
    assert dict(config.for_card(card())[2].thresholds) == {"a.b": 0.5}


def test_an_empty_text_takes_back_what_was_set(file: Path) -> None:
    file.write_text("[source]\nmic = 'USB'\nrate = 16000\n")
    config = load_config(file, {}, {"source.mic": "", "source.rate": ""})
    assert config.source.mic is None
    assert config.source.rate is None


def test_an_input_takes_the_place_of_a_microphone_that_was_set_before(file: Path) -> None:
    file.write_text("[source]\nmic = 'USB'\n")
    assert load_config(file, {}, {"source.input": "talk.wav"}).source.mic is None
    again = load_config(file, {"EDGE_SER_SOURCE_INPUT": "talk.wav"}, {"source.mic": "Webcam"})
    assert (again.source.mic, again.source.input) == ("Webcam", None)
    assert load_config(file, {}, {"source.input": ""}).source.mic == "USB"


def test_a_microphone_and_an_input_in_one_place_are_refused(file: Path) -> None:
    said = refused(file, "[source]\nmic = 'USB'\ninput = '-'\n")
    assert said == (
        "source: mic 'USB' and input '-' are both given: choose one "
        f"(mic from {file}, input from {file})"
    )


# Values


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (bool, "true", True),
        (bool, "No", False),
        (bool, "1", True),
        (int, "10_000", 10_000),
        (int, "-3", -3),
        (float, "12", 12.0),
        (float, "1e-3", 0.001),
        (str, "", ""),
        (str, " a b ", " a b "),
        (str | None, "", None),
        (float | None, "", None),
        (float | None, "2", 2.0),
        (Literal["a", "b"], "b", "b"),
        (Literal["a", "b"] | None, "", None),
        (Mapping[str, float], "a=1,b = 2", {"a": 1.0, "b": 2.0}),
        (Mapping[str, float], "a=b=1", {"a=b": 1.0}),
        (dict[str, float], "", {}),
    ],
)
def test_texts_become_what_the_field_holds(kind: Any, text: str, value: object) -> None:
    got = from_text(text, kind)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (bool, "2"),
        (bool, ""),
        (int, "1.0"),
        (int, "1e3"),
        (int, ""),
        (int, "9" * 19),
        (int, "9" * 5000),
        (float, "twelve"),
        (float, "nan"),
        (float, "inf"),
        (float, "1e400"),
        (float, ""),
        (str, "a\0b"),
        (Literal["a", "b"], "c"),
        (Literal["a", "b"], ""),
        (Mapping[str, float], "a"),
        (Mapping[str, float], "=1"),
        (Mapping[str, float], "a=1,"),
        (Mapping[str, float], "a=nan"),
    ],
)
def test_texts_of_another_type_are_refused(kind: Any, text: str) -> None:
    with pytest.raises(ValueError):
        from_text(text, kind)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (bool, 1),
        (bool, "true"),
        (int, True),
        (int, 1.0),
        (int, 2**63),
        (int, "1"),
        (float, True),
        (float, "1"),
        pytest.param(float, 16**5000, id="float-huge"),
        (float, float("nan")),
        (str, 1),
        (str, ["a"]),
        (str | None, False),
        (Literal["a"], ["a"]),
        (Mapping[str, float], "a=1"),
        (Mapping[str, float], {"": 1.0}),
        (Mapping[str, float], {"a": "1"}),
    ],
)
def test_toml_values_of_another_type_are_refused(kind: Any, value: object) -> None:
    with pytest.raises(ValueError):
        from_toml(value, kind)


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_every_type_of_a_field_is_one_that_can_be_read(key: Key) -> None:
    kind = option_kinds(key.section)[key.name]
    value = getattr(option_class(key.section)(), key.name)
    assert expected(kind)
    if is_table(kind):
        assert dict(value) == from_toml(dict(value), kind)
    else:
        assert from_toml(tomllib.loads(f"v = {to_toml(value)}")["v"], kind) == value


# What is refused


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[sorce]\nmic = 'a'", "[sorce] is unknown: did you mean [source]?"),
        ("[zzz]", f"[zzz] is unknown: there are {', '.join(SECTIONS)}"),
        ("[source]\nmick = 'a'", "[source] mick is unknown: did you mean mic?"),
        ("[model]\nstall_s = 3", "[model] stall_s is unknown: did you mean [source] stall_s?"),
        (
            "[model]\nzzz = 3",
            "[model] zzz is unknown: there are name, provider, threads, allow_untrained",
        ),
        ('["a\\nb"]', "['a\\nb'] is unknown: there are " + ", ".join(SECTIONS)),
        ("model = 'plb'", "model is 'plb', expected a section [model] with keys"),
        ("[[model]]", "model is [{}], expected a section [model] with keys"),
        ("[gate]\nenter_db = 'loud'", "[gate] enter_db is 'loud', expected a number"),
        ("[gate]\nenter_db = true", "[gate] enter_db is True, expected a number"),
        ("[gate]\nenter_db = nan", "[gate] enter_db is nan, expected a number"),
        ("[source]\nmic = 0", '[source] mic is 0, expected text or "" for none'),
        ("[model]\nthreads = 1.5", "[model] threads is 1.5, expected a whole number"),
        ("[model]\nallow_untrained = 1", "[model] allow_untrained is 1, expected true or false"),
        ("[source]\npace = 'slow'", "[source] pace is 'slow', expected real or fast"),
        (
            "[decide]\nthresholds = 0.5",
            "[decide] thresholds is 0.5, expected a table of label = number",
        ),
        ("[source.mic]\nname = 'a'", "[source] mic is {'name': 'a'}, expected text"),
        ("[source]\nmic = 'a'\nmic = 'b'\n", "Cannot overwrite a value (at line 3"),
        ("[source", "Expected ']' at the end of a table declaration"),
        ("a = " + "[" * 5000, "expected a TOML file"),
        ("[model]\nthreads = " + "9" * 5000, "expected a TOML file"),
        ("[model]\nthreads = 0x" + "f" * 5000, "[model] threads is a number of thousands of"),
    ],
)
def test_what_a_file_may_not_hold(file: Path, text: str, said: str) -> None:
    assert said in refused(file, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[report]\nheartbeat_s = 0", "report: heartbeat_s is 0.0, expected 1 to 86400"),
        ("[model]\nthreads = 0", "model: threads is 0, expected 1 to 256"),
        ("[model]\nprovider = ''", "model: provider is empty, expected cpu, cuda or tensorrt"),
        ("[gate]\nenter_db = 500", "gate: enter_db is 500.0, expected -200 to 200"),
        ("[segment]\nhop_s = -1", "segment: hop_s is -1.0, expected 0.001 to 60"),
        ("[decide]\nswitch_margin = 2", "decide: switch_margin is 2.0, expected 0 to 1"),
    ],
)
def test_a_value_out_of_range_is_traced_to_its_file(file: Path, text: str, said: str) -> None:
    name = text.split("\n")[1].split(" ")[0]
    assert refused(file, text) == f"{said} ({name} from {file})"


def test_what_contradicts_the_card_is_traced_too(file: Path) -> None:
    config = loaded(file, "[gate]\nleave_db = 9\n")
    assert config.for_card(card())[0].leave_db == 9
    with pytest.raises(ConfigError, match=rf"leave_db 9.* \(leave_db from {re.escape(str(file))}"):
        config.for_card(card({"enter_db": 8}))


def test_a_wrong_card_is_the_cards_fault() -> None:
    with pytest.raises(CardError):
        load_config(None, {}, {}).for_card(card({"enter_db": "loud"}))


@pytest.mark.parametrize("choice", ["format", "log_level"])
def test_choices_are_checked_for_those_who_come_by_python(choice: str) -> None:
    with pytest.raises(ConfigError, match=f"report: {choice} is 'x', expected "):
        ReportOptions(**{choice: "x"})  # type: ignore[arg-type]


def test_a_key_that_moved_is_followed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sections.MOVED, "source.device", "source.mic")
    said = "[source] device moved to [source] mic: rename it"
    assert refused(file, "[source]\ndevice = 'USB'") == said
    with pytest.raises(ConfigError, match=re.escape(f"EDGE_SER_SOURCE_DEVICE: {said}")):
        load_config(None, {"EDGE_SER_SOURCE_DEVICE": "USB"}, {})


# The file


def test_a_file_may_begin_with_a_mark_and_end_lines_as_windows_does(file: Path) -> None:
    file.write_bytes("\ufeff[source]\r\nmic = 'é'\r\n".encode())
    assert load_config(file, {}, {}).source.mic == "é"


def test_a_file_that_cannot_be_read_is_named_with_the_cause(tmp_path: Path) -> None:
    for path, cause in [
        (tmp_path / "none.toml", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (Path("/dev/zero"), "not a regular file"),
        (Path("a\0b"), "embedded null byte"),
    ]:
        with pytest.raises(ConfigError, match=cause):
            load_config(path, {}, {})


def test_a_file_without_permission_is_named_with_the_cause(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:  # root may read anything, so no mode of a file would do
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ConfigError, match="Permission denied, expected a configuration file"):
        load_config(file, {}, {})


def test_a_pipe_is_not_waited_for(file: Path) -> None:
    os.mkfifo(file)
    with pytest.raises(ConfigError, match="not a regular file"):
        load_config(file, {}, {})


def test_a_file_that_is_not_utf8_is_refused(file: Path) -> None:
    file.write_bytes(b"[source]\nmic = '\xe9'\n")
    with pytest.raises(ConfigError, match="byte 16 is not UTF-8"):
        load_config(file, {}, {})


def test_a_file_has_a_bound(file: Path) -> None:
    assert loaded(file, "#" * MAX_BYTES).settings == {}
    assert refused(file, "#" * (MAX_BYTES + 1)).startswith("over 1000000 bytes")


# The environment


def test_every_key_has_its_variable(file: Path) -> None:
    for key in KEYS:
        value = getattr(option_class(key.section)(), key.name)
        if value is None or is_table(option_kinds(key.section)[key.name]):
            continue
        variable = f"EDGE_SER_{key.section}_{key.name}".upper()
        config = load_config(None, {variable: str(value)}, {})
        assert config.settings[key].value == value
        assert config.settings[key].where == variable


@pytest.mark.parametrize(
    ("variable", "near"),
    [
        ("EDGE_SER_GATE_ENTERDB", "EDGE_SER_GATE_ENTER_DB"),
        ("EDGE_SER_SOUCE_MIC", "EDGE_SER_SOURCE_MIC"),
        ("EDGE_SER_SOURCE_MICK", "EDGE_SER_SOURCE_MIC"),
    ],
)
def test_a_misspelt_variable_is_answered_with_the_nearest(variable: str, near: str) -> None:
    with pytest.raises(ConfigError, match=f"^{variable}: unknown: did you mean {near}\\?$"):
        load_config(None, {variable: "1"}, {})


@pytest.mark.parametrize("variable", ["EDGE_SER_JSONL", "EDGE_SER_JSONL_Q"])
def test_a_variable_of_a_section_that_is_like_none_is_answered_with_all(variable: str) -> None:
    said = f"^{variable}: unknown: after EDGE_SER_JSONL_ comes PATH or MAX_BYTES or BACKUPS$"
    with pytest.raises(ConfigError, match=said):
        load_config(None, {variable: "1"}, {})


@pytest.mark.parametrize(
    "variable",
    [
        *(f"EDGE_SER_{name}" for name in sources.OTHER_VARIABLES),
        "EDGE_SER_SERVICE_HOST",
        "EDGE_SER_SERVICE_PORT",
        "EDGE_SER_PORT_8080_TCP_ADDR",
        "EDGE_SER_VERSION",
        "edge_ser_source_mic",
        "MY_EDGE_SER_SOURCE_MIC",
    ],
)
def test_variables_of_others_are_left_alone(variable: str) -> None:
    assert load_config(None, {variable: "x"}, {}).settings == {}


def test_the_projects_other_variables_are_known() -> None:
    """Whoever brings in another variable names it in `OTHER_VARIABLES`."""
    texts = [path.read_text() for path in (CHECKOUT / "edge_ser").rglob("*.py")]
    used = {name for text in texts for name in re.findall(r'environ\S*"EDGE_SER_(\w+)"', text)}
    assert used
    assert used <= {*sources.OTHER_VARIABLES}


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load_config(None, {"EDGE_SER_SOURCE_MIC": "", "EDGE_SER_GATE_Q": ""}, {}).settings == {}


def test_a_wrong_variable_is_named() -> None:
    said = r"^EDGE_SER_GATE_ENTER_DB: \[gate\] enter_db is 'x', expected a number$"
    with pytest.raises(ConfigError, match=said):
        load_config(None, {"EDGE_SER_GATE_ENTER_DB": "x"}, {})


# The command line


@pytest.mark.parametrize("path", ["", "mic", "source", "source.", ".mic", "decide.thresholds."])
def test_an_override_names_section_and_key(path: str) -> None:
    with pytest.raises(ConfigError, match=re.escape("expected section.key=value")):
        load_config(None, {}, {path: "1"})


def test_a_key_that_is_no_table_has_no_entries() -> None:
    said = r"^command line: \[source\] mic.usb is unknown: \[source\] mic is no table$"
    with pytest.raises(ConfigError, match=said):
        load_config(None, {}, {"source.mic.usb": "1"})


@pytest.mark.parametrize("flag", FLAGS)
def test_every_flag_stands_for_a_key(flag: str) -> None:
    assert Key(*FLAGS[flag].split(".")) in KEYS


def test_flags_and_assignments_become_overrides() -> None:
    got = overrides_from_flags(
        ["gate.enter_db=1", "gate.enter_db = 2", "source.mic=", "decide.thresholds=a=1"],
        hop=0.1,
        allow_untrained=True,
        mode=None,
    )
    assert got == {
        "gate.enter_db": "2",
        "source.mic": "",
        "decide.thresholds": "a=1",
        "segment.hop_s": "0.1",
        "model.allow_untrained": "True",
    }
    assert load_config(None, {}, got).model.allow_untrained is True


def test_an_assignment_needs_its_sign() -> None:
    with pytest.raises(ConfigError, match=r"--set 'gate\.enter_db': expected section"):
        overrides_from_flags(["gate.enter_db"])


def test_one_key_by_flag_and_assignment_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--set clips\.folder and --save-clips are both given"):
        overrides_from_flags(["clips.folder=a"], save_clips="b")


@pytest.mark.parametrize("flag", ["input", "output", "save_clips", "mic", "model"])
@pytest.mark.parametrize("empty", ["", "  "])
def test_a_flag_from_a_variable_that_is_not_set_is_refused(flag: str, empty: str) -> None:
    with pytest.raises(ConfigError, match=f"--{flag.replace('_', '-')} is empty"):
        overrides_from_flags(**{flag: empty})


def test_as_many_threads_as_the_runtime_takes() -> None:
    from edge_ser import runtime

    assert MAX_THREADS == runtime.MAX_THREADS


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


def test_importing_it_needs_neither_numpy_nor_a_room_that_does() -> None:
    program = (
        "import sys, edge_ser.config, edge_ser.cli.logs\n"
        "print(*({'numpy', 'edge_ser.segment', 'edge_ser.listening'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.strip() == b""


# Whatever comes

paths = st.one_of(
    st.text(max_size=20),
    st.sampled_from([f"{key.section}.{key.name}" for key in KEYS]),
    st.sampled_from(["decide.thresholds.anger", "decide.thresholds. ", "gate.enter_db.x"]),
)
texts = st.one_of(
    st.text(),
    st.from_regex(r"[-+]?[0-9_.]{1,6}(e[0-9]{1,4})?", fullmatch=True),
    st.sampled_from(["nan", "-inf", "true", "window", "silero", "fast", "a=1", "a=1,b=2", "1e999"]),
)
plain = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.sampled_from(["window", "silero", "fast", "debug", ""]),
)
values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2)
)


def as_config_or_error(
    path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, str]
) -> None:
    try:
        config = load_config(path, environ, overrides)
        assert isinstance(config, Config)
        config.for_card(card())
        as_toml(config)
    except ConfigError as error:
        assert str(error)


@given(st.dictionaries(paths, texts, max_size=3))
def test_any_override_is_taken_or_refused(overrides: dict[str, str]) -> None:
    as_config_or_error(None, {}, overrides)


@given(
    st.dictionaries(
        st.one_of(st.text(max_size=20), st.sampled_from([f"{k.section}_{k.name}" for k in KEYS])),
        texts,
        max_size=3,
    )
)
def test_any_environment_is_taken_or_refused(variables: dict[str, str]) -> None:
    as_config_or_error(None, {f"EDGE_SER_{n.upper()}": text for n, text in variables.items()}, {})


@given(key=st.sampled_from(KEYS), value=values)
def test_any_value_of_a_key_is_taken_or_refused(key: Key, value: object) -> None:
    try:
        from_toml(value, option_kinds(key.section)[key.name])
    except ValueError:
        return


@given(
    contents=st.one_of(
        st.binary(),
        st.text().map(lambda text: f"[source]\nmic = {text}".encode("utf-8", "replace")),
    )
)
def test_any_file_is_taken_or_refused(
    contents: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(contents)
    as_config_or_error(path, {}, {})


@given(settings=st.dictionaries(st.sampled_from(KEYS), plain, max_size=4))
def test_any_toml_value_is_taken_or_refused(
    settings: dict[Key, object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "values.toml"
    lines = [f"{key.section}.{key.name} = {to_toml(value)}\n" for key, value in settings.items()]
    path.write_text("".join(lines), encoding="utf-8")
    as_config_or_error(path, {}, {})
