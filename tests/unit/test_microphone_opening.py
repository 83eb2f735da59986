"""The microphone, its ring and its PortAudio, on a fake sounddevice."""

from __future__ import annotations

import builtins
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.errors import AudioError, DependencyError, UsageError
from edge_ser.listening import portaudio as portaudio_module
from edge_ser.listening.cards import Roots
from edge_ser.listening.clock import StreamClock
from edge_ser.listening.microphone import Microphone, Timeline
from edge_ser.listening.options import SourceOptions
from edge_ser.listening.portaudio import PortAudio
from edge_ser.listening.ring import Ring, Taken

HANG_S = 0.2
PATIENT_S = 60.0


class PortAudioError(Exception):
    """As sounddevice's: text, code, and what the host API said."""


class StreamBase:
    """What sounddevice's streams have in common; one that could not be opened is closed."""

    closed = True


class FakeSoundDevice:
    """The parts of sounddevice that are used, and what it would do."""

    PortAudioError = PortAudioError
    _StreamBase = StreamBase

    def __init__(self, *names: str, channels: int = 1, rate: float = 48_000.0) -> None:
        self.names = list(names)
        self.channels, self.rate = channels, rate
        self.default = SimpleNamespace(device=[0, -1])
        self._initialized = 1
        self.initialised = 0
        self.streams: list[Any] = []
        self.refuse: Callable[[dict[str, Any]], PortAudioError | None] = lambda settings: None
        self.on_start: Callable[[], None] = lambda: None
        self.on_abort: Callable[[], None] = lambda: None
        fake = self

        class InputStream(StreamBase):
            def __init__(self, **settings: Any) -> None:
                error = fake.refuse(settings)
                if error is not None:
                    raise error
                self.settings = settings
                self.closed = False
                self.active = False
                self.calls: list[str] = []
                fake.streams.append(self)

            def start(self) -> None:
                fake.on_start()
                self.active = True

            def abort(self) -> None:
                self.calls.append("abort")
                fake.on_abort()
                self.active = False
                self.settings["finished_callback"]()

            def stop(self) -> None:
                raise AssertionError("stop can wait for ever")

            def close(self) -> None:
                self.calls.append("close")
                self.closed = True

            def play(self, samples: Any, overflow: bool = False, delay: float = 0.0) -> None:
                """Call back with samples of shape (frames,) or (frames, channels)."""
                kind = self.settings["dtype"]
                block = np.asarray(samples, kind).reshape(-1, self.settings["channels"])
                time = SimpleNamespace(currentTime=1e9 + delay, inputBufferAdcTime=1e9)
                status = Flags(overflow)
                self.settings["callback"](block, len(block), time, status)
                block[:] = 0  # PortAudio uses its buffer again

        self.InputStream = InputStream

    def _terminate(self) -> None:
        self._initialized -= 1

    def _initialize(self) -> None:
        self._initialized += 1
        self.initialised += 1

    def query_hostapis(self) -> list[dict[str, Any]]:
        return [{"name": "ALSA"}]

    def query_devices(self) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "index": index,
                "hostapi": 0,
                "max_input_channels": self.channels,
                "default_samplerate": self.rate,
            }
            for index, name in enumerate(self.names)
        ]


class Flags:
    """As sounddevice.CallbackFlags."""

    def __init__(self, overflow: bool) -> None:
        self.input_overflow = overflow

    def __bool__(self) -> bool:
        return self.input_overflow


@pytest.fixture
def sd() -> Iterator[FakeSoundDevice]:
    fake = FakeSoundDevice("default")
    yield fake
    for stream in fake.streams:  # others must not find them open
        stream.closed = True


@pytest.fixture
def clock() -> StreamClock:
    return StreamClock(0.0)


def refusing(code: int, name: str, *allowed: object) -> Callable[[dict[str, Any]], Any]:
    """Refuse every other value of a setting."""

    def refuse(settings: dict[str, Any]) -> PortAudioError | None:
        return None if settings[name] in allowed else PortAudioError("Refused", code)

    return refuse


def microphone(
    sd: FakeSoundDevice,
    clock: StreamClock,
    folder: Path = Path("/nonexistent"),
    **options: Any,
) -> Microphone:
    audio = PortAudio(sd, open_s=PATIENT_S, close_s=HANG_S)
    roots = Roots(folder / "proc", folder / "dev", folder / "sys")
    options = {"block_ms": 100.0, **options}
    return Microphone(SourceOptions(**options), clock, audio=audio, roots=roots)


def ramp(count: int, start: int = 0) -> np.ndarray:
    return (np.arange(start, start + count) / 65_536).astype(np.float32)


