"""The published figures: the file itself, the names of machines, and what is said beside a run."""

from __future__ import annotations

import re
import string
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser import benchmarks
from edge_ser.bench.published import (
    CORPORA,
    Device,
    Row,
    advice,
    beside,
    device,
    devices,
    host_is,
    rows_for,
)
from edge_ser.errors import UsageError

MACHINES = ("rpi", "i7-8700", "i7-12700k", "rtx2080ti", "rtx3080ti")
EPYC = {"board": None, "cpu": "AMD EPYC 9R14", "gpu": None}
PI = {"board": "Raspberry Pi 4 Model B Rev 1.4", "cpu": "Cortex-A72"}

# As the READMEs print them.
SECONDS = {
    "rtx3080ti": (0.04371, 0.03033, 0.03416),
    "i7-12700k": (0.05, 0.04545, 0.0451),
    "rtx2080ti": (0.07182, 0.06225, 0.04953),
    "i7-8700": (0.07622, 0.07257, 0.06538),
    "rpi": (1.42443, 1.35941, 1.22835),
}


def every_row() -> list[tuple[Device, Row]]:
    return [(each, row) for each in devices() for row in rows_for(each)]


# the file


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("paper", ["Improved RoutingConvNet", "PLB"])
def test_both_papers_tables_are_complete(machine: str, paper: str) -> None:
    found = {
        row.corpus: row.seconds
        for row in rows_for(device(machine))
        if row.paper == paper and row.seconds is not None
    }
    assert found == dict(zip(CORPORA, SECONDS[machine], strict=True))


def test_each_row_says_where_it_stands_and_what_it_is_worth() -> None:
    for _, row in every_row():
        for text in (row.paper, row.model, row.what, row.source, row.note):
            assert text.strip() == text
            assert "\n" not in text
        assert len(row.source) > 10
        assert row.note.endswith(".")
        assert len(row.note) > 60


def test_each_row_has_one_quantity_of_a_sane_size() -> None:
    for _, row in every_row():
        assert (row.seconds is None) != (row.megabytes is None)
        if row.seconds is not None:
            assert 0.001 < row.seconds < 10
        if row.megabytes is not None:
            assert 0.1 < row.megabytes < 10


def test_no_row_stands_twice() -> None:
    keys = [(each.name, r.paper, r.model, r.corpus, r.what) for each, r in every_row()]
    assert len(keys) == len(set(keys))


def test_the_second_table_is_known_to_repeat_the_first() -> None:
    (row,) = {r for _, r in every_row() if (r.paper, r.seconds) == ("PLB", 1.42443)}
    assert "repeats the first" in row.note
    assert "not measured on PLB" in row.note


def test_gpu_memory_is_only_set_beside_gpus_and_known_to_be_no_forward_pass() -> None:
    rows = [(each, row) for each, row in every_row() if row.what == "peak GPU memory"]
    assert {each.kind for each, _ in rows} == {"gpu"}
    assert {row.megabytes for _, row in rows} == {0.627}
    assert all("cannot be a forward pass" in row.note for _, row in rows)


def test_only_the_pi_has_a_prediction_and_it_is_called_one() -> None:
    ((each, row),) = [pair for pair in every_row() if pair[1].kind == "prediction"]
    assert each.name == "rpi"
    assert row.what.startswith("predicted, not measured")
    assert row.seconds == 0.1


def test_the_thesis_cuts_the_digits_of_the_readme() -> None:
    rows = {r.corpus: r.seconds for r in rows_for(device("rpi")) if r.paper == "thesis"}
    assert rows == {
        corpus: int(100 * seconds) / 100
        for corpus, seconds in zip(CORPORA, SECONDS["rpi"], strict=True)
    }


def test_the_file_has_nothing_that_is_not_read() -> None:
    document = tomllib.loads(Path(str(benchmarks.__path__[0]), "published.toml").read_text())
    assert set(document) == {"devices", "tables", "sizes", "predictions"}
    cells = [
        seconds
        for table in document["tables"]
        for by_device in table["models"].values()
        for by_corpus in by_device.values()
        for seconds in by_corpus.values()
    ]
    others = sum(len(size["devices"]) for size in document["sizes"]) + len(document["predictions"])
    assert len(every_row()) == len(cells) + others


