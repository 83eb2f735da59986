"""Every reader against the manifest that came with the real corpus."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_ser.corpora import read_corpus, read_manifest

SIZES = {"emodb": 535, "ravdess": 1440, "emovo": 588, "speech_commands": 2560}


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.needs(n)) for n in SIZES])
def test_the_names_say_what_the_manifest_says(corpus: Callable[[str], Path], name: str) -> None:
    folder = corpus(name)
    found = read_corpus(folder)
    with open(folder / "manifest.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    expected = {
        (row["file"], row["label"], row["speaker"], row.get("split") or None) for row in rows
    }
    assert found.name == name
    assert len(found.utterances) == len(rows) == SIZES[name]
    assert expected == {
        (u.path.relative_to(folder).as_posix(), u.label, u.speaker, u.split)
        for u in found.utterances
    }


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.needs(n)) for n in SIZES])
def test_the_manifest_itself_reads_the_same(corpus: Callable[[str], Path], name: str) -> None:
    folder = corpus(name)
    assert set(read_manifest(folder / "manifest.csv")) == set(read_corpus(folder).utterances)


@pytest.mark.needs("emodb")
def test_a_name_is_found_where_the_data_is(
    corpus: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = corpus("emodb")
    monkeypatch.setenv("EDGE_SER_DATA", str(folder.parent))
    assert read_corpus("emodb") == read_corpus(folder)


@pytest.mark.needs("noise")
def test_a_folder_of_other_names_is_read_by_its_manifest(corpus: Callable[[str], Path]) -> None:
    found = read_corpus(corpus("noise"))
    assert len(found.utterances) == 54
    assert len(found.labels) == 16
