"""`edge-ser mics` on a fake sounddevice."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from edge_ser.cli import hearing, main, mics
from edge_ser.errors import ExitCode
from edge_ser.listening import devices, microphone, portaudio
from edge_ser.listening.cards import CaptureDevice

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch
RATE = 16_000


class FakeSoundDevice:
    """Microphones that play `signal` as soon as they are opened."""

    PortAudioError = RuntimeError
    _initialized = 1

    class _StreamBase:
        closed = True

    def __init__(self) -> None:
        self.names = ["USB Mic: Audio (hw:1,0)", "default"]
        self.default = SimpleNamespace(device=[1, -1])
        time = np.arange(RATE) / RATE
        self.signal = 0.25 * np.sin(2 * np.pi * 440 * time)
        self.opened: list[dict[str, Any]] = []
        self.sourceless = False
        fake = self

        class InputStream(self._StreamBase):
            active = True

            def __init__(self, **settings: Any) -> None:
                fake.opened.append(settings)
                self.settings = settings
                self.closed = False

            def start(self) -> None:
                size = self.settings["blocksize"]
                time = SimpleNamespace(currentTime=0.0, inputBufferAdcTime=0.0)
                for start in range(0, len(fake.signal) - size + 1, size):
                    block = fake.signal[start : start + size, None].astype(np.float32)
                    self.settings["callback"](block, size, time, None)

            def abort(self) -> None:
                pass

            def close(self) -> None:
                self.closed = True

        self.InputStream = InputStream

    def check_input_settings(self, **settings: Any) -> None:
        if self.sourceless:
            raise self.PortAudioError("Unanticipated host error")

    def query_hostapis(self) -> list[dict[str, Any]]:
        return [{"name": "ALSA"}]

    def query_devices(self) -> list[dict[str, Any]]:
        more = {"hostapi": 0, "default_samplerate": float(RATE)}
        return [
            {"name": name, "index": index, "max_input_channels": 1 if "(" in name else 32, **more}
            for index, name in enumerate(self.names)
        ]


CARD = CaptureDevice(1, 0, "Mic", "USB Mic: Audio", ("CARD=Mic", "by-path/usb-1"), owner="")


@pytest.fixture
def sd(monkeypatch: Patch) -> Iterator[FakeSoundDevice]:
    fake = FakeSoundDevice()
    audio = portaudio.PortAudio(fake)
    for module in (devices, microphone):
        monkeypatch.setattr(module, "portaudio", lambda: audio)
    monkeypatch.setattr(devices, "capture_devices", lambda roots: [CARD])
    monkeypatch.setattr(hearing, "STALL_S", 0.01)
    yield fake


class TestList:
    def test_table(self, sd: FakeSoundDevice, capsys: Capture) -> None:
        assert main(["mics"]) == 0
        assert capsys.readouterr().out.splitlines() == [
            "   --mic     name                rate  channels  state",
            "   CARD=Mic  USB Mic: Audio  16000 Hz         1  free",
            "*  default   default         16000 Hz       any  free",
        ]

    def test_a_sound_server_without_a_source_is_not_free(
        self, sd: FakeSoundDevice, capsys: Capture
    ) -> None:
        sd.sourceless = True
        assert main(["mics", "--format", "json"]) == 0
        card, server = json.loads(capsys.readouterr().out)
        assert card["state"] == "free"
        assert server["state"] == "no source, or busy: pactl list short sources"

    def test_json(self, sd: FakeSoundDevice, capsys: Capture) -> None:
        assert main(["mics", "--format", "json"]) == 0
        first, second = json.loads(capsys.readouterr().out)
        assert first == {
            "mic": "CARD=Mic",
            "name": "USB Mic: Audio",
            "default": False,
            "rate": RATE,
            "channels": 1,
            "state": "free",
            "ids": ["CARD=Mic", "by-path/usb-1"],
            "driver": "ALSA",
        }
        assert second["default"]

    def test_csv(self, sd: FakeSoundDevice, capsys: Capture) -> None:
        assert main(["mics", "--format", "csv"]) == 0
        first, _ = csv.DictReader(io.StringIO(capsys.readouterr().out))
        assert first["ids"] == "CARD=Mic by-path/usb-1"

    def test_one(self, sd: FakeSoundDevice, capsys: Capture) -> None:
        assert main(["mics", "--mic", "usb", "--format", "jsonl"]) == 0
        assert json.loads(capsys.readouterr().out)["mic"] == "CARD=Mic"

    @pytest.mark.parametrize(
        ("owner", "there", "state"),
        [
            ("arecord (process 7)", True, "busy: arecord (process 7)"),
            ("", True, "busy, or not answering"),
            ("", False, "not permitted: sudo usermod -aG audio $USER"),
        ],
    )
    def test_state(
        self,
        sd: FakeSoundDevice,
        capsys: Capture,
        monkeypatch: Patch,
        owner: str,
        there: bool,
        state: str,
    ) -> None:
        sd.names = ["default"]
        monkeypatch.setattr(devices, "capture_devices", lambda roots: [replace(CARD, owner=owner)])
        monkeypatch.setattr(devices, "may_open", lambda device, roots: there)
        assert main(["mics", "--format", "json"]) == 0
        found = json.loads(capsys.readouterr().out)[1]
        assert (found["state"], found["rate"], found["channels"]) == (state, None, None)

    @pytest.mark.parametrize(("format_", "out"), [("table", ""), ("json", "[]\n")])
    def test_none(
        self, sd: FakeSoundDevice, capsys: Capture, monkeypatch: Patch, format_: str, out: str
    ) -> None:
        sd.names = []
        monkeypatch.setattr(devices, "capture_devices", lambda roots: [])
        assert main(["mics", "--format", format_]) == ExitCode.AUDIO
        said = capsys.readouterr()
        assert said.out == out
        assert said.err.startswith("edge-ser: there is no microphone: ")

    def test_a_number(self, sd: FakeSoundDevice, capsys: Capture) -> None:
        assert main(["mics", "--mic", "0", "--meter"]) == ExitCode.USAGE
        assert "'CARD=Mic' now" in capsys.readouterr().err
        assert not sd.opened

    def test_names_for_the_shell(self, sd: FakeSoundDevice) -> None:
        found = mics.complete_mic(None, None, "C")  # type: ignore[arg-type]
        assert [item.value for item in found] == ["CARD=Mic"]


class TestMeter:
    def test_findings(self, sd: FakeSoundDevice, capsys: Capture) -> None:
        arguments = ["mics", "--meter", "--seconds", "500ms", "--mic", "Mic", "--format", "json"]
        assert main(arguments) == 0
        found = json.loads(capsys.readouterr().out)
        assert list(found[0]) == ["name", "value", "unit", "verdict", "advice"]
        assert {f["name"]: f["verdict"] for f in found}["speech level"] == "bad"  # a mere tone
        assert sd.opened[0]["device"] == 0

    def test_table(self, sd: FakeSoundDevice, capsys: Capture) -> None:
        sd.signal = np.zeros(RATE)
        assert main(["mics", "--meter", "--seconds", "1s"]) == 0
        head, line = capsys.readouterr().out.splitlines()
        assert head.split() == ["measured", "value", "unit", "advice"]
        assert line.startswith("MEND  muted       100  %     every sample is the same")

    def test_a_bar_where_a_person_watches(
        self, sd: FakeSoundDevice, capsys: Capture, monkeypatch: Patch
    ) -> None:
        monkeypatch.setattr(hearing, "a_person_watches", lambda: True)
        for name, value in {"FORCE_COLOR": "1", "COLUMNS": "120", "TERM": "xterm"}.items():
            monkeypatch.setenv(name, value)
        assert main(["mics", "--meter", "--seconds", "500ms"]) == 0
        said = capsys.readouterr()
        assert "dBFS, peak" in said.err
        assert "peak" not in said.out.splitlines()[0]

    def test_against_a_model(self, sd: FakeSoundDevice, capsys: Capture) -> None:
        assert main(["mics", "--meter", "--seconds", "500ms", "-m", "nothing"]) == ExitCode.MODEL

    def test_nothing_comes(self, sd: FakeSoundDevice, capsys: Capture) -> None:
        assert main(["mics", "--meter", "--seconds", "2s"]) == ExitCode.AUDIO
        assert "no audio within" in capsys.readouterr().err

    def test_options_reach_the_device(self, sd: FakeSoundDevice, capsys: Capture) -> None:
        arguments = ["mics", "--meter", "--seconds", "200ms", "--rate", "8000", "--channel", "1"]
        assert main(arguments) == 0
        assert sd.opened[0]["samplerate"] == 8000


class TestRecord:
    def test_a_file(self, sd: FakeSoundDevice, capsys: Capture, tmp_path: Path) -> None:
        path = tmp_path / "out.wav"
        assert main(["mics", "--record", "0.55s", str(path)]) == 0
        samples, rate = soundfile.read(path)
        assert (len(samples), rate) == (8800, RATE)
        assert np.abs(samples - sd.signal[:8800]).max() < 1 / 32_768
        assert soundfile.info(path).subtype == "PCM_16"
        assert capsys.readouterr().out == f"{path}: 0.55 s at 16000 Hz from default\n"
        assert list(tmp_path.iterdir()) == [path]

    def test_what_is_there_stays(
        self, sd: FakeSoundDevice, capsys: Capture, tmp_path: Path
    ) -> None:
        path = tmp_path / "out.wav"
        path.write_bytes(b"precious")
        assert main(["mics", "--record", "500ms", str(path)]) == ExitCode.USAGE
        assert "--force" in capsys.readouterr().err
        assert path.read_bytes() == b"precious"
        assert not sd.opened
        assert main(["mics", "--force", "--record", "500ms", str(path)]) == 0
        assert soundfile.info(path).frames == 8000

    def test_with_the_meter(self, sd: FakeSoundDevice, capsys: Capture, tmp_path: Path) -> None:
        path = tmp_path / "out.wav"
        assert main(["mics", "--meter", "--record", "500ms", str(path)]) == 0
        assert path.exists()
        assert "speech level" in capsys.readouterr().out

    def test_a_place_that_cannot_be_written(
        self, sd: FakeSoundDevice, capsys: Capture, tmp_path: Path
    ) -> None:
        path = tmp_path / "absent/out.wav"
        assert main(["mics", "--record", "500ms", str(path)]) == ExitCode.STORAGE
        assert f"{path}: No such file or directory" in capsys.readouterr().err

    def test_a_recording_that_fails_leaves_nothing(
        self, sd: FakeSoundDevice, capsys: Capture, tmp_path: Path
    ) -> None:
        assert main(["mics", "--record", "5s", str(tmp_path / "out.wav")]) == ExitCode.AUDIO
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "seconds"), [("5s", 5.0), ("5", 5.0), ("1.5s", 1.5), ("500ms", 0.5), ("2m", 120.0)]
)
def test_durations(text: str, seconds: float) -> None:
    assert hearing.Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize(
    "arguments",
    [
        ["--seconds", "3s"],
        ["--meter", "--seconds", "3s", "--record", "3s", "out.wav"],
        ["--meter", "--seconds", "0"],
        ["--meter", "--seconds", "11m"],
        ["--meter", "--seconds", "five"],
        ["--record", "5s"],
    ],
)
def test_what_contradicts_itself_is_refused(
    sd: FakeSoundDevice, capsys: Capture, arguments: list[str]
) -> None:
    assert main(["mics", *arguments]) == ExitCode.USAGE
    assert not sd.opened
