"""The FlatBuffer walker, the marker, and TFLite Metadata of others."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest

import edge_ser.container.flatbuffer as flatbuffer
import edge_ser.container.foreign as foreign
from edge_ser.container import check_payload, unwrap
from edge_ser.container.flatbuffer import root, signed, unsigned
from edge_ser.container.foreign import Description, describe
from edge_ser.container.tflite import MARKER, add_marker
from edge_ser.errors import ModelDamagedError, ModelError

MODELS = Path(__file__).resolve().parents[1] / "goldens" / "models"
TFLITE = (MODELS / "float32.tflite").read_bytes()
FOREIGN = (MODELS / "foreign.tflite").read_bytes()

EMPTY_TABLE = struct.pack("<iHH", -4, 4, 4)
ONE_EMPTY_TABLE = struct.pack("<II", 1, 4) + EMPTY_TABLE


def buffer(fields: dict[int, int | bytes], identifier: bytes = b"TFL3") -> bytes:
    """A FlatBuffer of one root table; bytes are what an offset field leads to."""
    count = max(fields, default=-1) + 1
    table = 8 + 4 + 2 * count
    slots = [4 + 4 * field if field in fields else 0 for field in range(count)]
    values, blobs = [], b""
    for field in range(count):
        value = fields.get(field, 0)
        if isinstance(value, bytes):
            position = table + 4 + 4 * field
            blob, value = value, table + 4 + 4 * count + len(blobs) - position
            blobs += blob
        values.append(value)
    return b"".join(
        (
            struct.pack("<I4s", table, identifier),
            struct.pack(f"<{2 + count}H", 4 + 2 * count, 4 + 4 * count, *slots),
            struct.pack(f"<i{count}I", table - 8, *values),
            blobs,
        )
    )


def tables(*tables: bytes) -> bytes:
    """A vector of tables made by `buffer`, each kept whole behind it."""
    offsets, body = [], b""
    for index, table in enumerate(tables):
        start = 4 * (len(tables) - index) + len(body)
        offsets.append(start + unsigned(table, 0, 4))
        body += table
    return struct.pack(f"<{1 + len(tables)}I", len(tables), *offsets) + body


def text(value: str) -> bytes:
    return struct.pack("<I", len(value)) + value.encode() + b"\0"


def test_fields_are_read_where_they_are_and_default_where_not() -> None:
    table = root(buffer({0: 7, 2: text("name")}))
    assert table.number(0, 4) == 7
    assert table.number(1, 4) == table.number(9, 4) == 0
    assert table.text(2) == "name"
    assert table.text(1) is table.table(1) is None
    assert list(table.tables(1)) == []


def test_signed_numbers() -> None:
    assert [signed(struct.pack("<i", n), 0) for n in (-5, 5, -(2**31))] == [-5, 5, -(2**31)]


@pytest.mark.parametrize(
    "data",
    [
        b"\x10\0\0\0TFL3",
        b"\xff\xff\xff\xffTFL3",
        buffer({2: struct.pack("<I", 5) + b"abc"}),
        buffer({2: struct.pack("<I", 100_000) + bytes(100_000)}),
    ],
    ids=["no root", "far root", "cut text", "long text"],
)
def test_what_leads_outside_is_damage(data: bytes) -> None:
    with pytest.raises(ModelDamagedError, match="cut off or damaged"):
        root(data).text(2)


def test_vectors_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = buffer({6: tables(buffer({}), buffer({}))})
    assert len(list(root(data).tables(6))) == 2
    monkeypatch.setattr(flatbuffer, "MAX_ENTRIES", 1)
    with pytest.raises(ModelDamagedError):
        list(root(data).tables(6))


def test_the_marker_is_one_more_entry_and_keeps_the_alignment() -> None:
    marked = add_marker(TFLITE)
    before, after = root(TFLITE), root(marked)
    names = [entry.text(0) for entry in before.tables(6)]
    assert [entry.text(0) for entry in after.tables(6)] == [*names, MARKER]
    assert (len(marked) - len(TFLITE)) % 64 == 0
    assert marked.endswith(TFLITE[8:])
    assert after.number(0, 4) == before.number(0, 4) == 3
    for field in (1, 2, 4, 6):
        assert len(list(after.tables(field))) == len(list(before.tables(field))) + (field == 6)
    assert after.text(3) == before.text(3) == "MLIR Converted."
    assert add_marker(marked) == marked


def test_a_model_without_metadata_takes_the_marker() -> None:
    assert [entry.text(0) for entry in root(add_marker(buffer({0: 3}))).tables(6)] == [MARKER]


@pytest.mark.parametrize(
    "data",
    [
        buffer({0: 3, 12: 1}),
        buffer({4: struct.pack("<IIiQHHHH", 1, 4, -12, 2, 8, 12, 0, 4)}),
    ],
    ids=["unknown field", "buffer by file offset"],
)
def test_a_layout_that_cannot_move_is_refused(data: bytes) -> None:
    with pytest.raises(ModelError, match="cannot carry a card"):
        add_marker(data)


@pytest.mark.parametrize("field", [8, 9])
def test_weights_in_other_files_are_refused(field: int) -> None:
    data = buffer({field: ONE_EMPTY_TABLE})
    for reader in (unwrap, add_marker, check_payload):
        with pytest.raises(ModelError, match="in other files"):
            reader(data)


def test_tflite_metadata_of_googles_writer_is_read() -> None:
    assert describe(FOREIGN) == Description(
        name="Foreign",
        description="A model of others",
        author="Somebody",
        licence="CC0-1.0",
        labels=("calm", "angry", "sad"),
        rate=16_000,
    )


def test_models_that_say_nothing_have_an_empty_description() -> None:
    for name in ("float32.tflite", "float32.onnx"):
        assert describe((MODELS / name).read_bytes()) == Description()


def described(metadata: bytes, archive: dict[str, bytes] | None = None) -> Description:
    """What is read from a model with that metadata and those files behind it."""
    entry = buffer({0: text("TFLITE_METADATA"), 1: 1})
    other = buffer({0: text("min_runtime_version"), 1: 0})
    blob = struct.pack("<I", len(metadata)) + metadata
    data = buffer({4: tables(buffer({}), buffer({0: blob})), 6: tables(other, entry)})
    if archive is not None:
        tail = io.BytesIO()
        with zipfile.ZipFile(tail, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in archive.items():
                file.writestr(name, content)
        data += tail.getvalue()
    return describe(data)


def graph(inputs: bytes | None = None, outputs: bytes | None = None) -> bytes:
    fields: dict[int, int | bytes] = {}
    fields |= {} if inputs is None else {2: tables(inputs)}
    fields |= {} if outputs is None else {3: tables(outputs)}
    return buffer({3: tables(buffer(fields))}, b"M001")


def inner(table: bytes) -> bytes:
    """A table as what an offset field leads to: the offset goes to its root."""
    start = unsigned(table, 0, 4)
    # A vtable lies before its table; an offset cannot skip it, so it is moved behind.
    body = table[start + 4 :]
    return struct.pack("<i", -4 - len(body)) + body + table[8:start]


def test_metadata_that_says_less_is_read_as_far_as_it_goes() -> None:
    assert described(b"not metadata") == Description()
    assert described(buffer({}, b"M001")) == Description()
    assert described(graph()) == Description()
    assert described(graph(buffer({}), buffer({}))) == Description()


@pytest.mark.parametrize("kind", [0, 2, 4])
def test_a_rate_is_read_from_audio_only(kind: int) -> None:
    content = inner(buffer({0: kind, 1: inner(buffer({0: 8000}))}))
    assert described(graph(inputs=buffer({3: content}))).rate == (8000 if kind == 4 else None)
    without = inner(buffer({0: 4}))
    assert described(graph(inputs=buffer({3: without}))).rate is None


def label_file(kind: int = 2, name: str = "labels.txt") -> bytes:
    return graph(outputs=buffer({6: tables(buffer({0: text(name), 2: kind}))}))


def test_labels_are_the_lines_of_the_label_file() -> None:
    files = {"labels.txt": b"calm\r\n\n angry \n"}
    assert described(label_file(), files).labels == ("calm", "angry")
    assert described(label_file(kind=1), files).labels == ()


@pytest.mark.parametrize(
    "files",
    [None, {"other.txt": b""}, {"labels.txt": bytes(1 << 21)}, {str(i): b"" for i in range(65)}],
    ids=["no archive", "another file", "bomb", "many files"],
)
def test_label_files_that_cannot_be_read_are_refused(files: dict[str, bytes] | None) -> None:
    with pytest.raises(ModelError, match=r"label file|more than 64 files"):
        described(label_file(), files)


def test_an_entry_without_its_buffer_is_no_metadata() -> None:
    entry = buffer({0: text("TFLITE_METADATA"), 1: 5})
    assert describe(buffer({4: ONE_EMPTY_TABLE, 6: tables(entry)})) == Description()


def test_metadata_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign, "MAX_METADATA_BYTES", 10)
    with pytest.raises(ModelDamagedError):
        describe(FOREIGN)
