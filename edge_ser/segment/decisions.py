"""The energy gate's decisions: levels of frames go in, openings and closings come out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_ser.segment.levels import SILENCE_DB
from edge_ser.segment.options import GateOptions
from edge_ser.segment.utterances import Turn, Utterances

__all__ = ["Decisions"]

Levels = NDArray[np.float64]

START_SHARE = 0.2
"""Share of the first levels of a band that lie below its first floor."""


class Decisions:
    """Two thresholds over the noise floor of each band, frame by frame, as `GateOptions` says.

    A run is a stretch without a gap. The first floor, and with it all decisions, wait for
    `floor_start_ms` of it.
    """

    def __init__(self, options: GateOptions) -> None:
        self._options = options
        self._window = options.frames("smooth_ms")
        self._warm_up = options.frames("floor_start_ms")
        self._utterances = Utterances(options, options.frame_ms, (self._window - 1) // 2)
        self._weight = -math.expm1(-options.frame_ms / max(options.floor_ms, 1e-3))
        self._rise = options.floor_rise_db_per_s * options.frame_ms / 1000
        self._floor: list[float] = []
        self.lookback = max(self._utterances.lookback, self._warm_up)
        self.hangover = self._utterances.hangover
        self._begin()

    def _begin(self) -> None:
        self._waiting: list[Levels] = []
        self._before: Levels | None = None

    @property
    def is_open(self) -> bool:
        """Whether an utterance is running."""
        return self._utterances.is_open

    @property
    def floor_dbfs(self) -> float | None:
        """Level of the noise in all bands together; None while it is not known."""
        if not self._floor:
            return None
        power = math.fsum(10 ** (level / 10) for level in self._floor)
        return max(SILENCE_DB, 10 * math.log10(power))

    def process(self, levels: Levels) -> list[Turn]:
        """What the next frames decide.

        Args:
            levels: as `frame_levels` gives them.
        """
        if self._floor:
            return self._decide(levels)
        self._waiting.append(levels)
        if sum(map(len, self._waiting)) < self._warm_up:
            return []
        return self._warm()

    def end_run(self) -> list[Turn]:
        """Close what is open: the next frame does not follow the last one. Keeps the floor."""
        warming = not self._floor
        turns = self._warm() if self._waiting else []
        turns += self._utterances.end_run()
        self._begin()
        if warming:
            self._floor = []  # a run shorter than the warm-up tells too little of the noise
        return turns

    def _warm(self) -> list[Turn]:
        """Take the first floor from the levels that wait, and decide on them."""
        levels = np.concatenate(self._waiting)
        self._waiting = []
        first = min(len(levels), self._warm_up)
        if not first:
            return []
        bands = self._smoothed(levels[:first])[:, 1:]
        self._before = None
        self._floor = np.sort(bands, axis=0)[int(START_SHARE * (first - 1))].tolist()
        turns = self._decide(levels)
        return [turn._replace(decided=max(turn.decided, first)) for turn in turns]

    def _decide(self, levels: Levels) -> list[Turn]:
        if not len(levels):
            return []
        own = levels[:, 0].tolist()
        return [
            turn
            for level, (smooth, *bands) in zip(own, self._smoothed(levels).tolist(), strict=True)
            for turn in self._step(level, smooth, bands)
        ]

    def _smoothed(self, levels: Levels) -> Levels:
        """Means over the window that ends at each frame; the run's first frame goes before it.

        Every mean is a sum in the same order, so that its bits do not depend on the blocks.
        """
        count = len(levels)
        levels = np.maximum(levels, self._options.quiet_dbfs)
        if self._before is None:
            self._before = np.repeat(levels[:1], self._window - 1, axis=0)
        levels = np.concatenate([self._before, levels])
        self._before = levels[count:]
        total = levels[:count].copy()
        for shift in range(1, self._window):
            total += levels[shift : shift + count]
        return total / self._window

    def _step(self, own: float, smooth: float, bands: Sequence[float]) -> list[Turn]:
        """One frame: follow the noise, and hold the loudest band against the thresholds.

        Args:
            own: level of the frame alone: a click is not to count for longer than it lasts.
            smooth: the same, smoothed.
            bands: smoothed levels of the bands.
        """
        floor, options, weight = self._floor, self._options, self._weight
        is_open, rise, enter = self._utterances.is_open, self._rise, options.enter_db
        most = -math.inf
        for band, (loudness, quiet) in enumerate(zip(bands, floor, strict=True)):
            excess = loudness - quiet
            if is_open and excess > 0:
                change = rise if rise < excess else excess
            else:
                change = weight * (excess if excess < enter else enter)
            floor[band] = quiet + change
            if excess - change > most:
                most = excess - change
        minimum = options.minimum_dbfs
        return self._utterances.step(
            most >= enter and own >= minimum,
            most >= options.leave_db and smooth >= minimum - enter + options.leave_db,
        )
