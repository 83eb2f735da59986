"""Clips: decoding, downmixing, resampling, conditioning and fitting to length."""

from __future__ import annotations

from edge_ser.audio.clip import Clip, Recording, as_clip
from edge_ser.audio.conditioning import active_level, fit, level_gain, set_level
from edge_ser.audio.files import AudioFile, open_recording, read_clip
from edge_ser.audio.resampling import RateConverter, Resampler, resample

__all__ = [
    "AudioFile",
    "Clip",
    "RateConverter",
    "Recording",
    "Resampler",
    "active_level",
    "as_clip",
    "fit",
    "level_gain",
    "open_recording",
    "read_clip",
    "resample",
    "set_level",
]
