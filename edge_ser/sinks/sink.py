"""`Sink`: where events go. Each runs behind a bounded queue and a thread of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from edge_ser.audio import Clip
    from edge_ser.events import Event

__all__ = ["Sink"]


class Sink(Protocol):
    """Something that takes events one at a time, in its own thread."""

    @property
    def name(self) -> str:
        """What it is called in messages."""

    @property
    def wants_audio(self) -> bool:
        """It is given the clip with the event; others get None."""

    def write(self, event: Event, clip: Clip | None) -> None:
        """Take one event. After an error it is given the same event again, until it takes it.

        Raises:
            StorageError: it cannot be written now; it is kept and tried again.
            BrokenPipeError: whoever read this has gone for good.
        """

    def close(self) -> None:
        """Flush what is held and let go of it."""
