"""Formats and destinations of results."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.cli.output import (
    check_places,
    flattened,
    grid,
    output_options,
    refuse_inputs,
    rendered,
    write,
)
from edge_ser.documents import printable
from edge_ser.errors import StorageError, UsageError

RECORDS: list[dict[str, object]] = [
    {"path": "a.wav", "score": 0.5},
    {"path": 'b,"ü".wav', "error": "broken"},
]


def text_of(format_: str, records: list[dict[str, object]] | None = None) -> str:
    return "".join(
        rendered(
            RECORDS if records is None else records,
            format_,
            fields=["path", "score", "error"],
            table=lambda rows: [str(r["path"]) for r in rows],
        )
    )


def test_jsonl_is_one_record_a_line() -> None:
    assert [json.loads(line) for line in text_of("jsonl").splitlines()] == RECORDS


@pytest.mark.parametrize("records", [RECORDS, RECORDS[:1], []])
def test_json_is_an_array(records: list[dict[str, object]]) -> None:
    assert json.loads(text_of("json", records)) == records


def test_csv_has_a_header_and_empty_cells_for_what_is_absent() -> None:
    rows = list(csv.DictReader(io.StringIO(text_of("csv"))))
    assert rows == [
        {"path": "a.wav", "score": "0.5", "error": ""},
        {"path": 'b,"ü".wav', "score": "", "error": "broken"},
    ]


def test_table_is_lines() -> None:
    assert text_of("table") == 'a.wav\nb,"ü".wav\n'


def test_document_replaces_the_array_in_json_only() -> None:
    pieces = rendered(
        RECORDS, "json", fields=[], table=lambda _: [], document=lambda rows: {"n": len(list(rows))}
    )
    assert json.loads("".join(pieces)) == {"n": 2}


def test_the_first_piece_is_out_before_the_second_record_is_made() -> None:
    made = []

    def slowly() -> Iterator[dict[str, object]]:
        for number in range(2):
            made.append(number)
            yield {"n": number}

    for format_ in ("jsonl", "json", "table"):
        made.clear()
        pieces = rendered(
            slowly(), format_, fields=["n"], table=lambda rows: (str(r["n"]) for r in rows)
        )
        next(pieces)
        assert made == [0], format_


def test_grid_aligns_and_spells_out_control_characters() -> None:
    lines = list(grid(["name", "n"], [["a\x1b[31m", 5], ["bb", 10]], right=["n"]))
    assert lines == ["name        n", "a\\x1b[31m   5", "bb         10"]


def test_grid_counts_wide_characters_twice_and_combining_ones_not() -> None:
    lines = list(grid(["a", "b"], [["日本", "x"], ["e\u0301", "y"], ["long", "z"]]))
    assert lines == ["a     b", "日本  x", "e\u0301     y", "long  z"]


def test_grid_with_given_widths_lets_long_cells_overflow() -> None:
    assert list(grid(["a", "b"], iter([["12345", "x"]]), widths=[3, 1])) == ["a    b", "12345  x"]


@given(st.text())
def test_printable_leaves_nothing_that_steers_a_terminal(text: str) -> None:
    assert printable(text).isprintable()


def test_printable_takes_undecodable_file_names() -> None:
    assert printable(os.fsdecode(b"a\xff.wav")) == "a\\udcff.wav"


def test_flattened_names_leaves_by_their_path() -> None:
    nested = {"input": {"rate": 16000}, "frontend": [{"hop": 512}], "labels": ["a", "b"], "x": None}
    assert dict(flattened(nested)) == {
        "input.rate": 16000,
        "frontend.0.hop": 512,
        "labels": "a, b",
        "x": "",
    }


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    target.write_text("before")

    def pieces() -> Iterator[str]:
        yield "ü"
        assert target.read_text() == "before"
        yield "\n"

    write(pieces(), str(target))
    assert target.read_bytes() == "ü\n".encode()
    assert os.listdir(tmp_path) == ["out.txt"]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ValueError])
def test_an_interrupted_file_stays_as_it_was(
    tmp_path: Path, interruption: type[BaseException]
) -> None:
    target = tmp_path / "out.txt"
    target.write_text("before")

    def pieces() -> Iterator[str]:
        yield "half"
        raise interruption

    with pytest.raises(interruption):
        write(pieces(), str(target))
    assert target.read_text() == "before"
    assert os.listdir(tmp_path) == ["out.txt"]


def test_a_missing_folder_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"nowhere/out\.txt: No such file"):
        write(["x"], str(tmp_path / "nowhere" / "out.txt"))


def test_a_folder_as_output_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="directory"):
        write(["x"], str(tmp_path))


def test_a_full_device_is_a_storage_error() -> None:
    with pytest.raises(StorageError, match="No space left on device"):
        write(["x"], "/dev/full")


def test_a_link_is_followed_and_kept(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("before")
    (tmp_path / "link.txt").symlink_to("real.txt")
    write(["after"], str(tmp_path / "link.txt"))
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "after"


def test_a_named_pipe_is_written_in_place(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    write(["through"], str(pipe))
    reader.join()
    assert got == ["through"]


def test_minus_is_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    write(["x\n"], "-")
    assert capsys.readouterr().out == "x\n"


def test_undecodable_names_reach_standard_output_as_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = os.fsdecode(b"a\xff.wav")
    write(rendered([{"path": name}], "jsonl", fields=[], table=lambda _: []), None)
    assert json.loads(capsys.readouterr().out) == {"path": name}


def test_a_closed_standard_output_is_a_storage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(StorageError, match="standard output is closed"):
        write(["x"], None)


def test_a_full_standard_output_is_a_storage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "wb", buffering=0) as full:
        stream = io.TextIOWrapper(full, write_through=True)
        monkeypatch.setattr(sys, "stdout", stream)
        with pytest.raises(StorageError, match="standard output: No space left"):
            write(["x"], None)
        monkeypatch.undo()
        stream.detach()


def test_an_os_error_of_the_producer_is_not_taken_for_the_disk(tmp_path: Path) -> None:
    def pieces() -> Iterator[str]:
        yield "x"
        raise ConnectionError("of somebody else")

    for output in (None, str(tmp_path / "out.txt")):
        with pytest.raises(ConnectionError):
            write(pieces(), output)


def test_tables_steer_no_terminal() -> None:
    pieces = rendered([], "table", fields=[], table=lambda _: ["a\x1b[31m\u202eb"])
    assert "".join(pieces) == "a\\x1b[31m\\u202eb\n"


def test_a_part_file_of_another_process_is_left_alone(tmp_path: Path) -> None:
    part = tmp_path / f".edge-ser-{os.getpid()}.part"  # process numbers repeat, as in containers
    part.write_text("theirs")
    write(["x"], str(tmp_path / "out.txt"))
    assert part.read_text() == "theirs"
    assert len(os.listdir(tmp_path)) == 2


def test_a_name_too_long_is_said_before_the_work() -> None:
    def pieces() -> Iterator[str]:
        raise AssertionError("the work began")
        yield ""

    with pytest.raises(StorageError, match="File name too long"):
        write(pieces(), "a" * 300)


def test_a_pipe_is_written_by_its_number() -> None:
    reader, writer = os.pipe()
    try:
        write(["through"], f"/dev/fd/{writer}")
        assert os.read(reader, 100) == b"through"
    finally:
        os.close(reader)
        os.close(writer)


def test_a_lost_working_folder_is_a_storage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = tmp_path / "lost"
    lost.mkdir()
    monkeypatch.chdir(lost)
    lost.rmdir()
    with pytest.raises(StorageError, match="No such file or directory"):
        write(["x"], "out.txt")


def test_an_input_is_never_written_over(tmp_path: Path) -> None:
    clip = tmp_path / "clip.wav"
    clip.write_text("speech")
    (tmp_path / "link.wav").symlink_to("clip.wav")
    inputs = ["-", tmp_path / "gone.wav", "a\0b", clip]
    with pytest.raises(UsageError, match=r"link\.wav: .* is one of the inputs"):
        refuse_inputs(str(tmp_path / "link.wav"), inputs)
    # The card beside a model of others is read with it.
    card = tmp_path / "model.onnx.edge_ser.json"
    card.write_text("{}")
    with pytest.raises(UsageError, match="is one of the inputs"):
        refuse_inputs(str(card), [tmp_path / "model.onnx"])
    for fine in (None, "-", str(tmp_path / "new.txt"), "/dev/null", "a" * 300):
        refuse_inputs(fine, [*inputs, "/dev/null"])


def test_another_recording_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "other.FLAC").write_text("speech")
    with pytest.raises(UsageError, match="a recording of that name"):
        refuse_inputs(str(tmp_path / "other.FLAC"), [])
    refuse_inputs(str(tmp_path / "none.flac"), [])


def test_places_that_cannot_be_written_are_refused_beforehand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(place: Path | str) -> None:
        check_places([None, str(place)], [])

    for fine in (tmp_path / "new.txt", "new.txt", "-", "/dev/null"):
        check(fine)
    with pytest.raises(StorageError, match=r"txt: no such folder, expected one"):
        check(tmp_path / "gone/new.txt")
    with pytest.raises(StorageError, match="a folder, expected the name of a file"):
        check(tmp_path)
    with pytest.raises(StorageError, match="File name too long"):
        check("a" * 300)
    # Root may write everywhere.
    closed = str(tmp_path)
    monkeypatch.setattr(os, "access", lambda place, mode: str(place) != closed)
    with pytest.raises(StorageError, match=r"new\.txt: its folder cannot be written"):
        check(tmp_path / "new.txt")
    os.mkfifo(tmp_path / "pipe")  # which is opened where it is
    check(tmp_path / "pipe")
    (tmp_path / "open").mkdir()
    (tmp_path / "link.txt").symlink_to("open/new.txt")
    check(tmp_path / "link.txt")


@pytest.mark.parametrize(
    ("said", "format_"),
    [
        ("-o e.jsonl", "jsonl"),
        ("-o e.JSON", "json"),
        ("--format csv -o e.json", "csv"),
        ("-o e.json --format table", "table"),
        ("-o e.txt", "table"),
        ("-o .json", "table"),
        ("", "table"),
    ],
)
def test_a_format_that_is_not_told_is_that_of_the_files_name(said: str, format_: str) -> None:
    found: list[str] = []

    @click.command()
    @output_options
    def command(format_: str, output: str | None) -> None:
        found.append(format_)

    command.main(said.split(), standalone_mode=False)
    assert found == [format_]
