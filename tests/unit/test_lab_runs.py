"""Run folders: what is written in two processes at once, and records that do not hold together."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from edge_ser.errors import DataError, StorageError
from edge_ser.lab.runs import held, read_rows, read_run, save_beside

from .lab_report_runs import make_run


def test_a_folder_is_trained_in_by_one_process_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "run"
    with held(folder):
        said = "another process trains this run: wait for it"
        with pytest.raises(DataError, match=said), held(folder):
            pass
        with held(tmp_path / "other"):
            pass
    with held(folder):
        pass
    with pytest.raises(ZeroDivisionError), held(folder):
        raise ZeroDivisionError
    with held(folder):
        pass


def test_what_a_killed_training_left_half_written_goes(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("last.keras", "last.78bb22db.part.keras", "metrics.0a.part.jsonl"):
        (folder / name).touch()
    with held(folder):
        assert [path.name for path in folder.iterdir()] == ["last.keras"]


def test_a_folder_of_which_nothing_came_is_not_left(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), held(tmp_path / "run"):
        raise ZeroDivisionError
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = "expected a folder to write to"
    with pytest.raises(StorageError, match=said), held(tmp_path / "file" / "run"):
        pass


def test_two_who_write_the_same_file_never_publish_a_half(tmp_path: Path) -> None:
    path = tmp_path / "last.keras"
    begun, go_on = threading.Event(), threading.Event()

    def slow(part: Path) -> None:
        with part.open("w") as file:
            file.write("half")
            file.flush()
            begun.set()
            go_on.wait(10)
            file.write(" and half")

    writer = threading.Thread(target=save_beside, args=(path, slow))
    writer.start()
    begun.wait(10)
    save_beside(path, lambda part: part.write_text("whole"))
    assert path.read_text() == "whole"
    go_on.set()
    writer.join()
    assert path.read_text() == "half and half"
    assert [each.name for each in tmp_path.iterdir()] == ["last.keras"]


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("split.json", {"test": 5}, "test of split.json is no list of names"),
        ("split.json", {"test": [1, "a"]}, "test of split.json is no list of names"),
        ("split.json", {"train": 5}, "train of split.json is no list"),
        ("split.json", {"speakers": 5}, "speakers of split.json is no list"),
        ("split.json", {"train": ["x", "x"]}, "train of split.json has a name twice"),
        ("split.json", {"labels": [1]}, "labels of split.json is no object of texts"),
        ("split.json", {"name": None}, "split.json has no name"),
        ("predictions.json", 5, "predictions.json is not of split.json's test clips"),
        ("predictions.json", {"a": ["x"]}, "has not 2 probabilities of a"),
        ("predictions.json", {"a": [2.0, -1.0]}, "has not 2 probabilities of a"),
        ("predictions.json", {"a": None}, "has not 2 probabilities of a"),
    ],
)
def test_records_of_strangers_are_looked_at(
    tmp_path: Path, name: str, change: Any, said: str
) -> None:
    path = make_run(tmp_path / "run") / name
    there = json.loads(path.read_text())
    path.write_text(json.dumps({**there, **change} if isinstance(change, dict) else change))
    with pytest.raises(DataError, match=said) as caught:
        read_run(path.parent)
    assert "expected a whole run folder" in str(caught.value) and "\n" not in str(caught.value)


def test_records_that_have_no_end(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    (folder / "predictions.json").write_text("[" * 100_000)
    with pytest.raises(DataError, match="nested too deep"):
        read_run(folder)
    (folder / "predictions.json").unlink()
    (folder / "predictions.json").symlink_to("/dev/zero")
    with pytest.raises(DataError, match=r"predictions\.json: not a regular file"):
        read_run(folder)


def test_rows_that_are_no_json_do_not_begin_a_training(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    (folder / "metrics.jsonl").write_text('{"epoch": 0, "lo')
    with pytest.raises(DataError, match=r"metrics\.jsonl: .*; copy it again, or remove the folder"):
        read_rows(folder)
