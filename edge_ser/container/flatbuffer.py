"""A small reader of FlatBuffers in which every offset is checked before it is followed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edge_ser.errors import ModelDamagedError

__all__ = ["MAX_ENTRIES", "Table", "root", "unsigned"]

MAX_ENTRIES = 65_536
"""Entries of one vector of tables; what real models hold stays far below."""
MAX_TEXT = 65_536
"""Bytes of a string."""


@dataclass(frozen=True)
class Table:
    """One FlatBuffers table: fields are found by their number in the schema, from 0."""

    data: bytes
    position: int

    def locate(self, field: int, size: int) -> int | None:
        """Position of a field of `size` bytes, or None where the table leaves it out."""
        vtable = self.position - signed(self.data, self.position)
        length = unsigned(self.data, vtable, 2)
        slot = 4 + 2 * field
        if slot + 2 > length:
            return None
        offset = unsigned(self.data, vtable + slot, 2)
        if offset == 0:
            return None
        position = self.position + offset
        unsigned(self.data, position, size)
        return position

    def number(self, field: int, size: int) -> int:
        """An unsigned scalar of `size` bytes; 0 where left out."""
        position = self.locate(field, size)
        return 0 if position is None else unsigned(self.data, position, size)

    def target(self, field: int) -> int | None:
        """Absolute position of what an offset field refers to, or None where left out."""
        position = self.locate(field, 4)
        return None if position is None else follow(self.data, position)

    def table(self, field: int) -> Table | None:
        """A table-valued field, or None where left out."""
        position = self.target(field)
        return None if position is None else Table(self.data, position)

    def blob(self, field: int, limit: int = MAX_TEXT) -> bytes | None:
        """A vector of at most `limit` bytes, or a string; None where left out."""
        position = self.target(field)
        if position is None:
            return None
        length = unsigned(self.data, position, 4)
        if length > min(limit, len(self.data) - position - 4):
            raise damaged(position)
        return self.data[position + 4 : position + 4 + length]

    def text(self, field: int) -> str | None:
        """A string, with a replacement character where it is not UTF-8; None where left out."""
        blob = self.blob(field)
        return None if blob is None else blob.decode("utf-8", "replace")

    def tables(self, field: int) -> Iterator[Table]:
        """Tables of a vector; none where left out."""
        position = self.target(field)
        if position is None:
            return
        count = unsigned(self.data, position, 4)
        if count > MAX_ENTRIES:
            raise damaged(position)
        for index in range(count):
            yield Table(self.data, follow(self.data, position + 4 + 4 * index))


def root(data: bytes) -> Table:
    """The root table."""
    return Table(data, follow(data, 0))


def follow(data: bytes, position: int) -> int:
    """Where the offset at `position` leads; only forward, as the format has it."""
    target = position + unsigned(data, position, 4)
    unsigned(data, target, 4)
    return target


def unsigned(data: bytes, position: int, size: int) -> int:
    """A little-endian unsigned integer.

    Raises:
        ModelDamagedError: it lies outside the data.
    """
    if not 0 <= position <= len(data) - size:
        raise damaged(position)
    return int.from_bytes(data[position : position + size], "little")


def signed(data: bytes, position: int) -> int:
    """A little-endian 32-bit integer; raises as `unsigned`."""
    value = unsigned(data, position, 4)
    return value - (1 << 32) if value >> 31 else value


def damaged(position: int) -> ModelDamagedError:
    """The error of a file whose offsets do not hold together."""
    return ModelDamagedError(
        f"the .tflite file is cut off or damaged (at byte {position}); copy or download it again"
    )
