"""Where values come from, file, environment or flags, and which counts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edge_ser.config import FLAGS, MAX_BYTES, Key, load_config, overrides_from_flags, sources
from edge_ser.config.sections import option_class, option_kinds
from edge_ser.documents import is_table
from edge_ser.errors import ConfigError

from .config_files import (
    CHECKOUT,
    KEYS,
    card,
    file_fixture,  # noqa: F401 for pytest to find
    loaded,
    refused,
)

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


# What the import needs


def test_importing_it_needs_neither_numpy_nor_a_room_that_does() -> None:
    program = (
        "import sys, edge_ser.config, edge_ser.cli.logs\n"
        "print(*({'numpy', 'edge_ser.segment', 'edge_ser.listening'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.strip() == b""
