"""A recording as a source: at the pace of speech, or as fast as it can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from edge_ser.errors import AudioError
from edge_ser.listening.clock import Clock, StreamClock
from edge_ser.listening.pcm_layout import LOUDEST
from edge_ser.listening.source import Block, SourceEnded

if TYPE_CHECKING:
    from edge_ser.audio import AudioFile

__all__ = ["FileSource"]


class FileSource:
    """An audio file, mixed down to mono, in bounded memory. It can wait: nothing is lost."""

    live = False

    def __init__(
        self,
        path: str,
        clock: Clock,
        pace: Literal["real", "fast"] = "real",
        block_ms: float = 100.0,
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            path: of any file that libsndfile reads.
            clock: one that a stream drives is advanced by every block.
            pace: `real` hands a sample out no sooner after `open` than it would have been spoken
                (whoever reads late catches up); `fast` does not wait.
            block_ms: milliseconds of audio in a block; the last one holds what is left.
        """
        self._path = path
        self._clock = clock
        self._pace = pace
        self.paced = pace == "real"
        self._block_ms = block_ms
        self._file: AudioFile | None = None
        self._position = 0
        self._opened = 0.0

    @property
    def name(self) -> str:
        """The path as it was given."""
        return self._path

    def open(self) -> None:
        """Open the file, at its start.

        Raises:
            AudioError: there is no such file, or it is no audio.
            DependencyError: soundfile is not installed.
        """
        from edge_ser.audio import open_recording

        self.close()
        self._file = open_recording(self._path)
        self._position = 0
        self._opened = self._clock.monotonic()

    def read(self, timeout: float) -> Block | None:
        """The next block; None where it is not due within `timeout` seconds.

        Raises:
            SourceEnded: the file has ended, or is not open.
            AudioError: the file is damaged within this block, or no audio can be so loud; those
                before it were handed out.
        """
        file = self._file
        if file is None or self._position >= file.length:
            raise SourceEnded(f"{self._path}: at its end")
        rate = file.rate
        count = min(max(1, round(rate * self._block_ms / 1000)), file.length - self._position)
        if self._pace == "real":
            due = self._opened + (self._position + count) / rate
            wait = due - self._clock.monotonic()
            if wait > 0:
                self._clock.sleep(min(wait, timeout))
            if wait > timeout:
                return None
        elif isinstance(self._clock, StreamClock):
            self._clock.advance(count / rate)
        samples = file.read(self._position, count)
        if not (np.abs(samples) <= LOUDEST).all():
            raise AudioError(
                f"{self._path}: a sample at {self._position / rate:.1f} s is beyond {LOUDEST:g}, "
                "expected values about -1 to 1: repair or record it again"
            )
        self._position += count
        captured = due if self._pace == "real" else self._clock.monotonic()
        return Block(samples, rate, captured)

    def close(self) -> None:
        """Close the file."""
        file, self._file = self._file, None
        if file is not None:
            file.close()
