"""What a `.keras` archive may unpack to."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from edge_ser.errors import ModelError
from edge_ser.lab.architectures import keras_files
from edge_ser.lab.architectures.keras_files import refuse_large


def test_archives_that_unpack_to_too_much_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * 5_000)
        archive.writestr("model.weights.h5", bytes(50_000))
    assert path.stat().st_size < 1_000
    refuse_large(path)
    monkeypatch.setattr(keras_files, "MAX_CONFIG", 4_999)
    with pytest.raises(ModelError, match=r"5000 bytes of config\.json, at most 4999"):
        refuse_large(path)
    monkeypatch.setattr(keras_files, "MAX_UNPACKED", 54_999)
    with pytest.raises(ModelError, match="55000 bytes unpacked, at most 54999"):
        refuse_large(path)


def test_what_is_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "x.keras"
    path.write_bytes(b"no archive")
    with pytest.raises(ModelError, match=r"no archive .*expected a \.keras file"):
        refuse_large(path)
