"""Energy: counters that wrap, hide or vanish, GPUs that are not here, and meters' files."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ser.bench import meter, nvml
from edge_ser.bench.energy import Counter, Meters, open_meters
from edge_ser.bench.meter import check_meter, meter_joules
from edge_ser.errors import DataError, DependencyError, UsageError

RANGE_J = 65_532.0


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def zone(root: Path, name: str, kind: str, joules: float) -> Path:
    """A zone of RAPL; returns its counter."""
    folder = root / "sys/class/powercap" / name
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{kind}\n")
    (folder / "max_energy_range_uj").write_text(f"{RANGE_J * 1e6:.0f}\n")
    (folder / "energy_uj").write_text(f"{joules * 1e6:.0f}\n")
    return folder / "energy_uj"


def test_the_packages_are_summed_and_their_parts_are_not(tmp_path: Path) -> None:
    files = [
        zone(tmp_path, "intel-rapl:0", "package-0", 10),
        zone(tmp_path, "intel-rapl:1", "package-1", 20),
        zone(tmp_path, "intel-rapl:2", "psys", 30),
        zone(tmp_path, "intel-rapl:0:0", "core", 40),
    ]
    meters = open_meters(root=tmp_path)
    meters.start()
    for file in files:
        file.write_text("50000000\n")
    found = meters.stop(clips=7)
    assert found["measured"]
    assert (found["joules"], found["joules_per_clip"]) == (70.0, 10.0)
    assert found["source"] == "RAPL package-0 + RAPL package-1"
    assert found["why"] is None


def test_a_counter_that_wrapped_around_is_followed(tmp_path: Path) -> None:
    file = zone(tmp_path, "intel-rapl:0", "package-0", RANGE_J - 5)
    meters = open_meters(root=tmp_path)
    meters.start()
    file.write_text("7000000\n")
    assert meters.stop(clips=1)["joules"] == pytest.approx(12.0)


def test_ticks_follow_a_counter_that_wraps_around_twice() -> None:
    clock, values = Clock(), iter([900.0, 100.0, 800.0, 50.0])
    meters = Meters([Counter("c", lambda: next(values), 1000.0)], [], clock=clock)
    meters.start()
    for seconds in (1.0, 0.4, 0.5):
        clock.now += seconds
        meters.tick()  # sooner than a tick is due: nothing is read
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edge_ser.bench.energy.TICK_SECONDS", 1.0)
        meters.tick()
        clock.now += 1.9
        meters.tick()
    clock.now += 1.9
    assert meters.stop(clips=1)["joules"] == pytest.approx(200 + 700 + 250)


def test_a_counter_that_may_have_wrapped_twice_is_not_believed() -> None:
    clock = Clock()
    meters = Meters([Counter("RAPL package-0", lambda: 1.0, RANGE_J)], [], clock=clock)
    meters.start()
    clock.now += 200
    found = meters.stop(clips=1)
    assert not found["measured"]
    assert found["joules"] is None
    assert "RAPL package-0 was not read for 200 s" in found["why"]


def test_a_counter_for_root_only_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 1)
    read = Path.read_text

    def guarded(path: Path, *arguments: Any, **options: Any) -> str:
        if path.name == "energy_uj":
            raise PermissionError
        return read(path, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", guarded)
    meters = open_meters(root=tmp_path)
    meters.start()
    found = meters.stop(clips=3)
    assert (found["measured"], found["source"]) == (False, "not measured")
    assert found["joules_per_clip"] is None
    assert "intel-rapl:0/energy_uj is readable by root only" in found["why"]


def test_a_counter_that_vanishes_leaves_the_others(tmp_path: Path) -> None:
    lost = zone(tmp_path, "intel-rapl:0", "package-0", 1)
    kept = zone(tmp_path, "intel-rapl:1", "package-1", 1)
    meters = open_meters(root=tmp_path)
    meters.start()
    lost.unlink()
    kept.write_text("3000000\n")
    found = meters.stop(clips=1)
    assert (found["joules"], found["source"]) == (2.0, "RAPL package-1")
    assert "RAPL package-0" in found["why"]


def test_without_counters_only_processor_seconds_are_known(tmp_path: Path) -> None:
    meters = open_meters(root=tmp_path)
    meters.start()
    sum(range(100_000))
    found = meters.stop(clips=1)
    assert not found["measured"]
    assert "no RAPL counters" in found["why"]
    assert found["cpu_s"] > 0
    assert found["ended"] > found["began"]


def test_an_interrupt_before_the_first_clip_has_joules_but_none_per_clip() -> None:
    meters = Meters([Counter("RAPL package-0", lambda: 1.0)], [])
    meters.start()
    found = meters.stop(clips=0)
    assert (found["joules"], found["joules_per_clip"]) == (0.0, None)


class NVMLError(Exception):
    """As pynvml's."""


