"""TFLite files: the marker in the FlatBuffer and the ZIP tail with the card.

A file of ours is a FlatBuffer followed by a ZIP archive that holds `edge_ser.json`, the layout of
TFLite Metadata's associated files: every TFLite runtime reads the FlatBuffer and never looks
behind it, and any ZIP tool reads the tail. A copy that lost its tail would still load and run, so
the FlatBuffer's own metadata names us too (`MARKER`): marker without tail is damage.
"""

from __future__ import annotations

import struct
import zlib

from edge_ser.container.flatbuffer import Table, root
from edge_ser.errors import ModelDamagedError, ModelError

__all__ = [
    "DOCUMENT_NAME",
    "MARKER",
    "add_marker",
    "check",
    "is_tflite",
    "prepare",
    "split",
    "tail",
]

MARKER = "edge_ser"
DOCUMENT_NAME = "edge_ser.json"

# Fields of the tables Model, Metadata and Buffer, by their order in tensorflow's schema.fbs.
_MODEL_FIELDS = 8
_MAX_FIELDS = 64
_BUFFERS, _METADATA, _EXTERNAL = 4, 6, (8, 9)
_METADATA_NAME = 0
_BUFFER_OFFSET = 1

_NAME = DOCUMENT_NAME.encode()
_HEADER = 30 + len(_NAME)
_DIRECTORY = 46 + len(_NAME)
_END = 22
_FRONT = 8
"""Bytes before the first table: the root's offset and the file identifier."""
_ALIGNMENT = 64
"""Weights are aligned to 16 bytes; what is inserted before them keeps that and a cache line."""


def is_tflite(data: bytes) -> bool:
    """Whether `data` says that it is a TFLite model."""
    return data[4:8] == b"TFL3"


def split(data: bytes) -> tuple[bytes, bytes | None]:
    """Payload and document; a file that we did not export is all payload.

    Raises:
        ModelDamagedError: marker or tail is there without the other, or the FlatBuffer is cut.
        ModelError: weights in other files.
    """
    marked = _is_marked(check(data))
    start = _find_tail(data)
    if start is None:
        if marked:
            raise ModelDamagedError(
                "the end of the .tflite file, which holds its card, is missing or changed; "
                "copy or download it again"
            )
        return data, None
    if not marked:
        raise ModelDamagedError(
            "the .tflite file has a card but not the marker of one; copy or download it again"
        )
    return data[:start], data[start + _HEADER : -_DIRECTORY - _END]


def prepare(data: bytes) -> bytes:
    """The FlatBuffer without our tail and with our marker; see `add_marker`."""
    return add_marker(data[: _find_tail(data)])


def tail(document: bytes, start: int) -> bytes:
    """A ZIP archive of one stored file, to be appended at byte `start`.

    Written here since `zipfile` records the platform, and these bytes must not depend on it.
    """
    common = struct.pack(
        "<5H3I2H",
        *(20, 0, 0, 0, 0x21),  # version 2.0, no flags, stored, 1980-01-01 00:00
        *(zlib.crc32(document), len(document), len(document)),
        *(len(_NAME), 0),
    )
    directory_at = start + _HEADER + len(document)
    return b"".join(
        (
            *(b"PK\x03\x04", common, _NAME, document),
            *(b"PK\x01\x02", struct.pack("<H", 20), common),
            *(struct.pack("<3H2I", 0, 0, 0, 0, start), _NAME),
            struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, _DIRECTORY, directory_at, 0),
        )
    )


def _find_tail(data: bytes) -> int | None:
    """Where our tail starts; None unless the bytes there are exactly what `tail` writes."""
    directory = len(data) - _DIRECTORY - _END
    if directory < _HEADER or data[-_END : -_END + 4] != b"PK\x05\x06":
        return None
    start = int.from_bytes(data[directory + 42 : directory + 46], "little")
    if start + _HEADER > directory:
        return None
    return start if tail(data[start + _HEADER : directory], start) == data[start:] else None


def check(data: bytes) -> Table:
    """The table Model; raises as `split`, except for a missing tail."""
    model = root(data)
    if any(next(model.tables(field), None) for field in _EXTERNAL):
        raise ModelError("the .tflite model keeps weights in other files; re-export it in one file")
    return model


def _is_marked(model: Table) -> bool:
    return any(entry.blob(_METADATA_NAME) == MARKER.encode() for entry in model.tables(_METADATA))


def add_marker(data: bytes) -> bytes:
    """The FlatBuffer with an entry named `edge_ser` in its Model.metadata.

    Offsets in a FlatBuffer lead forward only, so a new root cannot be appended: it is inserted in
    front, and all else moves back as one block, which leaves the offsets inside it as they are.
    A buffer that has the marker comes back unchanged.

    Raises:
        ModelDamagedError: the FlatBuffer does not hold together.
        ModelError: fields that this version does not know, or offsets from the file's start.
    """
    model = check(data)
    if _is_marked(model):
        return data
    if any(
        model.locate(field, 1) is not None for field in range(_MODEL_FIELDS, _MAX_FIELDS)
    ) or any(buffer.number(_BUFFER_OFFSET, 8) > 1 for buffer in model.tables(_BUFFERS)):
        raise ModelError(
            "the .tflite model has a layout that cannot carry a card; convert it with "
            "TensorFlow 2.21 or use a sidecar card"
        )
    front = _front(model, [entry.position for entry in model.tables(_METADATA)])
    return front + data[_FRONT:]


def _front(model: Table, entries: list[int]) -> bytes:
    """The first bytes of the marked file: a new root, which leads to the old tables behind it."""
    table = _FRONT + 4 + 2 * _MODEL_FIELDS
    vector = table + 4 + 4 * _MODEL_FIELDS
    entry = vector + 4 + 4 * (len(entries) + 1)  # a vtable of 8 bytes, then the table, 12 bytes
    name = entry + 20
    end = name + 4 + len(MARKER) + 1
    padding = -(end - _FRONT) % _ALIGNMENT
    moved = end + padding - _FRONT

    slots, values = [4], [model.number(0, 4)]
    for field in range(1, _MODEL_FIELDS):
        position = table + 4 + 4 * field
        target = model.target(field)
        if field == _METADATA:
            target = vector - moved
        slots.append(0 if target is None else 4 + 4 * field)
        values.append(0 if target is None else target + moved - position)
    offsets = [
        target - (vector + 4 + 4 * index)
        for index, target in enumerate([*(old + moved for old in entries), entry + 8])
    ]
    return b"".join(
        (
            struct.pack("<I4s", table, b"TFL3"),
            struct.pack(f"<{2 + _MODEL_FIELDS}H", table - _FRONT, 4 + 4 * _MODEL_FIELDS, *slots),
            struct.pack(f"<i{_MODEL_FIELDS}I", table - _FRONT, *values),
            struct.pack(f"<{1 + len(offsets)}I", len(offsets), *offsets),
            struct.pack("<4H", 8, 12, 4, 8),
            struct.pack("<i2I", 8, name - (entry + 12), 0),  # buffer 0: by convention the empty one
            struct.pack("<I", len(MARKER)) + MARKER.encode() + bytes(1 + padding),
        )
    )
