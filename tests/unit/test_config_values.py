"""Which values are taken, what is refused and how that is said."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.config import SECTIONS, Config, Key, as_toml, load_config, sections
from edge_ser.config.options import MAX_THREADS, ReportOptions
from edge_ser.config.sections import option_class, option_kinds
from edge_ser.config.values import from_text
from edge_ser.documents import expected, from_toml, is_table, to_toml
from edge_ser.errors import CardError, ConfigError

from .config_files import (
    KEYS,
    card,
    file_fixture,  # noqa: F401 for pytest to find
    loaded,
    refused,
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


def test_as_many_threads_as_the_runtime_takes() -> None:
    from edge_ser import runtime

    assert MAX_THREADS == runtime.MAX_THREADS


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
