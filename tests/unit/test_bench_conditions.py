"""Conditions of a measurement: machines that are not here, and the machine that is."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.bench import conditions
from edge_ser.bench.conditions import read_commit, read_machine_conditions, read_state
from edge_ser.doctor import read_machine

FREQUENCIES = "sys/devices/system/cpu/cpu{}/cpufreq/scaling_{}"
NOWHERE = "no-such-vcgencmd"


def tree(root: Path, files: Mapping[str, str]) -> Path:
    """Files with these texts below `root`."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def program(path: Path, text: str) -> str:
    """A program of the shell."""
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def scaled(core: int, mhz: int, governor: str = "ondemand") -> dict[str, str]:
    """The files of a core whose frequency the kernel scales between 600 and 1800 MHz."""
    values = {"governor": governor, "cur_freq": f"{mhz}000", "min_freq": "600000"}
    values["max_freq"] = "1800000"
    return {FREQUENCIES.format(core, name): f"{text}\n" for name, text in values.items()}


def test_a_raspberry_pi_tells_board_core_memory_and_system(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
            "proc/device-tree/cpus/cpu@0/compatible": "arm,cortex-a72\0arm,armv8\0",
            "proc/device-tree/cpus/cpu@1/compatible": "arm,cortex-a72\0arm,armv8\0",
            "proc/meminfo": "MemTotal:        3884276 kB\nMemFree:  1 kB\n",
            "etc/os-release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
        },
    )
    found = read_machine_conditions(root)
    assert found["board"] == "Raspberry Pi 4 Model B Rev 1.4"
    assert found["cpu"] == "arm,cortex-a72"
    assert found["memory_mb"] == 3_884_276 * 1024 / 1e6
    assert found["system"] == "Debian GNU/Linux 12 (bookworm)"


def test_a_gpu_is_named_as_its_driver_names_it(tmp_path: Path) -> None:
    assert read_machine_conditions(tmp_path)["gpu"] is None
    for bus, name in (
        ("0000:01:00.0", "NVIDIA GeForce RTX 3080 Ti"),
        ("0000:02:00.0", "NVIDIA T4"),
    ):
        folder = tmp_path / "proc/driver/nvidia/gpus" / bus
        folder.mkdir(parents=True)
        (folder / "information").write_text(f"Model: \t\t {name}\nIRQ:   \t\t 95\n")
    assert read_machine_conditions(tmp_path)["gpu"] == "NVIDIA GeForce RTX 3080 Ti, NVIDIA T4"


def test_a_board_with_two_kinds_of_cores_names_both(tmp_path: Path) -> None:
    cores = {0: "arm,cortex-a55", 4: "arm,cortex-a76"}
    files = {f"proc/device-tree/cpus/cpu@{n}00/compatible": f"{c}\0" for n, c in cores.items()}
    found = read_machine_conditions(tree(tmp_path, files))
    assert found["cpu"] == "arm,cortex-a55 + arm,cortex-a76"


def test_what_a_machine_does_not_tell_is_null(tmp_path: Path) -> None:
    machine, state = read_machine_conditions(tmp_path), read_state(tmp_path, NOWHERE)
    unknown = ("board", "cpu", "memory_mb", "system", "virtual")
    assert {machine[name] for name in unknown} == {None}
    assert state.pop("cores") == []
    assert state.pop("sensors") == {}
    assert set(state.values()) == {None}


def test_this_machine_gives_json_and_knows_what_python_knows() -> None:
    found = json.loads(json.dumps({**read_machine_conditions(), "state": read_state()}))
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["cores"] == os.cpu_count()
    assert found["bits"] == (64 if sys.maxsize > 2**32 else 32)
    assert "numpy" in found["packages"]
    assert found["kernel"].startswith(("Linux", "Darwin"))


def test_the_blas_itself_tells_its_threads() -> None:
    program = "from edge_ser.bench.conditions import read_machine_conditions as read\n"
    program += "print(read()['blas_threads'])"
    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **dict.fromkeys(variables, "1")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() in {"1", "None"}  # None: of a BLAS that cannot be asked


