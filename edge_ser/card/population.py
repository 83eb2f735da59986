"""`Population`: how the speakers of the training data differ. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_ser.card.checks import require
from edge_ser.card.numbers import encoded, floats

__all__ = ["Population"]

MAX_VALUES = 65_536
LARGEST = 1e6
"""Of a mean; features are decibels, semitones and shares."""
MAX_TEXT = 1_000_000
"""Characters of both together."""


@dataclass(frozen=True)
class Population:
    """What a profile of one speaker is weighed against: a number for each value of the features.

    A speaker's own mean is not known from a few clips, which differ by what is felt in them, too.
    Of the mean of n clips the share n / (n + doubt) is believed: the best linear guess where
    speakers' means vary by B and a speaker's clips by W is W / B for `doubt` (James-Stein).
    """

    mean: str
    """Base64 of little-endian float32: the mean over speakers."""
    doubt: str
    """Base64 of little-endian float32, each at least 0: the number of clips after which half of a
    speaker's own mean is believed."""

    def __post_init__(self) -> None:
        size = len(self.mean) + len(self.doubt)
        require(size <= MAX_TEXT, f"population has {size} characters, at most {MAX_TEXT}")
        mean, doubt = self.means(), self.doubts()
        require(
            0 < len(mean) == len(doubt) <= MAX_VALUES,
            f"population has {len(mean)} means and {len(doubt)} doubts, expected as many, 1 to "
            f"{MAX_VALUES}",
        )
        require(max(map(abs, mean)) <= LARGEST, f"population.mean has a number beyond {LARGEST:g}")
        require(min(doubt) >= 0, f"population.doubt has {min(doubt)}, expected 0 or more")

    def means(self) -> Sequence[float]:
        """The mean over speakers of each value of the features."""
        return floats("population.mean", self.mean)

    def doubts(self) -> Sequence[float]:
        """Clips after which half of a speaker's own mean is believed, of each value."""
        return floats("population.doubt", self.doubt)

    @classmethod
    def of(cls, mean: Sequence[float], doubt: Sequence[float]) -> Population:
        """The population of these numbers, rounded to float32.

        Raises:
            CardError: too many, not as many, not finite, or a doubt below 0.
        """
        return cls(encoded(mean), encoded(doubt))
