"""Standard input as a source: what its first bytes say, and what follows them."""

from __future__ import annotations

import io
import os
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.errors import AudioError, UsageError
from edge_ser.listening.clock import StreamClock
from edge_ser.listening.pcm_layout import find_layout
from edge_ser.listening.source import SourceEnded

from .listening_samples import RATE, all_blocks, as_floats, joined, on_stdin, steps, wav

RAW = (RATE, 1, "<i2")


# Headers


def layout_of(head: bytes, ended: bool = True) -> Any:
    return find_layout(head, ended, "x", RAW)


def test_a_header_is_found_as_soon_as_it_is_whole() -> None:
    head = wav(steps(0, 2), 44_100, before=b"LIST\x05\0\0\0hello\0", size=0)
    for count in range(len(head)):
        assert layout_of(head[:count], ended=False) is None
    layout = layout_of(head, ended=False)
    assert (layout.rate, layout.channels, layout.encoding) == (44_100, 2, "<i2")
    assert layout.begin == len(head)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFF00, 0x7FFFF000, 0x80000000])
def test_sizes_of_writers_into_a_pipe_mean_no_size(size: int) -> None:
    assert layout_of(wav(steps(9), size=size)).size is None


def test_a_size_that_is_one_is_kept() -> None:
    assert layout_of(wav(steps(9))).size == 18


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_raw_or_wav_or_refused_in_one_line(head: bytes, ended: bool) -> None:
    for prefix in (b"", wav(steps(3))[:20], wav(steps(3))[:36], b"RIFF\0\0\0\0WAVE"):
        try:
            layout = find_layout(prefix + head, ended, "x", RAW)
        except AudioError as error:
            assert "\n" not in str(error)
        else:
            assert layout is None or layout.begin <= len(prefix + head)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"fLaC" + bytes(40), "FLAC, expected WAV or raw"),
        (b"OggS" + bytes(40), "Ogg, expected WAV or raw"),
        (wav(steps(3), tag=6, bits=8), "format 6 with 8 bits"),
        (wav(steps(3))[:30], "without samples"),
        (b"RIFF\0\0\0\0WAVEdata\x04\0\0\0" + bytes(4), "without format"),
        (b"RIFF\0\0\0\0WAVEJUNK\xff\xff\xff\xff", "without samples"),
    ],
)
def test_what_is_not_read_is_named(head: bytes, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        layout_of(head)


def test_raw_samples_need_a_rate() -> None:
    with pytest.raises(UsageError, match="--rate"):
        find_layout(bytes(12), False, "stdin", (None, 1, "<i2"))


# Standard input


Feed = Callable[[bytes], None]


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Feed]:
    """`stdin(data)`: standard input holds these bytes and is closed by its writer."""
    threads = []
    reading, writing = os.pipe()
    stream = open(reading)  # noqa: SIM115 closed below, after the writer
    monkeypatch.setattr("sys.stdin", stream)

    def feed(data: bytes) -> None:
        def write() -> None:
            with open(writing, "wb") as pipe:
                pipe.write(data)

        threads.append(threading.Thread(target=write))
        threads[0].start()

    yield feed
    if not threads:
        os.close(writing)
    for thread in threads:
        thread.join(10)
    stream.close()


def test_raw_samples_come_as_they_are_and_end_with_their_writer(stdin: Feed) -> None:
    samples = steps(RATE * 3 + 77)
    stdin(samples.tobytes() + b"\x01")  # and half a sample
    source = on_stdin()
    assert (source.name, source.live) == ("stdin", False)
    blocks = all_blocks(source)
    assert [len(block.samples) for block in blocks] == [1600] * 30 + [77]
    assert joined(blocks).tobytes() == as_floats(samples).tobytes()
    with pytest.raises(SourceEnded):
        source.read(0)


def test_fewer_bytes_than_a_header_are_samples_too(stdin: Feed) -> None:
    stdin(steps(3).tobytes())
    assert joined(all_blocks(on_stdin())).tobytes() == as_floats(steps(3)).tobytes()


def test_nothing_at_all_is_an_end(stdin: Feed) -> None:
    stdin(b"")
    assert all_blocks(on_stdin()) == []


def test_floats_come_as_they_are(stdin: Feed) -> None:
    samples = np.linspace(-1.5, 1.5, 5000, dtype="<f4")
    stdin(samples.tobytes())
    assert joined(all_blocks(on_stdin(sample_format="f32le"))).tobytes() == samples.tobytes()


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e30])
def test_samples_of_another_format_are_noticed(stdin: Feed, wrong: float) -> None:
    samples = np.zeros(5000, "<f4")
    samples[2000] = wrong
    stdin(samples.tobytes())
    source = on_stdin(sample_format="f32le")
    assert source.read(10) is not None
    with pytest.raises(AudioError, match=r"source\.sample_format"):
        source.read(10)


@pytest.mark.parametrize(("channel", "gains"), [(None, (0.5, 0.5)), (1, (1, 0)), (2, (0, 1))])
def test_channels_are_mixed_or_chosen(
    stdin: Feed, channel: int | None, gains: tuple[float, float]
) -> None:
    samples = steps(4000, channels=2)
    stdin(samples.tobytes())
    heard = joined(all_blocks(on_stdin(channels=2, channel=channel)))
    assert heard == pytest.approx(samples @ np.array(gains) / 32_768, abs=1e-7)


def test_a_channel_that_is_not_there_is_refused(stdin: Feed) -> None:
    stdin(steps(4000).tobytes())
    with pytest.raises(AudioError, match="1 channels, expected at least 2"):
        on_stdin(channel=2).read(10)


