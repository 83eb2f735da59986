"""FIFOs and other named pipes as a source, through changes of writers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_ser.errors import AudioError
from edge_ser.listening.pcm import is_pipe

from .listening_samples import RATE, FakeClock, all_blocks, as_floats, joined, on_stdin, steps, wav


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "audio.fifo"
    os.mkfifo(path)
    return path


def test_only_pipes_are_pipes(fifo: Path, tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_bytes(b"RIFF")
    assert is_pipe("-")
    assert is_pipe(str(fifo))
    assert not is_pipe(str(tmp_path / "x.wav"))
    assert not is_pipe(str(tmp_path / "none"))
    assert not is_pipe(str(tmp_path))


def test_a_fifo_outlives_its_writers(fifo: Path) -> None:
    clock = FakeClock()
    source = on_stdin(path=str(fifo), clock=clock)
    assert source.name == str(fifo)
    assert source.read(0.01) is None
    samples = steps(4000)
    with open(fifo, "wb") as writer:
        writer.write(samples[:2000].tobytes() + b"\x01")
        writer.flush()
        first = source.read(10)
    second = source.read(10)
    assert source.read(0.01) is None
    clock.now += 7.0
    with open(fifo, "wb") as writer:
        writer.write(samples[2000:].tobytes())
    third, fourth = source.read(10), source.read(10)
    assert source.read(0.01) is None
    blocks = [block for block in (first, second, third, fourth) if block is not None]
    assert [len(block.samples) for block in blocks] == [1600, 400, 1600, 400]
    assert joined(blocks).tobytes() == as_floats(samples).tobytes()
    missed = round((7.0 - 0.1) * RATE)
    assert [(block.lost, block.cause) for block in blocks] == [
        (0, ""),
        (0, ""),
        (missed, "writer"),
        (0, ""),
    ]
    source.close()


def test_the_next_writer_may_write_another_format(fifo: Path) -> None:
    source = on_stdin(path=str(fifo))
    for rate in (8000, 44_100):
        with open(fifo, "wb") as writer:
            writer.write(wav(steps(800), rate))
        blocks = []
        while (block := source.read(0.01)) is not None:
            blocks.append(block)
        assert {block.rate for block in blocks} == {rate}
        assert joined(blocks).tobytes() == as_floats(steps(800)).tobytes()
    # However soon the second came, the stream broke off.
    assert blocks[0].lost >= 1
    source.close()


def test_a_writer_that_says_nothing_is_no_break(fifo: Path) -> None:
    source = on_stdin(path=str(fifo))
    for _ in range(3):
        with open(fifo, "wb"):
            pass
        assert source.read(0.01) is None
    with open(fifo, "wb") as writer:
        writer.write(steps(1600).tobytes())
    block = source.read(10)
    assert block is not None
    assert block.lost == 0
    source.close()


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (wav(steps(10))[:30], "a WAV header without samples"),
        (wav(steps(10), tag=6, bits=8), "WAV of format 6"),
        (b"fLaC" + bytes(100), "FLAC"),
        (b"RIF", "raw samples without a rate"),
    ],
    ids=["cut", "a-law", "flac", "cut at once"],
)
def test_a_bad_writer_does_not_take_the_next_ones_turn(
    fifo: Path, caplog: pytest.LogCaptureFixture, bad: bytes, said: str
) -> None:
    source = on_stdin(path=str(fifo), rate=None)
    with open(fifo, "wb") as writer:
        writer.write(bad)
        writer.flush()
        assert source.read(0.01) is None
        writer.write(bytes(3000))  # passed over as well
    assert source.read(0.01) is None
    with open(fifo, "wb") as writer:
        writer.write(wav(steps(1600)))
    block = source.read(10)
    assert block is not None
    assert block.samples.tobytes() == as_floats(steps(1600)).tobytes()
    source.close()
    (message,) = (record.getMessage() for record in caplog.records)
    assert said in message
    assert message.endswith("the next writer is waited for")


def test_a_pipe_without_a_name_ends_with_its_writer() -> None:
    reading, writing = os.pipe()
    try:
        source = on_stdin(path=f"/dev/fd/{reading}")
        with open(writing, "wb") as writer:
            writer.write(steps(2000).tobytes())
        assert joined(all_blocks(source)).tobytes() == as_floats(steps(2000)).tobytes()
        source.close()
    finally:
        os.close(reading)


def test_a_bad_writer_of_a_pipe_without_a_name_is_the_end() -> None:
    reading, writing = os.pipe()
    try:
        source = on_stdin(path=f"/dev/fd/{reading}")
        with open(writing, "wb") as writer:
            writer.write(wav(steps(10))[:30])
        with pytest.raises(AudioError, match="a WAV header without samples"):
            source.read(10)
        source.close()
    finally:
        os.close(reading)


def test_a_removed_fifo_ends_with_its_writer(fifo: Path) -> None:
    source = on_stdin(path=str(fifo))
    with open(fifo, "wb") as writer:
        writer.write(steps(2000).tobytes())
        fifo.unlink()
    assert len(joined(all_blocks(source))) == 2000
    source.close()


def test_what_is_no_fifo_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="none: No such file or directory, expected a FIFO"):
        on_stdin(path=str(tmp_path / "none"))
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(AudioError, match="file: no pipe"):
        on_stdin(path=str(tmp_path / "file"))


def test_closing_a_fifo_twice_leaves_no_descriptor(fifo: Path) -> None:
    before = os.listdir("/proc/self/fd")
    source = on_stdin(path=str(fifo))
    for _ in range(2):
        with open(fifo, "wb"):
            pass
        source.read(0.01)
    source.open()
    source.close()
    source.close()
    assert os.listdir("/proc/self/fd") == before
