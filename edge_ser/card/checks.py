"""Checks of a card's values, each with its one-line error. Standard library only."""

from __future__ import annotations

import re

from edge_ser.errors import CardError

__all__ = ["MAX_CLIP_SAMPLES", "check_hash", "check_label", "check_text", "require", "within"]

MAX_TEXT = 20_000
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line separators, changes of direction, half a surrogate pair: a card's text
goes to terminals, file names and web pages."""
NO_SPEECH = "no_speech"
"""What an answer says of silence, so that no label may."""
MAX_CLIP_SAMPLES = 1 << 24


def require(condition: bool, message: str) -> None:
    """Raise CardError unless `condition` holds."""
    if not condition:
        raise CardError(f"card: {message}; correct the card or export the model again")


def within(name: str, value: float, least: float, most: float) -> None:
    """Require least <= value <= most."""
    require(least <= value <= most, f"{name} is {value}, expected {least:g} to {most:g}")


def check_text(name: str, text: str, limit: int = MAX_TEXT, empty: bool = False) -> None:
    """Require a text of at most `limit` characters, more than blanks unless `empty`."""
    require(
        (empty or text.strip() != "") and len(text) <= limit,
        f"{name} has {len(text)} characters, expected {0 if empty else 1} to {limit}",
    )


def check_label(label: str) -> None:
    """Require a label that can be shown, and that stands for no answer of our own."""
    check_text("a label", label, limit=200)
    require(not UNPRINTABLE.search(label), f"the label {label!a} has control characters")
    require(label != NO_SPEECH, f"a label is {NO_SPEECH}, which stands for silence")


def check_hash(name: str, text: str) -> None:
    """Require the hex digits of a SHA-256."""
    require(
        re.fullmatch("[0-9a-f]{64}", text) is not None, f"{name} is not 64 hex digits of SHA-256"
    )
