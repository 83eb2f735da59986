"""A model adapted to a voice, a microphone or labels of one's own, from a few clips.

    made = adapt("emotion-emodb", read_corpus("my_recordings/"), "mine.tflite")
    made.before, made.after    # an estimate: each clip answered by a layer fitted without it

    heard = profile_recordings(load_model("emotion-emodb"), paths)      # no labels
    load_model("emotion-emodb", profile=heard.profile)

The graph stays as it is, byte by byte. What is fitted is a linear layer on its embedding, which
the card carries and numpy applies: no framework is needed, only what runs the model. A profile
of clips without labels changes neither: it is taken off the features.
"""

from __future__ import annotations

from edge_ser.adaptation.adapting import Adapted, Figures, adapt, starting_layer
from edge_ser.adaptation.fitting import L2, Layer, answers, fit, left_out
from edge_ser.adaptation.speaker import Heard, profile_recordings

__all__ = [
    "L2",
    "Adapted",
    "Figures",
    "Heard",
    "Layer",
    "adapt",
    "answers",
    "fit",
    "left_out",
    "profile_recordings",
    "starting_layer",
]
