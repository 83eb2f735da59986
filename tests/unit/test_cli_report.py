"""`edge-ser report`: forms, errors, exit status."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from edge_ser import cli
from edge_ser.cli import main
from edge_ser.lab.experiment import from_tables
from edge_ser.lab.protocols import Split
from edge_ser.lab.runs import claim, write_predictions, write_rows

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cli.COMMANDS, "report", "Compare training runs.")


def run_folder(folder: Path, fold: int, omega: float, accuracy: float, epochs: int = 1) -> str:
    """A run of one epoch that was done, of `epochs`."""
    experiment = from_tables(
        {
            "data": {"corpus": "mine", "labels": ["calm", "cross"]},
            "network": {"name": "cktim-tab6", "omega_0": omega},
            "training": {"epochs": epochs},
        },
        "made",
        "made.toml",
    )
    labels = {f"{fold}-calm": "calm", f"{fold}-cross": "cross"}
    folder.mkdir()
    claim(folder, experiment, Split(f"grouped-{fold:02d}", [], sorted(labels), labels=labels))
    row = {"epoch": 0, "loss": 1.0, "accuracy": 0.5}
    write_rows(folder, [{**row, "test_accuracy": accuracy, "test_uar": accuracy}])
    if epochs == 1:
        write_predictions(
            folder, sorted(labels), np.array([[0.75, 0.25], [0.75, 0.25]], np.float32)
        )
    return str(folder)


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    return [
        run_folder(tmp_path / f"omega-{omega}-{fold}", fold, omega, accuracy)
        for omega, fold, accuracy in ((24, 1, 0.5), (24, 2, 0.7), (25, 1, 0.6), (25, 2, 0.8))
    ]


def test_table(runs: list[str], capsys: Capture) -> None:
    assert main(["report", *runs]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    lines = said.out.splitlines()
    assert lines[0] == "4 runs of 2 experiments, told apart by omega_0."
    head = next(at for at, line in enumerate(lines) if line.split()[:1] == ["omega_0"])
    rows = [lines[head + 1].split(), lines[head + 2].split()]
    assert [row[:4] for row in rows] == [["24", "2", "folds", "1"], ["25", "2", "folds", "1"]]
    assert "60.0 ± 14.1" in lines[head + 1]
    assert "70.0 ± 14.1" in lines[head + 2]
    assert "omega-24-1" in said.out


def test_page_and_markdown(runs: list[str], tmp_path: Path, capsys: Capture) -> None:
    for name, start in (("a.html", "<!DOCTYPE html>"), ("a.md", "# Training runs compared")):
        assert main(["report", *runs, "-o", str(tmp_path / name)]) == 0
        text = (tmp_path / name).read_text()
        assert text.startswith(start)
        assert "60.0 ± 14.1" in text
    assert capsys.readouterr().out == ""


def test_formats_for_programs(runs: list[str], capsys: Capture) -> None:
    assert main(["report", *runs, "--format", "json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["told_apart_by"] == ["network.omega_0"]
    assert values["experiments"][1]["last"]["accuracy_mean"] == pytest.approx(0.7)
    assert main(["report", *runs, "--format", "jsonl"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert main(["report", *runs, "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [float(row["network.omega_0"]) for row in rows] == [24, 25]
    assert [float(row["last.accuracy_mean"]) for row in rows] == pytest.approx([0.6, 0.7])


def test_by_another_key_takes_them_together(runs: list[str], capsys: Capture) -> None:
    assert main(["report", *runs, "--by", "blocks"]) == 0
    out = capsys.readouterr().out
    assert "4 runs of 1 experiment, told apart by blocks." in out
    assert "Taken together although they differ: network.omega_0" in out


def test_a_misspelt_key(runs: list[str], capsys: Capture) -> None:
    assert main(["report", *runs, "--by", "omega0"]) == 2
    assert "did you mean" in capsys.readouterr().err


def test_broken_folders_are_told_and_stop_nothing(
    runs: list[str], tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "empty").mkdir()
    Path(runs[0], "metrics.jsonl").write_text("{")
    assert main(["report", str(tmp_path / "empty"), *runs]) == 1
    said = capsys.readouterr()
    first, second = said.err.splitlines()
    assert "empty: no config.toml" in first
    assert "omega-24-1" in second
    assert said.out.startswith("3 runs of 2 experiments")


def test_no_folder_that_holds_a_run(tmp_path: Path, capsys: Capture) -> None:
    assert main(["report", str(tmp_path), str(tmp_path / "nowhere")]) == 7
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 2


def test_files_beside_runs_are_passed_over(
    runs: list[str], tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "features.npy").touch()
    assert main(["report", *runs, str(tmp_path / "features.npy")]) == 0
    assert not capsys.readouterr().err
    assert main(["report", str(tmp_path / "features.npy")]) == 7


def test_a_folder_given_twice_counts_once(runs: list[str], capsys: Capture) -> None:
    assert main(["report", runs[0], runs[0] + "/"]) == 0
    assert capsys.readouterr().out.startswith("1 run of 1 experiment.")


def test_an_unfinished_run_is_listed_and_not_counted(
    runs: list[str], tmp_path: Path, capsys: Capture
) -> None:
    late = run_folder(tmp_path / "late", 3, 24, 0.0, epochs=5)
    assert main(["report", *runs, late, "--by", "omega_0"]) == 0
    out = capsys.readouterr().out
    assert "Unfinished. late (1 of 5 epochs): listed and not counted." in out
    assert "60.0 ± 14.1" in out


def test_unfinished_runs_of_one_name_are_told_apart(tmp_path: Path, capsys: Capture) -> None:
    for omega in (24, 25):
        (tmp_path / f"{omega}").mkdir()
        run_folder(tmp_path / f"{omega}" / "grouped-01", 1, omega, 0.5, epochs=5)
    assert main(["report", *map(str, tmp_path.glob("*/*"))]) == 0
    assert (
        "Unfinished. grouped-01 (omega_0 24; 1 of 5 epochs) and grouped-01 (omega_0 25; 1 of 5 "
        "epochs): listed and not counted."
    ) in capsys.readouterr().out.replace("\n", " ")


def test_a_wide_table_goes_on_under_the_same_first_columns(
    runs: list[str], capsys: Capture
) -> None:
    assert main(["report", *runs]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    heads = [line.split() for line in lines if line.startswith("omega_0 ")]
    assert [head[-1] for head in heads] == ["UAR", "20", "best"]
    assert heads[2] == ["omega_0", "UAR,", "leaky", "best"]
    at = next(at for at, line in enumerate(lines) if line.split() == heads[2])
    assert [line.split()[0] for line in lines[at + 1 : at + 3]] == ["24", "25"]
    assert lines[at - 1] == ""


def test_a_place_that_is_an_input(runs: list[str], capsys: Capture) -> None:
    config = str(Path(runs[0], "config.toml"))
    assert main(["report", *runs, "-o", config]) == 2
    assert "one of the inputs" in capsys.readouterr().err


def test_many_runs_are_not_listed_one_by_one(tmp_path: Path, capsys: Capture) -> None:
    folders = [run_folder(tmp_path / f"run-{n}", n, 25, 0.5) for n in range(25)]
    assert main(["report", *folders]) == 0
    out = capsys.readouterr().out
    assert "25 runs; -o FILE.html or FILE.md lists each" in out
    assert "run-7" not in out
    assert main(["report", *folders, "-o", str(tmp_path / "all.html")]) == 0
    assert "All 25 runs" in (tmp_path / "all.html").read_text()
