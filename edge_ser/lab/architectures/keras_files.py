"""`.keras` files are archives, and what they unpack to is bounded before Keras reads them."""

from __future__ import annotations

import zipfile
from pathlib import Path

from edge_ser.errors import ModelError

__all__ = ["refuse_large"]

MAX_UNPACKED = 4 << 30
"""Bytes of all members; the largest network here has 1 MB."""
MAX_CONFIG = 16 << 20
"""Bytes of config.json; PLB's has 100 kB."""


def refuse_large(path: Path) -> None:
    """Refuse an archive that would fill memory.

    Raises:
        ModelError: it would, or is no archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {member.filename: member.file_size for member in archive.infolist()}
    except (OSError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path}: no archive ({error}); expected a .keras file") from error
    for what, size, most in (
        ("unpacked", sum(sizes.values()), MAX_UNPACKED),
        ("of config.json", sizes.get("config.json", 0), MAX_CONFIG),
    ):
        if size > most:
            raise ModelError(f"{path}: {size} bytes {what}, at most {most} are taken")
