"""Who starts listening ends it: loops that are left, and processes that end."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_ser.listening import ending
from edge_ser.listening.listener import Listener
from edge_ser.testing import write_tiny_model

from .listener_scripts import GUARD_S, Scripted, scripted, silence, utterances

ENDLESS = 100_000
"""Utterances: nobody waits for the last of them."""


def endless() -> tuple[Listener, Scripted]:
    def script(_: Listener) -> Iterator[Any]:
        for block in utterances(ENDLESS):
            time.sleep(0.0005)
            yield block

    return scripted(script)


def runs(listening: Listener) -> bool:
    return any(thread.is_alive() for thread in listening._threads)


def test_a_loop_that_began_to_listen_ends_it_by_break() -> None:
    listening, source = endless()
    for event in listening:
        assert event.sequence == 1
        break
    assert not runs(listening)
    assert source.closed
    assert list(listening) == [], "it is not begun again"


def test_a_loop_that_began_to_listen_ends_it_by_an_exception() -> None:
    listening, source = endless()
    with pytest.raises(ZeroDivisionError) as caught:
        for _ in listening:
            raise ZeroDivisionError("a robot's bug")
    assert caught.tb is not None, "what holds the frames does not hold the microphone"
    assert not runs(listening)
    assert source.closed


@pytest.mark.parametrize("begin", [Listener.start, Listener.__enter__])
def test_what_was_begun_before_the_loop_goes_on_after_it(begin: Any) -> None:
    listening, source = endless()
    begin(listening)
    seen = []
    for _ in range(2):
        for event in listening:
            seen.append(event.sequence)
            break
    assert seen == sorted(set(seen))
    assert runs(listening)
    assert not source.closed
    assert listening.close()
    assert source.closed


def test_what_was_closed_before_it_began_hears_nothing() -> None:
    listening, _ = endless()
    assert listening.close()
    assert list(listening) == []


def test_a_subscriber_may_close() -> None:
    closed: list[bool] = []

    def script(listening: Listener) -> Iterator[Any]:
        yield from utterances(3)
        yield from silence(60)

    listening, _ = scripted(script, subscribers=[lambda *_: closed.append(listening.close(5))])
    listening.start()
    assert listening.join(GUARD_S)
    assert closed[0] is False, "its own thread has not ended yet"


def test_begun_by_many_threads_it_begins_once() -> None:
    listening, _ = endless()
    together = threading.Barrier(8)

    def start() -> None:
        together.wait(GUARD_S)
        listening.start()

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(GUARD_S)
    assert sorted(thread.name for thread in listening._threads) == ["classify", "listen"]
    assert listening.close()


class Stubborn:
    """Does not end."""

    def __init__(self) -> None:
        self.stopped = False
        self.waited: list[float] = []

    def stop(self) -> None:
        self.stopped = True

    def close(self, timeout: float) -> bool:
        self.waited.append(timeout)
        return False


def test_the_end_of_the_process_waits_for_all_listeners_a_bounded_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ending, "_running", ending.WeakSet())
    stubborn = [Stubborn(), Stubborn()]
    for one in stubborn:
        ending.end_at_exit(one)
    ending._end_all()
    for one in stubborn:
        (waited,) = one.waited
        assert one.stopped
        assert 0 < waited <= ending.EXIT_S


PROGRAM = """
import sys, time
import numpy as np
import edge_ser
from edge_ser.listening import Block

class Mic:
    live, paced, name = False, False, "mic"
    noise = np.random.default_rng(0).normal(0, 0.01, 48_000).astype(np.float32)
    def open(self): pass
    def close(self): print("closed", flush=True)
    def read(self, timeout): return Block(self.noise, 48_000, time.monotonic())

listening = edge_ser.listen(sys.argv[1], source=Mic())
listening.start()
time.sleep(0.7)
"""
"""It ends while its threads are in the resampler or the gate, without a word of stopping."""


FORKS = """
import os, signal
with listening, listening._intake.stopping._cond:  # held for ever, as the child sees it
    child = os.fork()
    if not child:
        from edge_ser.listening import ending
        signal.alarm(10)
        ending._end_all()
        os._exit(0 if listening.close() else 1)
    print("child", os.waitpid(child, 0)[1])
"""


def run(program: str, tmp_path: Path) -> str:
    """What it prints, in a process of its own: other packages, too, watch ends and forks."""
    model = write_tiny_model(tmp_path / "tiny.onnx", {"calm": 0.9, "angry": 0.1}).path
    command = [sys.executable, "-c", program, str(model)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=GUARD_S, check=False)
    assert ended.returncode == 0
    assert "leaked" not in ended.stderr
    return ended.stdout


@pytest.mark.parametrize("_", range(2))
def test_a_program_that_just_ends_ends_cleanly(tmp_path: Path, _: int) -> None:
    assert "closed" in run(PROGRAM, tmp_path)


def test_a_child_of_fork_has_nothing_to_end(tmp_path: Path) -> None:
    assert "child 0" in run(PROGRAM + FORKS, tmp_path)
