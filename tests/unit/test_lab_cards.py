"""What is known of corpora, one by one and joined."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_ser.lab.cards import SOURCES, source_of


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_one_corpus_is_itself(name: str) -> None:
    assert source_of(name) is SOURCES[name]


@pytest.mark.parametrize("name", ["mine", "emodb+mine", "mine+emodb", "emodb+", ""])
def test_where_one_is_unknown_nothing_is_said(name: str) -> None:
    assert source_of(name) is None


def test_joined_corpora_keep_every_licence_and_source() -> None:
    found = source_of("emodb+emovo+ravdess")
    assert found is not None
    assert found.licence == "CC0-1.0 AND LicenseRef-EMOVO-research AND CC-BY-NC-SA-4.0"
    for name in ("emodb", "emovo", "ravdess"):
        assert SOURCES[name].data in found.data
    # The strictest use holds for all.
    assert found.intended_use.startswith("Non-commercial research")
    assert "German" not in found.intended_use and "a few languages" in found.intended_use
    # EMOVO and RAVDESS reach as far as their rates.
    assert found.bandwidth_hz is None
    assert found.task == "speech emotion recognition"


def test_the_order_does_not_loosen_the_use() -> None:
    one, other = source_of("emodb+ravdess"), source_of("ravdess+emodb")
    assert one is not None and other is not None
    assert one.intended_use == other.intended_use


def test_narrow_corpora_are_as_wide_as_the_widest_and_a_licence_stands_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    narrow = replace(SOURCES["emodb"], bandwidth_hz=4000.0)
    monkeypatch.setattr("edge_ser.lab.cards.SOURCES", {**SOURCES, "narrow": narrow})
    found = source_of("narrow+emodb")
    assert found is not None
    assert (found.bandwidth_hz, found.licence) == (8000.0, "CC0-1.0")
