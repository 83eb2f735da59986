"""What the service runs and what it must be shown: interpreters, links, homes, closed folders."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

import edge_ser
from edge_ser.errors import UsageError
from edge_ser.service.environment import running_environment, visible_paths


def test_this_environment_is_described() -> None:
    found = running_environment()
    assert os.path.isabs(found.program[0])
    ended = subprocess.run(
        [*found.program, "--version"], env={}, cwd="/", capture_output=True, text=True, check=True
    )
    assert ended.stdout.startswith("edge-ser ")
    places = [os.path.realpath(place) for place in found.places]
    assert os.path.dirname(os.path.realpath(edge_ser.__file__)) in places
    assert os.path.realpath(sys.executable) in places
    assert os.path.realpath(sys.base_prefix) in places


def test_an_environment_without_edge_ser_is_refused(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(UsageError, match="PYTHONPATH or for one user only"):
        running_environment(str(python))


def test_without_the_script_the_interpreter_is_run(tmp_path: Path) -> None:
    python = tmp_path / "python"
    answer = {"prefix": str(tmp_path), "places": [str(tmp_path), "relative"]}
    python.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
    python.chmod(0o755)
    found = running_environment(str(python))
    assert found.program == (str(python), "-I", "-m", "edge_ser.cli")
    assert found.places == (str(tmp_path), str(python))


def home_of_a_maker(home: Path) -> tuple[Path, list[str]]:
    """A virtual environment whose interpreter is reached through three links in other folders."""
    real = home / "pyenv" / "versions" / "3.11.7"
    for folder in (real / "bin", real / "lib", home / "venv" / "bin", home / "bin"):
        folder.mkdir(parents=True)
    (real / "bin" / "python3.11").write_text("")
    (home / "pyenv" / "versions" / "3.11").symlink_to("3.11.7")
    (home / "bin" / "python3").symlink_to("../pyenv/versions/3.11/bin/python3.11")
    python = home / "venv" / "bin" / "python"
    python.symlink_to(home / "bin" / "python3")
    from edge_ser.service.environment import _link_chain

    return python, [str(home / "venv"), *_link_chain(str(python))]


def test_every_link_on_the_way_to_the_interpreter_is_shown(tmp_path: Path) -> None:
    _, places = home_of_a_maker(tmp_path)
    shown = visible_paths(places, homes=[str(tmp_path)], emptied=[])
    assert [os.path.relpath(path, tmp_path) for path in shown] == [
        "bin/python3",
        "pyenv/versions/3.11.7/bin/python3.11",
        "pyenv/versions/3.11/bin/python3.11",
        "venv",
    ]


def test_what_lies_in_a_shown_folder_is_not_shown_again(tmp_path: Path) -> None:
    for name in ("a", "a/lib", "a-b", "ab"):
        (tmp_path / name).mkdir()
    given_ = [str(tmp_path / name) for name in ("ab", "a/lib", "a", "a-b", "absent")]
    shown = visible_paths(given_, homes=[str(tmp_path)], emptied=[])
    assert [Path(path).name for path in shown] == ["a", "a-b", "ab"]


def test_a_home_that_is_a_link_is_a_home(tmp_path: Path) -> None:
    (tmp_path / "data" / "venv").mkdir(parents=True)
    (tmp_path / "home").symlink_to("data")
    home = str(tmp_path / "home")
    shown = visible_paths([f"{home}/venv"], homes=[home], emptied=[])
    assert shown == [str(tmp_path / "data" / "venv"), f"{home}/venv"]


def test_nothing_is_shown_of_what_all_can_see() -> None:
    assert visible_paths(["/usr/bin", "/usr/bin/env"]) == []


@pytest.mark.parametrize("closed", ["venv", "venv/lib", "venv/lib/package"])
def test_a_closed_folder_is_refused_by_name(tmp_path: Path, closed: str) -> None:
    package = tmp_path / "venv" / "lib" / "package"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    places = [str(tmp_path / "venv"), str(tmp_path / "venv" / "lib")]
    look = partial(visible_paths, places, homes=[str(tmp_path)], emptied=[])
    assert look() == [str(tmp_path / "venv")]
    (tmp_path / closed).chmod(0o700)
    with pytest.raises(UsageError, match=f"{re.escape(closed)}: mode 0700.*/opt/edge-ser.*chmod"):
        look()


def test_a_closed_folder_above_is_refused_where_there_is_no_home(tmp_path: Path) -> None:
    (tmp_path / "closed" / "venv").mkdir(parents=True)
    (tmp_path / "closed").chmod(0o750)
    with pytest.raises(UsageError, match="mode 0"):
        visible_paths([str(tmp_path / "closed" / "venv")], homes=[], emptied=[])


def test_a_folder_that_is_emptied_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="emptied now and then"):
        visible_paths([str(tmp_path)], homes=[], emptied=[str(tmp_path)])
