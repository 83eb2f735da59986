"""ONNX files: the card as one entry of ModelProto.metadata_props, and the refusal of side files.

A file of ours is the exporter's bytes followed by that entry: protobuf lets fields stand in any
order, so nothing else moves and any ONNX tool still reads the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from edge_ser.errors import ModelDamagedError, ModelError

__all__ = ["KEY", "check", "encode", "entry", "is_onnx", "prepare", "split", "tensors"]

KEY = "edge_ser"

MAX_FIELDS = 2_000_000
MAX_DEPTH = 64
MAX_RANK = 64
"""Axes of a tensor."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_IR_VERSION, _GRAPH, _METADATA = 1, 7, 14
_MAX_IR_VERSION = 1000

# Where, by field number, messages hold messages that can hold a tensor (onnx.proto).
_NESTED: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION, _OP_TYPE = 13, 14, 4
_DIMS, _DATA_TYPE = 1, 2


class Field(NamedTuple):
    """One field of a protobuf message."""

    number: int
    wire: int
    start: int
    """Byte at which the field's tag starts."""
    begin: int
    """Byte at which its value starts."""
    stop: int
    """Byte after the value."""
    value: int
    """Of a varint; 0 otherwise."""


def is_onnx(data: bytes) -> bool:
    """Whether `data` is a ModelProto: ir_version first, as every writer has it, and a graph.

    Raises:
        ModelDamagedError: it starts like one and does not go on as a protobuf message.
    """
    if data[:1] != b"\x08" or data[4:8] == b"ORTM":
        return False
    seen = {field.number: field for field in _fields(data, 0, len(data))}
    version, graph = seen.get(_IR_VERSION), seen.get(_GRAPH)
    if version is None or not 1 <= version.value <= _MAX_IR_VERSION:
        return False
    if graph is None or graph.wire != _BYTES:
        raise _damaged(len(data))
    return True


def split(data: bytes) -> tuple[bytes, bytes | None]:
    """Payload and document; a file that we did not export is all payload.

    Raises:
        ModelDamagedError: not a whole protobuf message, or the card's entry is not the last thing.
        ModelError: weights or compiled graphs in other files.
    """
    check(data)
    entries = list(_entries(data))
    if not entries:
        return data, None
    field, document = entries[0]
    payload = data[: field.start]
    if payload + entry(document) != data:
        raise ModelDamagedError(
            "the .onnx file was changed after its card was written; export it again"
        )
    return payload, document


def prepare(data: bytes) -> bytes:
    """The model without any entry of ours; raises as `split`."""
    check(data)
    kept, position = [], 0
    for field, _ in _entries(data):
        kept.append(data[position : field.start])
        position = field.stop
    return b"".join((*kept, data[position:]))


def entry(document: bytes) -> bytes:
    """The metadata_props entry that holds a document."""
    return encode(_METADATA, encode(1, KEY.encode()) + encode(2, document))


def encode(number: int, value: bytes | int) -> bytes:
    """One field of a protobuf message: bytes with their length, or a whole number >= 0.

    >>> encode(1, 8), encode(2, b"ab")
    (b'\\x08\\x08', b'\\x12\\x02ab')
    """
    if isinstance(value, int):
        return _varint_bytes(number << 3 | _VARINT) + _varint_bytes(value)
    return _varint_bytes(number << 3 | _BYTES) + _varint_bytes(len(value)) + value


def _entries(data: bytes) -> Iterator[tuple[Field, bytes]]:
    """Entries of ours among the model's metadata, each with its document."""
    for field in _fields(data, 0, len(data)):
        if field.number == _METADATA and field.wire == _BYTES:
            parts = {
                part.number: data[part.begin : part.stop]
                for part in _fields(data, field.begin, field.stop)
            }
            if parts.get(1) == KEY.encode():
                yield field, parts.get(2, b"")


def check(data: bytes) -> None:
    """Refuse a model that makes a runtime open other files, wherever it says so.

    A path in a model can lead anywhere on the disk, and no hash of ours covers what lies there.
    """
    for message, _, field in _walk(data):
        _refuse_reference(message, field, data)


