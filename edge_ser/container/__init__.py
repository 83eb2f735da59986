"""Bytes of model files: which kind they are, and the card document that travels inside them.

A model file is a *payload* (what a runtime opens) and, where we exported it, a *document* (its
card, JSON). `unwrap` takes them apart and `wrap` puts them together; for a file that carries a
document, `wrap` of what `unwrap` found is the file, byte for byte, or the file is refused. What
the document says, and whether its hashes hold, is the matter of `edge_ser.card`.

Everything here treats its input as hostile, needs the standard library alone, and raises nothing
but `ModelError` and its kinds.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge_ser.container import onnx, tflite
from edge_ser.errors import ModelError, ModelNotFoundError

__all__ = [
    "MAX_DOCUMENT_BYTES",
    "MAX_FILE_BYTES",
    "Kind",
    "Unwrapped",
    "check_payload",
    "kind_of",
    "prepare",
    "read_file",
    "unwrap",
    "wrap",
]

Kind = Literal["tflite", "onnx"]

MAX_FILE_BYTES = 512 << 20
MAX_DOCUMENT_BYTES = 4 << 20

_OTHERS = {
    b"PK\x03\x04": "a ZIP archive, as .keras and PyTorch files are",
    b"\x89HDF": "an HDF5 file, as .h5 models are",
    b"\x80\x02": "a Python pickle, which is never opened",
    b"version https://git-lfs": "a Git LFS pointer: run `git lfs pull`",
    b"RIFF": "a WAV file",
}


@dataclass(frozen=True)
class Unwrapped:
    """A model file taken apart."""

    kind: Kind
    payload: bytes
    """What a runtime opens, and what `payload_sha256` covers."""
    document: bytes | None
    """The card's JSON; None in a file that we did not export."""


def kind_of(data: bytes) -> Kind:
    """Which kind of model `data` is, by content: `TFL3` at byte 4, else an ONNX ModelProto.

    Raises:
        ModelError: neither, empty, or larger than `MAX_FILE_BYTES`.
        ModelDamagedError: it starts as an ONNX model and does not go on as one.
    """
    if not data:
        raise ModelError("the file is empty, expected a .tflite or .onnx model; export it again")
    _bounded(len(data), MAX_FILE_BYTES, "the file")
    if tflite.is_tflite(data):
        return "tflite"
    if onnx.is_onnx(data):
        return "onnx"
    found = next((text for magic, text in _OTHERS.items() if data.startswith(magic)), None)
    found = found or f"something that starts with {data[:8].hex(' ')}"
    raise ModelError(
        f"expected a .tflite or .onnx model, found {found}; `edge-ser export` makes a model file"
    )


def unwrap(data: bytes) -> Unwrapped:
    """Payload and document of a model file.

    Raises:
        ModelDamagedError: cut off, without the tail that its marker promises, or changed between
            payload and document.
        ModelError: not a model, over a size limit, or with weights kept in other files.
    """
    kind = kind_of(data)
    payload, document = (tflite if kind == "tflite" else onnx).split(data)
    if document is not None:
        _bounded(len(document), MAX_DOCUMENT_BYTES, "the card")
    return Unwrapped(kind, payload, document)


def check_payload(data: bytes) -> Kind:
    """The kind of what a runtime is about to open; a payload of ours has lost its tail by then.

    Raises:
        ModelError: as `unwrap`, except for a missing tail.
    """
    kind = kind_of(data)
    (tflite if kind == "tflite" else onnx).check(data)
    return kind


def prepare(data: bytes) -> bytes:
    """The payload that `wrap` takes: any model file, without its document and with our marker.

    An exporter hands in the bytes of the converter. A payload that is prepared comes back as is.

    Raises:
        ModelError: as `unwrap`, or a layout that cannot be marked.
    """
    return tflite.prepare(data) if kind_of(data) == "tflite" else onnx.prepare(data)


def wrap(payload: bytes, document: bytes) -> bytes:
    """The model file of a prepared payload and a document; the same bytes on every machine.

    Raises:
        ModelError: the payload is not prepared, or a size limit is passed.
    """
    _bounded(len(document), MAX_DOCUMENT_BYTES, "the card")
    _bounded(len(payload) + len(document), MAX_FILE_BYTES, "the model file")
    if prepare(payload) != payload:
        raise ModelError("the payload is not prepared for a card; pass it through prepare() first")
    return payload + (
        tflite.tail(document, len(payload))
        if kind_of(payload) == "tflite"
        else onnx.entry(document)
    )


def read_file(path: Path, limit: int = MAX_FILE_BYTES) -> bytes:
    """The bytes of a regular file, read once and bounded by `limit` bytes.

    Raises:
        ModelNotFoundError: nothing there.
        ModelError: no regular file, unreadable, or too large.
    """
    try:
        if not path.exists():
            raise ModelNotFoundError(
                f"{path}: no such file; give the path of a .tflite or .onnx model"
            )
        if not path.is_file():
            raise ModelError(f"{path}: expected a file, found a folder or device")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            _bounded(size, limit, str(path))
            return file.read(size)
    except OSError as error:
        reason = error.strerror or "read error"
        raise ModelError(f"{path}: cannot be read ({reason}); check the permissions") from error


def _bounded(size: int, limit: int, what: str) -> None:
    if size > limit:
        raise ModelError(
            f"{what} has {size} bytes, expected at most {limit >> 20} MiB; use a smaller model"
        )
