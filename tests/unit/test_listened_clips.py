"""`benchmarks/listened_clips.py`: what is played, what counts, and two ways beside each other."""

from __future__ import annotations

import csv
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from edge_ser.benchmarks.event_matching import Outcome, Spoke
from edge_ser.benchmarks.listened_clips import compared, main, page, softer

from edge_ser.audio import read_clip
from edge_ser.card import Provenance

from .adaptation_models import write_base, write_tones

LABELS = ("neutral", "middle", "high")


def event(label: str, start_s: float, end_s: float) -> dict[str, object]:
    return {"label": label, "start_s": start_s, "end_s": end_s}


def test_softer_by_twelve_decibels_with_noise_of_its_own() -> None:
    rng = np.random.default_rng(0)
    silent = softer(np.zeros(160_000, np.float32), rng)
    assert 20 * np.log10(np.sqrt(np.square(silent).mean())) == pytest.approx(-60, abs=0.1)
    loud = softer(np.full(160_000, 0.5, np.float32), rng)
    assert loud.mean() == pytest.approx(0.5 * 10 ** (-12 / 20), abs=1e-4)


def test_the_microphone_may_open_earlier_but_not_hear_another_thing() -> None:
    file = [event("anger", 1.0, 2.0), event("fear", 4.0, 5.0)]
    later = [event("anger", 3.5, 4.5), event("fear", 6.5, 7.5)]
    assert compared("a", file, later) == compared("a", file, file)
    other = compared("a", file, [event("anger", 3.5, 4.5), event("boredom", 6.5, 7.6)])
    assert (other.by_file, other.by_microphone, other.same_labels) == (2, 2, 1)
    assert other.shift_s == pytest.approx(0.1)
    nothing = compared("a", file, [])
    assert (nothing.by_microphone, nothing.same_labels) == (0, 0) and math.isnan(nothing.shift_s)


def test_clips_of_unheard_people_through_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tones of two speakers; the model of each is the one that heard the other."""
    for seed, name in enumerate("ab"):
        write_tones(tmp_path / name, each=2, names=LABELS, seed=seed)
    paths = sorted(tmp_path.rglob("*.wav"))
    with (tmp_path / "clips.csv").open("w") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "speaker"))
        writer.writerows((path, path.parent.name, path.parent.parent.name) for path in paths)
    (tmp_path / "folds").mkdir()
    for name in "ab":
        digests = tuple(sorted(read_clip(p).digest() for p in (tmp_path / name).rglob("*.wav")))
        trained = Provenance(state="trained", licence="CC0-1.0", training_clips=digests)
        write_base(
            tmp_path / "folds" / f"{name}.onnx", labels=LABELS, provenance=trained, deciding={}
        )
    arguments = ["x", str(tmp_path / "clips.csv"), str(tmp_path / "folds"), "--json"]
    monkeypatch.setattr(sys, "argv", arguments)
    assert main() == 0
    record = json.loads(capsys.readouterr().out)
    assert [row["condition"] for row in record["rows"]] == [
        "as recorded",
        "12 dB softer, noise of -60 dBFS",
    ]
    plain = record["rows"][0]
    assert plain["utterances"] == len(paths) == 12
    assert plain["no_event"] == 0 and plain["false"] == 0
    assert plain["events_each"] == 1
    assert record["played"] == []


def test_the_page_has_both_tables() -> None:
    made = Outcome((Spoke("anger", 0.0, 1.0, ()),), 0, 10.0)
    assert made.spoken[0].named is False
    both = page([], [compared("a", [event("fear", 1, 2)], [event("fear", 2, 3)])])
    assert "| a | 1 | 1 | 1 | 0 ms |" in both
