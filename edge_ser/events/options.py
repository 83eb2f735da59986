"""Options of the decider: seconds and probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from edge_ser.errors import CardError, ConfigError

__all__ = ["DecideOptions"]

BOUNDS = {
    "smoothing_s": (0.0, 3600.0),
    "switch_margin": (0.0, 1.0),
    "min_duration_s": (0.0, 3600.0),
    "refractory_s": (0.0, 86_400.0),
    "no_speech_after_s": (0.0, 86_400.0),
}


@dataclass(frozen=True)
class DecideOptions:
    """When scores become an event. The first three concern windows alone."""

    smoothing_s: float = 1.0
    """Seconds; time constant of the exponential average over an utterance's windows; 0: none."""
    switch_margin: float = 0.1
    """Probability by which a label must lead the decided one to take its place."""
    min_duration_s: float = 0.0
    """Seconds that a label must hold before it is reported, between the ends of its windows."""
    refractory_s: float = 0.0
    """Seconds after a report during which the same result is not reported again; 0: none."""
    no_speech_after_s: float | None = None
    """Seconds of silence after which `no_speech` is reported, once; never, without."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Least probability of single labels, below which they are uncertain; others have the card's
    `uncertain_below`."""

    def __post_init__(self) -> None:
        for name, (low, high) in BOUNDS.items():
            value = getattr(self, name)
            if name != "no_speech_after_s" or value is not None:
                _check(name, value, low, high)
        if not isinstance(self.thresholds, Mapping):
            raise ConfigError(
                f"decide: thresholds is {self.thresholds!r}, expected label = probability, ..."
            )
        for label, value in self.thresholds.items():
            _check(f"thresholds.{label}", value, 0.0, 1.0)

    @classmethod
    def recommended(cls, values: Mapping[str, object]) -> DecideOptions:
        """The options that a card recommends; what it does not name keeps its default.

        Raises:
            CardError: a value is of another type or out of range.
        """
        known = {f.name: values[f.name] for f in fields(cls) if f.name in values}
        try:
            return cls(**known)  # type: ignore[arg-type]  # checked by `__post_init__`
        except ConfigError as error:
            raise CardError(f"deciding: {error}; correct the card") from error


def _check(name: str, value: object, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"decide: {name} is {value!r}, expected a number")
    if not low <= value <= high:
        raise ConfigError(f"decide: {name} is {value}, expected {low:g} to {high:g}")