@pytest.mark.parametrize("size", [None, 0, 0xFFFFFFFF])
def test_a_wav_says_itself_what_it_is(stdin: Feed, size: int | None) -> None:
    samples = steps(5000)
    stdin(wav(samples, 8000, size=size))
    blocks = all_blocks(on_stdin(rate=48_000, channels=2, sample_format="f32le"))
    assert {block.rate for block in blocks} == {8000}
    assert joined(blocks).tobytes() == as_floats(samples).tobytes()


def test_what_follows_the_samples_of_a_wav_is_not_heard(stdin: Feed) -> None:
    samples = steps(5001)
    stdin(wav(samples, after=b"LIST\x08\0\0\0INFOabcd" * 500))
    assert joined(all_blocks(on_stdin())).tobytes() == as_floats(samples).tobytes()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (wav(steps(5000)), []),
        (wav(steps(5001), after=b"LIST\x08\0\0\0INFOabcd"), []),
        (wav(steps(1600), size=0xFFFFFFFF), []),
        (wav(steps(1600)) + bytes(RATE), [f"stdin: {RATE} bytes (0.5 s) after the samples"]),
        (wav(steps(1600)) + b"x", ["stdin: 1 bytes (0.0 s) after the samples"]),
        (wav(steps(2 * RATE))[:-RATE], [f"stdin: ended {RATE} bytes (0.5 s) before"]),
    ],
    ids=["whole", "chunks", "endless", "more", "a byte", "less"],
)
def test_a_wav_that_is_not_as_long_as_it_says_is_told(
    stdin: Feed, caplog: pytest.LogCaptureFixture, data: bytes, said: list[str]
) -> None:
    stdin(data)
    source = on_stdin()
    assert all_blocks(source)
    source.close()
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == len(said)
    assert all(message.startswith(begin) for message, begin in zip(messages, said, strict=True))


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("container", ["WAV", "WAVEX"])
def test_every_format_of_wav_sounds_as_the_file_does(
    stdin: Feed, subtype: str, container: str
) -> None:
    file = io.BytesIO()
    soundfile.write(file, as_floats(steps(5000)), RATE, subtype, format=container)
    file.seek(0)
    expected, _ = soundfile.read(file, dtype="float32")
    stdin(file.getvalue())
    assert joined(all_blocks(on_stdin())) == pytest.approx(expected, abs=1e-7)


def test_a_writer_that_pauses_is_waited_for(stdin: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with open(reading) as stream, open(writing, "wb", buffering=0) as pipe:
        monkeypatch.setattr("sys.stdin", stream)
        source = on_stdin()
        samples = steps(1600)
        assert source.read(0.01) is None
        pipe.write(samples.tobytes()[:1001])
        assert source.read(0.01) is None
        pipe.write(samples.tobytes()[1001:])
        block = source.read(10)
        assert block is not None
        assert block.samples.tobytes() == as_floats(samples).tobytes()


@given(st.lists(st.integers(1, 9000), max_size=12), st.booleans())
def test_how_the_writer_cuts_its_bytes_does_not_matter(cuts: list[int], header: bool) -> None:
    samples = steps(4567, channels=2)
    data = wav(samples) if header else samples.tobytes()
    reading, writing = os.pipe()
    blocks = []
    with pytest.MonkeyPatch.context() as patch, open(reading) as stream:
        patch.setattr("sys.stdin", stream)
        source = on_stdin(channels=2, channel=1)
        with open(writing, "wb", buffering=0) as pipe:
            for cut in [*cuts, len(data)]:
                pipe.write(data[:cut])
                data = data[cut:]
                while (block := source.read(0)) is not None:
                    blocks.append(block)
        blocks += all_blocks(source)
    assert joined(blocks).tobytes() == as_floats(samples).tobytes()
    assert {len(block.samples) for block in blocks[:-1]} == {1600}


def test_closed_and_opened_again_standard_input_goes_on(stdin: Feed) -> None:
    samples = steps(8000)
    stdin(wav(samples, 8000))
    source = on_stdin()
    first = source.read(10)
    source.close()
    source.close()
    source.open()
    assert first is not None
    heard = joined([first, *all_blocks(source)])
    assert heard.tobytes() == as_floats(samples).tobytes()


def test_a_stream_clock_passes_with_the_samples(stdin: Feed) -> None:
    stdin(steps(4000).tobytes())
    blocks = all_blocks(on_stdin(clock=StreamClock(epoch=0.0)))
    assert [block.captured for block in blocks] == pytest.approx([0.1, 0.2, 0.25])


def test_a_terminal_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.openpty()
    with open(theirs) as stream, open(ours):
        monkeypatch.setattr("sys.stdin", stream)
        with pytest.raises(AudioError, match="arecord"):
            on_stdin()


@pytest.mark.parametrize("closed", [None, io.StringIO("")])
def test_no_standard_input_is_said(monkeypatch: pytest.MonkeyPatch, closed: Any) -> None:
    monkeypatch.setattr("sys.stdin", closed)
    with pytest.raises(AudioError, match="stdin: closed"):
        on_stdin()


def test_what_cannot_be_read_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Folder:
        def fileno(self) -> int:
            return folder

    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        monkeypatch.setattr("sys.stdin", Folder())
        with pytest.raises(AudioError, match="stdin: Is a directory, expected samples"):
            on_stdin().read(10)
    finally:
        os.close(folder)


def test_memory_is_bounded_however_much_the_writer_holds(stdin: Feed) -> None:
    stdin(bytes(40_000_000))
    source = on_stdin()
    tracemalloc.start()
    heard = 0
    while True:
        try:
            block = source.read(10)
        except SourceEnded:
            break
        assert block is not None
        heard += len(block.samples)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert heard == 20_000_000
    assert peak < 500_000