def fake_nvml(*gpus: dict[str, Any], works: bool = True) -> SimpleNamespace:
    """The part of pynvml that is used, with GPUs that a test describes."""

    def start() -> None:
        if not works:
            raise NVMLError("Driver Not Loaded")

    def energy(gpu: dict[str, Any]) -> int:
        if "mj" not in gpu:
            raise NVMLError("Not Supported")
        return int(gpu["mj"])

    def processes(gpu: dict[str, Any]) -> list[SimpleNamespace]:
        if gpu.get("silent"):
            raise NVMLError("No Permission")
        pids = gpu.get("pids", {})
        return [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in pids.items()]

    return SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=start,
        nvmlDeviceGetCount=lambda: len(gpus),
        nvmlDeviceGetHandleByIndex=lambda index: gpus[index],
        nvmlDeviceGetName=lambda gpu: b"RTX 3080 Ti",
        nvmlDeviceGetTotalEnergyConsumption=energy,
        nvmlDeviceGetComputeRunningProcesses=processes,
    )


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Callable[..., SimpleNamespace]:
    def install(*found: dict[str, Any], works: bool = True) -> SimpleNamespace:
        fake = fake_nvml(*found, works=works)
        monkeypatch.setitem(sys.modules, "pynvml", fake)
        return fake

    return install


def metered(root: Path, change: Callable[[], object] = lambda: None) -> dict[str, Any]:
    """What the meters of a CUDA run tell when `change` happens in it."""
    meters = open_meters(provider="cuda", root=root)
    meters.start()
    change()
    return meters.stop(clips=1)


def test_the_gpu_counts_beside_the_processor(tmp_path: Path, gpus: Callable[..., Any]) -> None:
    file, gpu = zone(tmp_path, "intel-rapl:0", "package-0", 1), {"mj": 5_000}
    gpus(gpu)
    found = metered(tmp_path, lambda: (gpu.update(mj=7_500), file.write_text("2000000")))
    assert (found["joules"], found["source"]) == (3.5, "RAPL package-0 + NVML RTX 3080 Ti")


def test_of_several_gpus_the_one_that_computes_counts(
    tmp_path: Path, gpus: Callable[..., Any]
) -> None:
    idle, busy = {"mj": 0}, {"mj": 0, "pids": {os.getpid(): 1}}
    gpus(idle, busy)
    found = metered(tmp_path, lambda: (idle.update(mj=100), busy.update(mj=9_000)))
    assert found["joules"] == 9.0


def test_gpus_that_cannot_be_measured_say_why(tmp_path: Path, gpus: Callable[..., Any]) -> None:
    gpus({"mj": 0}, {"mj": 0, "silent": True})
    assert "2 GPUs, and NVIDIA's driver does not say which" in metered(tmp_path)["why"]
    gpus({})
    assert "does not count its energy (Not Supported)" in metered(tmp_path)["why"]
    gpus(works=False)
    assert "does not answer (Driver Not Loaded)" in metered(tmp_path)["why"]


