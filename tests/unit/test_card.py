"""Cards: every field checked, hashes first, schema rules, hostile JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.card import ConditionFigures, GoldenFeatures, Goldens, ModelCard
from edge_ser.card.documents import build, canonical, opened, parse, sealed
from edge_ser.errors import CardError, ModelDamagedError
from edge_ser.testing import tiny_card

GOLDENS = Goldens(
    signal="test_signal",
    signal_sha256="0" * 64,
    samples=16_000,
    features=(GoldenFeatures((101, 8), (0, 807), (-1.5, 2.25), 1e-3),),
    scores=(0.25, 0.75),
    scores_tolerance=1e-4,
)
CARD = tiny_card(goldens=GOLDENS, payload_sha256="a" * 64, segmenting={"hang_ms": 300})


def document(**changes: Any) -> bytes:
    """The card with values changed by dotted path, sealed again; `...` takes a value away."""
    values = json.loads(CARD.to_document())
    for path, value in changes.items():
        *parents, name = path.split("__")
        target = values
        for parent in parents:
            target = target[int(parent)] if isinstance(target, list) else target[parent]
        if value is ...:
            del target[name]
        else:
            target[name] = value
    return canonical(sealed(values))


def test_a_card_survives_its_document() -> None:
    assert ModelCard.from_document(CARD.to_document()) == CARD
    assert ModelCard.from_document(tiny_card().to_document()) == tiny_card()


def test_the_document_is_canonical_and_repeats() -> None:
    text = CARD.to_document()
    assert text == dataclasses.replace(CARD).to_document()
    assert text.isascii()
    assert canonical(parse(text)) == text


def test_layout_of_the_json_does_not_matter() -> None:
    loose = json.dumps(json.loads(CARD.to_document()), indent=2, ensure_ascii=False).encode()
    assert ModelCard.from_document(loose) == CARD


def test_unknown_fields_are_left_out_at_every_level() -> None:
    newer = document(later=1, input__later={"a": 1}, provenance__later=[1], schema="1.7")
    assert ModelCard.from_document(newer) == CARD


def test_what_may_be_left_out() -> None:
    short = document(segmenting=..., deciding=..., goldens=..., requires=..., input__pad_side=...)
    assert ModelCard.from_document(short).goldens is None


@pytest.mark.parametrize("schema", ["2.0", "17.3"])
def test_a_newer_major_schema_says_to_upgrade(schema: str) -> None:
    with pytest.raises(CardError, match=rf"schema {schema}.*pip install -U edge-ser"):
        ModelCard.from_document(document(schema=schema))


def test_an_unknown_requirement_says_to_upgrade() -> None:
    with pytest.raises(CardError, match=r"requires teleport,.*pip install -U edge-ser"):
        ModelCard.from_document(document(requires=["teleport"]))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"schema": ...}, "schema is None"),
        ({"schema": 1.0}, "schema is 1.0"),
        ({"schema": "0.9"}, "schema is '0.9'"),
        ({"schema": "one"}, "schema is 'one'"),
        ({"name": ...}, "card.name is missing"),
        ({"name": 3}, "card.name is 3, expected a text"),
        ({"name": "  "}, "name has 2 characters"),
        ({"name": "x" * 20_001}, "name has 20001 characters"),
        ({"task": ""}, "task has 0 characters"),
        ({"labels": []}, "0 labels"),
        ({"labels": ["a"] * 2}, "stands twice"),
        ({"labels": ["a", ""]}, "a label has 0"),
        ({"labels": ["a", "b" * 201]}, "a label has 201"),
        ({"labels": ["a", "no_speech"]}, "no_speech, which stands for silence"),
        ({"labels": ["a", 1]}, r"labels\[1\] is 1"),
        ({"labels": "ab"}, "expected a list"),
        ({"labels": [str(i) for i in range(1001)]}, "1001 labels"),
        ({"labels": ["a", "b", "c"]}, "goldens with 2 scores"),
        ({"input": 5}, "input: expected an object"),
        ({"input__rate": 16_000.0}, "expected a whole number"),
        ({"input__rate": True}, "expected a whole number"),
        ({"input__rate": 999}, "input.rate is 999"),
        ({"input__rate": 22_050}, "frontend for 16000 Hz and an input of 22050 Hz"),
        ({"input__clip_samples": 0}, "clip_samples is 0"),
        ({"input__clip_samples": 2}, "clip_samples is 2, expected [0-9]+ or more|gives no frame"),
        ({"input__clip_samples": 1 << 25}, "clip_samples is 33554432"),
        ({"input__clip_samples": 100_000_000_000_000_000}, "clip_samples"),
        ({"input__pad_side": "left"}, "expected one of both, end"),
        ({"input__pad_side": ["both"]}, "expected one of both, end"),
        ({"input__pad_mode": "repeat"}, "expected one of zeros"),
        ({"input__dtype": "object"}, "expected one of float32"),
        ({"input__layout": "NTFX"}, "input.layout"),
        ({"input__source_bandwidth_hz": 0}, "source_bandwidth_hz is 0"),
        ({"input__source_bandwidth_hz": 499}, "source_bandwidth_hz is 499"),
        ({"input__level_dbfs": 3}, "level_dbfs is 3"),
        ({"input__level_dbfs": "loud"}, "expected a number"),
        ({"frontend": []}, "0 frontends"),
        ({"frontend": ["mfcc"]}, "expected an object, found 'mfcc'"),
        ({"frontend__0__kind": "magic"}, "kind is 'magic'"),
        ({"frontend__0__hop_length": 0}, "hop_length is 0"),
        ({"frontend__0__n_fft": 65_536, "frontend__0__n_mels": 1024}, "filters of more"),
        ({"frontend__0__hop_length": 1, "input__clip_samples": 1 << 24}, "give more than"),
        ({"frontend__0__centre": False, "input__clip_samples": 100}, "no frame"),
        ({"output__kind": "votes"}, "expected one of probabilities, logits"),
        ({"output__temperature": 0}, "temperature is 0"),
        ({"output__temperature": -1}, "temperature is -1"),
        ({"output__temperature": 1e9}, "temperature is"),
        ({"output__temperature": None}, "expected a number"),
        ({"output__ece": 1.5}, "ece is 1.5"),
        ({"output__uncertain_below": -0.1}, "uncertain_below is -0.1"),
        ({"output__scores": ""}, "output.scores is empty"),
        ({"output__embedding": 1}, "expected a text"),
        ({"segmenting": [1]}, "expected an object"),
        ({"goldens__signal_sha256": "0" * 63}, "signal_sha256"),
        ({"goldens__samples": 0}, "goldens.samples is 0"),
        ({"goldens__scores": [0.5]}, "goldens with 1 scores"),
        ({"goldens__features": []}, "0 blocks"),
        ({"goldens__scores_tolerance": -1}, "scores_tolerance"),
        ({"goldens__features__0__shape": []}, "a block of shape"),
        ({"goldens__features__0__shape": [0, 8]}, "a block of shape"),
        ({"goldens__features__0__positions": [808, 1]}, "outside a block of 808"),
        ({"goldens__features__0__positions": [-1, 1]}, "outside a block of 808"),
        ({"goldens__features__0__values": [1.0]}, "2 positions and 1 values"),
        ({"goldens__features__0__tolerance": -1}, "tolerance of features"),
        ({"payload_sha256": "A" * 64}, "payload_sha256 is not 64"),
        ({"provenance": {}}, "provenance.state is missing"),
        ({"provenance__state": "perfect"}, "expected one of trained, untrained"),
        ({"provenance__training_clips": ["12"]}, "16 hex digits"),
        ({"provenance__tools": {"numpy": 2}}, "tools.numpy is 2, expected a text"),
        ({"provenance__data": "x" * 20_001}, "provenance.data has 20001"),
        ({"requires": [1]}, r"requires\[0\] is 1"),
    ],
)
def test_every_field_is_checked(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(CardError, match=expected) as caught:
        ModelCard.from_document(document(**changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"nonsense",
        b"\xff\xfe",
        b"[]",
        b'"text"',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b'{"a": 1234567890123456789}',
        b'{"a": ' + b"9" * 10_000 + b"}",
        b'{"a": ' * 20 + b"1" + b"}" * 20,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a": "\\u0007"}',
        b'{"a": "two\\nlines"}',
        b'{"\\u202e": 1}',
        b'{"a": ["\\ud800"]}',
    ],
)
def test_hostile_json_is_a_card_error(text: bytes) -> None:
    with pytest.raises(CardError) as caught:
        ModelCard.from_document(text)
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_random_documents_are_card_errors(text: bytes) -> None:
    with pytest.raises(CardError):
        ModelCard.from_document(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.sampled_from(sorted(f.name for f in dataclasses.fields(ModelCard))), JSON)
def test_a_field_of_any_json_gives_a_card_or_a_card_error(name: str, value: object) -> None:
    values = {**json.loads(CARD.to_document()), name: value}
    text = json.dumps(values).encode()
    try:
        values = sealed(json.loads(text))
        ModelCard.from_document(json.dumps(values).encode())
    except CardError as error:
        assert "\n" not in str(error)
    except ValueError:
        assert not math.isfinite(float(str(value))) if isinstance(value, float) else True


def test_a_changed_label_or_temperature_is_damage_before_all_else() -> None:
    text = CARD.to_document()
    for old, new in ((b'"calm"', b'"caln"'), (b'"temperature":1.0', b'"temperature":1.5')):
        assert old in text
        with pytest.raises(ModelDamagedError, match="hash does not match"):
            ModelCard.from_document(text.replace(old, new))
    with pytest.raises(ModelDamagedError):
        ModelCard.from_document(text.replace(b'"1.0"', b'"9.0"'))


def test_a_card_without_its_hash_is_refused() -> None:
    with pytest.raises(CardError, match="no card_sha256"):
        opened(b"{}")


def test_long_values_are_cut_in_messages() -> None:
    with pytest.raises(CardError, match=r"x\.\.\., expected a whole number"):
        ModelCard.from_document(document(input__rate="x" * 100))
    with pytest.raises(CardError, match="expected an object, found"):
        build(ModelCard, [])


def test_a_card_made_in_python_is_checked_too() -> None:
    with pytest.raises(CardError, match="stands twice"):
        tiny_card(("calm", "calm"))


@pytest.mark.parametrize(("accuracy", "message"), [(1.5, "accuracy"), (-0.1, "accuracy")])
def test_robustness_is_a_share(accuracy: float, message: str) -> None:
    with pytest.raises(CardError, match=message):
        ConditionFigures("clean", accuracy, 0.5)
