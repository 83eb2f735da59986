"""How a benchmark is run: `BenchOptions`, and MLPerf's rule."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edge_ser.errors import UsageError

__all__ = ["BenchOptions", "as_mlperf"]


@dataclass(frozen=True)
class BenchOptions:
    """When warming up and when measuring ends. Batch 1: the next clip when the last has ended."""

    runs: int = 128
    """Clips that are timed, at least; 64 and 662 are needed to state p90 and p99."""
    least_s: float = 20.0
    """Seconds for which clips are timed, at least; shorter runs differ more from each other."""
    most_s: float = 60.0
    """Seconds after which timing ends, however few clips there were."""
    warm_up_clips: int = 10
    """Clips before the first timed one, at least."""
    warm_up_s: float = 5.0
    """Seconds after which warming up ends, steady or not."""
    cold_starts: int = 5
    """Fresh processes whose way to the first result is timed; 0 leaves that out."""
    hop_s: float = 1.0
    """Seconds between two windows of the streaming mode, about: whole STFT hops."""
    stream_s: float = 20.0
    """Seconds of audio that the streaming mode hears; 0 leaves it out."""
    seed: int = 0
    """Of the order of the clips, of synthetic speech and of the bootstrap."""
    mlperf: bool = False
    """MLPerf Inference's rule for a single stream: 1,024 queries and 600 s, and p90 counts."""

    def __post_init__(self) -> None:
        if self.runs < 1:
            raise UsageError(f"{self.runs} runs, expected at least one: choose 64 or more")
        if not 0 < self.least_s <= self.most_s:
            raise UsageError(
                f"{self.least_s:g} s at least and {self.most_s:g} s at most, expected the least to "
                "be positive and no longer than the most"
            )


def as_mlperf(options: BenchOptions) -> BenchOptions:
    """The same under MLPerf's rule (mlcommons/inference, mlperf.conf: SingleStream).

    >>> as_mlperf(BenchOptions()).runs
    1024
    """
    return replace(options, runs=1024, least_s=600.0, most_s=3600.0, mlperf=True)
