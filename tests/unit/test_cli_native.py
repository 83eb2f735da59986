"""Descriptor 2, below sys.stderr: what libraries print there, and what is seen of it."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import textwrap

import pytest

from edge_ser.cli.native import quiet_libraries, quiet_runtime

Capture = pytest.CaptureFixture[str]
GUARD_S = 60


class TestQuietRuntime:
    def test_kept_back_when_the_call_succeeds(self, capfd: Capture) -> None:
        with quiet_runtime():
            os.write(2, b"INFO: chatter\n")
        os.write(2, b"after\n")
        assert capfd.readouterr().err == "after\n"

    def test_shown_when_the_call_fails(self, capfd: Capture) -> None:
        with pytest.raises(ValueError, match="no"), quiet_runtime():
            os.write(2, b"ERROR: reason\n")
            raise ValueError("no")
        assert capfd.readouterr().err == "ERROR: reason\n"

    def test_a_flood_is_shown_from_its_end(self, capfd: Capture) -> None:
        with pytest.raises(ValueError, match="no"), quiet_runtime():
            os.write(2, b"x" * 100_000 + b"end\n")
            raise ValueError("no")
        said = capfd.readouterr().err
        assert said.endswith("end\n")
        assert len(said) < 20_000

    def test_announcements_explain_no_failure(self, capfd: Capture) -> None:
        with pytest.raises(ValueError, match="no"), quiet_runtime():
            os.write(2, b"INFO: Created a delegate\nERROR: no kernel \xff\n")
            raise ValueError("no")
        assert capfd.readouterr().err == "ERROR: no kernel \\xff\n"

    def test_let_through_when_asked(self, capfd: Capture) -> None:
        with quiet_runtime(show=True):
            os.write(2, b"INFO: chatter\n")
            assert capfd.readouterr().err == "INFO: chatter\n"

    def test_without_a_temporary_folder_it_is_not_quiet_but_works(
        self, monkeypatch: pytest.MonkeyPatch, capfd: Capture
    ) -> None:
        def refusing() -> None:
            raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

        monkeypatch.setattr("tempfile.TemporaryFile", refusing)
        with quiet_runtime():
            os.write(2, b"INFO: chatter\n")
        assert capfd.readouterr().err == "INFO: chatter\n"


BEFORE = """\
import logging, os, sys, threading, warnings
from edge_ser.cli.native import quiet_libraries, quiet_runtime
def chatter():
    os.write(2, b"chatter\\n")
"""


def ended(script: str, redirection: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    """What a Python process of its own does with these lines, libraries being quiet."""
    lines = BEFORE + textwrap.dedent(script)
    return subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" {redirection}', sys.executable, lines],
        capture_output=True,
        text=True,
        timeout=GUARD_S,
        env={**os.environ, **environ},
    )


class TestQuietLibraries:
    def test_what_they_print_is_not_seen_and_what_python_says_is(self) -> None:
        done = ended("""
            from edge_ser.cli.logs import log_to_stderr
            with quiet_libraries():
                log_to_stderr("info", {})
                chatter()
                logging.getLogger("edge_ser").warning("heard")
                print("said", file=sys.stderr)
                warnings.warn("watch out")
                def fail():
                    raise ValueError("in a thread")
                thread = threading.Thread(target=fail)
                thread.start()
                thread.join()
            os.write(2, b"after\\n")
            print("later", file=sys.stderr)
        """)
        assert done.returncode == 0
        assert "chatter" not in done.stderr
        assert re.match(r"\d\d:\d\d:\d\d warning heard\nsaid\n", done.stderr)
        assert "UserWarning: watch out" in done.stderr
        assert "ValueError: in a thread" in done.stderr
        assert done.stderr.endswith("after\nlater\n")

    def test_an_error_that_ends_it_is_said(self) -> None:
        done = ended("""
            with quiet_libraries():
                chatter()
                raise ValueError("a bug")
        """)
        assert done.returncode == 1
        assert done.stderr.endswith("ValueError: a bug\n")
        assert "chatter" not in done.stderr

    @pytest.mark.parametrize("environ", [{}, {"PYTHONFAULTHANDLER": "1"}])
    def test_a_crash_says_where(self, environ: dict[str, str]) -> None:
        done = ended(
            """
            def inner():
                os.abort()
            with quiet_libraries():
                chatter()
                inner()
            """,
            **environ,
        )
        assert done.returncode == -signal.SIGABRT
        assert done.stderr.startswith("Fatal Python error: Aborted\n")
        assert "in inner\n" in done.stderr

    @pytest.mark.parametrize(
        ("environ", "told"), [({}, False), ({"PYTHONFAULTHANDLER": "1"}, True)]
    )
    def test_afterwards_a_crash_is_told_as_before(
        self, environ: dict[str, str], told: bool
    ) -> None:
        done = ended(
            """
            with quiet_libraries():
                pass
            os.abort()
            """,
            **environ,
        )
        assert ("Fatal Python error" in done.stderr) is told

    def test_a_runtime_that_fails_meanwhile_is_heard(self) -> None:
        done = ended("""
            with quiet_libraries():
                try:
                    with quiet_runtime():
                        print("said", file=sys.stderr)
                        os.write(2, b"ERROR: no kernel\\n")
                        raise ValueError
                except ValueError:
                    chatter()
        """)
        assert done.stderr == "said\nERROR: no kernel\n"

    def test_all_of_it_is_seen_when_asked(self) -> None:
        done = ended("""
            with quiet_libraries(show=True):
                chatter()
        """)
        assert done.stderr == "chatter\n"

    def test_standard_input_that_is_closed_stays_so(self) -> None:
        done = ended(
            """
            with quiet_libraries():
                try:
                    os.fstat(0)
                except OSError as error:
                    print(error.strerror)
            """,
            "0<&-",
        )
        assert done.stdout == "Bad file descriptor\n"

    def test_another_standard_error_is_left_alone(self, capsys: Capture) -> None:
        before = sys.stderr
        with quiet_libraries():
            assert sys.stderr is before
            print("said", file=sys.stderr)
        assert capsys.readouterr().err == "said\n"


@pytest.mark.parametrize("quiet", ["quiet_libraries", "quiet_runtime"])
def test_without_a_standard_error_it_works(quiet: str) -> None:
    done = ended(
        f"""
        with {quiet}():
            print("ran")
        print(sys.stderr)
        """,
        "2>&-",
    )
    assert (done.returncode, done.stdout) == (0, "ran\nNone\n")
