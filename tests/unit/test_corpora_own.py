"""One's own clips: a folder per label and CSV manifests, on trees of empty files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.corpora import manifest as manifests
from edge_ser.corpora import (
    read_corpus,
    read_folders,
    read_manifest,
)
from edge_ser.errors import DataError

from .corpora_trees import (
    Plant,
    facts,
    plant_fixture,  # noqa: F401  # for pytest to find
    refusal,
)

# a folder per label


def test_a_folder_per_label(plant: Plant) -> None:
    root = plant("angry/a.wav", "angry/deep/b.ogg", "sad/c.MP3", "sad/notes.txt", "README.md")
    assert facts(read_folders(root)) == [
        ("a.wav", "angry", None, None),
        ("b.ogg", "angry", None, None),
        ("c.MP3", "sad", None, None),
    ]
    found = read_corpus(root)
    assert found.name == root.name
    assert found.labels == ("angry", "sad")


def test_folders_that_do_not_hold_together_are_refused(plant: Plant) -> None:
    assert "no audio" in refusal(read_folders, plant("angry/readme.txt"))
    root = plant("sad/a.wav")
    assert f"{root / 'angry'}: no audio" in refusal(read_folders, root)
    (root / "angry" / "readme.txt").rename(root / "angry" / "readme.wav")
    assert "without a label" in refusal(read_folders, plant("loose.wav"))


def test_a_label_that_is_a_link_is_told_as_such(plant: Plant) -> None:
    root = plant("all/angry/a.wav", "elsewhere/sad/b.wav")
    (root / "all" / "sad").symlink_to(root / "elsewhere" / "sad")
    assert "sad: a link to a folder, which is not followed" in refusal(read_folders, root / "all")


def test_what_macos_puts_into_archives_is_no_label(plant: Plant) -> None:
    root = plant("angry/a.wav", "sad/b.wav", "__MACOSX/angry/._a.wav", "__MACOSX/x.wav")
    assert read_corpus(root).labels == ("angry", "sad")


@pytest.mark.parametrize("other", ["Angry", "angry ", "ANGRY"])
def test_labels_that_are_all_but_alike_are_refused(plant: Plant, other: str) -> None:
    root = plant("angry/a.wav", f"{other}/b.wav", "sad/c.wav")
    assert "are all but alike, expected one spelling" in refusal(read_folders, root)


def test_umlauts_in_either_form_are_one_label(plant: Plant) -> None:
    path = write(plant, "path,label\na.wav,w\u00fctend\nb.wav,wu\u0308tend\n", "a.wav", "b.wav")
    assert "are all but alike" in refusal(read_manifest, path)


# CSV manifests


def write(plant: Plant, text: str | bytes, *files: str) -> Path:
    path = plant(*files) / "manifest.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_manifest_in_any_order_of_columns(plant: Plant) -> None:
    text = '\ufeffSpeaker, label ,path,note,split\n1,angry,"a, b.wav",x,train\n\n,sad,c.wav\n'
    path = write(plant, text, "a, b.wav", "c.wav")
    assert facts(read_manifest(path)) == [
        ("a, b.wav", "angry", "1", "train"),
        ("c.wav", "sad", None, None),
    ]
    assert read_corpus(path).utterances == read_corpus(path.parent).utterances


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("path,label\n", "no rows"),
        ("path,lable\na.wav,x\n", "'lable' is not known, did you mean 'label'"),
        ("paht,label\na.wav,x\n", "'paht' is not known, did you mean 'path'"),
        ("path,label,speeker\na.wav,x,1\n", "'speeker' is not known, did you mean 'speaker'"),
        ("path,emotion\na.wav,x\n", "no column 'label'"),
        ("path,file,label\na.wav,a.wav,x\n", "'path' is there twice"),
        ("path,label\na.wav,\n", "line 2: no label"),
        ("path,label\na.wav\n", "line 2: no label"),
        ("path,label\n\n\n,x\n", "line 4: no path"),
        ("path,label\na.wav,x\nb.wav,x\n", "line 3"),
        ("path,label\n" + "a" * 5000 + ",x\n", "no such file"),
        ("path,label\na\0.wav,x\n", "manifest.csv"),
        ('path,label\n"a.wav,x\n', "expected a CSV manifest"),
        ("path,label\n" + "a" * 200_000 + ",x\n", "expected a CSV manifest"),
        (b"path,label\n\xff\xfe.wav,x\n", "UTF-8"),
        ("path,label\na.wav,x\n./a.wav,y\n", "line 3: "),
        ("path,label\na.wav,x\n./a.wav,x\n", "a.wav is there twice (also in line 2): keep one"),
    ],
)
def test_a_manifest_that_does_not_hold_together_is_refused(
    plant: Plant, text: str | bytes, message: str
) -> None:
    assert message in refusal(read_manifest, write(plant, text, "a.wav"))


def test_a_column_near_to_one_that_is_there_is_a_further_column(plant: Plant) -> None:
    path = write(plant, "path,label,labels\na.wav,x,y\n", "a.wav")
    assert facts(read_manifest(path)) == [("a.wav", "x", None, None)]


def test_manifests_are_bounded(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(plant, "path,label\na.wav,x\na.wav,y\n", "a.wav")
    monkeypatch.setattr(manifests, "MAX_ROWS", 2)
    assert "more than 2 rows" in refusal(read_manifest, path)
    blank = write(plant, "path,label\n" + "\n" * 5)
    assert "more than 2 rows" in refusal(read_manifest, blank)
    monkeypatch.setattr(manifests, "MAX_COLUMNS", 2)
    wide = write(plant, "path,label,third\n")
    assert "more than 2 columns" in refusal(read_manifest, wide)
    monkeypatch.setattr(manifests, "MAX_BYTES", 10)
    assert "more than 64 MiB" in refusal(read_manifest, path)


def test_a_manifest_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal(read_manifest, tmp_path / "manifest.csv")


@given(st.binary(max_size=200))
def test_no_bytes_make_a_manifest_fail_otherwise(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(b"path,label\n" + data)
    try:
        found = read_manifest(path)
    except DataError as error:
        assert "\n" not in str(error)
    else:
        assert all(u.path.is_file() and u.label for u in found)
