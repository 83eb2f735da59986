"""The service in a machine that really boots: systemd in a container on an overlay of this system.

Its microphone is a sound server out here, reached as PulseAudio is by any program: a socket. What
happens within is told by `tests/nspawn_boot/inside.py`; it takes the best part of a minute, once.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ser.service.unit import command_line, render
from edge_ser.signals import demo_clip
from edge_ser.zoo import DEFAULT_MODEL

CHECKOUT = Path(__file__).resolve().parents[2]
INSIDE = CHECKOUT / "tests" / "nspawn_boot" / "inside.py"
RATE = 16_000
BLOCK_S = 0.02
TIMEOUT_S = 170
"""Seconds after which the machine is taken to hang."""
OUTER = ("benchmarks", "deploy", "models")
HOME = "home/maker"
ODD_WORDS = [
    "a b",
    "100%",
    "%n",
    "$HOME",
    "${HOME}",
    'say "x"',
    "it's",
    "\\n",
    "a\nb",
    ";",
    "",
    "ü",
]

DROP_IN = """\
[Service]
Environment=PULSE_SERVER=unix:/mnt/pulse/native
WatchdogSec=6
RestartSec=1
TimeoutAbortSec=2
"""
"""What a test cannot wait for, and where the sound is; all else is as it is installed."""
CHECK = f"""\
[Unit]
After=multi-user.target systemd-journald.service
[Service]
Type=oneshot
TimeoutStartSec={TIMEOUT_S}
ExecStart=/usr/bin/python3 /mnt/check/inside.py
"""
SAVE_WORDS = "import json, sys; json.dump(sys.argv[1:], open('/run/odd-words.json', 'w'))"
pytestmark = pytest.mark.needs("pulseaudio", "systemd_nspawn")


@contextmanager
def mounted(kind: str, place: Path, *options: str) -> Iterator[None]:
    subprocess.run(["mount", "-t", kind, kind, *options, str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def speaking(fifo: Path) -> Iterator[None]:
    """Into the pipe that is a microphone: the clip, 1.5 s of silence, again and again, in time."""
    clip = np.concatenate([demo_clip(RATE), np.zeros(int(1.5 * RATE), np.float32)])
    sound = (clip * 32767).astype("<i2").tobytes()
    size = int(BLOCK_S * RATE) * 2
    silent = threading.Event()

    def speak() -> None:
        with fifo.open("r+b", buffering=0) as pipe:  # r+: opening does not wait for a reader
            os.set_blocking(pipe.fileno(), False)
            start, at = time.monotonic(), 0
            while not silent.wait(max(0.0, start + at / (2 * RATE) - time.monotonic())):
                piece = (sound[at % len(sound) :] + sound)[:size]
                at += size
                pipe.write(piece)  # a full pipe loses it, as a microphone that nobody hears

    thread = threading.Thread(target=speak)
    thread.start()
    try:
        yield
    finally:
        silent.set()
        thread.join()


@contextmanager
def sound_server(folder: Path) -> Iterator[None]:
    """PulseAudio with one microphone and a socket in `folder` that asks nobody who he is."""
    (folder / "home").mkdir()
    environment = {
        **os.environ,
        "HOME": str(folder / "home"),
        "XDG_RUNTIME_DIR": str(folder / "home"),
    }
    microphone = f"file={folder / 'mic.fifo'} rate={RATE} channels=1 format=s16le"
    command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
    socket = folder / "native"
    # The pipe first: where the socket is, the pipe is too.
    command += ["-L", f"module-pipe-source source_name=microphone {microphone}"]
    command += ["-L", f"module-native-protocol-unix auth-anonymous=1 socket={socket}"]
    log = (folder / "server.log").open("wb")
    with log, ended(subprocess.Popen(command, env=environment, stdout=log, stderr=log)):
        deadline = time.monotonic() + 20
        while not socket.exists():
            assert time.monotonic() < deadline, (folder / "server.log").read_text()
            time.sleep(0.05)
        with speaking(folder / "mic.fifo"):
            yield


def interpreter() -> str:
    """The system's Python where our packages fit it, otherwise the one that runs this."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    if Path("/usr/bin/python3").exists():
        system = subprocess.run(["/usr/bin/python3", "-c", ask], capture_output=True, text=True)
        if system.stdout.strip() == version:
            return "/usr/bin/python3"
    return os.path.realpath(sys.executable)


def put_package(folder: Path) -> None:
    """The package as a wheel would lay it out."""
    leave = shutil.ignore_patterns("__pycache__", "folds", "records")
    shutil.copytree(CHECKOUT / "edge_ser", folder / "edge_ser", ignore=leave)
    for name in OUTER:
        shutil.copytree(CHECKOUT / name, folder / "edge_ser" / name, ignore=leave)


