"""The document of a benchmark: written whole, read with suspicion."""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.bench import document as module
from edge_ser.bench.document import (
    UPGRADES,
    checked,
    completed,
    document_text,
    new_document,
    read_document,
)
from edge_ser.bench.options import BenchOptions
from edge_ser.bench.schema import SCHEMA, SHAPE, STAGES
from edge_ser.cli.output import write
from edge_ser.errors import DataError, EdgeSerError, UsageError

CHECKOUT = Path(__file__).resolve().parents[2]
SAMPLE = CHECKOUT / "tests/goldens/bench_document.json"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)


@pytest.fixture
def sample() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(SAMPLE.read_text())
    return found


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place within a document; of a list the first item stands for all."""
    if place:
        yield place
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*place, key))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*place, 0))


PLACES = sorted(set(places(json.loads(SAMPLE.read_text()))), key=repr)


def put(document: Any, place: tuple[Any, ...], value: Any) -> None:
    for key in place[:-1]:
        document = document[key]
    document[place[-1]] = value


def refusal(document: object) -> str:
    with pytest.raises(DataError) as caught:
        checked(document)
    return str(caught.value)


def test_the_sample_is_whole_and_says_that_it_is_made_up(sample: dict[str, Any]) -> None:
    read = read_document(SAMPLE)
    assert read == sample
    assert "made up" in read["about"]
    assert [name for name in SHAPE if read[name] is None] == []


def write_document(place: Path, document: dict[str, Any]) -> None:
    """As the command line does."""
    write([document_text(document)], str(place))


def test_what_was_written_is_read(tmp_path: Path, sample: dict[str, Any]) -> None:
    place = tmp_path / "new.json"
    write_document(place, sample)
    assert read_document(place) == sample


def test_the_order_of_fields_is_fixed_and_numbers_stay_on_one_line(sample: dict[str, Any]) -> None:
    turned = dict(reversed(sample.items()))
    assert document_text(turned) == document_text(sample) == SAMPLE.read_text()
    names = list(json.loads(document_text(turned)))
    assert names == [*SHAPE, "about"]
    assert f'"total": {json.dumps(sample["samples_ms"]["total"])}' in document_text(sample)


def test_a_new_document_is_valid_partial(tmp_path: Path) -> None:
    new = new_document(["edge-ser", "bench"], {"model": "plb", "runs": 128})
    write_document(tmp_path / "new.json", new)
    read = read_document(tmp_path / "new.json")
    assert (read["complete"], read["valid"], read["peers"], read["stages"]) == (False,) * 2 + (
        [],
        None,
    )
    assert read["command"] == ["edge-ser", "bench"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", read["created"])


def test_parts_that_are_missing_count_as_null() -> None:
    read = checked({"schema": SCHEMA, "correctness": {"goldens": None}})
    assert set(read) == set(SHAPE)
    assert (read["complete"], read["peers"], read["cold"]) == (False, [], None)
    assert read["correctness"]["accuracy"] is None


def test_every_part_of_the_sample_may_be_null(sample: dict[str, Any]) -> None:
    for name in SHAPE:
        if name != "schema":
            checked({**sample, name: None})


def test_what_is_unknown_is_kept(sample: dict[str, Any]) -> None:
    sample["model"]["colour"] = "green"
    assert checked({**sample, "news": [1]})["news"] == [1]
    assert checked(sample)["model"]["colour"] == "green"


def test_a_document_under_way_may_hold_numpy_and_what_is_not_finite() -> None:
    parts = {"rtf": np.float64(0.25), "mean_per_wav_ms": math.nan, "command": (Path("a"), "b")}
    done = completed({"schema": SCHEMA, **parts, "cpu_ms_per_clip": np.float32(2)})
    assert (done["rtf"], done["mean_per_wav_ms"], done["cpu_ms_per_clip"]) == (0.25, None, 2.0)
    assert done["command"] == ["a", "b"]
    assert json.loads(document_text({"schema": SCHEMA, **parts}))["mean_per_wav_ms"] is None


def test_names_that_are_no_unicode_survive(tmp_path: Path) -> None:
    place = tmp_path / "odd.json"
    write_document(place, new_document(["edge-ser", "f\udc80.wav"], {}))
    assert read_document(place)["command"] == ["edge-ser", "f\udc80.wav"]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_no_place_takes_nonsense(place: tuple[Any, ...], sample: dict[str, Any]) -> None:
    """A value of another type is refused with the name of its field."""
    if place == ("about",):
        return
    found: Any = sample
    for key in place:
        found = found[key]
    put(sample, place, 7 if isinstance(found, dict) else {"x": object})
    said = refusal(sample)
    assert "\n" not in said
    assert place[0] in said


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("stages", "total", "p50"), "fast"),
        (("stages", "total", "p50"), -1.0),
        (("stages", "total", "p50"), math.nan),
        (("stages", "total", "p50"), math.inf),
        (("stages", "total", "p50"), True),
        (("stages", "total", "p50"), None),
        (("stages", "total", "n"), 1.5),
        (("stages", "total", "n"), 0),
        (("stages", "total", "n"), 10**40),
        (("stages", "total", "p50_interval"), [2.0, 1.0]),
        (("stages", "total", "p50_interval"), [1.0]),
        (("stages", "total", "drift"), {"value": 1.0, "low": 0.9}),
        (("samples_ms", "model"), [[]]),
        (("correctness", "accuracy"), 1.01),
        (("workload", "kind"), "telepathy"),
        (("validity",), ["x" * 9000]),
        (("command",), ["word"] * 1001),
        (("peers",), [{"what": "no name"}]),
        (("complete",), "yes"),
    ],
)
def test_values_out_of_range_are_refused_by_name(
    place: tuple[Any, ...], value: object, sample: dict[str, Any]
) -> None:
    put(sample, place, value)
    said = refusal(sample)
    assert said.startswith(".".join(place))
    assert "expected" in said
    assert len(said.splitlines()) == 1
    assert len(said) < 200


def test_lists_too_long_are_refused(sample: dict[str, Any]) -> None:
    sample["samples_ms"]["load"] = [1.0] * 1_000_001
    assert refusal(sample).startswith("samples_ms.load is a list of 1000001, expected")


def test_stages_of_different_lengths_are_refused(sample: dict[str, Any]) -> None:
    sample["samples_ms"]["load"].pop()
    assert "different lengths" in refusal(sample)


@pytest.mark.parametrize("found", [None, 1, "edge-ser-bench/1", "other/1.0", "edge-ser-bench/1.x"])
def test_another_schema_is_refused(found: object) -> None:
    assert "expected edge-ser-bench/1.0" in refusal({"schema": found})


def test_a_newer_major_version_is_refused_and_a_newer_minor_is_not() -> None:
    assert "newer than edge-ser-bench/1.0" in refusal({"schema": "edge-ser-bench/2.0"})
    assert checked({"schema": "edge-ser-bench/1.7", "rtf": 0.5})["rtf"] == 0.5


def test_an_older_major_version_is_upgraded(monkeypatch: pytest.MonkeyPatch) -> None:
    old = {"schema": "edge-ser-bench/0.3", "speed": 0.5}
    assert "unknown" in refusal(old)
    upgrade = {0: lambda values: {"schema": SCHEMA, "rtf": values["speed"]}}
    monkeypatch.setattr(module, "UPGRADES", upgrade)
    assert checked(old)["rtf"] == 0.5
    assert UPGRADES == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "1",
        '{"schema": "edge-ser-bench/1.0", "rtf": NaN}',
        '{"schema": "edge-ser-bench/1.0", "rtf": 1e999}',
        '{"schema": "edge-ser-bench/1.0", "rtf": ' + "1" * 5000 + "}",
        '{"schema": "edge-ser-bench/1.0", "schema": "edge-ser-bench/1.0"}',
        '{"schema": "edge-ser-bench/1.0", "news": ' + "[" * 20 + "]" * 20 + "}",
        "[" * 100_000,
        "\ufeff{}",
    ],
)
def test_what_is_no_strict_json_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    place = tmp_path / "bad.json"
    place.write_text(text)
    with pytest.raises(DataError) as caught:
        read_document(place)
    said = str(caught.value)
    assert said.startswith(f"{place}: ")
    assert len(said.splitlines()) == 1
    assert "expected edge-ser-bench/1.0" in said


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(DataError, match="no JSON document"):
        read_document(tmp_path / "bad.json")


def test_a_huge_file_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    with (tmp_path / "big.json").open("wb") as file:
        file.truncate(65 << 20)
    with pytest.raises(DataError, match="over 64 MiB"):
        read_document(tmp_path / "big.json")


def test_a_file_that_is_not_there_is_a_wrong_argument(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_document(tmp_path / "none.json")
    with pytest.raises(UsageError, match="directory"):
        read_document(tmp_path)


@given(JSON)
def test_any_json_is_a_document_or_a_data_error(value: Any) -> None:
    for document in (value, {"schema": SCHEMA, **(value if isinstance(value, dict) else {})}):
        try:
            read = checked(document)
        except DataError as error:
            assert len(str(error).splitlines()) == 1
        else:
            assert checked(read) == read


@given(st.sampled_from(PLACES), JSON)
def test_any_value_anywhere_is_taken_or_refused(place: tuple[Any, ...], value: Any) -> None:
    document = copy.deepcopy(json.loads(SAMPLE.read_text()))
    put(document, place, value)
    try:
        checked(document)
    except EdgeSerError as error:
        assert isinstance(error, DataError)
        assert len(str(error).splitlines()) == 1


def test_config_has_every_option(sample: dict[str, Any]) -> None:
    assert {option.name for option in fields(BenchOptions)} <= set(sample["config"])


def test_the_docs_name_every_field_in_its_order(sample: dict[str, Any]) -> None:
    page = (CHECKOUT / "docs/benchmark-format.md").read_text()
    named = set(re.findall(r"`(?:\w+\.)*(\w+)`", page))
    open_names = {"packages", "thread_variables", "macs_by_layer", "samples_ms"}
    keys = {
        place[-1]
        for place in PLACES
        if isinstance(place[-1], str) and not open_names & set(place[:-1])
    }
    assert keys - named - {"about", "value", "low", "high"} == set()
    whole = page.partition("## Whole")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", whole, re.M) == list(SHAPE)
    assert set(STAGES) <= named


@pytest.mark.parametrize(
    ("word", "kept"),
    [
        ("/home/ann/my clips", "my clips"),
        ("/home/ann/clips/", "clips/"),
        ("--dataset=/home/ann/clips", "--dataset=clips"),
        ("-o/tmp/speed.json", "-ospeed.json"),
        ("results/speed.json", "results/speed.json"),
        ("--runs", "--runs"),
        ("/", "/"),
    ],
)
def test_the_command_does_not_tell_whose_folders_they_are(word: str, kept: str) -> None:
    assert new_document(["edge-ser", word], {})["command"] == ["edge-ser", kept]
