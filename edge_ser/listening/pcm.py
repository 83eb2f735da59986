"""Samples from standard input or a FIFO, raw or as WAV: from `arecord`, `ffmpeg`, `sox`."""

from __future__ import annotations

import logging
import os
import select
import stat
import sys

from edge_ser.audio.clip import check_layout
from edge_ser.errors import AudioError, UsageError
from edge_ser.listening.clock import Clock, StreamClock
from edge_ser.listening.pcm_layout import RAW, Layout, as_mono, find_layout
from edge_ser.listening.source import Block, SourceEnded

__all__ = ["PcmSource", "is_pipe"]

LOG = logging.getLogger("edge_ser.listening")

STDIN = "-"
MOST_PARTS = 1000
"""Of a pipe that are taken in a row: who writes on for ever after a WAV must not keep its reader,
not even where the clock stands still without audio."""


def is_pipe(path: str) -> bool:
    """`path` is `-` or names a FIFO: what `PcmSource` reads."""
    try:
        return path == STDIN or stat.S_ISFIFO(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


class PcmSource:
    """Interleaved samples from a pipe, raw unless a WAV header comes first, as mono.

    A pipe makes its writer wait, so nothing is dropped here however late it is read (`live` is
    false): `cat speech.raw | edge-ser listen --input -` hears every sample. A writer that cannot
    wait, as arecord, loses audio in its own buffer if it is kept waiting for longer than that
    holds, and tells only its own user ("overrun"); `--mic` counts such losses.

    Standard input ends with its writer. A FIFO does not: the next writer is waited for, the time
    in between counts as lost (cause "writer"), and its WAV header, if any, is read anew. A writer
    of what is no audio is said, and the next one waited for.
    """

    live = paced = False  # a pipe holds a third of a second or less

    def __init__(
        self,
        path: str,
        rate: int | None,
        channels: int,
        sample_format: str,
        clock: Clock,
        channel: int | None = None,
        block_ms: float = 100.0,
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            path: of a FIFO, or `-` for standard input.
            rate: Hertz of raw samples; without, only WAV is taken.
            channels: of raw samples.
            sample_format: of raw samples, `s16le` or `f32le`.
            clock: one that a stream drives is advanced by every block.
            channel: the one to listen to, from 1; the mean of all without.
            block_ms: milliseconds of audio in a block; less before a writer's end.
        """
        self._path = path
        self._raw = (rate, channels, RAW[sample_format])
        self._clock = clock
        self._channel = channel
        self._block_ms = block_ms
        self._fd = -1
        self._poll = select.poll()
        self._captured = 0.0
        self._until: float | None = None
        self._start_writer()

    @property
    def name(self) -> str:
        """The path as it was given, or `stdin`."""
        return "stdin" if self._path == STDIN else self._path

    def open(self) -> None:
        """Open the FIFO, whether it has a writer or not; go on with standard input.

        Raises:
            AudioError: it is not there, no pipe, or may not be read.
        """
        self.close()
        if self._path == STDIN:
            self._watch(self._stdin())
            return
        self._start_writer()
        self._until = None
        self._watch(self._fifo())

    def read(self, timeout: float) -> Block | None:
        """The next block; None where it is not complete within `timeout` seconds.

        Raises:
            SourceEnded: the writer has closed standard input.
            AudioError: the pipe cannot be read; standard input does not hold such samples.
            UsageError: standard input holds raw samples, and their rate was not given.
        """
        deadline = self._clock.monotonic() + timeout
        for _ in range(MOST_PARTS):
            try:
                block = self._take()
            except AudioError as error:
                self._refuse(error)
                block = None
            if block is not None:
                return block
            if self._ended:
                self._next_writer()
            wait = max(0.0, deadline - self._clock.monotonic())
            if not self._poll.poll(wait * 1000):
                return None
            self._receive()
        return None

    def close(self) -> None:
        """Let go of the FIFO; standard input stays open."""
        self._say_what_was_not_heard()
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._poll.unregister(fd)
            if self._path != STDIN:
                os.close(fd)

    def _stdin(self) -> int:
        try:
            fd = sys.stdin.fileno()
        except (AttributeError, OSError, ValueError) as error:
            raise AudioError(
                "stdin: closed, expected samples: pipe them in, or name a file or microphone"
            ) from error
        if os.isatty(fd):
            raise AudioError(
                "stdin: a terminal, expected samples: pipe them in, as with "
                "`arecord -f S16_LE -r 16000 | edge-ser listen --input -`"
            )
        return fd

    def _fifo(self) -> int:
        try:
            # Without O_NONBLOCK it would wait here for a writer.
            fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise AudioError(
                f"{self._path}: {reason}, expected a FIFO: check the path, or make it with mkfifo"
            ) from error
        if not stat.S_ISFIFO(os.fstat(fd).st_mode):
            os.close(fd)
            raise AudioError(f"{self._path}: no pipe, expected a FIFO: make it with mkfifo")
        return fd

    def _watch(self, fd: int) -> None:
        self._fd = fd
        self._poll.register(fd, select.POLLIN)

    def _start_writer(self) -> None:
        """What follows may begin with a header."""
        self._held = bytearray()
        self._layout: Layout | None = None
        self._left: int | None = None
        self._ended = False
        self._joined = False
        self._refused = False
        self._beyond = 0

    def _next_writer(self) -> None:
        """Wait for another writer of a FIFO; a pipe without a name can have none."""
        self._say_what_was_not_heard()
        if not self._has_a_name():
            raise SourceEnded(f"{self.name}: closed by its writer")
        # Opened before the old end is closed: a writer is never without a reader.
        fd = self._fifo()
        self.close()
        self._start_writer()
        self._joined = self._until is not None
        self._watch(fd)

    def _has_a_name(self) -> bool:
        """Another writer can find it: neither standard input nor what a shell calls /dev/fd/63."""
        return self._path != STDIN and os.path.exists(os.path.realpath(self._path))

    def _receive(self) -> None:
        """Take what the pipe holds, at most what a block still needs."""
        layout = self._layout
        if layout is None:  # twice as much each time: a long header is not searched for ever
            wanted = max(4096, len(self._held))
        else:
            wanted = self._block_bytes(layout) - len(self._held)
        try:
            data = os.read(self._fd, wanted)
        except BlockingIOError:
            return
        except OSError as error:
            raise AudioError(
                f"{self.name}: {error.strerror}, expected samples: check what writes them"
            ) from error
        self._captured = self._clock.monotonic()
        self._ended = not data
        if self._refused:
            return
        self._hold(data)
        if self._layout is None:
            try:
                self._find_layout()
            except (AudioError, UsageError) as error:
                self._refuse(error)

    def _refuse(self, error: AudioError | UsageError) -> None:
        """What the writer of a FIFO gives is no audio: pass over it until the next writer."""
        if not self._has_a_name():
            raise error
        LOG.warning("%s; not heard, the next writer is waited for", error)
        self._held, self._layout, self._left, self._refused = bytearray(), None, None, True

    def _say_what_was_not_heard(self) -> None:
        """Warn where a WAV was longer or shorter than its header declares."""
        if self._layout is None:
            return
        per_second = self._layout.frame * self._layout.rate
        beyond, self._beyond = self._beyond - self._layout.trailer, 0
        if beyond > 0:
            LOG.warning(
                "%s: %d bytes (%.1f s) after the samples that the WAV header declares: not heard",
                *(self.name, beyond, beyond / per_second),
            )
        if self._ended and self._left:
            missing, self._left = self._left, 0
            LOG.warning(
                "%s: ended %d bytes (%.1f s) before what the WAV header declares",
                *(self.name, missing, missing / per_second),
            )

    def _hold(self, data: bytes | bytearray) -> None:
        """Keep samples; what follows those that a WAV header declares is none."""
        if self._left is not None:
            self._beyond += max(0, len(data) - self._left)
            data = data[: self._left]
            self._left -= len(data)
        self._held += data

    def _find_layout(self) -> None:
        layout = find_layout(bytes(self._held), self._ended, self.name, self._raw)
        if layout is None:
            return
        check_layout(self.name, layout.rate, layout.channels)
        if self._channel is not None and self._channel > layout.channels:
            raise AudioError(
                f"{self.name}: {layout.channels} channels, expected at least {self._channel}: "
                "choose another with --channel"
            )
        self._layout, self._left = layout, layout.size
        held, self._held = self._held[layout.begin :], bytearray()
        self._hold(held)

    def _take(self) -> Block | None:
        """A block of what is held: a whole one, or the rest before an end."""
        layout = self._layout
        if layout is None:
            return None
        wanted = self._block_bytes(layout)
        if self._ended or self._left == 0:
            wanted = min(wanted, len(self._held) // layout.frame * layout.frame)
        if wanted == 0 or len(self._held) < wanted:
            return None
        data = bytes(self._held[:wanted])
        del self._held[:wanted]
        samples = as_mono(data, layout, self._channel, self.name)
        seconds = len(samples) / layout.rate
        if isinstance(self._clock, StreamClock):
            self._clock.advance(seconds)
            self._captured = self._clock.monotonic()
        before, self._until = self._until, self._captured
        if not self._joined or before is None:
            return Block(samples, layout.rate, self._captured)
        self._joined = False
        missed = round((self._captured - before - seconds) * layout.rate)
        return Block(samples, layout.rate, self._captured, max(1, missed), "writer")

    def _block_bytes(self, layout: Layout) -> int:
        return max(1, round(layout.rate * self._block_ms / 1000)) * layout.frame
