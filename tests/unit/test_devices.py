"""Microphones by stable names, on fake trees of the kernel and a fake PortAudio."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge_ser.errors import AudioError, UsageError
from edge_ser.listening.cards import Roots, capture_devices
from edge_ser.listening.devices import InputDevice, find_input, list_inputs, why_none
from edge_ser.listening.portaudio import PortAudio

PORT = "platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1.{}:1.0"


class Machine:
    """A tree of /proc, /dev/snd and /sys/class/sound that grows by sound cards."""

    def __init__(self, folder: Path) -> None:
        self.roots = Roots(folder / "proc", folder / "dev", folder / "sys/class/sound")
        self.folder = folder
        self.lines: list[str] = []
        for path in (self.roots.proc / "asound", self.roots.dev, self.roots.sys):
            path.mkdir(parents=True)

    def card(
        self,
        number: int,
        card_id: str = "Device",
        name: str = "USB PnP Sound Device",
        port: int | None = None,
        serial: str = "",
        devices: tuple[int, ...] = (0,),
    ) -> None:
        card = self.roots.proc / f"asound/card{number}"
        card.mkdir()
        (card / "id").write_text(f"{card_id}\n")
        self.lines.append(f"{number:2} [{card_id:15}]: USB-Audio - {name}\n      maker at usb\n")
        (self.roots.proc / "asound/cards").write_text("".join(self.lines))
        for device in devices:
            pcm = card / f"pcm{device}c"
            (pcm / "sub0").mkdir(parents=True)
            (pcm / "info").write_text("card: 1\nname: USB Audio\nsubname: subdevice #0\n")
            (pcm / "sub0/status").write_text("closed\n")
            (self.roots.dev / f"pcmC{number}D{device}c").touch()
        if port is not None:
            self.link("by-path", PORT.format(port), number)
            self.usb(number, port)
        if serial:
            self.link("by-id", f"usb-C-Media_{serial}-00", number)

    def link(self, kind: str, name: str, number: int) -> None:
        (self.roots.dev / kind).mkdir(exist_ok=True)
        (self.roots.dev / kind / name).unlink(missing_ok=True)
        (self.roots.dev / kind / name).symlink_to(f"../controlC{number}")

    def usb(self, number: int, port: int) -> None:
        device = self.folder / f"sys/devices/usb1/1-1.{port}"
        (device / f"1-1.{port}:1.0").mkdir(parents=True)
        (device / "idVendor").write_text("0d8c\n")
        (device / "idProduct").write_text("0014\n")
        (self.roots.sys / f"card{number}").mkdir()
        (self.roots.sys / f"card{number}/device").symlink_to(device / f"1-1.{port}:1.0")

    def held(self, number: int, thread: int, process: int, program: str) -> None:
        """A thread of a program has the card's device 0 open."""
        status = self.roots.proc / f"asound/card{number}/pcm0c/sub0/status"
        status.write_text(f"state: RUNNING\nowner_pid   : {thread}\ntrigger_time: 1.5\n")
        for task, name in ((thread, "a-thread"), (process, program)):
            (self.roots.proc / str(task)).mkdir(exist_ok=True)
            (self.roots.proc / str(task) / "status").write_text(f"Name:\tx\nTgid:\t{process}\n")
            (self.roots.proc / str(task) / "comm").write_text(f"{name}\n")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def portaudio(*names: str, default: int = 0, channels: int = 1) -> PortAudio:
    """A PortAudio that lists inputs of these names."""
    devices = [
        {
            "name": name,
            "index": index,
            "hostapi": 0,
            "max_input_channels": channels,
            "default_samplerate": 44100.0,
        }
        for index, name in enumerate(names)
    ]
    fake = SimpleNamespace(
        _initialized=1,
        PortAudioError=RuntimeError,
        default=SimpleNamespace(device=[default, -1]),
        query_hostapis=lambda: [{"name": "ALSA"}],
        query_devices=lambda: devices,
    )
    return PortAudio(fake)


