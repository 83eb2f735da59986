"""Augmentation: clips that train, changed as rooms, microphones and people might have done.

Numpy alone, no framework. Only clips that train are augmented, after the split: a changed copy of a
clip among those that test would be heard twice.
"""

from __future__ import annotations

from edge_ser.lab.augmentation.applying import augment, copies, mask_features
from edge_ser.lab.augmentation.draws import OneOf
from edge_ser.lab.augmentation.masks import FeatureStep
from edge_ser.lab.augmentation.reading import (
    STEPS,
    Augmentation,
    as_mapping,
    name_of,
    preset,
    presets,
    read_augmentation,
)
from edge_ser.lab.augmentation.steps import Step, WaveformStep

__all__ = [
    "STEPS",
    "Augmentation",
    "FeatureStep",
    "OneOf",
    "Step",
    "WaveformStep",
    "as_mapping",
    "augment",
    "copies",
    "mask_features",
    "name_of",
    "preset",
    "presets",
    "read_augmentation",
]