def tensors(data: bytes) -> list[tuple[int, tuple[int, ...]]]:
    """TensorProto.data_type and shape of every tensor that the file holds; raises as `split`."""
    found: dict[int, tuple[int, list[int]]] = {}
    for message, begin, field in _walk(data):
        if message != "tensor":
            continue
        kind, shape = found.get(begin, (0, []))
        if field.number == _DATA_TYPE:
            kind = field.value
        elif field.number == _DIMS and field.wire == _VARINT:
            shape = [*shape, field.value]
        elif field.number == _DIMS and field.wire == _BYTES:
            shape = [*shape, *islice(_packed(data, field.begin, field.stop), MAX_RANK + 1)]
        if len(shape) > MAX_RANK:
            raise _damaged(field.start)
        found[begin] = kind, shape
    return [(kind, tuple(shape)) for kind, shape in found.values()]


def _walk(data: bytes) -> Iterator[tuple[str, int, Field]]:
    """Fields of all messages that can hold a tensor: the message's kind, its first byte, the field.

    Raises:
        ModelDamagedError: not a whole protobuf message.
        ModelError: deeper or longer than any real model.
    """
    pending = [("model", 0, len(data), 0)]
    visited = 0
    while pending:
        message, begin, stop, depth = pending.pop()
        if depth > MAX_DEPTH:
            raise ModelError(
                f"the .onnx model nests graphs more than {MAX_DEPTH} deep; simplify it"
            )
        for field in _fields(data, begin, stop):
            visited += 1
            if visited > MAX_FIELDS:
                raise ModelError(
                    f"the .onnx model has more than {MAX_FIELDS} parts; re-export it with "
                    "tensors as raw data"
                )
            yield message, begin, field
            child = _NESTED[message].get(field.number)
            if child is not None and field.wire == _BYTES:
                pending.append((child, field.begin, field.stop, depth + 1))


def _packed(data: bytes, start: int, stop: int) -> Iterator[int]:
    """Varints one behind the other."""
    while start < stop:
        value, start = _varint(data, start, stop)
        yield value


def _refuse_reference(message: str, field: Field, data: bytes) -> None:
    """Refuse a field that names another file."""
    if message == "tensor" and (
        field.number == _EXTERNAL_DATA or (field.number == _DATA_LOCATION and field.value != 0)
    ):
        raise ModelError(
            "the .onnx model keeps weights in another file (external data); re-export it in one "
            "file, in torch with external_data=False"
        )
    if (
        message == "node"
        and field.number == _OP_TYPE
        and data[field.begin : field.stop] == b"EPContext"
    ):
        raise ModelError(
            "the .onnx model holds a graph compiled for one provider (EPContext); re-export the "
            "original model"
        )


def _fields(data: bytes, start: int, stop: int) -> Iterator[Field]:
    """Fields of the message in data[start:stop]."""
    while start < stop:
        tag, begin = _varint(data, start, stop)
        number, wire = tag >> 3, tag & 7
        value = 0
        if wire == _VARINT:
            value, end = _varint(data, begin, stop)
        elif wire == _BYTES:
            length, begin = _varint(data, begin, stop)
            end = begin + length
        elif wire in (_FIXED32, _FIXED64):
            end = begin + (4 if wire == _FIXED32 else 8)
        else:
            raise _damaged(start)
        if number == 0 or end > stop:
            raise _damaged(start)
        yield Field(number, wire, start, begin, end, value)
        start = end


def _varint(data: bytes, position: int, stop: int) -> tuple[int, int]:
    """A varint at `position` and the byte after it."""
    value = 0
    for index in range(10):
        if position + index >= stop:
            break
        byte = data[position + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, position + index + 1
    raise _damaged(position)


def _varint_bytes(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _damaged(position: int) -> ModelDamagedError:
    return ModelDamagedError(
        f"the .onnx file is cut off or damaged (at byte {position}); copy or download it again"
    )
