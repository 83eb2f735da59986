"""`Capture`: the blocks of a source for ever, whatever befalls a microphone in the meantime.

A live source that is absent, busy, refused, silent, unplugged or was asleep is closed and opened
again until it is back; what was missed is marked on the first block after it. A source that can
wait (file, pipe) is not supervised: it ends, or raises.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Event

import numpy as np

from edge_ser.errors import AudioError, EdgeSerError
from edge_ser.listening.clock import Clock
from edge_ser.listening.options import SourceOptions
from edge_ser.listening.source import Block, Source, SourceEnded, checked

__all__ = ["RECOVERED", "Capture"]

LOG = logging.getLogger("edge_ser.capture")

RECOVERED = "recovered"
"""The cause that `report` is called with when audio comes again."""
TICK_S = 0.25
"""Longest wait after which `stopping` is looked at."""
QUIET_S = 0.5
"""Seconds for which a paced source is left alone while nothing hurries: no more than the shortest
utterance and the silence that ends it take together, so that no event comes later for it."""
MOST_BLOCKS = 100
"""That are handed on as one."""
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
"""Seconds before a source is opened again: from the first, doubled at each attempt, to this."""
GOOD_S = 10.0
"""Seconds of audio without a fault after which the next wait is the first one again."""
SLEPT_S = 0.5
"""Growth of `Clock.suspended` that is a sleep, and not two clocks read one after the other."""


class FaultError(Exception):
    """A live source is to be closed and opened again."""

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause


class Capture:
    """Iterates over the blocks of a source until it ends or `stopping` is set.

    `state` says what it does: "opening", "capturing", "waiting: " with the reason, "ended".
    """

    def __init__(
        self,
        source: Source,
        clock: Clock,
        stopping: Event,
        report: Callable[[str, str], None],
        options: SourceOptions | None = None,
        beat: Callable[[], None] = lambda: None,
        hurried: Callable[[], bool] = lambda: True,
    ) -> None:
        """Supervise a source.

        Args:
            source: not open yet; it is closed when the iteration ends.
            clock: only its monotonic side is used: the wall clock may be set at will.
            stopping: ends the iteration within `QUIET_S`, that of a wait included.
            report: called with a cause and one line at every fault, every failed attempt to mend
                it and every recovery. Causes: absent (does not open), unplugged (breaks off),
                stall, suspend, error (raises what it should not), recovered; and what a source that
                goes on gives as the cause of samples it lost. `state` is up to date when called.
            options: `stall_s` is used.
            beat: called several times a second, unless a call of the source hangs.
            hurried: whether the next block matters at once. Otherwise a paced source is left alone
                for `QUIET_S` and what has come is then handed on as one block: fewer wake-ups.
        """
        self.state = "opening"
        self._source = source
        self._clock = clock
        self._stopping = stopping
        self._report = report
        self._beat = beat
        self._hurried = hurried
        self._stall_s = (options or SourceOptions()).stall_s
        self._wait_s = FIRST_WAIT_S
        self._fault: FaultError | None = None
        self._held: Block | None = None
        self._slept_s = 0.0
        self._until_s: float | None = None

    def __iter__(self) -> Iterator[Block]:
        """The blocks; iterated over anew it opens the source anew, and that pause is no gap.

        Raises:
            AudioError: a source that can wait is absent or damaged.
            EdgeSerError: what no waiting mends: a package is missing, an option is wrong, a source
                gives what is no audio.
        """
        self._fault = self._until_s = None
        try:
            while not self._stopping.is_set():
                try:
                    yield from self._session()
                except FaultError as fault:
                    self._fault = self._fault or fault  # what began it is the cause of the gap
                    self.state = f"waiting: {fault}"
                    self._report(fault.cause, str(fault))
                    self._close()
                    self._wait()
        except SourceEnded:
            pass
        finally:
            self._close()
            self.state = "ended"

    def _session(self) -> Iterator[Block]:
        """From an opening of the source to its next fault."""
        self._slept_s = self._clock.suspended()
        with self._faults("absent"):
            self._source.open()
        heard_s = self._clock.monotonic()
        good_s = 0.0
        while not self._stopping.is_set():
            self._beat()
            in_quiet = self._source.paced and not self._hurried()
            with self._faults("unplugged"):
                block = self._gather() if in_quiet else self._read(TICK_S)
            self._check_sleep()
            if block is None:
                self._check_stall(self._clock.monotonic() - heard_s)
                if in_quiet:
                    self._clock.sleep(QUIET_S)
                continue
            good_s = 0.0 if block.lost else good_s + len(block.samples) / block.rate
            if good_s >= GOOD_S:
                self._wait_s = FIRST_WAIT_S
            yield self._marked(block)
            heard_s = self._clock.monotonic()

    def _read(self, timeout: float) -> Block | None:
        """The next block, from the source unless one is held."""
        held, self._held = self._held, None
        if held is not None:
            return held
        block = self._source.read(timeout)
        return None if block is None else checked(block, self._source.name)

    def _gather(self) -> Block | None:
        """All blocks that have come, as one; what does not continue them is held."""
        blocks: list[Block] = []
        try:
            while len(blocks) < MOST_BLOCKS:
                block = self._read(0.0)
                if block is None:
                    break
                if blocks and (block.lost or block.rate != blocks[0].rate):
                    self._held = block
                    break
                blocks.append(block)
        except Exception:
            if not blocks:  # what is broken says so again
                raise
        if len(blocks) < 2:
            return blocks[0] if blocks else None
        samples = np.concatenate([block.samples for block in blocks])
        return replace(blocks[0], samples=samples, captured=blocks[-1].captured)

    @contextmanager
    def _faults(self, cause: str) -> Iterator[None]:
        """What a live source raises within is a fault: also what a binding should not raise."""
        try:
            yield
        except SourceEnded:
            raise
        except AudioError as error:
            if not self._source.live:
                raise
            raise FaultError(cause, str(error)) from error
        except Exception as error:
            if isinstance(error, EdgeSerError) or not self._source.live:
                raise
            LOG.debug("%s", self._source.name, exc_info=True)
            shown = f"{type(error).__name__}: {error}".splitlines()[0]
            raise FaultError("error", f"{self._source.name}: {shown}") from error

    def _check_sleep(self) -> None:
        """A device rarely survives the sleep of its machine; what it says then is not believed."""
        slept_s = self._clock.suspended() - self._slept_s
        if self._source.live and slept_s > SLEPT_S:
            name = self._source.name
            raise FaultError(
                "suspend", f"{name}: the machine slept for {slept_s:.0f} s: opening anew"
            )

    def _check_stall(self, silent_s: float) -> None:
        if self._source.live and silent_s >= self._stall_s:
            raise FaultError(
                "stall", f"{self._source.name}: no audio for {self._stall_s:g} s: opening anew"
            )

    def _marked(self, block: Block) -> Block:
        """The block, with what was missed since the one before it."""
        fault, self._fault = self._fault, None
        before_s = self._until_s
        # Time asleep is missed audio too, but the monotonic clock stands still in it.
        self._until_s = block.captured + self._clock.suspended()
        self.state = "capturing"
        name = self._source.name
        if fault is None:
            if block.lost:
                cause = block.cause or "overflow"
                shown = f"{block.lost / block.rate:.3f} s of audio lost ({cause})"
                self._report(cause, f"{name}: {shown}")
            return block
        if before_s is None:
            self._report(RECOVERED, f"{name}: audio")
            return block
        missed_s = self._until_s - before_s - len(block.samples) / block.rate
        # At least one: the stream is broken here however short the gap.
        lost = max(1, block.lost, round(missed_s * block.rate))
        self._report(RECOVERED, f"{name}: audio again, {lost / block.rate:.1f} s missed")
        return replace(block, lost=lost, cause=fault.cause)

    def _wait(self) -> None:
        """Back off, unless listening stops."""
        until_s = self._clock.monotonic() + self._wait_s
        self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)
        while not self._stopping.is_set():
            rest_s = until_s - self._clock.monotonic()
            if rest_s <= 0:
                return
            self._beat()
            self._clock.sleep(min(rest_s, TICK_S))

    def _close(self) -> None:
        """Let go of the source, in whatever state it is."""
        try:
            self._source.close()
        except Exception:
            LOG.debug("%s: closing", self._source.name, exc_info=True)