def make_environment(root: Path, place: str, python: str, package: str | None = None) -> None:
    """A virtual environment at `place` of the machine, and the command in it.

    package: where edge-ser's source lies, as in an editable install; within it, without.
    """
    folder = root / place
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = folder / "lib" / version / "site-packages"
    site.mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(python)
    home = os.path.dirname(python)
    (folder / "pyvenv.cfg").write_text(f"home = {home}\ninclude-system-site-packages = false\n")
    put_package(root / package if package else site)
    paths = ["/opt/site", *([f"/{package}"] if package else [])]
    (site / "test.pth").write_text("\n".join(paths) + "\n")
    # As pip writes it, so that blanks in the path do no harm.
    script = folder / "bin" / "edge-ser"
    script.write_text(
        f"#!/bin/sh\n'''exec' \"/{place}/bin/python\" \"$0\" \"$@\"\n' '''\n"
        "import sys\nfrom edge_ser.cli import main\nsys.exit(main())\n"
    )
    script.chmod(0o755)


def furnish(root: Path) -> None:
    """Two environments: one under /opt, and one in a home of mode 0700 with all its pitfalls."""
    python = interpreter()
    make_environment(root, "opt/edge-ser", python)
    own = root / HOME / ".pyenv/versions/own"
    (own / "bin").mkdir(parents=True)
    shutil.copy(os.path.realpath(python), own / "bin/python3")
    library = Path(os.path.realpath(python)).parents[1] / "lib"
    (own / "lib").symlink_to(library)
    (own.parent / "current").symlink_to("own")
    make_environment(
        root, f"{HOME}/my 100% env", f"/{HOME}/.pyenv/versions/current/bin/python3", f"{HOME}/src"
    )
    (root / HOME).chmod(0o700)
    units = root / "etc/systemd/system"
    for wanted in units.glob("*.wants"):
        shutil.rmtree(wanted)
    (units / "edge-ser.service").unlink(missing_ok=True)
    (root / "etc/edge-ser.toml").unlink(missing_ok=True)
    (units / "edge-ser.service.d").mkdir(exist_ok=True)
    (units / "edge-ser.service.d/test.conf").write_text(DROP_IN)
    (units / "check.service").write_text(CHECK)
    words = command_line(["/usr/bin/python3", "-c", SAVE_WORDS, *ODD_WORDS])
    (units / "odd-words.service").write_text(f"[Service]\nType=oneshot\nExecStart={words}\n")
    limits = render(["/usr/bin/python3", "/mnt/check/limits.py"])
    (units / "limits.service").write_text(limits.replace("Type=notify", "Type=oneshot"))
    for name in ("mnt/out", "mnt/pulse", "mnt/check", "opt/site"):
        (root / name).mkdir(parents=True, exist_ok=True)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What was seen in the machine."""
    work = tmp_path_factory.mktemp("machine")
    for name in ("root", "memory", "out", "pulse"):
        (work / name).mkdir()
    binds = {
        "/mnt/out": work / "out",
        "/mnt/pulse": work / "pulse",
        "/mnt/check": INSIDE.parent,
        "/opt/site": Path(sysconfig.get_paths()["purelib"]),
    }
    with ExitStack() as stack:
        stack.enter_context(mounted("tmpfs", work / "memory"))
        upper, scratch = work / "memory/upper", work / "memory/work"
        upper.mkdir()
        scratch.mkdir()
        layers = f"lowerdir=/,upperdir={upper},workdir={scratch}"
        stack.enter_context(mounted("overlay", work / "root", "-o", layers))
        furnish(work / "root")
        stack.enter_context(sound_server(work / "pulse"))
        command = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network"]
        command += ["-D", str(work / "root"), "--boot", "--console=pipe"]
        command += [f"--bind{'' if a == '/mnt/out' else '-ro'}={b}:{a}" for a, b in binds.items()]
        with (work / "console.log").open("wb") as console:
            machine = subprocess.Popen(
                [*command, "systemd.unit=check.service"],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )
            stack.enter_context(ended(machine))
            machine.wait(TIMEOUT_S)
    written = work / "out" / "report.json"
    assert written.exists(), (work / "console.log").read_text()
    found = json.loads(written.read_text())
    assert "failure" not in found, "\n".join([found["failure"], *found["journal"]])
    yield found


def running(seen: dict[str, str]) -> tuple[str, str]:
    return seen["ActiveState"], seen["SubState"]


def test_it_starts_and_says_what_was_done(report: dict[str, Any]) -> None:
    assert report["install"]["status"] == 0, report["install"]
    assert "started it: it is ready" in report["install"]["out"]
    assert report["install"]["err"] == ""
    assert running(report["started"]) == ("active", "running")
    assert report["started"]["NRestarts"] == "0"


def test_it_hears_with_all_its_hardening_on(report: dict[str, Any]) -> None:
    events = [event for event in report["events"] if event["pid"] == report["started"]["MainPID"]]
    assert events[0]["kind"] == "utterance"
    assert events[0]["model"] == DEFAULT_MODEL
    assert -40 < events[0]["level_dbfs"] < 0


@pytest.mark.parametrize("which", ["confined", "confined_home"])
def test_it_runs_confined(report: dict[str, Any], which: str) -> None:
    seen = report[which]
    assert int(seen["uid"]) > 1000
    assert seen["state_owner"] == int(seen["uid"])
    assert seen["capabilities"] == 0
    assert seen["no_new_privileges"] == "1"
    assert seen["seccomp"] == "2"
    assert seen["interfaces"] == ["lo"]
    assert seen["root_is_read_only"]
    assert seen["root_home"] == []
    assert seen["home"] == ([] if which == "confined" else ["maker"])


def test_what_its_confinement_allows_and_denies(report: dict[str, Any]) -> None:
    assert report["limits_run"]["status"] == 0, report["limits_run"]
    denied = "Operation not permitted"
    assert report["limits"] == {
        "read what the group audio may read": "done",
        "write into the state folder": "done",
        "write into /etc": "Read-only file system",
        "make a local socket": "done",
        "make an internet socket": "Address family not supported by protocol",
        "make a namespace": denied,
        "set the clock": denied,
        "become root": denied,
    }


def test_killed_it_is_started_again_and_hears(report: dict[str, Any]) -> None:
    assert report["killed"]["NRestarts"] == "1"
    pid = report["killed"]["MainPID"]
    assert pid != report["started"]["MainPID"]
    assert any(event["pid"] == pid for event in report["events"])


def test_hung_it_is_aborted_by_the_watchdog_and_started_again(report: dict[str, Any]) -> None:
    assert report["hung"]["NRestarts"] == "2"
    assert report["hung"]["MainPID"] != report["killed"]["MainPID"]
    journal = "\n".join(report["journal"])
    assert "Failed with result 'watchdog'" in journal
    assert f"edge-ser[{report['killed']['MainPID']}]: Fatal Python error: Aborted" in journal


def test_it_reloads_in_place_and_stops_well(report: dict[str, Any]) -> None:
    assert report["reload"]["status"] == 0, report["reload"]
    assert report["reloaded"]["MainPID"] == report["hung"]["MainPID"]
    assert running(report["stopped"]) == ("inactive", "dead")
    assert report["stopped"]["Result"] == "success"
    assert report["stopped"]["ExecMainStatus"] == "0"


def test_its_status_is_told(report: dict[str, Any]) -> None:
    assert report["status"]["status"] == 0
    lines = report["status"]["out"].splitlines()
    assert lines[0].startswith("edge-ser   active (running)")
    assert "restarts   2" in lines
    assert "edge-ser[" in lines[-1] or "systemd[" in lines[-1]
    assert report["status_stopped"]["status"] == 1
    (record,) = json.loads(report["status_stopped"]["out"])
    assert not record["active"]
    assert record["enabled"]


def test_it_runs_from_a_home_that_is_closed(report: dict[str, Any]) -> None:
    assert report["install_home"]["status"] == 0, report["install_home"]
    assert report["install_home"]["out"].startswith("kept /etc/edge-ser.toml\nreplaced ")
    unit = report["unit_home"].splitlines()
    shown = [line.partition("=")[2] for line in unit if line.startswith("BindReadOnlyPaths=")]
    assert shown == [
        f"/{HOME}/.pyenv/versions/current",
        f"/{HOME}/.pyenv/versions/own",
        f'"/{HOME}/my 100%% env"',
        f"/{HOME}/src",
    ]
    assert running(report["started_home"]) == ("active", "running")
    assert report["program_home"][0] == f"/{HOME}/my 100% env/bin/python"
    pid = report["started_home"]["MainPID"]
    assert any(event["pid"] == pid for event in report["events"])


def test_a_start_that_fails_says_why_and_is_not_repeated(report: dict[str, Any]) -> None:
    assert report["install_broken"]["status"] == 3
    assert "/no/such.tflite" in report["install_broken"]["err"]
    assert running(report["broken"]) == ("failed", "failed")
    assert report["broken"]["NRestarts"] == "0"
    assert report["install_misspelt"]["status"] == 2
    assert "microphone" in report["install_misspelt"]["err"]


def test_uninstalling_leaves_the_settings(report: dict[str, Any]) -> None:
    assert report["uninstall"]["status"] == 0, report["uninstall"]
    assert report["config_left"] == "# changed by its owner\n"
    # The test's own changes to the unit are left too, as they must be; there is no unit any more.
    assert "left /etc/systemd/system/edge-ser.service.d" in report["uninstall"]["out"]
    assert report["again"]["status"] == 2


def test_systemd_reads_back_the_words_that_were_quoted(report: dict[str, Any]) -> None:
    assert report["odd_words"] == ODD_WORDS
