"""The tables of recorded results, and that the committed page has them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edge_ser.bench.results import BEGIN, END, inserted, read_results, tables
from edge_ser.bench.tables import TOO_SMALL
from edge_ser.errors import DataError

CHECKOUT = Path(__file__).resolve().parents[2]
SAMPLE = CHECKOUT / "tests/goldens/bench_document.json"
SCRIPT = CHECKOUT / "benchmarks/results_table.py"


@pytest.fixture
def sample() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(SAMPLE.read_text())
    return found


def written(folder: Path, **documents: dict[str, Any]) -> Path:
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document))
    return folder


def test_the_committed_page_has_the_committed_results() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "README.md is in order\n"), done.stderr


def test_no_results_are_no_error(tmp_path: Path) -> None:
    assert read_results(tmp_path / "none") == {}
    assert tables(read_results(tmp_path)) == "No results are recorded yet."


def test_every_result_has_its_row(tmp_path: Path, sample: dict[str, Any]) -> None:
    other = sample | {"peers": [], "complete": False}
    other["model"] = sample["model"] | {"untrained": True}
    page = tables(read_results(written(tmp_path, b=sample, a=other)))
    rows = [line for line in page.splitlines() if line.startswith(("| a |", "| b |"))]
    assert [row[2] for row in rows] == ["a", "b"] * 3
    assert (
        "plb-emodb, LiteRT, cpu, 1 thr., untrained (incomplete) | emodb 96 | 4.90 ms (4.87 to"
        in rows[0]
    )
    assert rows[1].endswith("| 265 ms | 86.3 MB | 2.02x (1.99 to 2.05) |")
    assert "| b | 9.15x (8.97 to 9.33) | 2.58x (2.52 to 2.63) | 1.80x (1.77 to 1.84) |" in page
    assert "| a |  |  |  |" in page


def test_a_result_with_few_parts(tmp_path: Path, sample: dict[str, Any]) -> None:
    bare = {"schema": sample["schema"]}
    few = bare | {"stages": sample["stages"]}
    few["stages"]["total"] |= {"p90": None}
    page = tables(read_results(written(tmp_path, bare=bare, few=few)))
    assert "| bare | not told | (incomplete) |  |  |  |  |  |  |  |  |" in page
    assert TOO_SMALL in page
    assert "peer" not in page


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(DataError, match=r"bad\.json"):
        read_results(tmp_path)


def test_only_what_is_between_the_marks_changes() -> None:
    page = f"before\n\n{BEGIN}\nold\n{END}\nafter\n"
    once = inserted(page, "new")
    assert once == f"before\n\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    assert inserted(once, "new") == once


@pytest.mark.parametrize("page", ["", BEGIN, END, f"{END}{BEGIN}", f"{BEGIN}{END}{END}"])
def test_a_page_without_its_marks_is_refused(page: str) -> None:
    with pytest.raises(DataError, match="lacks its place"):
        inserted(page, "new")
