"""Segmenting: the speech gate and the cutting of long stretches of speech."""

from __future__ import annotations

from edge_ser.segment.gate import speech_segments
from edge_ser.segment.levels import frame_levels
from edge_ser.segment.options import GateOptions, frame_samples
from edge_ser.segment.pieces import Piece
from edge_ser.segment.segmenter import Segmenter, SegmentOptions
from edge_ser.segment.stream_gate import (
    GATES,
    Boundary,
    EnergyGate,
    SpeechGate,
    make_gate,
)
from edge_ser.segment.windows import CROP_LIMIT, split_pieces

__all__ = [
    "CROP_LIMIT",
    "GATES",
    "Boundary",
    "EnergyGate",
    "GateOptions",
    "Piece",
    "SegmentOptions",
    "Segmenter",
    "SpeechGate",
    "frame_levels",
    "frame_samples",
    "make_gate",
    "speech_segments",
    "split_pieces",
]
