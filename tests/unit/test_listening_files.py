"""Files as a source: blocks, pace, damage."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from edge_ser.errors import AudioError
from edge_ser.listening.clock import StreamClock
from edge_ser.listening.files import FileSource
from edge_ser.listening.source import SourceEnded

from .listening_samples import RATE, FakeClock, all_blocks, as_floats, joined, steps


@pytest.fixture
def recording(tmp_path: Path) -> tuple[str, NDArray[np.int16]]:
    samples = steps(RATE * 2 + 123)
    path = str(tmp_path / "speech.wav")
    soundfile.write(path, samples, RATE)
    return path, samples


def test_a_file_comes_in_blocks_that_are_the_file(
    recording: tuple[str, NDArray[np.int16]],
) -> None:
    path, samples = recording
    source = FileSource(path, StreamClock(), "fast", block_ms=100)
    assert (source.name, source.live) == (path, False)
    source.open()
    blocks = all_blocks(source)
    assert [len(block.samples) for block in blocks] == [1600] * 20 + [123]
    assert {block.rate for block in blocks} == {RATE}
    assert joined(blocks).tobytes() == as_floats(samples).tobytes()
    assert not any(block.lost for block in blocks)
    with pytest.raises(SourceEnded):
        source.read(0)


def test_fast_lets_a_stream_clock_pass_with_the_audio(
    recording: tuple[str, NDArray[np.int16]],
) -> None:
    clock = StreamClock(epoch=0.0)
    source = FileSource(recording[0], clock, "fast")
    source.open()
    captured = [block.captured for block in all_blocks(source)]
    assert captured[:2] == pytest.approx([0.1, 0.2])
    assert captured[-1] == clock.monotonic() == pytest.approx(2 + 123 / RATE)


def test_fast_waits_for_no_clock(recording: tuple[str, NDArray[np.int16]]) -> None:
    clock = FakeClock()
    source = FileSource(recording[0], clock, "fast")
    source.open()
    assert {block.captured for block in all_blocks(source)} == {50.0}
    assert clock.slept == []


def test_real_hands_nothing_out_before_it_would_be_spoken(
    recording: tuple[str, NDArray[np.int16]],
) -> None:
    clock = FakeClock()
    source = FileSource(recording[0], clock, "real")
    source.open()
    heard = 0
    for _ in range(21):
        block = source.read(1.0)
        assert block is not None
        heard += len(block.samples)
        assert clock.now == pytest.approx(50 + heard / RATE)
        assert block.captured == pytest.approx(clock.now)


def test_real_keeps_to_the_timeout(recording: tuple[str, NDArray[np.int16]]) -> None:
    clock = FakeClock()
    source = FileSource(recording[0], clock, "real")
    source.open()
    assert [source.read(0.03) is None for _ in range(4)] == [True, True, True, False]
    assert clock.slept == pytest.approx([0.03, 0.03, 0.03, 0.01])


def test_who_reads_late_misses_nothing_and_catches_up(
    recording: tuple[str, NDArray[np.int16]],
) -> None:
    path, samples = recording
    clock = FakeClock()
    source = FileSource(path, clock, "real")
    source.open()
    blocks = []
    for number in range(21):
        block = source.read(1.0)
        assert block is not None
        blocks.append(block)
        if number == 2:
            clock.now += 0.5
    assert joined(blocks).tobytes() == as_floats(samples).tobytes()
    assert clock.now == pytest.approx(50 + len(samples) / RATE)
    assert blocks[3].captured == pytest.approx(50.4)


def test_opened_again_a_file_begins_again(recording: tuple[str, NDArray[np.int16]]) -> None:
    path, samples = recording
    source = FileSource(path, StreamClock(), "fast")
    source.open()
    source.read(0)
    source.close()
    source.close()
    source.open()
    assert joined(all_blocks(source)).tobytes() == as_floats(samples).tobytes()


def test_a_closed_file_has_no_more(recording: tuple[str, NDArray[np.int16]]) -> None:
    source = FileSource(recording[0], StreamClock(), "fast")
    source.open()
    source.close()
    with pytest.raises(SourceEnded):
        source.read(0)


def test_a_file_that_is_not_there_is_said_when_opened(tmp_path: Path) -> None:
    source = FileSource(str(tmp_path / "none.wav"), StreamClock())
    with pytest.raises(AudioError, match=r"none\.wav: no such file"):
        source.open()


def test_a_file_louder_than_audio_can_be_is_refused(tmp_path: Path) -> None:
    samples = np.zeros(RATE, np.float32)
    samples[-10:] = 3e38
    soundfile.write(tmp_path / "loud.wav", samples, RATE, subtype="FLOAT")
    source = FileSource(str(tmp_path / "loud.wav"), StreamClock(), "fast", block_ms=100)
    source.open()
    for _ in range(9):
        source.read(1.0)
    with pytest.raises(AudioError, match=r"loud\.wav: a sample at 0\.9 s is beyond 1000"):
        source.read(1.0)


def test_what_lies_before_the_damage_is_handed_out(tmp_path: Path) -> None:
    samples = steps(RATE * 2)
    path = tmp_path / "cut.flac"
    soundfile.write(path, samples, RATE)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    source = FileSource(str(path), StreamClock(), "fast")
    source.open()
    blocks = []
    with pytest.raises(AudioError, match=r"cut\.flac: "):
        while (block := source.read(0)) is not None:
            blocks.append(block)
    heard = joined(blocks)
    assert len(heard) > RATE // 2
    assert heard.tobytes() == as_floats(samples)[: len(heard)].tobytes()


def test_a_long_file_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    def peak(seconds: int) -> int:
        path = tmp_path / f"{seconds}.wav"
        soundfile.write(path, steps(seconds * RATE), RATE)
        source = FileSource(str(path), StreamClock(), "fast")
        source.open()
        tracemalloc.start()
        while True:
            try:
                source.read(0)
            except SourceEnded:
                break
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    short = peak(2)
    assert peak(60) < short + 100_000
