"""How a microphone is opened, or why it cannot be."""

from __future__ import annotations

import builtins
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ser.errors import AudioError, DependencyError, UsageError
from edge_ser.listening import portaudio as portaudio_module
from edge_ser.listening.clock import StreamClock
from edge_ser.listening.portaudio import PortAudio

from .microphone_fakes import (
    HANG_S,
    PATIENT_S,
    FakeSoundDevice,
    PortAudioError,
    clock_fixture,  # noqa: F401 for pytest to find
    microphone,
    ramp,
    sd_fixture,  # noqa: F401 for pytest to find
)


def refusing(code: int, name: str, *allowed: object) -> Callable[[dict[str, Any]], Any]:
    """Refuse every other value of a setting."""

    def refuse(settings: dict[str, Any]) -> PortAudioError | None:
        return None if settings[name] in allowed else PortAudioError("Refused", code)

    return refuse


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

    def test_a_sound_server_whose_plugin_is_there_needs_a_source(
        self, sd: FakeSoundDevice, clock: StreamClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PULSE_SERVER", "tcp:robot")
        for error in (
            PortAudioError("Unanticipated host error", -9999, (0, -5, "")),
            PortAudioError("Device unavailable", -9985),
        ):
            sd.refuse = lambda _, error=error: error  # type: ignore[misc]
            with pytest.raises(AudioError, match=r"at tcp:robot has no source: plug in") as caught:
                microphone(sd, clock).open()
            assert "libasound2-plugins" not in str(caught.value)
            assert "()" not in str(caught.value)

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

    def test_threads_that_ask_at_once_get_one(
        self, monkeypatch: pytest.MonkeyPatch, sd: FakeSoundDevice
    ) -> None:
        together = threading.Barrier(8)
        made: list[FakeSoundDevice] = []
        got: list[PortAudio] = []

        def slow() -> FakeSoundDevice:
            made.append(sd)
            time.sleep(HANG_S)
            return sd

        def ask() -> None:
            together.wait(PATIENT_S)
            got.append(portaudio_module.portaudio())

        monkeypatch.setattr(portaudio_module, "_loaded", None)
        monkeypatch.setattr(portaudio_module, "_sounddevice", slow)
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENT_S)
        assert len(made) == 1, "its lock keeps two threads from being in PortAudio at once"
        assert len(got) == 8
        assert len(set(map(id, got))) == 1

    def test_where_no_thread_can_begin_any_more_it_is_closed_all_the_same(
        self, monkeypatch: pytest.MonkeyPatch, sd: FakeSoundDevice, clock: StreamClock
    ) -> None:
        mic = microphone(sd, clock)
        mic.open()

        def refuse(_: object) -> None:
            raise RuntimeError("can't create new thread at interpreter shutdown")

        monkeypatch.setattr(threading.Thread, "start", refuse)
        mic.close()
        assert sd.streams[0].closed