def test_a_process_without_a_known_blas_has_unknown_threads(tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    maps.write_text(f"7f00-7f01 r-xp 00 fd:01 1   {tmp_path}/libopenblas.so.0\n7f02 [heap]\n")
    assert conditions._blas_threads(maps) is None
    assert conditions._blas_threads(tmp_path / "none") is None


def test_frequencies_governors_and_load_come_core_by_core(tmp_path: Path) -> None:
    files = {**scaled(10, 1500), **scaled(2, 600, "powersave"), "proc/loadavg": "0.52 0.4 0.3 1/9"}
    state = read_state(tree(tmp_path, files), NOWHERE)
    assert [core["core"] for core in state["cores"]] == [2, 10]
    assert state["cores"][1] == {
        "core": 10,
        "governor": "ondemand",
        "mhz": 1500.0,
        "mhz_min": 600.0,
        "mhz_max": 1800.0,
    }
    assert (state["mhz"], state["governor"], state["load"]) == (1500.0, "ondemand, powersave", 0.52)


def test_the_hottest_sensor_of_the_processor_counts(tmp_path: Path) -> None:
    files = {
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
        "sys/class/thermal/thermal_zone0/temp": "48312\n",
        "sys/class/thermal/thermal_zone1/type": "cpu-thermal\n",
        "sys/class/thermal/thermal_zone1/temp": "51000\n",
        "sys/class/hwmon/hwmon0/name": "nvme\n",
        "sys/class/hwmon/hwmon0/temp1_input": "70850\n",
        "sys/class/hwmon/hwmon0/temp1_label": "Composite\n",
        "sys/class/hwmon/hwmon0/temp2_input": "asleep\n",
        "sys/class/hwmon/hwmon1/temp3_input": "39000\n",
    }
    state = read_state(tree(tmp_path, files), NOWHERE)
    assert state["celsius"] == 51.0
    assert state["sensors"] == {
        "cpu-thermal": 48.312,
        "cpu-thermal #2": 51.0,
        "nvme Composite": 70.85,
        "hwmon1 temp3": 39.0,
    }


def test_a_disk_tells_nothing_of_the_processor(tmp_path: Path) -> None:
    files = {"sys/class/hwmon/hwmon0/name": "nvme", "sys/class/hwmon/hwmon0/temp1_input": "70000"}
    assert read_state(tree(tmp_path, files), NOWHERE)["celsius"] is None


def test_vcgencmd_tells_what_throttles_now_and_what_did(tmp_path: Path) -> None:
    vcgencmd = program(tmp_path / "vcgencmd", '[ "$1" = get_throttled ] && echo throttled=0xd0001')
    state = read_state(tmp_path, vcgencmd)
    assert state["throttled_flags"] == "0xd0001"
    assert state["throttled"] == [
        "under-voltage now",
        "under-voltage since the start",
        "throttled since the start",
        "soft temperature limit since the start",
    ]


def test_nothing_throttled_is_known_and_empty(tmp_path: Path) -> None:
    vcgencmd = program(tmp_path / "vcgencmd", "echo throttled=0x0")
    assert read_state(tmp_path, vcgencmd)["throttled"] == []


@given(st.integers(0, 2**20 - 1))
def test_each_known_flag_gives_one_line(flags: int) -> None:
    known = sum(1 << bit | 1 << bit + 16 for bit in range(4))
    assert len(conditions._throttled(flags)) == (flags & known).bit_count()


def test_without_vcgencmd_the_kernel_tells(tmp_path: Path) -> None:
    root = tree(tmp_path, {conditions.FIRMWARE: "50000\n"})
    assert read_state(root, NOWHERE)["throttled_flags"] == "0x50000"
    refusing = program(tmp_path / "vcgencmd", "echo 'VCHI initialization failed'; exit 255")
    assert read_state(root, refusing)["throttled_flags"] == "0x50000"


def test_a_vcgencmd_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conditions, "COMMAND_SECONDS", 0.2)
    assert read_state(tmp_path, program(tmp_path / "v", "exec sleep 60"))["throttled"] is None


def test_heat_that_slowed_an_intel_processor_is_counted(tmp_path: Path) -> None:
    name = "sys/devices/system/cpu/cpu{}/thermal_throttle/core_throttle_count"
    root = tree(tmp_path, {name.format(0): "3\n", name.format(1): "4\n"})
    assert read_state(root, NOWHERE)["throttle_count"] == 7


SUPPLIES: dict[str, tuple[dict[str, str], str | None]] = {
    "laptop on the mains": ({"AC/type": "Mains", "AC/online": "1", "BAT0/type": "Battery",
                             "BAT0/status": "Discharging"}, "mains"),
    "laptop on its battery": ({"AC/type": "Mains", "AC/online": "0", "BAT0/type": "Battery",
                               "BAT0/status": "Discharging"}, "battery"),
    "charger by USB": ({"ucsi/type": "USB", "ucsi/online": "1"}, "mains"),
    "desktop with a mouse": ({"hid/type": "Battery", "hid/scope": "Device",
                              "hid/status": "Discharging"}, None),
    "full battery, mains unknown": ({"BAT0/type": "Battery", "BAT0/status": "Full"}, None),
}  # fmt: skip


@pytest.mark.parametrize("case", SUPPLIES)
def test_the_power_source(case: str, tmp_path: Path) -> None:
    files, expected = SUPPLIES[case]
    root = tree(tmp_path, {f"sys/class/power_supply/{name}": text for name, text in files.items()})
    assert read_state(root, NOWHERE)["power"] == expected


def test_a_folder_that_is_no_checkout_has_no_commit(tmp_path: Path) -> None:
    assert read_commit(tmp_path) is None
    (tmp_path / ".git").mkdir()  # empty: git refuses
    assert read_commit(tmp_path) is None


def test_the_commit_says_whether_files_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".git").mkdir()
    program(tmp_path / "git", 'for last; do :; done; echo "abc123${last#--dirty=}"')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert read_commit(tmp_path) == "abc123+"


def virtual_of(kernel_machine: str, flags: set[str]) -> bool | None:
    machine = replace(read_machine(), kernel_machine=kernel_machine, cpu_flags=frozenset(flags))
    return conditions._virtual(machine)


def test_only_x86_tells_whether_it_is_virtual() -> None:
    assert virtual_of("x86_64", {"avx", "hypervisor"}) is True
    assert virtual_of("x86_64", {"avx"}) is False
    assert virtual_of("aarch64", {"asimd"}) is None
    assert virtual_of("x86_64", set()) is None