def device(name: str, *ids: str, **more: Any) -> InputDevice:
    values = {"index": 0, "channels": 1, "rate": 48_000, "host_api": "ALSA"} | more
    return InputDevice(name, ids, **values)


class TestList:
    def test_a_card_has_names_that_survive_a_reboot(self, machine: Machine) -> None:
        machine.card(1, port=2, serial="A1")
        (found,) = list_inputs(portaudio("USB PnP Sound Device: Audio (hw:1,0)"), machine.roots)
        assert found.name == "USB PnP Sound Device: Audio"
        assert found.stable_ids == (
            "CARD=Device",
            "by-id/usb-C-Media_A1-00",
            f"by-path/{PORT.format(2)}",
            "usb:0d8c:0014@1-1.2",
        )
        assert (found.handle, found.index, found.rate) == ("CARD=Device", 0, 44_100)
        assert (found.default, found.busy, found.host_api) == (True, "", "ALSA")

    def test_equal_cards_without_serials_go_by_their_ports(self, machine: Machine) -> None:
        machine.card(1, "Device", port=2, serial="same")
        machine.card(2, "Device_1", port=3, serial="same")  # the link now leads to card 2
        for found, port in zip(capture_devices(machine.roots), (2, 3), strict=True):
            assert found.stable_ids == (
                f"by-path/{PORT.format(port)}",
                f"usb:0d8c:0014@1-1.{port}",
            )

    def test_equal_cards_with_serials_go_by_them_whatever_the_port(self, machine: Machine) -> None:
        machine.card(1, "Device", port=2, serial="A1")
        machine.card(2, "Device_1", port=3, serial="B2")
        first, second = capture_devices(machine.roots)
        assert first.stable_ids[0] == "by-id/usb-C-Media_A1-00"
        assert second.stable_ids[0] == "by-id/usb-C-Media_B2-00"

    def test_equal_cards_of_which_nothing_else_is_known_keep_their_ids(
        self, machine: Machine
    ) -> None:
        machine.card(0, "Loopback")
        machine.card(1, "Loopback_1")
        ids = [found.stable_ids for found in capture_devices(machine.roots)]
        assert ids == [("CARD=Loopback",), ("CARD=Loopback_1",)]

    def test_a_second_device_of_a_card_is_named_with_its_number(self, machine: Machine) -> None:
        machine.card(1, devices=(0, 10, 2))
        found = capture_devices(machine.roots)
        assert [d.device for d in found] == [0, 2, 10]
        assert [d.stable_ids for d in found] == [
            ("CARD=Device",),
            ("CARD=Device,DEV=2",),
            ("CARD=Device,DEV=10",),
        ]

    def test_a_sound_server_has_its_name_alone(self, machine: Machine) -> None:
        found = list_inputs(portaudio("pulse", "default", default=1, channels=32), machine.roots)
        assert [(d.handle, d.stable_ids, d.default) for d in found] == [
            ("pulse", (), False),
            ("default", (), True),
        ]

    def test_outputs_and_converters_are_left_out(self, machine: Machine) -> None:
        assert list_inputs(portaudio("hdmi", channels=0), machine.roots) == []
        names = ("lavrate", "upmix", "default")
        assert [d.name for d in list_inputs(portaudio(*names), machine.roots)] == ["default"]

    def test_a_busy_card_that_portaudio_leaves_out_is_listed(self, machine: Machine) -> None:
        machine.card(1)
        machine.held(1, thread=43, process=42, program="arecord")
        found = list_inputs(portaudio("default"), machine.roots)
        assert [d.name for d in found] == ["default", "USB PnP Sound Device: USB Audio"]
        assert (found[1].busy, found[1].index) == ("arecord (process 42)", None)

    def test_one_free_substream_is_enough(self, machine: Machine) -> None:
        machine.card(1)
        machine.held(1, thread=43, process=42, program="arecord")
        free = machine.roots.proc / "asound/card1/pcm0c/sub1"
        free.mkdir()
        (free / "status").write_text("closed\n")
        assert capture_devices(machine.roots)[0].owner == ""

    def test_a_holder_that_cannot_be_seen_is_another_program(self, machine: Machine) -> None:
        machine.card(1)
        status = machine.roots.proc / "asound/card1/pcm0c/sub0/status"
        status.write_text("state: RUNNING\nowner_pid   : 77\n")
        assert capture_devices(machine.roots)[0].owner == "another program"

    def test_a_file_that_may_not_be_opened_shows(self, machine: Machine) -> None:
        machine.card(1)
        (machine.roots.dev / "pcmC1D0c").unlink()  # root may open whatever is there
        (found,) = list_inputs(portaudio(), machine.roots)
        assert not found.permitted

    def test_a_machine_without_sound(self, tmp_path: Path) -> None:
        nowhere = Roots(tmp_path / "a", tmp_path / "b", tmp_path / "c")
        assert list_inputs(portaudio(), nowhere) == []

    def test_portaudio_that_fails_is_an_audio_error(self, machine: Machine) -> None:
        audio = portaudio()

        def fail() -> list[dict[str, Any]]:
            raise RuntimeError("no API")

        audio._sd.query_devices = fail
        with pytest.raises(AudioError, match="PortAudio cannot look for microphones: no API"):
            list_inputs(audio, machine.roots)


