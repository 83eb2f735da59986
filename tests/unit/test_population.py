"""The population of a card: parsed strictly, bounded, and as large as the features."""

from __future__ import annotations

import base64
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.card import ModelCard, Population
from edge_ser.errors import CardError
from edge_ser.testing import TINY_CLIP_SAMPLES, TINY_FRONTEND, tiny_card

FLOATS = st.floats(-1e6, 1e6, width=32)
SHAPE = TINY_FRONTEND.shape(TINY_CLIP_SAMPLES)
VALUES = SHAPE[0] * SHAPE[1]


def text(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


@given(st.lists(st.tuples(FLOATS, st.floats(0, 1e6, width=32)), min_size=1, max_size=20))
def test_numbers_survive(pairs: list[tuple[float, float]]) -> None:
    mean, doubt = zip(*pairs, strict=True)
    found = Population.of(mean, doubt)
    assert (tuple(found.means()), tuple(found.doubts())) == (mean, doubt)
    assert found == Population(text(*mean), text(*doubt))


@given(st.text(), st.text())
def test_whatever_stands_there_is_a_population_or_a_card_error(mean: str, doubt: str) -> None:
    try:
        found = Population(mean, doubt)
    except CardError as error:
        assert "\n" not in str(error)
    else:
        assert 0 < len(found.means()) == len(found.doubts())
        assert min(found.doubts()) >= 0


@pytest.mark.parametrize(
    ("mean", "doubt", "said"),
    [
        ("", "", "0 means and 0 doubts, expected as many, 1 to 65536"),
        (text(1.0), text(1.0, 2.0), "1 means and 2 doubts"),
        (text(1.0), text(-0.5), r"population.doubt has -0\.5, expected 0 or more"),
        (text(float("nan")), text(1.0), "population.mean has a number that is not finite"),
        (text(1.0), text(float("inf")), "population.doubt has a number that is not finite"),
        (text(-2e6), text(1.0), "population.mean has a number beyond 1e.06"),
        ("no base64!", text(1.0), "population.mean is no base64"),
        (text(1.0), "AAAA", "population.doubt has 3 bytes, expected 4 for each number"),
        ("A" * 1_000_000, "AAAA", "population has 1000004 characters, at most 1000000"),
        (text(*[0.0] * 65_537), text(*[0.0] * 65_537), "65537 means and 65537 doubts"),
    ],
)
def test_a_population_that_does_not_hold_together(mean: str, doubt: str, said: str) -> None:
    with pytest.raises(CardError, match=said):
        Population(mean, doubt)


def test_it_survives_the_card() -> None:
    population = Population.of([1.5] * VALUES, [2.0] * VALUES)
    card = tiny_card(population=population)
    again = ModelCard.from_document(card.to_document())
    assert again.population == population and "population" not in again.requires
    assert ModelCard.from_document(tiny_card().to_document()).population is None


def test_a_card_refuses_one_of_other_features() -> None:
    with pytest.raises(CardError, match=f"a population of 3 values, expected {VALUES}"):
        tiny_card(population=Population.of([0.0] * 3, [0.0] * 3))


def test_a_reader_that_does_not_know_it_may_pass_it_over() -> None:
    document = json.loads(
        tiny_card(population=Population.of([0.0] * VALUES, [0.0] * VALUES)).to_document()
    )
    assert document["requires"] == []
    assert set(document["population"]) == {"mean", "doubt"}
