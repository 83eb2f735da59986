"""Recordings of hours: cut into segments, in memory that does not grow with the file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np

from edge_ser.signals import demo_clip

RATE = 8_000
SCRIPT = """
import json, re, sys
import edge_ser
prediction = edge_ser.load_model()(sys.argv[1])
peak = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())
starts = [round(segment.start_s, 2) for segment in prediction.segments]
print(json.dumps({"seconds": prediction.seconds, "starts": starts, "peak_kb": int(peak[1])}))
"""


def record(path: Path, seconds: int, speech_at: list[int]) -> Path:
    """A sparse WAV of silence with the demo clip at the given seconds."""
    spoken = (demo_clip(RATE) * 32_767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.setnframes(seconds * RATE)
        file.writeframes(b"")
    header = path.stat().st_size
    with path.open("r+b") as raw:
        raw.truncate(header + 2 * seconds * RATE)
        for second in speech_at:
            raw.seek(header + 2 * second * RATE)
            raw.write(spoken.tobytes())
        raw.seek(4)
        raw.write(np.uint32(header - 8 + 2 * seconds * RATE).tobytes())
        raw.seek(header - 4)
        raw.write(np.uint32(2 * seconds * RATE).tobytes())
    return path


def classified(path: Path) -> dict[str, object]:
    """What a fresh process says of a file, and its peak memory."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return json.loads(done.stdout)


def test_two_hours_take_no_more_memory_than_two_minutes(tmp_path: Path) -> None:
    short = classified(record(tmp_path / "short.wav", 120, [10, 60, 100]))
    places = list(range(30, 7_200, 600))
    long = classified(record(tmp_path / "long.wav", 7_200, places))
    assert long["seconds"] == 7_200
    assert [round(start) for start in long["starts"]] == places  # type: ignore[attr-defined]
    assert len(short["starts"]) == 3  # type: ignore[arg-type]
    # Two hours of levels are 6 MB; the samples would be 230.
    assert int(str(long["peak_kb"])) - int(str(short["peak_kb"])) < 30_000