ONE = device(
    "USB PnP Sound Device: Audio",
    "CARD=Device",
    "by-id/usb-C-Media_A1-00",
    "by-path/" + PORT.format(2),
    "usb:0d8c:0014@1-1.2",
    card_id="Device",
    index=3,
)
SECOND = device(ONE.name + " 2", "CARD=Device,DEV=1", card_id="Device", index=4)
PULSE = device("pulse", index=5)
DEFAULT = device("default", index=6, default=True)
TWINS = [
    device("USB Mic", "by-path/" + PORT.format(2), card_id="Device", index=1),
    device("USB Mic", "by-path/" + PORT.format(3), card_id="Device_1", index=2),
]


class TestFind:
    @pytest.mark.parametrize(
        "wanted",
        [
            "CARD=Device",
            "Device",
            "hw:CARD=Device",
            "hw:CARD=Device,DEV=0",
            "plughw:CARD=Device",
            "hw:Device,0",
            "by-id/usb-C-Media_A1-00",
            "usb-C-Media_A1-00",
            "/dev/snd/by-id/usb-C-Media_A1-00",
            "/dev/snd/by-path/" + PORT.format(2),
            PORT.format(2),
            "usb:0d8c:0014",
            "usb:0d8c:0014@1-1.2",
            "USB PnP Sound Device: Audio",
            "USB PnP Sound Device: Audio (hw:7,0)",
        ],
    )
    def test_by_every_way_to_write_its_name(self, wanted: str) -> None:
        assert find_input(wanted, [DEFAULT, ONE, PULSE, SECOND]) is ONE

    @pytest.mark.parametrize("wanted", ["CARD=Device,DEV=1", "hw:Device,1", "Device,1"])
    def test_another_device_of_the_card(self, wanted: str) -> None:
        assert find_input(wanted, [ONE, SECOND]) is SECOND

    def test_a_card_whose_only_device_is_not_the_first(self) -> None:
        assert find_input("CARD=Device", [PULSE, SECOND]) is SECOND

    def test_by_a_part_of_the_name_in_any_case(self) -> None:
        assert find_input("usb pnp", [DEFAULT, ONE, PULSE]) is ONE

    def test_a_sound_server(self) -> None:
        assert find_input("pulse", [DEFAULT, ONE, PULSE]) is PULSE

    def test_the_default_where_none_is_named(self) -> None:
        assert find_input(None, [ONE, DEFAULT]) is DEFAULT
        assert find_input(None, [ONE]) is ONE
        with pytest.raises(AudioError, match=r"choose with --mic: 'CARD=Device' .*, 'pulse'"):
            find_input(None, [ONE, PULSE])

    @pytest.mark.parametrize("wanted", ["USB Mic", "mic", "Device", "CARD=Device_1", "hw:Device"])
    def test_of_twins_neither_is_guessed(self, wanted: str) -> None:
        with pytest.raises(AudioError, match="could be any of 2: choose one of") as caught:
            find_input(wanted, TWINS)
        assert PORT.format(2) in str(caught.value)
        assert PORT.format(3) in str(caught.value)

    def test_a_twin_by_its_port(self) -> None:
        assert find_input(PORT.format(3), TWINS) is TWINS[1]

    def test_twins_without_a_port_are_ambiguous_by_their_product(self) -> None:
        pair = [device("Mic", "usb:0d8c:0014@1-1"), device("Mic", "usb:0d8c:0014@1-2")]
        assert find_input("usb:0d8c:0014@1-2", pair) is pair[1]
        with pytest.raises(AudioError, match=r"usb:0d8c:0014@1-1.*usb:0d8c:0014@1-2"):
            find_input("usb:0d8c:0014", pair)

    @pytest.mark.parametrize("wanted", ["3", " 3 "])
    def test_a_number_is_refused_and_the_name_told(self, wanted: str) -> None:
        with pytest.raises(UsageError, match=r"after a reboot.*'CARD=Device' now"):
            find_input(wanted, [DEFAULT, ONE])

    @pytest.mark.parametrize("wanted", ["17", "hw:3", "hw:1,0", "plughw:1"])
    def test_other_numbers_are_refused_with_the_choice(self, wanted: str) -> None:
        with pytest.raises(UsageError, match=r"after a reboot.*choose 'default', 'CARD=Device'"):
            find_input(wanted, [DEFAULT, ONE])

    def test_what_is_not_there_is_told_with_what_is(self) -> None:
        with pytest.raises(AudioError, match=r"no microphone is called 'Yeti'.*'CARD=Device' \("):
            find_input("Yeti", [ONE])

    @pytest.mark.parametrize("wanted", ["Yeti", None])
    def test_where_there_is_none_it_says_what_to_do(self, wanted: str | None) -> None:
        with pytest.raises(AudioError, match="there is no microphone: "):
            find_input(wanted, [])

    def test_an_empty_name_is_no_part_of_one(self) -> None:
        with pytest.raises(AudioError, match="no microphone is called ''"):
            find_input("", [ONE])


