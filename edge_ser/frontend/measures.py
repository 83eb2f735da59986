"""What functionals measure of a clip: names, and the bands of its changes. Data alone."""

from __future__ import annotations

__all__ = ["BAND_GROUP", "MELODY", "MODULATION_HZ", "STATISTICS"]

STATISTICS = (
    *("mean", "deviation", "skewness", "kurtosis", "slope"),
    *("q05", "q25", "q50", "q75", "q95"),
)
"""Of every track of a clip, in functionals."""
MODULATION_HZ = (0.7, 1.4, 2.8, 4.0, 5.6, 8.0, 11.3, 16.0, 30.0)
"""Edges of the bands in which the changes of tracks are measured."""
BAND_GROUP = 4
"""Neighbouring mel bands whose changes are measured together."""
MELODY = (
    *(f"pitch.{name}" for name in ("q05", "q20", "q50", "q80", "q95", "mean", "deviation")),
    *("pitch.q80_q20", "pitch.q95_q05", "pitch.step", "pitch.step_deviation", "pitch.step_mean"),
    *("pitch.slope", "pitch.last_first_third", "harmonics.mean", "harmonics.deviation"),
    *("harmonics.q10", "harmonics.q50", "harmonics.q90", "strength.mean", "strength.deviation"),
    *("voiced.share", "voiced.seconds", "voiced.seconds_deviation", "voiced.seconds_longest"),
    *("voiced.runs_per_second", "voiced.level_deviation", "level.step_deviation", "level.step"),
    *("level.q10_peak", "level.q25_peak", "level.q50_peak", "level.q75_peak"),
    *("voiced.level", "pitch.outcry"),
)
"""Of a clip: its melody, harmonics-to-noise ratio, voiced runs and level, in functionals."""
