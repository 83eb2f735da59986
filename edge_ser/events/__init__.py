"""Events: what listening reports, and the decider that makes them of predictions."""

from __future__ import annotations

from edge_ser.events.decider import Decider, Decision
from edge_ser.events.event import Event, EventKind, State, Status
from edge_ser.events.options import DecideOptions

__all__ = ["DecideOptions", "Decider", "Decision", "Event", "EventKind", "State", "Status"]