# names of machines


def test_the_machines_are_those_of_the_papers_and_can_be_looked_for() -> None:
    assert {each.name for each in devices()} == {*MACHINES, "apple-mps"}
    for each in devices():
        assert re.compile(each.host)
        assert each.provider in ("cpu", "cuda", "")


def test_no_alias_means_two_machines() -> None:
    plain = [
        re.sub(r"[\W_]", "", name.lower())
        for each in devices()
        for name in {each.name, *each.aliases}
    ]
    assert len(plain) == len(set(plain))


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("rpi", "rpi"),
        ("raspberry-pi", "rpi"),
        ("Raspberry Pi 4", "rpi"),
        ("pi4", "rpi"),
        ("i7_8700", "i7-8700"),
        ("Intel Core i7-12700K", "i7-12700k"),
        ("RTX 3080 Ti", "rtx3080ti"),
        ("2080Ti", "rtx2080ti"),
    ],
)
def test_a_machine_has_many_names(given: str, name: str) -> None:
    assert device(given).name == name


@given(st.sampled_from(devices()), st.data())
def test_case_and_separators_of_a_name_do_not_count(each: Device, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from((each.name, *each.aliases)))
    letters = [letter for letter in name if letter.isalnum()]
    between = data.draw(st.lists(st.sampled_from(["", " ", "-", "_", "."]), min_size=len(letters)))
    upper = data.draw(st.lists(st.booleans(), min_size=len(letters)))
    spelt = "".join(
        gap + (letter.upper() if loud else letter)
        for letter, gap, loud in zip(letters, between, upper, strict=False)
    )
    assert device(spelt) == each


