"""Who trains and who is tested."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.corpora import Utterance
from edge_ser.errors import ConfigError, DataError, UsageError
from edge_ser.lab.protocols import (
    ProtocolOptions,
    grouped,
    holdout,
    loco,
    loso,
    official,
    published,
    splits_of,
    stratified,
    whole,
)

PEOPLE = st.integers(3, 12).flatmap(
    lambda people: st.lists(st.integers(0, people - 1), min_size=people, max_size=40).map(
        lambda drawn: {
            f"clip{i:02d}": f"s{speaker}" for i, speaker in enumerate([*range(people), *drawn])
        }
    )
)


@pytest.mark.parametrize("protocol", ["grouped", "holdout", "loso"])
@pytest.mark.parametrize("validation", ["protocol", "clips"])
@given(speakers=PEOPLE)
def test_no_test_speaker_trains(protocol: Any, validation: Any, speakers: dict[str, str]) -> None:
    folds = min(5, len(set(speakers.values()))) if protocol == "grouped" else None
    clips = {name: Utterance(Path(name), "a", speaker) for name, speaker in speakers.items()}
    for split in splits_of(clips, ProtocolOptions(protocol, folds, validation=validation)):
        assert split.labels == dict.fromkeys(speakers, "a")
        sides = [{speakers[c] for c in s} for s in (split.train, split.validation, split.test)]
        assert not sides[0] & sides[2] and not sides[1] & sides[2]
        assert validation == "clips" or not sides[0] & sides[1]
        assert sides[0] and sides[2] == set(split.speakers)
        assert sorted([*split.train, *split.validation, *split.test]) == sorted(speakers)
        for names in (split.train, split.validation, split.test):
            assert names == sorted(names)


@given(speakers=PEOPLE)
def test_every_clip_is_tested_once(speakers: dict[str, str]) -> None:
    for splits in (grouped(speakers, 3), loso(speakers)):
        assert sorted(clip for split in splits for clip in split.test) == sorted(speakers)


def test_speakers_never_lead_out_of_the_folder_of_runs() -> None:
    speakers = {"1": "x/../../evil", "2": "..", "3": "x\n", "4": "x/"}
    names = [split.name for split in loso(speakers)]
    assert names == ["loso-001-__", "loso-002-x_", "loso-003-x_", "loso-004-x_______evil"]
    assert [split.name for split in loso({"1": "a b", "2": "c"})] == ["loso-a_b", "loso-c"]


@given(speakers=PEOPLE)
def test_holdout_validates_on_speakers_of_its_own(speakers: dict[str, str]) -> None:
    (split,) = holdout(speakers)
    assert split.validation and holdout(speakers) == [split]


@pytest.mark.needs("sklearn")
def test_published_folds_are_those_of_the_papers() -> None:
    from sklearn.model_selection import KFold

    names = [f"{i:03d}" for i in range(535)]
    splits = published(dict.fromkeys(reversed(names), "one"))
    assert [len(split.test) for split in splits] == [54] * 5 + [53] * 5
    folds = KFold(10, shuffle=True, random_state=98).split(names)
    for split, (train, test) in zip(splits, folds, strict=True):
        assert split.train == sorted(names[i] for i in train)
        assert split.test == sorted(names[i] for i in test)
    assert splits[0].name == "published-01" and not splits[0].speakers


def test_five_groups_of_ten_speakers_are_pairs() -> None:
    speakers = {f"{person}{clip}": person for person in "0123456789" for clip in "ab"}
    assert [split.speakers for split in grouped(speakers)] == [
        [a, b] for a, b in zip("02468", "13579", strict=True)
    ]


def test_a_corpus_is_left_out() -> None:
    speakers = {"a1": "a-1", "a2": "a-2", "b1": "b-1", "c1": "c-1"}
    corpora = {clip: clip[0] for clip in speakers}
    splits = loco(speakers, corpora)
    assert [split.name for split in splits] == ["loco-a", "loco-b", "loco-c"]
    assert [split.test for split in splits] == [["a1", "a2"], ["b1"], ["c1"]]
    assert [split.speakers for split in splits] == [["a-1", "a-2"], ["b-1"], ["c-1"]]
    assert splits[1].train == ["a1", "a2", "c1"]
    for one in (dict.fromkeys(speakers, "a"), {}):
        with pytest.raises(DataError, match="one corpus: leaving one out takes at least two"):
            loco(speakers, one)


SEVERAL = st.dictionaries(
    st.sampled_from(("emodb", "emovo", "ravdess")), PEOPLE, min_size=1, max_size=3
)


@given(several=SEVERAL, folds=st.integers(2, 12))
def test_a_fold_tests_speakers_of_each_corpus(
    several: dict[str, dict[str, str]], folds: int
) -> None:
    speakers, corpora = {}, {}
    for corpus, people in several.items():
        for clip, who in people.items():
            speakers[f"{corpus}/{clip}"] = f"{corpus}-{who}"
            corpora[f"{corpus}/{clip}"] = corpus
    numbers = {corpus: len(set(people.values())) for corpus, people in several.items()}
    if max(numbers.values()) < folds:
        with pytest.raises(DataError, match=f"{folds} folds of .* speakers: expected 2 to"):
            grouped(speakers, folds, corpora)
        return
    splits = grouped(speakers, folds, corpora)
    assert len(splits) == folds
    assert sorted(who for split in splits for who in split.speakers) == sorted(
        set(speakers.values())
    )
    for number, split in enumerate(splits):
        assert {speakers[clip] for clip in split.test} == set(split.speakers)
        assert not {speakers[clip] for clip in split.train} & set(split.speakers)
        assert sorted([*split.train, *split.test]) == sorted(speakers)
        tested = {who.partition("-")[0] for who in split.speakers}
        assert tested == {corpus for corpus, people in numbers.items() if people > number}


def test_clips_tell_their_corpus_to_the_protocol() -> None:
    clips = {
        f"{corpus}{who}": Utterance(Path("x"), "a", f"{corpus}-{who}", corpus=corpus)
        for corpus in ("b", "c")
        for who in range(4)
    }
    splits = splits_of(clips, ProtocolOptions("grouped", 4))
    assert [split.test for split in splits] == [[f"b{who}", f"c{who}"] for who in range(4)]


def test_whole_tests_nobody() -> None:
    (split,) = whole({"b": "x", "a": "y"})
    assert split.train == ["a", "b"] and not split.test and not split.speakers


@pytest.mark.parametrize("protocol", [grouped, holdout, loso])
def test_one_speaker_is_too_few(protocol: object) -> None:
    with pytest.raises(DataError, match="speaker"):
        protocol({"a": "x"})  # type: ignore[operator]


def test_a_stratified_split_is_that_of_the_cktim_study() -> None:
    labels = {f"{label}{i:02d}": label for label in "abcdefg" for i in range(84)}
    (split,) = stratified(labels)
    assert [len(s) for s in (split.train, split.test, split.validation)] == [406, 112, 70]
    for names in (split.train, split.test, split.validation):
        assert len({sum(labels[n] == label for n in names) for label in "abcdefg"}) == 1
    assert stratified(labels) == [split] != stratified(labels, seed=47)
    assert sorted([*split.train, *split.test, *split.validation]) == sorted(labels)


def test_the_split_of_the_corpus() -> None:
    (split,) = official({"a": "train", "c": "test", "b": "val", "d": "train"})
    assert (split.train, split.validation, split.test) == (["a", "d"], ["b"], ["c"])
    with pytest.raises(DataError, match="1 clips such as b are of no split"):
        official({"a": "train", "b": None})


def test_validation_clips_are_a_tenth_of_each_class() -> None:
    clips = {
        f"{label}{i:02d}": Utterance(Path("x"), label, str(i % 4))
        for label in "ab"
        for i in range(40)
    }
    splits = splits_of(clips, ProtocolOptions("loso", validation="clips"))
    assert splits == splits_of(clips, ProtocolOptions("loso", validation="clips"))
    for split in splits:
        assert [name[0] for name in split.validation] == ["a"] * 3 + ["b"] * 3
        assert not set(split.validation) & {*split.train, *split.test}
        assert len(split.train) == 54 and len(split.test) == 20
    (held,) = splits_of(clips, ProtocolOptions("holdout", validation="clips"))
    assert {clips[n].speaker for n in held.validation} != {clips[n].speaker for n in held.train}


def test_protocols_that_cannot_be() -> None:
    clips = {name: Utterance(Path(name), "a") for name in "abcd"}
    with pytest.raises(DataError, match="4 clips such as a have no speaker, which loso needs"):
        splits_of(clips, ProtocolOptions("loso"))
    assert [s.name for s in splits_of(clips, ProtocolOptions("whole"))] == ["whole"]
    with pytest.raises(UsageError, match="loso has no number of folds"):
        splits_of(clips, ProtocolOptions("loso", folds=3))
    with pytest.raises(ConfigError, match="folds is 1, expected 2 to 1000"):
        ProtocolOptions(folds=1)
    with pytest.raises(ConfigError, match="seed is -1"):
        ProtocolOptions(seed=-1)
