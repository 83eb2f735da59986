"""What comes from an open microphone, and how it is closed."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from edge_ser.errors import AudioError
from edge_ser.listening.clock import StreamClock

from .microphone_fakes import (
    HANG_S,
    PATIENT_S,
    FakeSoundDevice,
    PortAudioError,
    StreamBase,
    clock_fixture,  # noqa: F401 for pytest to find
    microphone,
    ramp,
    sd_fixture,  # noqa: F401 for pytest to find
)


class TestReading:
    def test_blocks_come_as_they_were_and_when_they_were(
        self, sd: FakeSoundDevice, clock: StreamClock
    ) -> None:
        mic = microphone(sd, clock)
        mic.open()
        for number in range(3):
            clock.advance(0.1)
            sd.streams[0].play(ramp(4800, 4800 * number), delay=0.1)
        for number in range(3):
            block = mic.read(0)
            assert block is not None
            assert np.array_equal(block.samples, ramp(4800, 4800 * number))
            assert (block.lost, block.cause) == (0, "")
            assert block.captured == pytest.approx(0.1 * (number + 1))
        assert mic.read(0) is None

    def test_the_drivers_delay_counts_for_the_time(
        self, sd: FakeSoundDevice, clock: StreamClock
    ) -> None:
        mic = microphone(sd, clock)
        mic.open()
        clock.advance(5.0)
        sd.streams[0].play(ramp(4800), delay=0.25)
        block = mic.read(0)
        assert block is not None
        assert block.captured == pytest.approx(5.0 - 0.25 + 0.1, abs=1e-6)

    def test_channels_are_mixed(self, sd: FakeSoundDevice, clock: StreamClock) -> None:
        sd.channels = 2
        mic = microphone(sd, clock)
        mic.open()
        sd.streams[0].play([[0.5, 0.25], [-1.0, 1.0]])
        block = mic.read(0)
        assert block is not None
        assert block.samples.tolist() == [0.375, 0.0]

    def test_or_one_is_taken(self, sd: FakeSoundDevice, clock: StreamClock) -> None:
        sd.channels = 2
        mic = microphone(sd, clock, channel=2)
        mic.open()
        sd.streams[0].play([[0.5, 0.25], [-1.0, 1.0]])
        block = mic.read(0)
        assert block is not None
        assert block.samples.tolist() == [0.25, 1.0]

    def test_what_nobody_read_is_lost_from_its_beginning(
        self, sd: FakeSoundDevice, clock: StreamClock
    ) -> None:
        mic = microphone(sd, clock)
        mic.open()
        for number in range(103):  # 100 blocks are 10 s
            sd.streams[0].play(np.full(4800, number / 128))
        block = mic.read(0)
        assert block is not None
        assert (block.lost, block.cause) == (3 * 4800, "backlog")
        assert block.samples[0] == 3 / 128
        block = mic.read(0)
        assert block is not None
        assert (block.lost, block.cause) == (0, "")

    def test_an_overflow_is_marked_with_what_it_took(
        self, sd: FakeSoundDevice, clock: StreamClock
    ) -> None:
        mic = microphone(sd, clock)
        mic.open()
        for _ in range(20):
            clock.advance(0.1)
            sd.streams[0].play(ramp(4800), delay=0.1)
        clock.advance(1.1)
        sd.streams[0].play(ramp(4800), overflow=True, delay=0.1)
        clock.advance(0.1)
        sd.streams[0].play(ramp(4800), delay=0.1)
        blocks = [mic.read(0) for _ in range(22)]
        assert [b.lost for b in blocks if b] == [0] * 20 + [48_000, 0]
        assert [b.cause for b in blocks if b][-2:] == ["overflow", ""]

    def test_nothing_came(self, sd: FakeSoundDevice, clock: StreamClock) -> None:
        mic = microphone(sd, clock)
        mic.open()
        assert mic.read(0.01) is None

    def test_a_finished_stream_is_an_error_after_its_last_block(
        self, sd: FakeSoundDevice, clock: StreamClock
    ) -> None:
        mic = microphone(sd, clock)
        mic.open()
        sd.streams[0].play(ramp(10))
        sd.streams[0].settings["finished_callback"]()
        assert mic.read(0) is not None
        for _ in range(2):  # at once, not after the whole time
            with pytest.raises(AudioError, match="has ended its stream"):
                mic.read(threading.TIMEOUT_MAX)

    def test_who_waits_is_woken_by_the_end(self, sd: FakeSoundDevice, clock: StreamClock) -> None:
        mic = microphone(sd, clock)
        mic.open()
        threading.Timer(0.02, sd.streams[0].settings["finished_callback"]).start()
        with pytest.raises(AudioError, match="has ended its stream"):
            mic.read(600)

    def test_an_inactive_stream_is_an_error(self, sd: FakeSoundDevice, clock: StreamClock) -> None:
        mic = microphone(sd, clock)
        mic.open()
        sd.streams[0].active = False
        with pytest.raises(AudioError, match="has ended its stream"):
            mic.read(0)

    def test_a_stream_that_portaudio_no_longer_knows(
        self, sd: FakeSoundDevice, clock: StreamClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def unknown(_: object) -> bool:
            raise PortAudioError("Invalid stream pointer", -9988)

        mic = microphone(sd, clock)
        mic.open()
        monkeypatch.setattr(sd.InputStream, "active", property(unknown), raising=False)
        del sd.streams[0].__dict__["active"]
        with pytest.raises(AudioError, match="has ended its stream"):
            mic.read(0)
        monkeypatch.undo()

    def test_not_open(self, sd: FakeSoundDevice, clock: StreamClock) -> None:
        with pytest.raises(AudioError, match="open it first"):
            microphone(sd, clock).read(0)


class TestClosing:
    def test_aborts_and_never_stops(self, sd: FakeSoundDevice, clock: StreamClock) -> None:
        mic = microphone(sd, clock)
        mic.close()
        mic.open()
        mic.close()
        mic.close()
        assert sd.streams[0].calls == ["abort", "close"]

    def test_another_number_after_replugging(self, sd: FakeSoundDevice, clock: StreamClock) -> None:
        sd.names = ["USB Mic: Audio (hw:1,0)", "default"]
        mic = microphone(sd, clock, mic="USB Mic")
        mic.open()
        assert sd.initialised == 0
        mic.close()
        sd.names = ["HDA: Analog (hw:0,0)", "default", "USB Mic: Audio (hw:2,0)"]
        mic.open()
        assert sd.initialised == 1
        assert [s.settings["device"] for s in sd.streams] == [0, 2]

    def test_a_stream_of_somebody_else_survives(
        self, sd: FakeSoundDevice, clock: StreamClock
    ) -> None:
        mic = microphone(sd, clock)
        mic.open()
        mic.close()
        playback = StreamBase()
        playback.closed = False
        mic.open()
        assert sd.initialised == 0
        playback.closed = True
        mic.close()
        mic.open()
        assert sd.initialised == 1

    def test_after_an_initialisation_that_failed(
        self, sd: FakeSoundDevice, clock: StreamClock
    ) -> None:
        mic = microphone(sd, clock)
        mic.open()
        mic.close()
        sd._initialized = 0
        mic.open()
        assert sd._initialized == 1

    def test_a_driver_that_hangs_is_left_behind_and_waited_for(
        self, sd: FakeSoundDevice, clock: StreamClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        mic = microphone(sd, clock)
        mic.open()
        answers = threading.Event()
        sd.on_abort = lambda: answers.wait(60) or None
        mic.close()
        assert "cannot close a microphone: PortAudio does not answer" in caplog.text
        with pytest.raises(AudioError, match="has not come back from an earlier call"):
            mic.open()
        answers.set()
        _ended("portaudio")
        mic.open()
        assert sd.streams[0].calls == ["abort", "close"]

    def test_what_opens_too_late_is_closed_again(
        self, sd: FakeSoundDevice, clock: StreamClock
    ) -> None:
        mic = microphone(sd, clock)
        mic._audio()._open_s = HANG_S
        answers = threading.Event()
        sd.on_start = lambda: answers.wait(60) or None
        with pytest.raises(AudioError, match="cannot open a microphone: PortAudio does not answer"):
            mic.open()
        answers.set()
        _ended("portaudio")
        assert sd.streams[0].calls == ["abort", "close"]
        mic._audio()._open_s = PATIENT_S
        mic.open()
        assert sd.streams[1].active


def _ended(name: str) -> None:
    """Wait for the threads of that name."""
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join(60)
