"""Audio files: every format that libsndfile reads, as mono float32, in bounded memory."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np

from edge_ser.audio.clip import Clip, Samples, check_layout, downmix
from edge_ser.audio.given import check_source, descriptor_of, shown_name
from edge_ser.errors import AudioError, DependencyError

__all__ = ["AudioFile", "open_recording", "read_clip"]

NOWHERE = sys.maxsize
"""Position of a decoder that failed: behind every sample, so the next read moves it."""
BLOCK_SAMPLES = 1 << 18
"""Most values (frames times channels) decoded at a time: 1 MB as float32."""
UNKNOWN_LENGTH = 1 << 62
"""libsndfile gives 2^63 - 1 for a file whose header leaves the length open (a piped FLAC)."""


def open_recording(source: str | Path | BinaryIO) -> AudioFile:
    """Open an audio file, or a seekable binary file object, for reading piece by piece.

    Raises:
        AudioError: there is no such file, it cannot be read, is empty, is not audio, holds no
            samples, or its rate or channel count is out of range.
        DependencyError: soundfile is not installed.
    """
    return AudioFile(source)


def read_clip(source: str | Path | BinaryIO) -> Clip:
    """Decode a whole file and mix it down to mono.

    Raises:
        AudioError: as `open_recording` and `AudioFile.read`.
    """
    with open_recording(source) as recording:
        return Clip(recording.read(0, recording.length), recording.rate)


class AudioFile:
    """An open audio file: a `Recording` that never holds more than was asked for.

    Reads that follow one another decode straight on. One instance serves one thread at a time.
    """

    def __init__(self, source: str | Path | BinaryIO) -> None:
        if isinstance(source, os.PathLike):
            source = os.fspath(source)
        self._source = source
        self._shown = shown_name(source)
        check_source(source, self._shown)
        self._descriptor = None if isinstance(source, str | Path) else descriptor_of(source)
        try:
            self._file = self._open()
        except BaseException:
            self._let_go()
            raise
        self._position = 0
        try:
            self._rate = int(self._file.samplerate)
            self._channels = int(self._file.channels)
            check_layout(self._shown, self._rate, self._channels)
            declared = int(self._file.frames)
            known = declared < UNKNOWN_LENGTH
            # Where libsndfile cannot seek (GSM, G.72x; a FLAC of unknown length breaks when it is
            # tried), going back means decoding again from the start.
            self._seeks = known and self._file.random_access
            # The length of an MP3 is an estimate of its first frame's bit rate.
            self._length = declared if known and self._file.format != "MP3" else self._count()
            if self._length < 1:
                raise AudioError(
                    f"{self._shown}: a header without samples, expected audio: record it again"
                )
        except BaseException:
            self.close()
            raise

    @property
    def rate(self) -> int:
        """Hertz."""
        return self._rate

    @property
    def length(self) -> int:
        """Samples per channel."""
        return self._length

    def read(self, start: int, count: int) -> Samples:
        """Samples `start` to `start + count` as mono float32, fewer at the end.

        Raises:
            AudioError: the file is damaged or shorter than it declares, or a sample is not finite.
        """
        count = max(0, min(count, self._length - start))
        if count == 0:
            return np.zeros(0, dtype=np.float32)
        if start != self._position:
            self._move(start)
        blocks = []
        while count > 0:
            block = self._decode(count)
            if len(block) == 0:
                raise AudioError(
                    f"{self._shown}: cut short, {self._position} samples where its header declares "
                    f"{self._length}: copy or record it again"
                )
            finite = np.isfinite(block)
            if not finite.all():
                position = self._position - len(block) + int(np.argmin(finite))
                raise AudioError(
                    f"{self._shown}: sample {position} is NaN or infinite, expected finite values: "
                    "repair or record it again"
                )
            blocks.append(block)
            count -= len(block)
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)

    def close(self) -> None:
        """Close the file; a file object that was passed in stays open."""
        self._file.close()
        self._let_go()

    def _let_go(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self) -> Any:
        soundfile = _soundfile()
        source = self._source
        try:
            if isinstance(source, str | Path):
                # Bytes, since a name need not be valid UTF-8.
                return _sequential_file(soundfile)(os.fsencode(source))
            if self._descriptor is not None:
                os.lseek(self._descriptor, 0, os.SEEK_SET)
                return _sequential_file(soundfile)(self._descriptor, closefd=False)
            source.seek(0)
            return _sequential_file(soundfile)(source)
        except TypeError as error:
            raise AudioError(
                f"{self._shown}: headerless samples, expected a file that names its rate: "
                "convert it to WAV"
            ) from error
        except soundfile.LibsndfileError as error:
            raise AudioError(
                f"{self._shown}: not audio that can be decoded ({_reason(error)}), expected WAV, "
                "FLAC, OGG, MP3 or another format of libsndfile: convert it to WAV"
            ) from error

    def _decode(self, count: int) -> Samples:
        """The next samples, at most `count` and at most one block; none at the end."""
        count = min(count, max(1, BLOCK_SAMPLES // self._channels))
        try:
            block = self._file.read(count, dtype="float32", always_2d=True)
        except (OSError, RuntimeError) as error:
            self._position = NOWHERE
            raise AudioError(
                f"{self._shown}: damaged or cut short ({_reason(error)}), expected a whole file: "
                "copy or record it again"
            ) from error
        self._position += len(block)
        return downmix(block)

    def _move(self, start: int) -> None:
        """Make `start` the next sample to be decoded."""
        if self._seeks:
            try:
                self._file.seek(start)
            except (OSError, RuntimeError):
                # A damaged file, which decoding from the start will name, or a codec (DWVW) for
                # which libsndfile promises more than it can do.
                self._seeks = False
                self._position = NOWHERE
            else:
                self._position = start
        if start < self._position:
            self._file.close()
            self._file = self._open()
            self._position = 0
        while self._position < start and len(self._decode(start - self._position)):
            pass

    def _count(self) -> int:
        """Length of a file that does not declare it, by decoding it once."""
        while len(self._decode(BLOCK_SAMPLES)):
            pass
        return self._position


def _soundfile() -> Any:
    try:
        import soundfile
    except (ImportError, OSError) as error:
        raise DependencyError(
            f"audio files need soundfile, which does not load ({error}): pip install soundfile"
        ) from error
    return soundfile


@cache
def _sequential_file(soundfile: Any) -> Any:
    """`soundfile.SoundFile` without the seek that it makes after every read.

    That seek restarts the FLAC decoder for each block, and fails at the end of a file of unknown
    length, which loses the last block.
    """

    class SequentialFile(soundfile.SoundFile):  # type: ignore[misc]
        def seekable(self) -> bool:
            return False

        @property
        def random_access(self) -> bool:
            return bool(super().seekable())

    return SequentialFile


def _reason(error: Exception) -> str:
    """libsndfile's own words, in one line and without its full stop."""
    words = getattr(error, "error_string", None) or str(error)
    return " ".join(words.split()).removeprefix("Error : ").rstrip(".")
