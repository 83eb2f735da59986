"""The sd_notify protocol on a real socket."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_ser.listening.notify import LONGEST_STATUS, Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """The service manager's end, and what it puts into NOTIFY_SOCKET."""
    name = str(tmp_path / "notify")
    if request.param == "abstract":
        name = f"@edge-ser-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(name.replace("@", "\0"))
        end.settimeout(10)
        yield end, name


def heard(end: socket.socket) -> str:
    return end.recv(4096).decode()


def test_each_message_is_one_datagram(manager: tuple[socket.socket, str]) -> None:
    end, name = manager
    notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "3000000"})
    notifier.ready()
    assert heard(end) == "READY=1"
    notifier.status("listening: 3 events")
    assert heard(end) == "STATUS=listening: 3 events"
    notifier.watchdog()
    assert heard(end) == "WATCHDOG=1"
    notifier.stopping()
    assert heard(end) == "STOPPING=1"


def test_reloading_carries_the_monotonic_time(manager: tuple[socket.socket, str]) -> None:
    end, name = manager
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    Notifier({"NOTIFY_SOCKET": name}).reloading()
    first, second = heard(end).split("\n")
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert first == "RELOADING=1"
    key, _, microseconds = second.partition("=")
    assert key == "MONOTONIC_USEC"
    assert before <= int(microseconds) <= after


def test_a_status_cannot_smuggle_in_another_message(manager: tuple[socket.socket, str]) -> None:
    end, name = manager
    notifier = Notifier({"NOTIFY_SOCKET": name})
    notifier.status("a microphone called\nSTOPPING=1\udc80")
    assert heard(end) == "STATUS=a microphone called STOPPING=1?"
    notifier.status("x" * 100_000)
    assert heard(end) == "STATUS=" + "x" * LONGEST_STATUS


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_at_half_its_time(
    variables: dict[str, str], seconds: float | None
) -> None:
    assert Notifier({"NOTIFY_SOCKET": "/nowhere", **variables}).interval_s == seconds


def test_another_process_s_watchdog_is_not_fed(manager: tuple[socket.socket, str]) -> None:
    end, name = manager
    notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "1"})
    notifier.watchdog()
    notifier.stopping()
    assert heard(end) == "STOPPING=1"


def test_children_inherit_neither_variables_nor_socket(
    manager: tuple[socket.socket, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    end, name = manager
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    monkeypatch.setenv("WATCHDOG_USEC", "5000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    notifier = Notifier()
    program = "import os; print([k for k in os.environ if k.startswith(('NOTIFY', 'WATCHDOG'))])"
    child = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert child.stdout.strip() == "[]"
    notifier.ready()
    assert heard(end) == "READY=1"


def test_a_full_queue_drops_and_does_not_wait(manager: tuple[socket.socket, str]) -> None:
    end, name = manager
    notifier = Notifier({"NOTIFY_SOCKET": name})
    for number in range(5000):  # more than any queue of datagrams; would hang if it waited
        notifier.status(str(number))
    end.setblocking(False)
    held = []
    with pytest.raises(BlockingIOError):
        while True:
            held.append(heard(end))
    assert 0 < len(held) < 5000
    assert held == [f"STATUS={number}" for number in range(len(held))]
    notifier.ready()
    assert heard(end) == "READY=1"


@pytest.mark.parametrize(
    "address", ["", "relative", "vsock:2:1234", "/nowhere/at/all", "@" + "x" * 400, "/a\0b"]
)
def test_without_a_manager_nothing_happens(address: str) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000"})
    notifier.ready()
    notifier.status("here")
    notifier.watchdog()
    notifier.reloading()
    notifier.stopping()


def test_nothing_set_means_no_watchdog() -> None:
    assert Notifier({"WATCHDOG_USEC": "1000000"}).interval_s is None
