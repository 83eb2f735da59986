"""What others wrote into a `.tflite` file: TFLite Metadata's names, labels and sample rate.

The metadata is a FlatBuffer of its own inside one of the model's buffers (metadata_schema.fbs of
tflite-support), and label files lie in a ZIP archive behind the model. It says too little to run
a model (no frontend), but it spares the user from typing the labels of a card.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass

from edge_ser.container.flatbuffer import Table, root
from edge_ser.container.tflite import is_tflite
from edge_ser.errors import ModelError

__all__ = ["Description", "describe"]

MAX_LABEL_BYTES = 1 << 20
MAX_METADATA_BYTES = 4 << 20
MAX_FILES = 64

_ENTRY = "TFLITE_METADATA"
# Field numbers of Model and Metadata (schema.fbs), then of the metadata's own tables.
_BUFFERS, _METADATA, _ENTRY_NAME, _ENTRY_BUFFER, _BUFFER_DATA = 4, 6, 0, 1, 0
_NAME, _DESCRIPTION, _SUBGRAPHS, _AUTHOR, _LICENCE = 0, 1, 3, 4, 5
_INPUTS, _OUTPUTS = 2, 3
_CONTENT, _FILES = 3, 6
_PROPERTIES_TYPE, _PROPERTIES = 0, 1
_AUDIO = 4
_SAMPLE_RATE = 0
_FILE_NAME, _FILE_TYPE = 0, 2
_LABEL_TYPES = (2, 3)  # TENSOR_AXIS_LABELS, TENSOR_VALUE_LABELS


@dataclass(frozen=True)
class Description:
    """What a foreign model file says of itself; empty where it says nothing."""

    name: str = ""
    description: str = ""
    author: str = ""
    licence: str = ""
    labels: tuple[str, ...] = ()
    rate: int | None = None
    """Hertz."""


def describe(data: bytes) -> Description:
    """TFLite Metadata of a model file; an empty description for a file without it.

    Raises:
        ModelDamagedError: the FlatBuffer does not hold together.
        ModelError: the label file is too large or cannot be read.
    """
    blob = _metadata(root(data)) if is_tflite(data) else None
    if blob is None or blob[4:8] != b"M001":
        return Description()
    model = root(blob)
    graph = next(model.tables(_SUBGRAPHS), None)
    output = next(graph.tables(_OUTPUTS), None) if graph else None
    audio = next(graph.tables(_INPUTS), None) if graph else None
    return Description(
        name=model.text(_NAME) or "",
        description=model.text(_DESCRIPTION) or "",
        author=model.text(_AUTHOR) or "",
        licence=model.text(_LICENCE) or "",
        labels=_labels(data, output) if output else (),
        rate=_rate(audio) if audio else None,
    )


def _metadata(model: Table) -> bytes | None:
    for entry in model.tables(_METADATA):
        if entry.text(_ENTRY_NAME) == _ENTRY:
            wanted = entry.number(_ENTRY_BUFFER, 4)
            for index, buffer in enumerate(model.tables(_BUFFERS)):
                if index == wanted:
                    return buffer.blob(_BUFFER_DATA, MAX_METADATA_BYTES)
    return None


def _rate(tensor: Table) -> int | None:
    content = tensor.table(_CONTENT)
    if content is None or content.number(_PROPERTIES_TYPE, 1) != _AUDIO:
        return None
    audio = content.table(_PROPERTIES)
    return (audio.number(_SAMPLE_RATE, 4) if audio else 0) or None


def _labels(data: bytes, tensor: Table) -> tuple[str, ...]:
    for file in tensor.tables(_FILES):
        name = file.text(_FILE_NAME)
        if name and file.number(_FILE_TYPE, 1) in _LABEL_TYPES:
            lines = _associated_file(data, name).decode("utf-8", "replace").splitlines()
            return tuple(line.strip() for line in lines if line.strip())
    return ()


def _associated_file(data: bytes, name: str) -> bytes:
    """One file of the ZIP archive behind the model; what does not inflate to a bound is refused."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if len(archive.infolist()) > MAX_FILES:
                raise ModelError(f"the archive behind the model has more than {MAX_FILES} files")
            with archive.open(name) as file:
                content = file.read(MAX_LABEL_BYTES + 1)
    except (
        *(zipfile.BadZipFile, zlib.error, KeyError, EOFError, OSError),
        *(NotImplementedError, RuntimeError, ValueError),
    ) as error:
        raise ModelError(
            f"the label file {name!r} behind the model cannot be read ({error}); use a sidecar card"
        ) from error
    if len(content) > MAX_LABEL_BYTES:
        raise ModelError(
            f"the label file {name!r} has more than {MAX_LABEL_BYTES} bytes; use a sidecar card"
        )
    return content
