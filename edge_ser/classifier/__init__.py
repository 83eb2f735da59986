"""From a clip to a prediction.

model = load_model()                 # the default model; or a name, or a file
model("clip.wav").label
model(samples, rate=16000).scores
"""

from __future__ import annotations

from edge_ser.classifier.following import FollowingClassifier
from edge_ser.classifier.model import Classifier
from edge_ser.classifier.opening import load_model
from edge_ser.classifier.outputs import Outputs
from edge_ser.classifier.prediction import NO_SPEECH, Outcome, Prediction, Segment
from edge_ser.classifier.profile import (
    Profile,
    believed,
    known_population,
    profile_of,
    profile_text,
    profile_with,
    read_profile,
)
from edge_ser.classifier.rolling import RollingClassifier

__all__ = [
    "NO_SPEECH",
    "Classifier",
    "FollowingClassifier",
    "Outcome",
    "Outputs",
    "Prediction",
    "Profile",
    "RollingClassifier",
    "Segment",
    "believed",
    "known_population",
    "load_model",
    "profile_of",
    "profile_text",
    "profile_with",
    "read_profile",
]
