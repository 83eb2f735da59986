"""The protobuf walker: side files are found wherever they hide, damage has one kind of error."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import edge_ser.container.onnx as walker
from edge_ser.container import check_payload, kind_of, prepare, unwrap, wrap
from edge_ser.container.onnx import encode
from edge_ser.errors import ModelDamagedError, ModelError

MODELS = Path(__file__).resolve().parents[1] / "goldens" / "models"

EXTERNAL = encode(13, encode(1, b"location") + encode(2, b"/etc/passwd"))
LOCATED = encode(14, 1)


def model(graph: bytes = b"", *more: bytes) -> bytes:
    return b"".join((encode(1, 8), encode(7, graph), *more))


def node(attribute: bytes) -> bytes:
    return encode(1, encode(5, attribute))


PLACES = {
    "initializer": model(encode(5, EXTERNAL)),
    "located": model(encode(5, LOCATED)),
    "any location": model(encode(5, encode(14, 1 << 32))),
    "sparse values": model(encode(15, encode(1, EXTERNAL))),
    "sparse indices": model(encode(15, encode(2, LOCATED))),
    "constant": model(node(encode(5, EXTERNAL))),
    "constants": model(node(encode(10, EXTERNAL))),
    "sparse constant": model(node(encode(22, encode(1, EXTERNAL)))),
    "sparse constants": model(node(encode(23, encode(1, EXTERNAL)))),
    "branch": model(node(encode(6, encode(5, EXTERNAL)))),
    "branches": model(node(encode(11, node(encode(6, encode(5, LOCATED)))))),
    "function": model(b"", encode(25, encode(7, encode(5, encode(5, EXTERNAL))))),
    "function default": model(b"", encode(25, encode(11, encode(5, EXTERNAL)))),
    "training": model(b"", encode(20, encode(1, encode(5, EXTERNAL)))),
    "training step": model(b"", encode(20, encode(2, encode(5, EXTERNAL)))),
    "second graph": model(b"", encode(7, encode(5, EXTERNAL))),
}


@pytest.mark.parametrize("data", PLACES.values(), ids=PLACES.keys())
def test_external_data_is_refused_wherever_it_is(data: bytes) -> None:
    for reader in (unwrap, prepare, check_payload):
        with pytest.raises(ModelError, match="external data"):
            reader(data)


def test_external_data_of_the_real_library_is_refused() -> None:
    with pytest.raises(ModelError, match="external_data=False"):
        unwrap((MODELS / "external.onnx").read_bytes())


def test_a_compiled_graph_is_refused() -> None:
    with pytest.raises(ModelError, match="EPContext"):
        unwrap(model(encode(1, encode(4, b"EPContext"))))


def test_tensors_inside_the_file_are_taken() -> None:
    inside = encode(5, encode(14, 0) + encode(9, b"data"))
    data = model(inside + encode(1, encode(4, b"Add")))
    assert check_payload(data) == "onnx"
    assert unwrap(data).payload == data


def test_nesting_and_parts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = b""
    for _ in range(30):
        graph = node(encode(6, graph))
    with pytest.raises(ModelError, match="nests graphs"):
        unwrap(model(graph))
    monkeypatch.setattr(walker, "MAX_FIELDS", 5)
    with pytest.raises(ModelError, match="more than 5 parts"):
        unwrap(model(encode(2, 1) * 5))


@pytest.mark.parametrize(
    "data",
    [
        b"\x08\x08:\x05ab",
        b"\x08",
        b"\x08\x08\x09\0\0",
        b"\x08\x08\x0b",
        b"\x08\x08\x02\x00",
        b"\x08\x08" + b"\xff" * 11,
        b"\x08\x08\x12\x00",
        b"\x08\x08\x38\x01",
    ],
    ids=["cut", "no value", "cut double", "group", "field 0", "varint", "no graph", "odd graph"],
)
def test_what_is_no_whole_message_is_damage(data: bytes) -> None:
    with pytest.raises(ModelDamagedError, match="cut off or damaged"):
        kind_of(data)


def test_fixed_width_fields_are_stepped_over() -> None:
    data = model(b"", b"\xa5\x06" + bytes(4), b"\xa9\x06" + bytes(8))
    assert kind_of(data) == "onnx"


def test_entries_of_others_stay() -> None:
    theirs = encode(14, encode(1, b"author") + encode(2, b"somebody"))
    payload = model(b"", theirs)
    assert prepare(payload) == payload
    ours = wrap(payload, b"{}")
    assert unwrap(ours).payload == payload
    assert prepare(ours) == payload


def test_two_cards_are_damage_and_preparing_takes_both_off() -> None:
    data = wrap(model(), b"{}") + walker.entry(b"[]")
    with pytest.raises(ModelDamagedError, match="changed after"):
        unwrap(data)
    assert prepare(data) == model()


def test_an_entry_without_a_value_holds_an_empty_document() -> None:
    with pytest.raises(ModelDamagedError):
        unwrap(model(b"", encode(14, encode(1, b"edge_ser"))))


@given(st.integers(1, 2**28), st.integers(0, 2**63 - 1))
def test_numbers_come_back(number: int, value: int) -> None:
    data = encode(number, value)
    (field,) = walker._fields(data, 0, len(data))
    assert (field.number, field.value, field.stop) == (number, value, len(data))


@given(st.binary(max_size=400))
def test_bytes_come_back(value: bytes) -> None:
    data = encode(3, value)
    (field,) = walker._fields(data, 0, len(data))
    assert data[field.begin : field.stop] == value


def test_tensors_are_found_with_type_and_shape_however_dims_are_written() -> None:
    apart = encode(1, 64) + encode(1, 3) + encode(2, 1) + encode(9, b"data")
    packed = encode(2, 10) + encode(1, b"\x80\x01\x07")
    scalar = encode(2, 1) + encode(9, b"data")
    data = model(encode(5, apart) + encode(5, scalar) + node(encode(5, packed)))
    assert sorted(walker.tensors(data)) == [(1, ()), (1, (64, 3)), (10, (128, 7))]


def test_axes_are_bounded() -> None:
    for dims in (encode(1, 2) * 65, encode(1, b"\x02" * 65)):
        with pytest.raises(ModelDamagedError, match="damaged"):
            walker.tensors(model(encode(5, dims)))
    assert walker.tensors(model(encode(5, encode(1, b"\x02" * 64)))) == [(0, (2,) * 64)]


@given(st.binary(max_size=200))
def test_any_bytes_have_tensors_or_are_damage(blob: bytes) -> None:
    try:
        found = walker.tensors(model(encode(5, blob)))
    except ModelError:
        return
    assert all(size >= 0 for _, shape in found for size in shape)