class TestOpening:
    def test_with_the_devices_own_rate_and_channels(
        self, sd: FakeSoundDevice, clock: StreamClock
    ) -> None:
        sd.channels = 2
        mic = microphone(sd, clock)
        mic.open()
        (stream,) = sd.streams
        settings = {k: v for k, v in stream.settings.items() if "callback" not in k}
        assert settings == {
            "device": 0,
            "samplerate": 48_000,
            "channels": 2,
            "dtype": "float32",
            "blocksize": 4800,
            "latency": pytest.approx(0.3),
        }
        assert stream.active
        assert (mic.name, mic.live) == ("default", True)

    def test_with_the_rate_that_was_asked_for(
        self, sd: FakeSoundDevice, clock: StreamClock
    ) -> None:
        microphone(sd, clock, rate=22_050, block_ms=20).open()
        assert sd.streams[0].settings["samplerate"] == 22_050
        assert sd.streams[0].settings["blocksize"] == 441

    @pytest.mark.parametrize("taken", [48_000, 44_100, 32_000, 16_000])
    def test_with_another_rate_where_that_one_is_refused(
        self,
        sd: FakeSoundDevice,
        clock: StreamClock,
        taken: int,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        sd.rate = 96_000.0
        sd.refuse = refusing(-9997, "samplerate", taken)
        mic = microphone(sd, clock, rate=22_050)
        with caplog.at_level(logging.INFO):
            mic.open()
        assert f"{taken} Hz (22050 Hz is refused)" in caplog.text
        sd.streams[0].play(ramp(10))
        block = mic.read(0)
        assert block is not None
        assert block.rate == taken

    def test_the_default_rate_comes_before_the_usual_ones(
        self, sd: FakeSoundDevice, clock: StreamClock
    ) -> None:
        sd.rate = 8_000.0
        sd.refuse = refusing(-9997, "samplerate", 8_000, 48_000)
        microphone(sd, clock, rate=22_050).open()
        assert sd.streams[0].settings["samplerate"] == 8_000

    def test_every_rate_refused_is_an_error(self, sd: FakeSoundDevice, clock: StreamClock) -> None:
        sd.refuse = refusing(-9997, "samplerate")
        with pytest.raises(AudioError, match="'default' cannot be opened: Refused"):
            microphone(sd, clock).open()

    def test_16_bit_where_floats_are_refused(self, sd: FakeSoundDevice, clock: StreamClock) -> None:
        sd.refuse = refusing(-9994, "dtype", "int16")
        mic = microphone(sd, clock)
        mic.open()
        sd.streams[0].play([-32_768, 0, 16_384])
        block = mic.read(0)
        assert block is not None
        assert block.samples.dtype == np.float32
        assert block.samples.tolist() == [-1.0, 0.0, 0.5]

    def test_a_sound_server_is_asked_for_one_channel(
        self, sd: FakeSoundDevice, clock: StreamClock
    ) -> None:
        sd.channels = 128
        microphone(sd, clock).open()
        microphone(sd, clock, channel=3).open()
        assert [s.settings["channels"] for s in sd.streams] == [1, 3]

    def test_other_channels_where_those_are_refused(
        self, sd: FakeSoundDevice, clock: StreamClock
    ) -> None:
        sd.channels = 32
        sd.refuse = refusing(-9998, "channels", 32)
        microphone(sd, clock).open()
        assert sd.streams[0].settings["channels"] == 32

    def test_a_channel_that_is_not_there(self, sd: FakeSoundDevice, clock: StreamClock) -> None:
        with pytest.raises(AudioError, match="has 1 channels, expected at least 2"):
            microphone(sd, clock, channel=2).open()

    def test_absent(self, sd: FakeSoundDevice, clock: StreamClock) -> None:
        sd.names = []
        with pytest.raises(AudioError, match="there is no microphone: "):
            microphone(sd, clock).open()

    def test_a_number_is_refused(self, sd: FakeSoundDevice, clock: StreamClock) -> None:
        with pytest.raises(UsageError, match="'default' now"):
            microphone(sd, clock, mic="0").open()

    def test_what_the_host_says_is_passed_on(self, sd: FakeSoundDevice, clock: StreamClock) -> None:
        sd.refuse = lambda _: PortAudioError("Unanticipated", -9999, (0, -19, "No such device"))
        with pytest.raises(AudioError, match=r"Unanticipated \(No such device\)"):
            microphone(sd, clock).open()

    def test_a_stream_that_does_not_start_is_closed(
        self, sd: FakeSoundDevice, clock: StreamClock
    ) -> None:
        def fail() -> None:
            raise PortAudioError("Unanticipated", -9999)

        sd.on_start = fail
        with pytest.raises(AudioError, match="cannot be opened"):
            microphone(sd, clock).open()
        assert sd.streams[0].closed


def busy_card(folder: Path) -> None:
    card = folder / "proc/asound/card1"
    (card / "pcm0c/sub0").mkdir(parents=True)
    (card / "id").write_text("Device\n")
    (card / "pcm0c/sub0/status").write_text("state: RUNNING\nowner_pid   : 42\n")
    (folder / "proc/42").mkdir()
    (folder / "proc/42/status").write_text("Tgid:\t42\n")
    (folder / "proc/42/comm").write_text("arecord\n")
    (folder / "dev").mkdir()
    (folder / "dev/pcmC1D0c").touch()


class TestBusy:
    def test_who_has_it_is_told_where_portaudio_leaves_it_out(
        self, sd: FakeSoundDevice, clock: StreamClock, tmp_path: Path
    ) -> None:
        busy_card(tmp_path)
        with pytest.raises(AudioError, match=r"'CARD=Device' is busy: arecord \(process 42\)"):
            microphone(sd, clock, tmp_path, mic="CARD=Device").open()

    def test_who_has_it_is_told_where_portaudio_is_refused(
        self, sd: FakeSoundDevice, clock: StreamClock, tmp_path: Path
    ) -> None:
        busy_card(tmp_path)
        sd.names = ["USB: Audio (hw:1,0)"]
        sd.refuse = lambda _: PortAudioError("Device unavailable", -9985)
        with pytest.raises(AudioError, match=r"is busy: arecord \(process 42\) has it open"):
            microphone(sd, clock, tmp_path, mic="CARD=Device").open()

    def test_of_a_sound_server_the_way_through_it(
        self, sd: FakeSoundDevice, clock: StreamClock, tmp_path: Path
    ) -> None:
        busy_card(tmp_path)
        (tmp_path / "proc/42/comm").write_text("pulseaudio\n")
        with pytest.raises(AudioError, match="--mic default"):
            microphone(sd, clock, tmp_path, mic="Device").open()

    def test_not_permitted(self, sd: FakeSoundDevice, clock: StreamClock, tmp_path: Path) -> None:
        busy_card(tmp_path)
        (tmp_path / "proc/asound/card1/pcm0c/sub0/status").write_text("closed\n")
        (tmp_path / "dev/pcmC1D0c").unlink()
        with pytest.raises(AudioError, match=r"may not be opened by this user: .* audio"):
            microphone(sd, clock, tmp_path, mic="Device").open()

    def test_a_sound_server_without_a_microphone(
        self, sd: FakeSoundDevice, clock: StreamClock
    ) -> None:
        sd.refuse = lambda _: PortAudioError("Device unavailable", -9985)
        with pytest.raises(AudioError, match="'default' is unavailable"):
            microphone(sd, clock).open()

    def test_gone_when_it_is_looked_for_again(
        self, sd: FakeSoundDevice, clock: StreamClock
    ) -> None:
        def vanish(_: dict[str, Any]) -> PortAudioError:
            sd.names = []
            return PortAudioError("Device unavailable", -9985)

        sd.refuse = vanish
        with pytest.raises(AudioError, match="there is no microphone"):
            microphone(sd, clock).open()

    def test_a_card_that_is_unavailable_though_nobody_has_it(
        self, sd: FakeSoundDevice, clock: StreamClock, tmp_path: Path
    ) -> None:
        busy_card(tmp_path)
        (tmp_path / "proc/asound/card1/pcm0c/sub0/status").write_text("closed\n")
        sd.names = ["USB: Audio (hw:1,0)"]
        sd.refuse = lambda _: PortAudioError("Device unavailable", -9985)
        with pytest.raises(AudioError, match="is busy or does not answer"):
            microphone(sd, clock, tmp_path, mic="Device").open()


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


class TestLoading:
    @pytest.mark.parametrize(
        ("error", "mend"),
        [
            (OSError("PortAudio library not found"), "sudo apt-get install libportaudio2"),
            (ImportError("No module named 'sounddevice'"), "pip install sounddevice"),
        ],
    )
    def test_what_is_missing_is_named_with_its_mend(
        self, monkeypatch: pytest.MonkeyPatch, error: Exception, mend: str
    ) -> None:
        real = builtins.__import__

        def missing(name: str, *rest: Any, **more: Any) -> Any:
            if name == "sounddevice":
                raise error
            return real(name, *rest, **more)

        monkeypatch.setattr(builtins, "__import__", missing)
        with pytest.raises(DependencyError, match=mend):
            portaudio_module._sounddevice()


class TestRing:
    def test_in_order(self) -> None:
        ring = Ring(4)
        for number in range(3):
            ring.put(np.full((number + 1, 1), number), 1.0, 0.5, False)
        taken = [ring.get(0) for _ in range(4)]
        assert [len(t.samples) for t in taken if t] == [1, 2, 3]
        assert taken[3] is None
        assert taken[0] is not None
        assert taken[0][1:] == (0, 0, 1.0, 0.5)

    def test_flags_of_blocks_that_were_dropped_are_kept(self) -> None:
        ring = Ring(1)
        for overflow in (True, False, True, False):
            ring.put(np.zeros((5, 1)), 0.0, 0.0, overflow)
        taken = ring.get(0)
        assert taken is not None
        assert (taken.lost, taken.overflows) == (15, 2)

    def test_the_end_comes_after_what_was_put(self) -> None:
        ring = Ring(2)
        ring.put(np.zeros((5, 1)), 0.0, 0.0, False)
        ring.end()
        assert ring.ended
        assert ring.get(60) is not None
        assert ring.get(60) is None

    @given(
        capacity=st.integers(1, 5),
        actions=st.lists(st.one_of(st.just(None), st.integers(1, 7)), max_size=60),
    )
    def test_what_is_read_and_what_is_lost_is_what_was_put(
        self, capacity: int, actions: list[int | None]
    ) -> None:
        ring = Ring(capacity)
        put = seen = 0

        def read() -> int:
            taken = ring.get(0)
            if taken is None:
                return 0
            position = seen + taken.lost
            assert taken.samples[0, 0] == position
            return taken.lost + len(taken.samples)

        for length in actions:
            if length is None:
                seen += read()
            else:
                samples = np.arange(put, put + length).reshape(-1, 1)
                ring.put(samples, 0.0, 0.0, False)
                put += length
        for _ in range(capacity):
            seen += read()
        assert seen == put

    def test_nothing_is_lost_silently_between_threads(self) -> None:
        ring, count = Ring(3), 20_000

        def write() -> None:
            for number in range(count):
                ring.put(np.array([[number]]), 0.0, 0.0, False)
            ring.end()

        writer = threading.Thread(target=write)
        writer.start()
        position = 0
        while True:
            taken = ring.get(60)
            if taken is None:
                break
            position += taken.lost
            assert taken.samples[0, 0] == position
            position += 1
        writer.join()
        assert position <= count  # the end may push out what nobody read


RATE, LENGTH = 16_000, 1600


def placed(timeline: Timeline, at: float, overflow: bool = False, delay: float = 0.1) -> int:
    """Samples that an overflow took from a block of 0.1 s that began at `at` seconds."""
    block = Taken(np.zeros((LENGTH, 1)), 0, int(overflow), at + delay, delay)
    return timeline.place(block)[0]


class TestTimeline:
    def test_less_than_the_jitter_counts_as_a_block(self) -> None:
        timeline = Timeline(RATE)
        jitter = np.random.default_rng(0).uniform(0, 0.05, 31)
        for number, late in enumerate(jitter):
            assert placed(timeline, 0.1 * number + late) == 0
        assert placed(timeline, 0.1 * 31 + 0.03, overflow=True) == LENGTH

    def test_more_than_the_jitter_is_measured(self) -> None:
        timeline = Timeline(RATE)
        jitter = np.random.default_rng(0).uniform(0, 0.02, 30)
        for number, late in enumerate(jitter):
            placed(timeline, 0.1 * number + late)
        lost = placed(timeline, 0.1 * 30 + 1.0 + 0.01, overflow=True)
        assert abs(lost - RATE) < 0.02 * RATE

    def test_before_there_is_a_measure_it_counts_as_a_block(self) -> None:
        timeline = Timeline(RATE)
        for number in range(7):
            placed(timeline, 0.1 * number)
        assert placed(timeline, 2.0, overflow=True) == LENGTH

    def test_a_driver_without_times_is_measured_by_its_callbacks(self) -> None:
        timeline = Timeline(RATE)
        for number in range(10):
            placed(timeline, 0.1 * number + 0.1, delay=0.0)
        assert placed(timeline, 1.0 + 0.1 + 0.5, overflow=True, delay=0.0) == RATE // 2

    def test_a_callback_that_was_held_up_does_not_spoil_the_measure(self) -> None:
        timeline = Timeline(RATE)
        for number in range(20):
            placed(timeline, 0.1 * number)
        placed(timeline, 2.0 + 1.0)  # its thread slept for 1 s
        assert placed(timeline, 2.1 + 1.0, overflow=True) == RATE

    def test_what_the_ring_dropped_is_no_overflow(self) -> None:
        timeline = Timeline(RATE)
        for number in range(10):
            placed(timeline, 0.1 * number)
        block = Taken(np.zeros((LENGTH, 1)), 5 * LENGTH, 1, 1.5 + 0.25 + 0.1, 0.1)
        assert timeline.place(block)[0] == RATE // 4
