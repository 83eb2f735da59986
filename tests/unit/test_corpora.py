"""Readers of corpora, on trees of empty files: no reader opens audio."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_ser.corpora import (
    Utterance,
    read_corpus,
    read_emodb,
    read_emovo,
    read_folders,
    read_iemocap,
    read_ravdess,
    read_speech_commands,
    speech_commands_split,
    utterances,
)
from edge_ser.errors import DataError

from .corpora_trees import (
    Plant,
    facts,
    plant_fixture,  # noqa: F401  # for pytest to find
    refusal,
)

# names that carry labels


def test_emodb_in_any_folder_wav_or_flac(plant: Plant) -> None:
    letters = zip(
        "WLEAFTN",
        ["anger", "boredom", "disgust", "fear", "happiness", "sadness", "neutral"],
        strict=True,
    )
    root = plant("wav/16b10Wb.WAV", *(f"wav/03a01{letter}a.flac" for letter, _ in letters))
    assert facts(read_emodb(root)) == [
        ("03a01Aa.flac", "fear", "03", None),
        ("03a01Ea.flac", "disgust", "03", None),
        ("03a01Fa.flac", "happiness", "03", None),
        ("03a01La.flac", "boredom", "03", None),
        ("03a01Na.flac", "neutral", "03", None),
        ("03a01Ta.flac", "sadness", "03", None),
        ("03a01Wa.flac", "anger", "03", None),
        ("16b10Wb.WAV", "anger", "16", None),
    ]


def test_ravdess_leaves_songs_out(plant: Plant) -> None:
    names = [f"Actor_12/03-01-{code:02d}-01-02-01-12.wav" for code in range(1, 9)]
    root = plant(*names, "Actor_12/03-02-05-01-02-01-12.wav")
    assert [u.label for u in read_ravdess(root)] == (
        ["neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise"]
    )
    assert {u.speaker for u in read_ravdess(root)} == {"12"}


def test_emovo(plant: Plant) -> None:
    emotions = ["dis", "gio", "neu", "pau", "rab", "sor", "tri"]
    root = plant(*(f"m2/{emotion}-m2-n5.wav" for emotion in emotions))
    assert [u.label for u in read_emovo(root)] == (
        ["disgust", "happiness", "neutral", "fear", "anger", "surprise", "sadness"]
    )
    assert {u.speaker for u in read_emovo(root)} == {"m2"}


def test_speech_commands_are_words_split_by_the_hash(plant: Plant) -> None:
    root = plant(
        "bed/0135f3f2_nohash_0.wav", "cat/0135f3f2_nohash_0.wav", "_background_noise_/tap.wav"
    )
    assert facts(read_speech_commands(root)) == [
        ("0135f3f2_nohash_0.wav", "bed", "0135f3f2", "train"),
        ("0135f3f2_nohash_0.wav", "cat", "0135f3f2", "train"),
    ]


def test_the_hash_rule_holds_out_a_tenth_each() -> None:
    splits = [speech_commands_split(f"{number:08x}") for number in range(5000)]
    assert splits.count("val") / 5000 == pytest.approx(0.1, abs=0.015)
    assert splits.count("test") / 5000 == pytest.approx(0.1, abs=0.015)


def test_hidden_files_are_passed_over(plant: Plant) -> None:
    root = plant("03a01Fa.wav", "._03a01Fa.wav", ".trash/03a01Wa.wav", "README.txt")
    assert len(read_emodb(root)) == 1


@pytest.mark.parametrize(
    ("read", "example"),
    [
        (read_emodb, "03a01Fa"),
        (read_ravdess, "03-01-05-01-02-01-12"),
        (read_emovo, "dis-f1-b1"),
        (read_speech_commands, "0135f3f2_nohash_0"),
    ],
)
def test_foreign_names_and_empty_folders_are_refused(
    plant: Plant, read: Callable[[Path], object], example: str
) -> None:
    assert "no WAV or FLAC" in refusal(read, plant())
    message = refusal(read, plant("other.wav"))
    assert "other.wav" in message
    assert example in message


def test_a_corpus_that_holds_everything_twice_is_refused(plant: Plant) -> None:
    assert "twice" in refusal(read_emodb, plant("a/03a01Fa.wav", "b/03a01Fa.flac"))


def test_a_folder_that_cannot_be_listed_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal(read_emodb, tmp_path / "nowhere")


def test_a_folder_of_more_files_than_a_corpus_is_refused(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(utterances, "MAX_FILES", 2)
    assert "more than 2 files" in refusal(read_folders, plant("a/1.wav", "a/2.wav", "b/3.txt"))


# IEMOCAP

RATINGS = """% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]
C-E2:\tNeutral;\t()
[10.0100 - 11.3925]\tSes01F_impro01_M001\texc\t[2.5000, 2.5000, 2.5000]
[14.8872 - 18.0175]\tSes01F_impro01_F002\thap\t[2.5000, 2.5000, 2.5000]
[19.2900 - 20.7875]\tSes01F_impro01_F003\txxx\t[2.5000, 3.0000, 3.0000]
[21.3257 - 24.7400]\tSes01F_impro01_F004\tang\t[2.5000, 3.0000, 3.0000]
[25.3257 - 26.7400]\tSes01F_impro01_F005\tsad\t[2.5000, 3.0000, 3.0000]
[27.3257 - 28.7400]\tSes01F_impro01_F006\tfru\t[2.5000, 3.0000, 3.0000]
"""
TURNS = ("F000", "M001", "F002", "F004", "F005")


@pytest.fixture
def iemocap(plant: Plant) -> Path:
    root = plant(
        *(f"Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_{turn}.wav" for turn in TURNS),
        "Session5/sentences/wav/Ses05M_script03_2/Ses05M_script03_2_M045.wav",
    )
    for session, dialogue, text in (
        (1, "Ses01F_impro01", RATINGS),
        (5, "Ses05M_script03_2", "[1.0 - 2.0]\tSes05M_script03_2_M045\tang\t[1, 1, 1]\n"),
    ):
        folder = root / f"Session{session}" / "dialog" / "EmoEvaluation"
        folder.mkdir(parents=True)
        (folder / f"{dialogue}.txt").write_text(text)
        (folder / f"._{dialogue}.txt").write_bytes(b"\0\1")
    return root


def test_iemocap_has_four_classes_and_a_speaker_for_each_gender(iemocap: Path) -> None:
    assert facts(read_iemocap(iemocap)) == [
        ("Ses01F_impro01_F000.wav", "neutral", "Ses01F", None),
        ("Ses01F_impro01_M001.wav", "happiness", "Ses01M", None),
        ("Ses01F_impro01_F002.wav", "happiness", "Ses01F", None),
        ("Ses01F_impro01_F004.wav", "anger", "Ses01F", None),
        ("Ses01F_impro01_F005.wav", "sadness", "Ses01F", None),
        ("Ses05M_script03_2_M045.wav", "anger", "Ses05M", None),
    ]
    assert read_corpus(iemocap).name == "iemocap"


def test_iemocap_that_does_not_hold_together_is_refused(iemocap: Path) -> None:
    audio = iemocap / "Session1" / "sentences" / "wav" / "Ses01F_impro01"
    (audio / "Ses01F_impro01_F004.wav").rename(audio / "Ses01F_impro01_F004.flac")
    assert len(read_iemocap(iemocap)) == 6
    (audio / "Ses01F_impro01_F002.wav").unlink()
    assert "Ses01F_impro01_F002.wav: no such file" in refusal(read_iemocap, iemocap)
    ratings = iemocap / "Session1" / "dialog" / "EmoEvaluation" / "Ses01F_impro01.txt"
    ratings.write_text("nothing\n")
    assert "no line like" in refusal(read_iemocap, iemocap)
    ratings.write_text(" " * (1 << 20) + "x")
    assert "more than 1 MiB" in refusal(read_iemocap, iemocap)
    assert "Session1" in refusal(read_iemocap, audio)


# names and paths


def test_names_of_files_count_before_a_manifest(plant: Plant) -> None:
    root = plant("03a01Fa.wav", "03a01Wa.wav", "manifest.csv")
    found = read_corpus(root)
    assert found.name == "emodb"
    assert found.labels == ("anger", "happiness")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("03a01Fa.wav", "emodb"),
        ("Actor_01/03-01-05-01-02-01-01.wav", "ravdess"),
        ("f1/dis-f1-b1.wav", "emovo"),
        ("bed/0135f3f2_nohash_0.wav", "speech_commands"),
    ],
)
def test_a_folder_is_recognised_by_its_names(plant: Plant, file: str, name: str) -> None:
    assert read_corpus(plant(file)).name == name


@pytest.mark.parametrize("folder", ["emodb", "ravdess", "emovo+emodb"])
def test_clips_of_ones_own_are_no_known_corpus_whatever_their_folder_is_called(
    plant: Plant, folder: str
) -> None:
    """By its name a card tells licence and origin."""
    root = plant(f"{folder}/anger/0.wav", f"{folder}/joy/1.wav")
    assert read_corpus(root / folder).name == f"own-{folder}"
    (root / folder / "manifest.csv").write_text("path,label\nanger/0.wav,x\njoy/1.wav,y\n")
    for place in (root / folder, root / folder / "manifest.csv"):
        assert read_corpus(place).name == f"own-{folder}"


def test_a_manifest_beside_a_known_corpus_is_of_it(plant: Plant) -> None:
    root = plant("part/03a01Fa.wav", "part/03a01Wa.wav")
    (root / "part" / "some.csv").write_text("path,label\n03a01Fa.wav,joy\n")
    assert read_corpus(root / "part" / "some.csv").name == "emodb"


def test_a_known_name_is_looked_for_where_the_data_is(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = plant("emodb/03a01Fa.wav")
    monkeypatch.setenv("EDGE_SER_DATA", str(root))
    assert read_corpus("emodb").utterances == (
        Utterance(root / "emodb" / "03a01Fa.wav", "happiness", "03"),
    )
    with pytest.raises(DataError, match="expected ravdess in EDGE_SER_DATA"):
        read_corpus("ravdess")
    monkeypatch.delenv("EDGE_SER_DATA")
    with pytest.raises(DataError, match="set EDGE_SER_DATA"):
        read_corpus("emodb")
    monkeypatch.chdir(root)
    assert len(read_corpus("emodb").utterances) == 1


def test_known_corpora_are_read_as_one(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    root = plant("emodb/03a01Fa.wav", "emovo/f1/dis-f1-b1.wav")
    monkeypatch.setenv("EDGE_SER_DATA", str(root))
    joined = read_corpus("emovo+emodb")
    assert joined.name == "emovo+emodb" and joined.labels == ("disgust", "happiness")
    assert joined.utterances == (
        Utterance(root / "emovo/f1/dis-f1-b1.wav", "disgust", "emovo-f1", corpus="emovo"),
        Utterance(root / "emodb/03a01Fa.wav", "happiness", "emodb-03", corpus="emodb"),
    )
    assert {each.corpus for each in read_corpus("emodb").utterances} == {None}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("emodb+emodb", "emodb+emodb: a corpus stands twice, expected each once"),
        ("emodb+libri", "emodb+libri: libri is no known corpus, expected some of emodb, emovo"),
        ("emodb+", "emodb+: nothing is no known corpus"),
        ("+", "a corpus stands twice"),
        ("emodb+emovo", "expected emovo in EDGE_SER_DATA"),
    ],
)
def test_corpora_that_cannot_be_joined(
    name: str, words: str, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_SER_DATA", str(plant("emodb/03a01Fa.wav")))
    with pytest.raises(DataError) as caught:
        read_corpus(name)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_folder_with_a_plus_in_its_name_is_a_folder(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = plant("emodb+emovo/angry/a.wav")
    monkeypatch.chdir(root)
    assert read_corpus("emodb+emovo").utterances == (
        Utterance(Path("emodb+emovo/angry/a.wav"), "angry"),
    )


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="emodb, emovo, iemocap, ravdess, speech_commands"):
        read_corpus(tmp_path / "nowhere")


def test_a_dangling_link_is_listed_for_others_to_report(plant: Plant) -> None:
    root = plant("angry/a.wav")
    os.symlink(root / "gone.wav", root / "angry" / "b.wav")
    assert len(read_folders(root)) == 2


def test_a_name_too_long_for_a_file_is_no_corpus() -> None:
    with pytest.raises(DataError, match="no such folder or manifest"):
        read_corpus("a" * 300)
