"""A day of listening in minutes: memory, queues, and events as the offline pass finds them.

    python -m edge_ser.benchmarks.day EMODB NOISE [--hours 24] [--seed 4] [--record]

A stream of silence, noise, speech and both, drawn from a seed (`streams.day`), is made by one
process and piped into another, which listens to it as `edge-ser listen --input -` does: the same
source, loop and sink, on a clock that the stream drives. Neither stores audio. Each simulated ten
minutes the resident memory of the listening process is noted, with every block the length of each
queue. A third process then computes the events of the same stream offline (`offline.py`).

Ends with 1 unless: both find the same events, each queue stays within its bound, memory stays below
120 MB, and its slope after the first hour is within noise: the 95 % interval of the least-squares
slope, widened for the residuals' correlation, includes 0 or ends below 1 MB a day.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from .conditions import ONE_THREAD, RECORDS, conditions, one_line, write_record

MOST_MB = 120.0
MOST_MB_A_DAY = 1.0
FIRST_S = 3600.0
NEEDED = 12
"""Fewest notes of memory that make a slope: two hours of them."""

Event = dict[str, Any]


def run(stream: Sequence[str]) -> tuple[list[Event], list[Event], dict[str, Any]]:
    """Listen and compute; the events of both, and what was measured."""
    with subprocess.Popen(_command("speak", stream), stdout=subprocess.PIPE) as speaker:
        heard, measured = _answers(_command("listen", stream), speaker.stdout)
    found, content = _answers(_command("offline", stream), None)
    return heard, found, {**measured, "stream": content}


def _command(role: str, stream: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "edge_ser.benchmarks.day_processes", role, *stream]


def _answers(command: Sequence[str], stdin: Any) -> tuple[list[Event], dict[str, Any]]:
    """Events that a process prints, and what it says in its last line."""
    events: list[Event] = []
    measured: dict[str, Any] | None = None
    environment = {**os.environ, **ONE_THREAD}
    with subprocess.Popen(
        command, stdin=stdin, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        if stdin is not None:
            stdin.close()  # ours: the speaker is to notice when its listener ends
        assert process.stdout is not None
        for line in process.stdout:
            answer = json.loads(line)
            if "measured" in answer:
                measured = answer["measured"]
            else:
                events.append(_comparable(answer))
    if process.returncode or measured is None:
        sys.exit(f"{command[3]}: ended with {process.returncode}")
    return events, measured


def _comparable(event: Event) -> Event:
    """What the offline pass knows of an event too."""
    names = ("kind", "label", "uncertain", "scores", "start_s", "end_s", "cut")
    return {name: event[name] for name in names}


def slope(notes: Iterable[Sequence[float]]) -> tuple[float, float, float] | None:
    """MB a day by least squares, and the ends of its 95 % interval; None for too few notes.

    Neighbouring residuals resemble each other, which makes the plain interval too narrow: its
    variance is multiplied by (1 + r) / (1 - r), r their correlation.
    """
    later = np.array([note for note in notes if note[0] >= FIRST_S])
    if len(later) < NEEDED:
        return None
    days, memory = later[:, 0] / 86_400, later[:, 1]
    away = days - days.mean()
    spread = float(np.square(away).sum())
    value = float((away * memory).sum()) / spread
    residuals = memory - memory.mean() - value * away
    variance = float(np.square(residuals).sum()) / (len(later) - 2)
    if not variance:
        return value, value, value
    alike = float((residuals[1:] * residuals[:-1]).sum() / np.square(residuals).sum())
    alike = min(max(alike, 0.0), 0.99)
    half = 2.0 * float(np.sqrt(variance / spread * (1 + alike) / (1 - alike)))
    return value, value - half, value + half


def verdicts(
    heard: Sequence[Event], found: Sequence[Event], measured: Mapping[str, Any]
) -> dict[str, bool]:
    """What must hold, and whether it does."""
    grows = slope(measured["memory_mb"])
    kept = {
        "events as the offline pass, exactly": list(heard) == list(found) and len(heard) > 0,
        "queues within their bounds": all(
            length <= measured["bounds"][name] for name, length in measured["longest"].items()
        ),
        "no event dropped, no fault": measured["flushed"]
        and not measured["dropped_events"]
        and not measured["faults"],
        f"memory below {MOST_MB:.0f} MB": measured["peak_mb"] < MOST_MB,
    }
    if grows is not None:
        _, low, high = grows
        kept["memory slope within noise"] = low <= 0 <= high or high < MOST_MB_A_DAY
    return kept


def page(known: str, command: str, result: Mapping[str, Any]) -> str:
    """The record for people."""
    measured, stream = result["measured"], result["measured"]["stream"]
    memory = [mb for _, mb in measured["memory_mb"]]
    grows = slope(measured["memory_mb"])
    rows = {
        "stream": f"{measured['seconds'] / 3600:.2f} h, {stream['utterances']} utterances, "
        f"{stream['speech_s'] / stream['seconds']:.0%} speech",
        "took": f"{measured['wall_s'] / 60:.1f} min, {measured['cpu_s'] / 60:.1f} min of processor "
        f"time ({measured['cpu_s'] / measured['seconds']:.2%} of the stream)",
        "events, listening / offline": f"{result['heard']} / {result['offline']}",
        "memory at the first and the last note": f"{memory[0]:.1f} and {memory[-1]:.1f} MB"
        if memory
        else "no note",
        "memory at most": f"{measured['peak_mb']:.1f} MB",
        "memory slope after the first hour": "too short to tell"
        if grows is None
        else f"{grows[0]:+.2f} MB a day (95 %: {grows[1]:+.2f} to {grows[2]:+.2f})",
    }
    for name, length in measured["longest"].items():
        rows[f"longest queue: {name}"] = f"{length} of {measured['bounds'][name]}"
    lines = ["# A day of listening", "", f"    {command}", "", known, "", "| what | measured |"]
    lines += ["|---|---|", *(f"| {name} | {value} |" for name, value in rows.items()), ""]
    lines += [f"- {'holds' if kept else 'FAILS'}: {name}" for name, kept in result["holds"].items()]
    return "\n".join(lines)


def main() -> int:
    """Run it, print the table, and say whether all holds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", type=Path, help="folder of EMO-DB")
    parser.add_argument("noise", type=Path, help="folder of recordings of noise")
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--model", default="plb-emodb")
    parser.add_argument("--record", action="store_true", help="keep it in benchmarks/records")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    given = parser.parse_args()
    known = conditions()
    heard, found, measured = run(
        [str(given.corpus), str(given.noise), str(given.hours), str(given.seed), given.model]
    )
    holds = verdicts(heard, found, measured)
    result = {
        "conditions": known,
        "hours": given.hours,
        "seed": given.seed,
        "heard": len(heard),
        "offline": len(found),
        "measured": measured,
        "slope_mb_a_day": slope(measured["memory_mb"]),
        "holds": holds,
    }
    options = f"--hours {given.hours:g} --seed {given.seed}"
    command = f"python -m edge_ser.benchmarks.day EMODB NOISE {options}"
    text = page(one_line(known), command, result)
    print(text)
    for one, other in zip_longest(heard, found):
        if one != other:
            print(f"first difference:\n  listening {one}\n  offline   {other}", file=sys.stderr)
            break
    if given.json:
        given.json.write_text(json.dumps(result), encoding="utf-8")
    if given.record:
        write_record(RECORDS, f"day-{given.hours:g}h", result, text)
    return 0 if all(holds.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
