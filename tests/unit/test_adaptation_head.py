"""The head of a card: parsed strictly, bounded, required of readers, and applied by numpy."""

from __future__ import annotations

import base64
import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.card import HEAD, Head, ModelCard, ModelFile, OutputSpec
from edge_ser.card.documents import canonical, sealed
from edge_ser.classifier import Classifier
from edge_ser.errors import CardError, ModelError
from edge_ser.testing import TINY_CLIP_SAMPLES, TINY_FRONTEND, FakeInterpreter, tiny_card

FLOATS = st.floats(-1e6, 1e6, width=32)
NAMED = OutputSpec(scores="scores", embedding="embedding")


def carrying(head: Head, **changes: Any) -> ModelCard:
    return tiny_card(head=head, requires=(HEAD,), **{"output": NAMED, **changes})


def text(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


@given(
    st.integers(1, 5).flatmap(
        lambda values: st.lists(
            st.lists(FLOATS, min_size=values, max_size=values), min_size=1, max_size=4
        )
    ),
    st.data(),
)
def test_numbers_survive_the_card(rows: list[list[float]], data: st.DataObject) -> None:
    bias = data.draw(st.lists(FLOATS, min_size=len(rows), max_size=len(rows)))
    head = Head.of(rows, bias)
    labels = tuple(f"label {number}" for number in range(len(rows)))
    again = ModelCard.from_document(carrying(head, labels=labels).to_document()).head
    assert again == head and again is not None
    assert [list(row) for row in again.rows()] == rows
    assert list(again.biases()) == bias
    assert (again.values, again.labels) == (len(rows[0]), len(rows))


@given(st.text(), st.text(), st.integers(-2, 70_000))
def test_whatever_stands_there_is_a_head_or_a_card_error(
    weights: str, bias: str, values: int
) -> None:
    try:
        head = Head(values, weights, bias)
    except CardError as error:
        assert "\n" not in str(error)
    else:
        assert head.labels * head.values == sum(map(len, head.rows()))


@pytest.mark.parametrize(
    ("values", "weights", "bias", "said"),
    [
        (0, text(1.0), text(1.0), "head.values is 0"),
        (65_537, text(1.0), text(1.0), "head.values is 65537"),
        (1, "A" * 4_000_000, text(1.0), "expected at most 4000000"),
        (1, "no base64!", text(1.0), "head.weights is no base64"),
        (1, text(1.0), "AAA", "head.bias is no base64"),
        (1, "AAAA", text(1.0), "head.weights has 3 bytes, expected 4 for each number"),
        (1, text(float("nan")), text(1.0), "head.weights has a number that is not finite"),
        (1, text(1.0), text(float("-inf")), "head.bias has a number that is not finite"),
        (2, text(1.0, 2.0, 3.0), text(1.0), "head.weights has 3 numbers, expected 2 for each"),
        (2, text(1.0, 2.0), text(1.0, 2.0), "has 2 numbers, expected 2 for each of the 2"),
    ],
)
def test_a_head_that_does_not_hold_together(
    values: int, weights: str, bias: str, said: str
) -> None:
    with pytest.raises(CardError, match=said):
        Head(values, weights, bias)


def test_a_card_refuses_a_head_that_is_not_its_own() -> None:
    head = Head.of([[1.0], [2.0]], [0.0, 0.0])
    with pytest.raises(CardError, match="a head for 2 labels, expected 3"):
        carrying(head, labels=("a", "b", "c"))
    with pytest.raises(CardError, match=r"output\.embedding is null"):
        carrying(head, output=OutputSpec(scores="scores"))
    with pytest.raises(CardError, match=r"requires is \[\]: expected head in it"):
        replace(carrying(head), requires=())
    with pytest.raises(CardError, match="and only then"):
        replace(carrying(head), head=None)


def test_a_reader_that_does_not_know_heads_refuses_before_it_reads_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    document = json.loads(carrying(Head.of([[1.0], [2.0]], [0.0, 0.0])).to_document())
    del document["card_sha256"]
    document["provenance"]["state"] = "of the future"
    monkeypatch.setattr("edge_ser.card.model.KNOWN_REQUIREMENTS", frozenset())
    with pytest.raises(CardError, match=r"requires head, .*pip install -U edge-ser"):
        ModelCard.from_document(canonical(sealed(document)))


def classifier(card: ModelCard, scores: list[float], embedding: list[float]) -> Classifier:
    fake = FakeInterpreter({"scores": scores, "embedding": embedding})
    return Classifier(ModelFile(Path("m.onnx"), "onnx", b"", card), fake)


def features() -> list[Any]:
    return [np.zeros(TINY_FRONTEND.shape(TINY_CLIP_SAMPLES), np.float32)]


@pytest.mark.parametrize("kind", ["probabilities", "logits"])
def test_scores_are_those_of_the_head(kind: Any) -> None:
    """By hand: logits = 2 e + ln p of one label, -e + 1 of the other, over the temperature."""
    p = np.array([0.2, 0.3, 0.5])
    head = Head.of([[2.0, 1.0, 0.0, 0.0], [-1.0, 0.0, 0.0, 0.0]], [0.0, 1.0])
    output = replace(NAMED, kind=kind, temperature=2.0)
    given_scores = p if kind == "probabilities" else np.log(p) + 7
    model = classifier(carrying(head, output=output), list(given_scores), [0.25])
    logits = np.array([0.5 + np.log(0.2), 0.75]) / 2
    found = list(model.predict(np.ones(100, np.float32)).scores.values())
    assert found == pytest.approx(np.exp(logits) / np.exp(logits).sum(), abs=1e-6)


def test_a_head_that_does_not_fit_the_graph_is_refused() -> None:
    card = carrying(Head.of([[1.0] * 3, [2.0] * 3], [0.0, 0.0]))
    with pytest.raises(ModelError, match=r"m\.onnx: .* head takes 3 values, the graph gives 4"):
        classifier(card, [0.2, 0.3, 0.5], [0.25])


@pytest.mark.parametrize(
    ("scores", "embedding", "said"),
    [
        ([np.nan, 0.5, 0.5], [0.25], "infinite scores"),
        ([0.2, 0.3, 0.5], [np.inf], "infinite values of its embedding"),
    ],
)
def test_nothing_infinite_reaches_the_head(
    scores: list[float], embedding: list[float], said: str
) -> None:
    model = classifier(carrying(Head.of([[0.0] * 4] * 2, [0.0, 0.0])), scores, embedding)
    with pytest.raises(ModelError, match=said):
        model.predict(np.ones(100, np.float32))


def test_a_number_beyond_float32_is_refused() -> None:
    with pytest.raises(CardError, match="beyond float32"):
        Head.of([[1e39]], [0.0])
