"""Who trains and who is tested."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.errors import DataError
from edge_ser.lab.protocols import PROTOCOLS, grouped, holdout, loso, published, whole

PEOPLE = st.integers(3, 12).flatmap(
    lambda people: st.lists(st.integers(0, people - 1), min_size=people, max_size=40).map(
        lambda drawn: {
            f"clip{i:02d}": f"s{speaker}" for i, speaker in enumerate([*range(people), *drawn])
        }
    )
)


@pytest.mark.parametrize("protocol", sorted(set(PROTOCOLS) - {"published", "whole"}))
@given(speakers=PEOPLE)
def test_no_test_speaker_trains(protocol: str, speakers: dict[str, str]) -> None:
    people = len(set(speakers.values()))
    folds = grouped(speakers, min(5, people)) if protocol == "grouped" else None
    for split in folds or PROTOCOLS[protocol](speakers):
        sides = [{speakers[c] for c in s} for s in (split.train, split.validation, split.test)]
        assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]
        assert sides[0] and sides[2] == set(split.speakers)
        assert sorted([*split.train, *split.validation, *split.test]) == sorted(speakers)
        for names in (split.train, split.validation, split.test):
            assert names == sorted(names)


@given(speakers=PEOPLE)
def test_every_clip_is_tested_once(speakers: dict[str, str]) -> None:
    for splits in (grouped(speakers, 3), loso(speakers)):
        assert sorted(clip for split in splits for clip in split.test) == sorted(speakers)


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


def test_whole_tests_nobody() -> None:
    (split,) = whole({"b": "x", "a": "y"})
    assert split.train == ["a", "b"] and not split.test and not split.speakers


@pytest.mark.parametrize("protocol", [grouped, holdout, loso])
def test_one_speaker_is_too_few(protocol: object) -> None:
    with pytest.raises(DataError, match="speaker"):
        protocol({"a": "x"})  # type: ignore[operator]
