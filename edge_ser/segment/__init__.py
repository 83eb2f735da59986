"""Segmenting: the speech gate and the cutting of long stretches of speech."""

from __future__ import annotations

from edge_ser.segment.gate import GateOptions, frame_levels, frame_samples, speech_segments
from edge_ser.segment.windows import split_evenly

__all__ = ["GateOptions", "frame_levels", "frame_samples", "speech_segments", "split_evenly"]
