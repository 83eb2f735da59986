"""Signals of a long-running command: one after the other, none lost, none deadly."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from edge_ser.cli.steering import Steering

HUP, INT, TERM = signal.SIGHUP, signal.SIGINT, signal.SIGTERM
USR1, USR2 = signal.SIGUSR1, signal.SIGUSR2
GUARD_S = 60


class Forced:
    """Takes the place of what ends the process."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        self.happened = threading.Event()

    def __call__(self, code: int) -> None:
        self.codes.append(code)
        self.happened.set()


def steered(forced: Forced, latest_s: float = GUARD_S) -> Steering:
    return Steering(forced, latest_s, kernel=lambda seconds: None)


def test_what_is_asked_early_is_done_later_in_the_order_of_asking() -> None:
    steering = steered(Forced())
    for number in (USR1, HUP, USR2, USR1, USR1):
        steering.take(number)
    done: list[int] = []
    steering.obey({number: lambda n=number: done.append(n) for number in (HUP, USR1, USR2)})
    assert done == [HUP, USR2, USR1]
    steering.take(USR2)
    assert done == [HUP, USR2, USR1, USR2]


@pytest.mark.parametrize(("number", "status"), [(TERM, 0), (INT, 130)])
def test_the_first_signal_that_ends_it_counts(number: signal.Signals, status: int) -> None:
    forced = Forced()
    steering = steered(forced, latest_s=0.0)
    done: list[int] = []
    steering.obey({TERM: lambda: done.append(TERM), INT: lambda: done.append(INT)})
    for asked in (number, TERM, INT, number):
        steering.take(asked)
    assert done == [number]
    assert steering.status == status
    assert forced.happened.wait(GUARD_S)
    assert forced.codes == [status]


def test_the_kernel_is_asked_too_in_case_no_thread_can_run() -> None:
    asked: list[int] = []
    Steering(Forced(), 2.5, kernel=asked.append).take(TERM)
    assert asked == [4]


def test_nobody_asked_to_end() -> None:
    assert steered(Forced()).status is None


def test_a_handler_that_fails_is_said_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    steering = steered(Forced())
    done: list[int] = []

    def broken() -> None:
        raise ValueError("no")

    steering.obey({HUP: broken, USR1: lambda: done.append(USR1)})
    steering.take(HUP)
    steering.take(USR1)
    assert done == [USR1]
    assert "SIGHUP: ValueError: no" in caplog.text


BEFORE = """\
import os, signal, sys, threading, time
from edge_ser.cli.steering import steering
HUP, INT, TERM = signal.SIGHUP, signal.SIGINT, signal.SIGTERM
USR1, USR2 = signal.SIGUSR1, signal.SIGUSR2
me = os.getpid()
"""


def ended(script: str) -> subprocess.CompletedProcess[str]:
    """What a Python process of its own does with these lines."""
    return subprocess.run(
        [sys.executable, "-c", BEFORE + textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=GUARD_S,
    )


def test_a_flood_of_signals_passes() -> None:
    done = ended("""
        with steering() as steered:
            flag, over = threading.Event(), threading.Event()
            toggle = lambda: (flag.set(), flag.clear())
            steered.obey({HUP: toggle, USR1: toggle, USR2: toggle, TERM: over.set})
            for _ in range(3000):
                for number in (HUP, USR1, USR2):
                    os.kill(me, number)
                toggle()
            os.kill(me, TERM)
            assert over.wait(30)
        print("ended", steered.status)
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended 0\n", "")


def test_before_anybody_obeys_no_signal_kills() -> None:
    done = ended("""
        with steering() as steered:
            for number in (HUP, USR1, USR2):
                os.kill(me, number)
            heard = []
            deadline = time.monotonic() + 30
            steered.obey({n: lambda n=n: heard.append(int(n)) for n in (HUP, USR1, USR2)})
            while len(heard) < 3 and time.monotonic() < deadline:
                time.sleep(0.01)
        print(sorted(heard))
    """)
    assert (done.returncode, done.stdout) == (0, "[1, 10, 12]\n"), done.stderr


@pytest.mark.parametrize(("number", "status"), [("TERM", 0), ("INT", 130)])
def test_what_hangs_is_ended_with_the_status_that_was_promised(number: str, status: int) -> None:
    done = ended(f"""
        with steering(latest_s=0.1) as steered:
            steered.obey({{}})
            os.kill(me, {number})
            time.sleep(300)
    """)
    assert (done.returncode, done.stderr) == (status, "")


def test_on_the_way_out_further_signals_do_no_harm() -> None:
    done = ended("""
        with steering() as steered:
            over = threading.Event()
            steered.obey({TERM: over.set})
            os.kill(me, TERM)
            assert over.wait(30)
        for number in (TERM, INT, HUP, USR1):
            os.kill(me, number)
        print("ended", flush=True)
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended\n", "")


def test_afterwards_signals_are_as_before() -> None:
    done = ended("""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        for _ in range(50):
            with steering() as steered:
                steered.obey({USR1: lambda: None})
                os.kill(me, USR1)
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
        assert threading.active_count() == 1
        os.kill(me, USR2)
    """)
    assert (done.returncode, done.stderr) == (-USR2, "")


def test_another_thread_steers_nothing() -> None:
    done = ended("""
        def run():
            with steering() as steered:
                steered.obey({})
            print(steered.status)
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    """)
    assert (done.returncode, done.stdout) == (0, "None\n"), done.stderr
