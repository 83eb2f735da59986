"""What an evaluation found, drawn."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ser.errors import DataError, DependencyError, StorageError
from edge_ser.evaluation import (
    CoveragePoint,
    Failure,
    ReliabilityBin,
    Report,
    Spread,
    draw_confusion,
    draw_report,
    picture,
)


def made_report(**changes: object) -> Report:
    values: dict[str, object] = {
        "corpus": "made",
        "labels": ("low", "high"),
        "n": 4,
        "seen_in_training": 1,
        "unknown_labels": {"odd|one": 2},
        "failures": (Failure("a.wav", "broken\nfile"),),
        "accuracy": 0.75,
        "uar": 0.75,
        "ece": 0.1,
        "chance_ece": 0.02,
        "accuracy_at_80": 0.8,
        "oracle_share_at_80": 0.3,
        "calibrated_share_at_80": Spread(0.43, 0.09),
        "negative_log_likelihood": 0.5,
        "confusion": ((2, 0), (1, 1)),
        "reliability": (ReliabilityBin(1, 0.6, 0.0), ReliabilityBin(3, 0.9, 1.0)),
        "risk_coverage": (CoveragePoint(0.5, 1.0, 0.95), CoveragePoint(1.0, 0.75, 0.825)),
    }
    return Report(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.needs("matplotlib")
@pytest.mark.parametrize("draw", [draw_confusion, draw_report])
def test_the_confusion_matrix_is_drawn(tmp_path: Path, draw: Callable[..., None]) -> None:
    path = tmp_path / "confusion.png"
    draw(made_report(labels=("low", "$h$_\\")), path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size > 5000
    with pytest.raises(DataError, match="no clip was scored"):
        draw(made_report(n=0), path)
    with pytest.raises(StorageError, match="No such file"):
        draw(made_report(), tmp_path / "nowhere" / "confusion.png")


@pytest.mark.needs("matplotlib")
def test_calibration_and_coverage_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(picture, "write_png", lambda figure, path: drawn.append(figure))
    draw_report(made_report(), tmp_path / "found.png")
    _, reliability, coverage = drawn[0].axes
    (dots,) = reliability.collections
    assert dots.get_offsets().tolist() == [[0.6, 0.0], [0.9, 1.0]]
    small, large = dots.get_sizes()
    assert large == 3 * small
    lines = {line.get_label(): line.get_ydata() for line in coverage.lines}
    assert list(lines["an oracle"]) == [1.0, 0.75]
    assert list(lines["what it claims"]) == [0.95, 0.825]
    assert list(lines["what is right"]) == [1.0, 0.75]


def test_of_many_labels_the_shades_alone_are_drawn(tmp_path: Path) -> None:
    labels = tuple(f"label {number}" for number in range(300))
    counts = tuple(tuple(int(row == column) for column in range(300)) for row in range(300))
    path = tmp_path / "confusion.png"
    draw_report(made_report(labels=labels, confusion=counts, n=300), path)
    width, height = np.frombuffer(path.read_bytes()[16:24], ">u4")
    assert max(width, height) < 4000


def test_a_picture_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "confusion.png"
    path.write_text("before")

    def full(part: Path, data: bytes) -> int:
        with part.open("wb") as file:
            file.write(data[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match="No space left"):
        draw_report(made_report(), path)
    assert path.read_text() == "before" and len(list(tmp_path.iterdir())) == 1


def test_without_matplotlib_the_mend_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(DependencyError, match=r"pip install 'edge-ser\[plot\]'"):
        draw_report(made_report(), tmp_path / "confusion.png")
