"""Pictures of a run: what is drawn, what is written, and that files are whole or not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ser.errors import StorageError
from edge_ser.lab.pictures import runs as pictures
from edge_ser.lab.pictures.runs import draw_curves, write_run_report
from edge_ser.lab.report import RunRecord

PNG = b"\x89PNG\r\n\x1a\n"
SETTINGS = {
    "protocol.name": "grouped",
    "training.epochs": 6,
    "training.seed": 1,
    "training.keep": "last",
}

pytestmark = pytest.mark.needs("matplotlib")


def record(folder: Path, epochs: int = 6, done: bool = True, **more: Any) -> RunRecord:
    rows = tuple(
        {
            "epoch": n,
            "loss": 1 / (n + 1),
            "accuracy": 0.1 * n,
            **({"test_accuracy": 0.5} if n % 2 else {}),
        }
        for n in range(epochs)
    )
    scores = np.array([[0.9, 0.1], [0.8, 0.2]]) if done else None
    true = np.array([0, 1]) if done else None
    values: dict[str, Any] = {"rows": rows, "scores": scores, "true": true, **more}
    return RunRecord(
        folder,
        SETTINGS,
        "grouped-01",
        ("a", "b"),
        (),
        classes=("calm", "cro$s"),
        parameters=None,
        **values,
    )


@pytest.mark.needs("sklearn")
def test_everything_of_a_finished_run(tmp_path: Path) -> None:
    written = write_run_report(record(tmp_path))
    names = ["curves.png", "confusion.png", "classification.txt", "classification.json"]
    assert [path.name for path in written] == names
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    assert all(path.read_bytes().startswith(PNG) for path in written[:2])
    assert json.loads(written[3].read_text())["uar"] == 0.5
    assert "UAR 0.5000" in written[2].read_text()


def test_a_run_under_way_has_curves_alone_and_elsewhere_if_wanted(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    written = write_run_report(record(tmp_path / "run", done=False), tmp_path / "there")
    assert written == (tmp_path / "there" / "curves.png",)
    assert not (tmp_path / "run").exists()


def test_one_epoch_is_no_curve(tmp_path: Path) -> None:
    assert write_run_report(record(tmp_path, epochs=1, done=False)) == ()


class TestCurves:
    @pytest.fixture
    def drawn(self, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
        figures: list[Any] = []
        monkeypatch.setattr(pictures, "write_png", lambda figure, path: figures.append(figure))
        return figures

    def test_all_epochs_and_the_last_half(self, tmp_path: Path, drawn: list[Any]) -> None:
        draw_curves(record(tmp_path), tmp_path / "curves.png")
        loss, loss_half, accuracy, accuracy_half = drawn[0].axes
        assert [loss.get_title("left"), loss_half.get_title("left")] == [
            "all epochs",
            "epochs 4 to 6",
        ]
        (training,) = loss.get_lines()
        assert training.get_xdata().tolist() == [1, 2, 3, 4, 5, 6]
        assert training.get_ydata().tolist() == [1 / n for n in range(1, 7)]
        training, test = accuracy.get_lines()
        assert (training.get_label(), test.get_label()) == ("training", "test")
        assert test.get_xdata().tolist() == [2, 4, 6]
        assert test.get_ydata().tolist() == [50, 50, 50]
        assert accuracy_half.get_lines()[1].get_xdata().tolist() == [4, 6]

    def test_validation_where_it_was_looked_at(self, tmp_path: Path, drawn: list[Any]) -> None:
        rows = tuple(
            {"epoch": n, "loss": 1.0, "accuracy": 0.5, "validation_loss": 2.0} for n in range(3)
        )
        draw_curves(record(tmp_path, rows=rows, done=False), tmp_path / "curves.png")
        loss, accuracy = drawn[0].axes  # three epochs have no half
        assert [line.get_label() for line in loss.get_lines()] == ["training", "validation"]
        assert [line.get_label() for line in accuracy.get_lines()] == ["training"]
        assert "3 of 6 epochs so far" in drawn[0].get_suptitle()


@pytest.mark.needs("sklearn")
def test_a_place_that_cannot_be_written_keeps_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "confusion.png").mkdir()
    with pytest.raises(StorageError, match=r"confusion\.png"):
        write_run_report(record(tmp_path))
    assert [path.name for path in tmp_path.glob("*part*")] == []
