"""Listening: from a microphone, a pipe or a file to events, for months.

for event in listen("emotion-emodb", mic="USB"):
    print(event.label, event.start_s)

Leaving that loop ends listening; within `with listen(...) as listener:` it goes on.

A source's blocks go through `Capture` (faults), `Front` (rate, gate, cutting) and a bounded queue
to `Inference` (model, decider), which gives events to whoever iterates or subscribes.
"""

from __future__ import annotations

from edge_ser.listening.attending import Attendant
from edge_ser.listening.clock import Clock, StreamClock, SystemClock
from edge_ser.listening.listener import Listener
from edge_ser.listening.opening import listen, make_clock, make_source
from edge_ser.listening.options import SourceOptions
from edge_ser.listening.pipeline import Listening
from edge_ser.listening.source import Block, Source, SourceEnded

__all__ = [
    "Attendant",
    "Block",
    "Clock",
    "Listener",
    "Listening",
    "Source",
    "SourceEnded",
    "SourceOptions",
    "StreamClock",
    "SystemClock",
    "listen",
    "make_clock",
    "make_source",
]
