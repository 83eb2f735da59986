"""What a long-running command says on standard error, line by line."""

from __future__ import annotations

import io
import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_ser.cli.logs import in_the_journal, log_to_stderr

LOG = logging.getLogger("edge_ser.some_room")

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    logger = logging.getLogger("edge_ser")
    handlers, level = list(logger.handlers), logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


def journal_of(descriptor: int) -> dict[str, str]:
    status = os.fstat(descriptor)
    return {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}


def test_a_terminal_gets_time_level_and_message(capfd: Capture) -> None:
    log_to_stderr("info", {})
    LOG.warning("the microphone %s is gone", "USB")
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d warning the microphone USB is gone\n", capfd.readouterr().err
    )


def test_the_journal_gets_priorities_and_no_times(capfd: Capture) -> None:
    log_to_stderr("debug", journal_of(sys.stderr.fileno()))
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        LOG.log(level, "said")
    assert capfd.readouterr().err == "<7>said\n<6>said\n<4>said\n<3>said\n<3>said\n"


def test_a_variable_of_somebody_elses_stream_is_no_journal(capfd: Capture, tmp_path: Path) -> None:
    with (tmp_path / "other").open("w") as other:
        log_to_stderr("info", journal_of(other.fileno()))
    LOG.info("said")
    assert capfd.readouterr().err.endswith(" info said\n")


@pytest.mark.parametrize("value", ["", "1", "1:2:3", "a:b"])
def test_a_strange_variable_is_no_journal(value: str, capfd: Capture) -> None:
    assert not in_the_journal(sys.stderr, {"JOURNAL_STREAM": value})


def test_a_stream_without_a_descriptor_is_no_journal() -> None:
    assert not in_the_journal(io.StringIO(), {"JOURNAL_STREAM": "1:2"})
    assert not in_the_journal(None, {"JOURNAL_STREAM": "1:2"})


@pytest.mark.parametrize("journal", [False, True])
def test_a_record_is_one_harmless_line(capfd: Capture, journal: bool) -> None:
    log_to_stderr("info", journal_of(sys.stderr.fileno()) if journal else {})
    LOG.error("opening %s", "a\nb\r\x1b[2Jc\x9b")
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert said.endswith("opening a b \\x1b[2Jc\\x9b\n")


def test_an_exception_is_named_in_the_line_with_its_place(capfd: Capture) -> None:
    log_to_stderr("info", {})
    try:
        raise OSError("no such\ndevice")
    except OSError:
        LOG.exception("cannot listen")
    (line,) = capfd.readouterr().err.splitlines()
    assert re.search(
        r"error cannot listen \(OSError: no such device, at test_cli_logs\.py:\d+ in test_an_", line
    )


def test_an_exception_that_was_never_raised_has_no_place(capfd: Capture) -> None:
    log_to_stderr("info", {})
    LOG.error("cannot listen", exc_info=OSError("gone"))
    assert capfd.readouterr().err.endswith("cannot listen (OSError: gone)\n")


def test_less_than_the_level_is_not_said_and_the_last_call_counts(capfd: Capture) -> None:
    log_to_stderr("error", {})
    LOG.warning("unheard")
    log_to_stderr("warning", {})
    LOG.warning("heard")
    LOG.info("unheard")
    assert re.fullmatch(r"\S+ warning heard\n", capfd.readouterr().err)


def test_it_follows_standard_error_where_that_is_replaced(
    capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_to_stderr("info", {})
    view = io.StringIO()
    monkeypatch.setattr(sys, "stderr", view)
    LOG.info("above the view")
    assert view.getvalue().endswith("above the view\n")
    assert capfd.readouterr().err == ""


def test_a_closed_standard_error_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    for nowhere in (closed, None):
        monkeypatch.setattr(sys, "stderr", nowhere)
        log_to_stderr("info", {"JOURNAL_STREAM": "1:2"})
        LOG.info("unheard")
