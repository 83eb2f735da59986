"""Hysteresis and durations: yes and no of every frame become utterances. Kept by frame."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from edge_ser.segment.options import GateOptions

__all__ = ["Turn", "Utterances"]


class Turn(NamedTuple):
    """The gate opens or closes, in frames of the run."""

    opens: bool
    frame: int
    """First frame of the padded utterance, or the frame after its last."""
    decided: int
    """Frames that had been looked at."""


class Utterances:
    """Where utterances begin and end. A run is a stretch of a stream without a gap."""

    def __init__(self, options: GateOptions, frame_ms: float, late: int = 0) -> None:
        """Begin a run.

        Args:
            options: durations.
            frame_ms: milliseconds of a frame.
            late: frames by which what is said of a frame comes late.
        """

        def frames(milliseconds: float, least: int = 1) -> int:
            return max(least, round(milliseconds / frame_ms))

        self._min_speech = frames(options.min_speech_ms)
        min_silence = frames(options.min_silence_ms)
        # The silence is over `late` frames after its last frame was looked at: no need to wait.
        self._min_silence = max(1, min_silence - late)
        self._padding = min(frames(options.padding_ms, 0), min_silence)
        self._onset = max(frames(options.onset_ms), self._min_speech)
        self._late = late
        self.lookback = self._onset + self._padding + late
        """Most frames by which an opening lies before its decision."""
        self.hangover = self._min_silence + late - self._padding
        """Frames by which a closing lies before its decision."""
        self._begin()

    def _begin(self) -> None:
        self.is_open = False
        self._frames = 0
        self._opened = self._closed = 0
        self._start: int | None = None
        self._last = 0
        self._loud: deque[int] = deque(maxlen=self._min_speech)

    def step(self, enters: bool, stays: bool) -> list[Turn]:
        """One frame: is it above the upper threshold, is it above the lower one?"""
        now = self._frames
        self._frames += 1
        if stays:
            if self._start is None:
                self._start = now
            self._last = now
            if enters:
                self._loud.append(now)
                if not self.is_open and self._confirmed(now):
                    return [self._open(max(self._start, now + 1 - self._onset))]
        elif self._start is not None and now - self._last >= self._min_silence:
            turns = [self._close()] if self.is_open else []
            self._start = None
            self._loud.clear()
            return turns
        return []

    def end_run(self) -> list[Turn]:
        """Close what is open: the next frame does not follow the last one."""
        turns = [self._close()] if self.is_open else []
        self._begin()
        return turns

    def _confirmed(self, now: int) -> bool:
        """Enough frames above the upper threshold, near enough to each other."""
        return len(self._loud) == self._min_speech and now - self._loud[0] < self._onset

    def _open(self, first: int) -> Turn:
        self.is_open = True
        self._opened = max(first - self._late - self._padding, self._closed)
        return Turn(True, self._opened, self._frames)

    def _close(self) -> Turn:
        self.is_open = False
        end = max(self._last + 1 - self._late + self._padding, self._opened + 1)
        self._closed = min(end, self._frames)
        return Turn(False, self._closed, self._frames)