class TestWhyNone:
    def test_nothing_at_all(self, machine: Machine) -> None:
        assert "arecord -l" in why_none(machine.roots, {})

    def test_no_permission(self, machine: Machine) -> None:
        machine.card(1)
        assert "arecord -l" in why_none(machine.roots, {})
        (machine.roots.dev / "pcmC1D0c").unlink()
        assert "usermod -aG audio" in why_none(machine.roots, {})

    def test_a_server_that_answers_lacks_the_plugin(self, machine: Machine, tmp_path: Path) -> None:
        (tmp_path / "pulse").mkdir()
        place = tmp_path / "pulse/native"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.fspath(place))
            dead = why_none(machine.roots, {"XDG_RUNTIME_DIR": str(tmp_path)})
            server.listen()
            alive = why_none(machine.roots, {"PULSE_SERVER": f"unix:{place}"})
        assert "does not answer" in dead
        assert "libasound2-plugins" in alive

    def test_a_server_that_is_listed_lacks_a_source(self, machine: Machine) -> None:
        said = why_none(machine.roots, {"PULSE_SERVER": "tcp:robot"}, reached=True)
        assert said.startswith("the sound server at tcp:robot has no source: plug in a microphone")
        assert "pactl set-default-source" in said
        assert "libasound2-plugins" not in said

    def test_a_server_on_another_machine_is_not_asked(self, machine: Machine) -> None:
        assert "libasound2-plugins" in why_none(machine.roots, {"PULSE_SERVER": "tcp:robot"})
