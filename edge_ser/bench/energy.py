"""Energy of a measurement: RAPL, NVML or a power meter's CSV, else "not measured" and why.

    meters = open_meters()
    meters.start()
    ...                                  # now and then: meters.tick()
    meters.stop(clips)                   # {"measured": true, "joules_per_clip": 0.21, ...}

Counters tell of the whole package, GPU or machine, idle and other programs included.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from edge_ser.bench import nvml
from edge_ser.bench.meter import check_meter, meter_joules
from edge_ser.errors import DataError, DependencyError, EdgeSerError
from edge_ser.zoo import GPU_PROVIDERS

__all__ = ["Counter", "Meters", "open_meters"]

TICK_SECONDS = 10.0
MOST_WATTS = 500.0
"""No processor draws more; a counter that this could carry around twice is not believed."""


@dataclass(frozen=True)
class Counter:
    """Something that counts energy from a moment in the past on."""

    source: str
    read: Callable[[], float]
    """Joules so far; raises EdgeSerError or OSError where it can no longer be read."""
    wraps_at: float = math.inf
    """Joules after which it starts from 0 again."""


class Meters:
    """All that measures energy here, from `start` to `stop`."""

    def __init__(
        self,
        counters: list[Counter],
        unmeasured: list[str],
        meter: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Join what there is; `open_meters` finds it.

        Args:
            counters: read at the start, at each tick, and at the end.
            unmeasured: why others are not there, a sentence each.
            meter: CSV file of a power meter, read at the end.
            clock: seconds.
        """
        self._counters = {counter.source: counter for counter in counters}
        self._unmeasured = list(unmeasured)
        self._meter = meter
        self._clock = clock
        self._joules: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self._why: list[str] = []
        self._began = self._began_at = self._worked = self._read_at = 0.0

    def start(self) -> None:
        """Begin, or begin anew."""
        self._why = list(self._unmeasured)
        self._joules, self._last = {}, {}
        self._read_at = self._clock()
        for counter in self._counters.values():
            value = self._value(counter)
            if value is not None:
                self._last[counter.source] = value
                self._joules[counter.source] = 0.0
        self._began, self._began_at = time.time(), self._clock()
        self._worked = time.process_time()

    def tick(self) -> None:
        """Follow counters that wrap around; needed in runs beyond a minute, cheap at any rate."""
        if self._joules and self._clock() - self._read_at >= TICK_SECONDS:
            self._count()

    def stop(self, clips: int) -> dict[str, Any]:
        """End, and tell what was measured.

        Args:
            clips: how many were classified since `start`; none, where an interrupt came first.

        Returns:
            `measured`; `source`: what measured; `joules` and `joules_per_clip`, null where nothing
            did or no clip was; `watts`: the mean; `why`: what was not measured and why; `cpu_s`:
            processor seconds of this process; `began` and `ended`: seconds since 1970, to read a
            meter against.
        """
        worked, seconds = time.process_time() - self._worked, self._clock() - self._began_at
        ended = self._began + seconds
        self._count()
        joules = dict(self._joules)
        if self._meter is not None:
            try:
                # A meter at the plug has seen all that the counters have.
                joules = {
                    f"meter {self._meter.name}": meter_joules(self._meter, self._began, ended)
                }
            except EdgeSerError as error:
                self._why.append(str(error))
        total = sum(joules.values()) if joules else None
        return {
            "measured": total is not None,
            "source": " + ".join(joules) or "not measured",
            "joules": total,
            "joules_per_clip": total / clips if total is not None and clips else None,
            "watts": total / seconds if total is not None and seconds else None,
            "why": "; ".join(self._why) or None,
            "cpu_s": worked,
            "began": self._began,
            "ended": ended,
        }

    def _count(self) -> None:
        """Add what was counted since the last reading; a counter that fails is left out."""
        now = self._clock()
        passed, self._read_at = now - self._read_at, now
        for source in list(self._joules):
            counter = self._counters[source]
            value = self._value(counter)
            if value is not None and passed * MOST_WATTS >= counter.wraps_at:
                self._why.append(
                    f"{source} was not read for {passed:.0f} s and may have wrapped around more "
                    "than once"
                )
                value = None
            if value is None:
                del self._joules[source]
                continue
            more = value - self._last[source]
            self._joules[source] += more if more >= 0 else more + counter.wraps_at
            self._last[source] = value

    def _value(self, counter: Counter) -> float | None:
        try:
            return counter.read()
        except (EdgeSerError, OSError) as error:
            self._why.append(f"{counter.source}: {error}")
            return None


def open_meters(meter: Path | None = None, provider: str = "cpu", root: Path = Path("/")) -> Meters:
    """Whatever measures energy here: RAPL, NVML where a GPU computes, a meter's CSV file.

    Args:
        meter: CSV file that a power meter writes, see `edge_ser.bench.meter`.
        provider: what computes; NVML is asked for `cuda` and `tensorrt`, after the model is open.
        root: where `sys` is looked for.

    Raises:
        DataError: the file is not a meter's.
        UsageError: the file is not there or cannot be read.
    """
    if meter is not None:
        check_meter(meter)
    counters: list[Counter] = []
    unmeasured: list[str] = []
    sources: list[Callable[[], list[Counter]]] = [partial(_rapl, root)]
    if provider in GPU_PROVIDERS:
        sources.append(_nvml)
    for source in sources:
        try:
            counters += source()
        except (DataError, DependencyError) as error:
            unmeasured.append(str(error))
    return Meters(counters, unmeasured, meter)


def _rapl(root: Path) -> list[Counter]:
    """The counters of the processor's packages; `core` and `dram` are parts, `psys` is more.

    Kernel documentation: power/powercap/powercap.rst.
    """
    folder = root / "sys/class/powercap"
    zones = [
        zone
        for zone in sorted(folder.glob("intel-rapl:*"))
        if re.fullmatch(r"intel-rapl:\d+", zone.name) and _zone_name(zone).startswith("package")
    ]
    if not zones:
        raise DependencyError(f"no RAPL counters in {folder}: use a power meter")
    counters = [
        Counter(
            f"RAPL {_zone_name(zone)}",
            partial(_joules, zone / "energy_uj"),
            _joules(zone / "max_energy_range_uj"),
        )
        for zone in zones
    ]
    for counter in counters:
        counter.read()  # since Linux 5.10 by root only, where nobody changed that
    return counters


def _zone_name(zone: Path) -> str:
    try:
        return (zone / "name").read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _joules(path: Path) -> float:
    """Of a file that holds microjoules."""
    try:
        return int(path.read_text(encoding="ascii")) / 1e6
    except PermissionError as error:
        raise DataError(f"{path} is readable by root only: be root, or use a meter") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path} does not hold a number ({error}): use a meter") from error


def _nvml() -> list[Counter]:
    module = nvml.open_nvml()
    counters = []
    for number, (name, handle) in enumerate(nvml.gpus_in_use(module)):
        nvml.joules(module, handle)
        counters.append(
            Counter(
                f"NVML {name}" + (f" #{number + 1}" if number else ""),
                partial(nvml.joules, module, handle),
            )
        )
    return counters