def test_nvml_is_optional(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "pip install nvidia-ml-py" in metered(tmp_path)["why"]


MINE, OTHER = os.getpid(), os.getpid() + 1
MEMORY: dict[str, tuple[list[dict[int, int | None]], float | None]] = {
    "on two GPUs": ([{MINE: 3_000_000, 7: 9}, {MINE: 1_000_000}], 4.0),
    "in a container, whose numbers differ from the driver's": ([{OTHER: 2_000_000, 7: 9}], 2.0),
    "one of two that are new": ([{OTHER: 1, OTHER + 1: 1}], None),
    "not told": ([{MINE: None}], None),
    "not told on one GPU": ([{MINE: 5}, {MINE: None}], None),
    "nowhere": ([{7: 9}], None),
}


@pytest.mark.parametrize("case", MEMORY)
def test_the_gpu_memory_of_this_process(case: str) -> None:
    gpus, expected = MEMORY[case]
    fake = fake_nvml(*({"pids": pids} for pids in gpus))
    assert nvml.gpu_memory_mb(fake, {7: 9}) == expected


def test_no_gpu_is_an_error_and_uses_no_memory() -> None:
    assert nvml.compute_processes(fake_nvml()) == {}
    with pytest.raises(DependencyError, match="0 GPUs"):
        nvml.gpus_in_use(fake_nvml())


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def steady(tmp_path: Path, watts: Callable[[float], float], seconds: int = 120) -> Path:
    """A meter's file with a reading each half second from 0 on."""
    rows = (f"{t / 2},{watts(t / 2)!r}\n" for t in range(2 * seconds + 1))
    return written(tmp_path / "meter.csv", "time_s,watts\n" + "".join(rows))


def test_a_meter_that_measures_all_replaces_the_counters(tmp_path: Path) -> None:
    now = datetime.now(UTC).timestamp()
    rows = "".join(f"{now + n / 10},230,4\n" for n in range(-100, 3000))
    file = written(tmp_path / "plug.csv", "time,volts,watts\n" + rows)
    clock = Clock()
    meters = Meters([Counter("RAPL package-0", lambda: 1.0)], [], file, clock)
    meters.start()
    clock.now += 5.0
    found = meters.stop(clips=10)
    assert found["source"] == "meter plug.csv"
    assert found["joules_per_clip"] == pytest.approx(2.0)
    assert found["watts"] == pytest.approx(4.0)


def test_a_meter_that_fails_leaves_the_counters_and_says_why(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 1)
    meters = open_meters(steady(tmp_path, lambda t: 4.0), root=tmp_path)
    meters.start()
    found = meters.stop(clips=1)
    assert found["source"] == "RAPL package-0"
    assert "meter.csv: its readings are" in found["why"]


def test_power_between_readings_lies_on_a_straight_line(tmp_path: Path) -> None:
    file = steady(tmp_path, lambda t: 2 + t / 10)
    # The integral of 2 + t / 10 from 10.2 to 60.3.
    assert meter_joules(file, 10.2, 60.3) == pytest.approx(2 * 50.1 + (60.3**2 - 10.2**2) / 20)


@pytest.fixture(scope="module")
def wavy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return steady(tmp_path_factory.mktemp("wavy"), lambda t: 5 + (7 * t) % 3)


@given(st.lists(st.floats(0, 99), min_size=2, max_size=2), st.floats(0.1, 0.9))
def test_the_parts_of_a_run_add_up(wavy: Path, ends: list[float], cut: float) -> None:
    start, end = min(ends), max(ends) + 20
    middle = start + max(6.0, min(end - start - 6.0, cut * (end - start)))
    parts = meter_joules(wavy, start, middle) + meter_joules(wavy, middle, end)
    assert parts == pytest.approx(meter_joules(wavy, start, end))


def test_times_may_be_iso_and_columns_in_any_order(tmp_path: Path) -> None:
    rows = "".join(
        f"3.0, {datetime.fromtimestamp(1_800_000_000 + t, UTC).isoformat()},x\n" for t in range(21)
    )
    file = written(tmp_path / "m.csv", f"\ufeffWatts, Time ,note\n\n{rows}")
    assert meter_joules(file, 1_800_000_001, 1_800_000_019) == pytest.approx(54.0)


def test_a_line_that_the_meter_is_still_writing_is_passed_over(tmp_path: Path) -> None:
    rows = "".join(f"{t},10\n" for t in range(21))
    file = written(tmp_path / "m.csv", f"time_s,watts\n{rows}21,1")
    assert meter_joules(file, 0, 20) == pytest.approx(200.0)


def test_a_clock_of_one_second_may_repeat_itself(tmp_path: Path) -> None:
    rows = "".join(f"{t},10\n{t},30\n" for t in range(21))
    file = written(tmp_path / "m.csv", f"time_s,watts\n{rows}")
    assert meter_joules(file, 0, 20) == pytest.approx(400.0)


HEAD = "time_s,watts\n"
BAD: dict[str, tuple[str, str]] = {
    "empty": ("", "names 'nothing', expected the columns"),
    "no header": ("1,2\n2,3\n", "expected the columns time_s"),
    "words": (HEAD + "1,2\nnow,3\n", "line 3: 'now,3', expected a time and watts"),
    "short line": (HEAD + "1\n", "line 2: '1', expected"),
    "not finite": (HEAD + "1,nan\n", "line 2: nan W, expected 0 or more and finite"),
    "negative": (HEAD + "1,-3\n", "line 2: -3 W, expected 0 or more"),
    "backwards": (HEAD + "5,1\n4,1\n", "line 3: 1 s before the line above"),
    "no readings": (HEAD, "no readings, expected readings of the whole run"),
    "one reading": (HEAD + "15,1\n", "its readings begin 5.0 s after the run"),
    "too late": (HEAD + "12,1\n13,1\n14,1\n", "begin 2.0 s after the run"),
    "too early": (HEAD + "".join(f"{t},1\n" for t in range(18)), "end 3.0 s before the run"),
    "elsewhere": (HEAD + "1,1\n2,1\n", "its readings are 8.0 s away from the run"),
    "gap": (HEAD + "9,1\n10,1\n12,1\n21,1\n", "a gap of 2.0 s in a run of 10.0 s"),
    "long line": (HEAD + "1" * 5000 + "\n", "a line of 4096 characters or more"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_named_with_what_is_wrong(case: str, tmp_path: Path) -> None:
    text, message = BAD[case]
    file = written(tmp_path / "m.csv", text)
    with pytest.raises(DataError, match=r"m\.csv") as caught:
        meter_joules(file, 10, 20)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def strange_files(folder: Path) -> Iterator[tuple[Path, type[Exception], str]]:
    os.mkfifo(folder / "pipe")
    (folder / "bytes").write_bytes(b"\x00\xff" * 900)
    (folder / "large").write_text(HEAD + "1,1\n" * 10)
    yield folder / "pipe", DataError, "not a file"
    yield folder, DataError, "not a file"
    yield folder / "none", UsageError, "No such file"
    yield folder / "bytes", DataError, "expected the columns"
    yield folder / "large", DataError, "expected at most"


def test_strange_files_are_refused_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bytes").write_bytes(b"")
    for file, kind, message in strange_files(tmp_path):
        if file.name == "large":
            monkeypatch.setattr(meter, "MOST_BYTES", 20)
        with pytest.raises(kind, match=message):
            open_meters(file)


def test_a_file_without_readings_yet_is_fine_before_the_run(tmp_path: Path) -> None:
    check_meter(written(tmp_path / "m.csv", HEAD))