@given(st.text(max_size=200) | st.text(string.ascii_lowercase + string.digits, max_size=12))
def test_any_text_is_a_machine_or_a_refusal_in_one_line(name: str) -> None:
    try:
        assert device(name) in devices()
    except UsageError as error:
        message = str(error)
        assert "\n" not in message
        assert all(machine in message for machine in MACHINES)


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("rtx3080", "did you mean rtx3080ti?"),
        ("i7-8770", "did you mean i7-8700?"),
        ("raspbery-pi", "did you mean rpi?"),
        ("toaster", "leave it out"),
        ("", "leave it out"),
    ],
)
def test_an_unknown_machine_is_refused_with_a_hint(given: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        device(given)
    assert str(caught.value).startswith(f"no published figures of {given!r}, expected one of rpi")
    assert hint in str(caught.value)


# beside a run


def test_rows_of_one_corpus_come_with_those_of_none() -> None:
    rows = rows_for(device("rpi"), "ravdess")
    assert {row.corpus for row in rows} == {"ravdess", None}
    assert {row.paper for row in rows if row.corpus} == {"Improved RoutingConvNet", "PLB", "thesis"}


@pytest.mark.parametrize("dataset", ["synthetic speech", "my recordings", None])
def test_any_other_clips_stand_beside_all_corpora(dataset: str | None) -> None:
    rows = rows_for(device("rpi"), dataset)
    assert rows == rows_for(device("rpi"))
    assert {row.corpus for row in rows} == {*CORPORA, None}


def test_a_row_as_json_has_the_quantity_that_it_has() -> None:
    rows = [row.to_dict() for row in rows_for(device("rtx3080ti"), "emodb")]
    assert [("seconds" in row) + ("megabytes" in row) for row in rows] == [1] * len(rows)
    assert {"kind", "paper", "corpus", "what", "note", "source", "model"} <= set(rows[0])
    assert rows[-1]["corpus"] is None


@pytest.mark.parametrize(
    ("name", "conditions", "expected"),
    [
        ("rpi", PI, True),
        ("rpi", EPYC, False),
        ("rpi", {}, False),
        ("i7-8700", {"cpu": "Intel(R) Core(TM) i7-8700 CPU @ 3.20GHz"}, True),
        ("i7-8700", {"cpu": "Intel(R) Core(TM) i7-8700K CPU @ 3.70GHz"}, False),
        ("i7-12700k", {"cpu": "12th Gen Intel(R) Core(TM) i7-12700K"}, True),
        ("i7-12700k", {"cpu": "12th Gen Intel(R) Core(TM) i7-12700KF"}, False),
        ("rtx3080ti", {"gpu": "NVIDIA GeForce RTX 3080 Ti"}, True),
        ("rtx3080ti", {"gpu": "NVIDIA GeForce RTX 3080"}, False),
        ("rtx3080ti", {"gpu": "NVIDIA GeForce RTX 3080 Ti Laptop GPU"}, False),
        ("rtx3080ti", {"cpu": "RTX 3080 Ti"}, False),
    ],
)
def test_a_host_is_known_by_the_name_it_gives_itself(
    name: str, conditions: dict[str, Any], expected: bool
) -> None:
    assert host_is(device(name), conditions) is expected


def test_the_device_itself_needs_no_advice() -> None:
    assert advice(device("rpi"), PI, "cpu") is None
    named = {"gpu": "NVIDIA GeForce RTX 3080 Ti"}
    assert advice(device("rtx3080ti"), named, "tensorrt") is None


def test_another_host_is_told_in_the_first_line() -> None:
    said = advice(device("rpi"), EPYC, "cpu")
    assert said is not None
    assert said.splitlines() == [
        "this host is not a Raspberry Pi: it is AMD EPYC 9R14; the published figures stand beside "
        "and change nothing"
    ]
    intel = advice(device("i7-8700"), {}, "cpu")
    assert intel is not None
    assert intel.startswith("this host is not an Intel Core i7-8700: it is of no known name;")


def test_the_board_is_what_a_host_is_called_by() -> None:
    said = advice(device("i7-8700"), PI, "cpu")
    assert said is not None
    assert "it is Raspberry Pi 4 Model B Rev 1.4;" in said


def test_a_gpu_s_figures_beside_a_processor_come_with_the_command_for_one() -> None:
    said = advice(device("rtx3080ti"), EPYC, "cpu")
    assert said is not None
    first, second = said.splitlines()
    assert first.startswith("this host shows no NVIDIA GeForce RTX 3080 Ti: it is AMD EPYC 9R14;")
    assert "this run used cpu" in second
    assert "edge-ser bench --device rtx3080ti --provider cuda" in second
    assert ".onnx" in second


def test_on_the_gpu_s_own_host_only_the_command_is_said() -> None:
    said = advice(device("2080ti"), {"gpu": "NVIDIA GeForce RTX 2080 Ti"}, "cpu")
    assert said is not None
    assert said.startswith("the published figures are a GPU's")


def test_no_command_is_given_for_a_gpu_that_edge_ser_cannot_use() -> None:
    said = advice(device("mps"), {"cpu": "Apple M2"}, "cpu")
    assert said is not None
    assert "edge-ser bench" not in said
    assert said.splitlines()[1].endswith("this run used cpu")


def test_a_processor_s_figures_beside_a_gpu_are_told_apart() -> None:
    said = advice(device("rpi"), PI, "cuda")
    assert said == "the published figures are a processor's, and this run used cuda"


def test_what_the_document_says() -> None:
    assert beside(None, "emodb", EPYC, "cpu") is None
    part = beside("pi4", "emodb", EPYC, "cpu")
    assert part is not None
    assert (part["device"], part["title"], part["host_is_device"]) == ("rpi", "Raspberry Pi", False)
    assert part["advice"] == advice(device("rpi"), EPYC, "cpu")
    assert part["rows"] == [row.to_dict() for row in rows_for(device("rpi"), "emodb")]
    assert "is not said" in part["note"]
    with pytest.raises(UsageError):
        beside("toaster", "emodb", EPYC, "cpu")
