"""`benchmarks/nonspeech.py`: how recordings are cut, what counts as sure, and the sums."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from edge_ser.benchmarks.nonspeech import main, measure, page, windows

from edge_ser.card import OutputSpec
from edge_ser.errors import DataError

from .listener_scripts import RATE, model


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    """Three barks of 7.5 s, loud in the second third of every 3 s, and one rain of 0.5 s."""
    chance = np.random.default_rng(0)
    for name, seconds in (("bark/1", 7.5), ("bark/2", 7.5), ("bark/3", 7.5), ("rain/1", 0.5)):
        path = tmp_path / f"{name}.wav"
        path.parent.mkdir(exist_ok=True)
        samples = 0.1 * chance.standard_normal(int(seconds * RATE))
        samples[(np.arange(len(samples)) / RATE) % 3 // 1 != 1] /= 300
        soundfile.write(path, samples, RATE)
    return tmp_path


def test_windows_of_three_seconds_of_even_and_odd_recordings(noise: Path) -> None:
    heard = windows(noise)
    counts = {key: [len(clip.samples) / RATE for clip in clips] for key, clips in heard.items()}
    assert counts == {
        ("bark", "even"): [3, 3, 1.5] * 2,
        ("bark", "odd"): [3, 3, 1.5],
    }


def test_what_is_sure_is_counted(noise: Path) -> None:
    always = model(output=OutputSpec(uncertain_below=0.7))  # 0.8 of one label
    never = model(output=OutputSpec(uncertain_below=0.9))
    for each, share in ((always, 1), (never, 0)):
        rows = list(measure([each], windows(noise)))
        assert [(r["kind"], r["half"], r["windows"]) for r in rows] == [
            ("bark", "even", 6),
            ("bark", "odd", 3),
        ]
        assert [row["sure"]["tiny"] for row in rows] == [6 * share, 3 * share]
        assert f"| all | 9 | {100 * share:.1f} % |" in page(rows)
        assert f"| all odd | 3 | {100 * share:.1f} % |" in page(rows)


def test_nothing_to_hear(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no audio, expected a folder of recordings"):
        windows(tmp_path)


def test_it_is_printed(
    noise: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["nonspeech", str(noise), "plb-emodb", "--json"])
    assert main() == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert sum(row["windows"] for row in rows) == 9
    assert all(0 <= row["sure"]["plb-emodb"] <= row["windows"] for row in rows)
