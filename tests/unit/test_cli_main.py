"""How commands are found, and how they end."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from importlib import import_module
from pathlib import Path

import click
import pytest

from edge_ser import errors
from edge_ser.cli import COMMANDS, LazyGroup, cli, main
from edge_ser.cli.failures import one_line
from edge_ser.cli.progress import progress_bar, results_scroll_by

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """The command `models` raises the one exception of this list."""
    errors_to_raise: list[BaseException] = []

    def callback() -> None:
        raise errors_to_raise[0]

    monkeypatch.setattr(import_module("edge_ser.cli.models").command, "callback", callback)
    monkeypatch.setattr(import_module("edge_ser.cli.models").command, "params", [])
    return errors_to_raise


def test_every_command_is_there_and_named_as_its_file() -> None:
    folder = Path(import_module("edge_ser.cli").__file__ or "").parent
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert (folder / f"{name}.py").is_file()


def test_every_command_takes_debug() -> None:
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        assert "--debug" in {o for p in command.params for o in p.opts}, name


def test_an_unknown_command_is_answered_with_the_nearest(capsys: Capture) -> None:
    assert main(["clasify"]) == 2
    said = capsys.readouterr().err
    assert said == (
        "edge-ser: no command is called 'clasify': did you mean 'classify'? "
        "(see 'edge-ser --help')\n"
    )


def test_a_command_like_nothing_is_answered_with_all(capsys: Capture) -> None:
    assert main(["xyzzy"]) == 2
    assert "there are classify, listen, mics" in capsys.readouterr().err


def test_an_unknown_option_is_answered_with_the_nearest(capsys: Capture) -> None:
    assert main(["models", "--formt", "json"]) == 2
    said = capsys.readouterr().err
    assert "--formt" in said
    assert "--format" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--nope"], ["classify"], ["models", "--format", "xml"]])
def test_usage_errors_are_one_line(arguments: list[str], capsys: Capture) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("edge-ser")
    assert said.err.count("\n") == 1


def test_no_arguments_is_help(capsys: Capture) -> None:
    assert main([]) == 0
    without = capsys.readouterr().out
    assert main(["--help"]) == 0
    assert without == capsys.readouterr().out
    assert all(name in without for name in COMMANDS)


def test_version(capsys: Capture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("edge-ser ")


@pytest.mark.parametrize(
    "kind", [getattr(errors, name) for name in errors.__all__ if name != "ExitCode"]
)
def test_every_error_of_ours_is_one_line_and_its_code(
    kind: type[errors.EdgeSerError], failing: list[BaseException], capsys: Capture
) -> None:
    failing.append(kind("what\nwas given"))
    assert main(["models"]) == kind.exit_code
    assert capsys.readouterr().err == "edge-ser: what was given\n"


def test_a_package_that_is_missing_names_the_pip_of_this_python(
    failing: list[BaseException], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing.append(errors.DependencyError("no x: pip install 'edge-ser[x]'"))
    own = Path(sys.executable).parent
    for path, said in ((str(own), ""), ("/nowhere", f" (its pip: {own / 'pip'})")):
        monkeypatch.setenv("PATH", path)
        main(["models"])
        assert capsys.readouterr().err == f"edge-ser: no x: pip install 'edge-ser[x]'{said}\n"


def test_a_bug_is_one_line_and_70(failing: list[BaseException], capsys: Capture) -> None:
    failing.append(ZeroDivisionError("by zero"))
    assert main(["models"]) == 70
    assert capsys.readouterr().err == (
        "edge-ser: ZeroDivisionError: by zero (this is a bug: run again with --debug)\n"
    )


def test_debug_shows_the_traceback(failing: list[BaseException], capsys: Capture) -> None:
    failing.append(ZeroDivisionError("by zero"))
    assert main(["--debug", "models"]) == 70
    said = capsys.readouterr().err
    assert "Traceback (most recent call last)" in said
    assert said.endswith("by zero (this is a bug)\n")


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (click.Abort(), 130)])
def test_interruption_is_quiet(
    error: BaseException, code: int, failing: list[BaseException], capsys: Capture
) -> None:
    failing.append(error)
    assert main(["models"]) == code
    assert capsys.readouterr().err == ""


def test_sigterm_is_143(monkeypatch: pytest.MonkeyPatch, failing: list[BaseException]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    command = import_module("edge_ser.cli.models").command
    monkeypatch.setattr(command, "callback", lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert main(["models"]) == 143
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_closed_pipe_is_quiet(failing: list[BaseException], capsys: Capture) -> None:
    failing.append(BrokenPipeError(errno.EPIPE, "Broken pipe"))
    assert main(["models"]) == 0
    assert capsys.readouterr().err == ""


def test_an_exit_of_others_is_let_through(failing: list[BaseException]) -> None:
    failing.append(SystemExit(9))
    with pytest.raises(SystemExit):
        main(["models"])


def test_it_runs_in_any_thread(capsys: Capture) -> None:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(main(["--version"])))
    thread.start()
    thread.join()
    assert codes == [0]


def test_nobody_to_tell(failing: list[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    failing.append(errors.AudioError("what"))
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["models"]) == 5


def test_one_line_is_no_book() -> None:
    said = one_line("a card's " + 3_000_000 * "A" + ": correct it")
    assert len(said) < 2100 and said.startswith("a card's A") and said.endswith("A: correct it")


def test_one_line_is_harmless_for_a_terminal() -> None:
    assert one_line("a\n b\x1b[2J") == "a b\\x1b[2J"


def test_completion_of_commands(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("_EDGE_SER_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "edge-ser cl")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert main([]) == 0
    assert capsys.readouterr().out == "plain,classify\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_says_where_it_goes(shell: str, capsys: Capture) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "_EDGE_SER_COMPLETE" in script
    assert f"# Completion of edge-ser for {shell}. Its place: " in script
    assert script.startswith("#compdef edge-ser\n#" if shell == "zsh" else "# Completion")


def test_completion_takes_the_shell_in_use(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert main(["completion"]) == 0
    assert "for fish" in capsys.readouterr().out
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    assert main(["completion"]) == 2
    assert "'tcsh'): name one: bash, zsh, fish" in capsys.readouterr().err


def test_help_imports_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a command was loaded for --help")

    monkeypatch.setattr(LazyGroup, "get_command", refuse)
    assert main(["--help"]) == 0


class TestProgressBar:
    def test_nobody_is_told_where_it_is_not_shown(self, capfd: Capture) -> None:
        with progress_bar(shown=False) as progress:
            progress(1, 2)
        assert capfd.readouterr() == ("", "")

    def test_it_is_on_standard_error(
        self, capsys: Capture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FORCE_COLOR", "1")  # what makes rich take any stream for a terminal
        monkeypatch.setenv("TERM", "xterm")
        with progress_bar(shown=True) as progress:
            progress(2, 2)
        said = capsys.readouterr()
        assert said.out == ""
        assert "2/2" in said.err

    @pytest.mark.parametrize(
        ("output", "terminal", "expected"),
        [(None, True, True), ("-", True, True), ("x", True, False), (None, False, False)],
    )
    def test_results_on_a_terminal_are_progress_enough(
        self, output: str | None, terminal: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
        assert results_scroll_by(output) is expected


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["classify", "--help"]])
def test_a_full_disk_under_the_help_is_no_bug(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(arguments) == 6
    assert capsys.readouterr().err == (
        "edge-ser: No space left on device: make room, or write to another place\n"
    )


@pytest.mark.parametrize("words", [None, "edge-ser 'inspect "])
def test_completion_never_disturbs_the_line_that_is_typed(
    words: str | None, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("_EDGE_SER_COMPLETE", "bash_complete")
    if words is not None:
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", "x")
    assert main([]) == 2
    assert capsys.readouterr() == ("", "")
