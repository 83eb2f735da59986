"""Model files with their cards: read with every hash checked, written whole or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import secrets
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_ser.card.documents import canonical, parse
from edge_ser.card.model import ModelCard, payload_checked
from edge_ser.container import (
    MAX_DOCUMENT_BYTES,
    Kind,
    Unwrapped,
    prepare,
    read_file,
    unwrap,
    wrap,
)
from edge_ser.container.foreign import Description, describe
from edge_ser.errors import (
    CardError,
    ModelDamagedError,
    ModelError,
    ProviderError,
    StorageError,
)

__all__ = [
    "ModelFile",
    "describe_foreign",
    "naming",
    "read_model",
    "sidecar_path",
    "write_model",
    "write_sidecar",
]

SIDECAR_SUFFIX = ".edge_ser.json"
"""Appended to the whole file name of a foreign model: `theirs.tflite.edge_ser.json`."""


@dataclass(frozen=True)
class ModelFile:
    """A model file whose hashes hold."""

    path: Path
    kind: Kind
    payload: bytes = dataclasses.field(repr=False)
    """For the runtime: the bytes that were hashed, so that no second read can differ."""
    card: ModelCard


def read_model(path: str | Path) -> ModelFile:
    """Read a model file once, and check card and payload before anybody opens it.

    A file without a card of its own takes that of `NAME.edge_ser.json` beside it.

    Raises:
        ModelNotFoundError: no such file.
        ModelDamagedError: a hash does not match, or a part is missing.
        CardError: no card, or one that cannot be read.
        ModelError: not a model, too large, unreadable, or with weights in other files.
    """
    path = Path(path)
    data = read_file(path)
    with naming(path):
        found = unwrap(data)
        if found.document is not None:
            card = ModelCard.from_document(found.document)
            _check_canonical(found.document)
    if found.document is None:
        card = _sidecar(path, found)
    with naming(path):
        payload_checked(card, hashlib.sha256(found.payload).hexdigest())
    return ModelFile(path, found.kind, found.payload, card)


def write_model(path: str | Path, payload: bytes, card: ModelCard) -> ModelFile:
    """Write a model file that carries its card, in place of what is there, in one step.

    Args:
        path: the file; written beside and renamed, so that no reader ever meets half of it.
        payload: what the converter made, or the payload or bytes of another model file.
        card: its hashes are set here.

    Raises:
        ModelError: the payload is no model, or its layout cannot carry a card.
        CardError: the card would not be read again.
        StorageError: the file cannot be written.
    """
    path = Path(path)
    payload = prepare(payload)
    card = dataclasses.replace(card, payload_sha256=hashlib.sha256(payload).hexdigest())
    data = wrap(payload, card.to_document())
    found = unwrap(data)
    again = ModelCard.from_document(found.document or b"")
    _write(path, data)
    return ModelFile(path, found.kind, found.payload, again)


def write_sidecar(model: str | Path, card: ModelCard) -> Path:
    """Write the card of a foreign model beside it, readable and with its hashes set.

    Raises:
        ModelError: the model cannot be read, or carries a card of its own.
        CardError: the card would not be read again.
        StorageError: the file cannot be written.
    """
    model = Path(model)
    data = read_file(model)
    with naming(model):
        found = unwrap(data)
        if found.document is not None:
            raise ModelError("the file carries a card of its own; use write_model to replace it")
    card = dataclasses.replace(card, payload_sha256=hashlib.sha256(found.payload).hexdigest())
    ModelCard.from_document(card.to_document())
    path = sidecar_path(model)
    text = json.dumps(card.to_dict(), indent=2, ensure_ascii=False)
    _write(path, text.encode() + b"\n")
    return path


def sidecar_path(model: Path) -> Path:
    """Where the card of a foreign model is looked for."""
    return model.with_name(model.name + SIDECAR_SUFFIX)


def describe_foreign(path: str | Path) -> Description:
    """What a model file without a card of ours says of itself, by TFLite Metadata.

    Raises:
        ModelError: as `read_model`, or the metadata cannot be read.
    """
    path = Path(path)
    data = read_file(path)
    with naming(path):
        return describe(unwrap(data).payload)


def _sidecar(path: Path, found: Unwrapped) -> ModelCard:
    beside = sidecar_path(path)
    if not os.path.exists(beside):
        with naming(path):
            raise CardError(
                f"the model has no card{_hint(found)}; make a file that has one with 'edge-ser "
                f"export {shlex.quote(str(path))} --labels A,B,C --frontend PRESET --clip SECONDS "
                f"-o FILE', or write one to {beside.name}"
            )
    document = read_file(beside, MAX_DOCUMENT_BYTES)
    with naming(beside):
        return ModelCard.from_document(document)


def _hint(found: Unwrapped) -> str:
    """What a foreign model says of itself, for the user who has to write its card."""
    try:
        described = describe(found.payload)
    except ModelError:
        return ""
    parts = [f"{len(described.labels)} labels"] if described.labels else []
    parts += [f"{described.rate} Hz"] if described.rate else []
    return f" of ours (its TFLite Metadata names {' and '.join(parts)})" if parts else ""


def _check_canonical(document: bytes) -> None:
    """Refuse an embedded card that means the same in other bytes: it is not what was written."""
    if canonical(parse(document)) != document:
        raise ModelDamagedError("the card was changed after it was written; export the model again")


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put the file's name in front of what is wrong with it, or with whatever is to run it."""
    try:
        yield
    except (ModelError, ProviderError) as error:
        raise type(error)(f"{path}: {error}") from error


def _write(path: Path, data: bytes) -> None:
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        try:
            with beside.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or "write error"
        raise StorageError(
            f"{path}: cannot be written ({reason}); free the space or choose another folder"
        ) from error
