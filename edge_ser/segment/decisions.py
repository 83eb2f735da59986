"""The gate's decisions: frame levels go in, openings and closings come out. Kept by frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from edge_ser.segment.options import GateOptions

__all__ = ["Decisions", "Turn"]


class Turn(NamedTuple):
    """The gate opens or closes, in frames of the run."""

    opens: bool
    frame: int
    """First frame of the padded utterance, or the frame after its last."""
    decided: int
    """Frames that had been looked at."""


class Decisions:
    """Two thresholds over a noise floor, frame by frame. A run is a stretch without a gap.

    The first floor, and with it all decisions, wait for `floor_start_ms` of the first run.
    """

    def __init__(self, options: GateOptions) -> None:
        self.options = options
        self.padding = min(options.frames("padding_ms", 0), options.frames("min_silence_ms"))
        self.min_speech = options.frames("min_speech_ms")
        self.min_silence = options.frames("min_silence_ms")
        self.hangover = self.min_silence - self.padding
        self.onset = max(options.frames("onset_ms"), self.min_speech)
        self.warm_up = options.frames("floor_start_ms")
        self.lookback = max(self.onset + self.padding, self.warm_up)
        self.floor: float | None = None
        self._rise = options.floor_rise_db_per_s * options.frame_ms / 1000
        self._begin()

    def _begin(self) -> None:
        """Begin a run."""
        self._waiting: list[float] = []
        self._frames = 0
        self._free = 0
        self._start: int | None = None
        self._last = 0
        self._loud: deque[int] = deque(maxlen=self.min_speech)
        self.is_open = False

    def process(self, levels: Iterable[float]) -> list[Turn]:
        """What the next frames decide.

        Args:
            levels: in dB re full scale.
        """
        if self.floor is not None:
            return [turn for level in levels for turn in self._step(level)]
        self._waiting.extend(levels)
        if len(self._waiting) < self.warm_up:
            return []
        return self._warm()

    def end_run(self) -> list[Turn]:
        """Close what is open: the next frame does not follow the last one. Keeps the floor."""
        warming = self.floor is None
        turns = self._warm() if self._waiting else []
        if self.is_open:
            turns.append(Turn(False, min(self._frames, self._end()), self._frames))
        self._begin()
        if warming:
            self.floor = None  # a shorter stretch tells too little of the noise
        return turns

    def _warm(self) -> list[Turn]:
        """Take the first floor from the levels that wait, and decide on them."""
        waiting, self._waiting = self._waiting, []
        first = len(waiting[: self.warm_up])
        self.floor = min(waiting[:first])
        turns = [turn for level in waiting for turn in self._step(level)]
        return [turn._replace(decided=max(turn.decided, first)) for turn in turns]

    def _step(self, level: float) -> Iterable[Turn]:
        """One frame."""
        assert self.floor is not None
        options, now = self.options, self._frames
        self._frames += 1
        self.floor = min(level, self.floor + self._rise)
        if level >= max(self.floor + options.leave_db, options.minimum_dbfs):
            if self._start is None:
                self._start = now
            self._last = now
            if level >= self.floor + options.enter_db:
                self._loud.append(now)
                if not self.is_open and self._is_speech(now):
                    self.is_open = True
                    earliest = max(self._start, now + 1 - self.onset) - self.padding
                    yield Turn(True, max(earliest, self._free), now + 1)
        elif self._start is not None and now - self._last >= self.min_silence:
            if self.is_open:
                self._free = self._end()
                yield Turn(False, self._free, now + 1)
            self._start, self.is_open = None, False
            self._loud.clear()

    def _is_speech(self, now: int) -> bool:
        """Enough frames above the upper threshold, near enough to each other."""
        return len(self._loud) == self.min_speech and now - self._loud[0] < self.onset

    def _end(self) -> int:
        """Frame after the last of the padded utterance."""
        return self._last + 1 + self.padding
