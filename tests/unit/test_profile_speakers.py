"""`benchmarks/profile_speakers.py`: whose clips make a profile, which are scored, and by whom."""

from __future__ import annotations

import csv
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from edge_ser.benchmarks.profile_speakers import (
    FEWEST_LEFT,
    Row,
    drawn,
    main,
    measure,
    page,
)

from edge_ser.adaptation import adapt
from edge_ser.audio import read_clip
from edge_ser.card import Population, Provenance
from edge_ser.corpora import read_corpus
from edge_ser.errors import DataError
from edge_ser.testing import TINY_CLIP_SAMPLES, TINY_FRONTEND

from .adaptation_models import write_base, write_tones

LABELS = ("neutral", "middle", "high")
VALUES = math.prod(TINY_FRONTEND.shape(TINY_CLIP_SAMPLES))


def heard(path: Path) -> Provenance:
    """Of a model that was trained on the clips below a folder."""
    digests = sorted(read_clip(each).digest() for each in path.rglob("*.wav"))
    return Provenance(state="trained", licence="CC0-1.0", training_clips=tuple(digests))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """clips.csv of speakers a and b with 15 clips of half a second each, and two fold models."""
    folder = tmp_path_factory.mktemp("home")
    for seed, name in enumerate("ab"):
        write_tones(folder / name, each=5, names=LABELS, seed=seed)
    with (folder / "clips.csv").open("w") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "speaker"))
        for path in sorted(folder.rglob("*.wav")):
            writer.writerow((path, path.parent.name, path.parent.parent.name))
    (folder / "folds").mkdir()
    population = Population.of([-500.0] * VALUES, [4.0] * VALUES)
    others = read_corpus(write_tones(tmp_path_factory.mktemp("c"), names=LABELS, seed=9))
    for name in "ab":
        write_base(
            folder / "base.onnx",
            labels=LABELS,
            population=population,
            provenance=heard(folder / name),
            deciding={},
        )
        # A head that knows the tones.
        adapt(folder / "base.onnx", others, folder / "folds" / f"{name}.onnx")
    return folder


def test_every_length_of_mixed_and_of_neutral_clips(home: Path) -> None:
    every = list(measure(str(home / "clips.csv"), home / "folds", [1.0, 2.0, 3.0], draws=3))
    rows, run = every[:4], every[4:]
    # Half a second each: 2 and 4 clips leave 13 and 11 of 15, 6 would leave too few.
    assert [(row.kind, row.seconds, row.clips) for row in rows] == [
        ("mixed", 1.0, 2.0),
        ("mixed", 2.0, 4.0),
        ("neutral", 1.0, 2.0),
        ("neutral", 2.0, 4.0),
    ]
    assert [row.scored for row in rows] == [2 * 3 * 13, 2 * 3 * 11] * 2
    for row in rows:
        assert row.speakers == 2 and 0 <= row.harmed <= 2
        for figure in (row.accuracy_before, row.accuracy_after, row.uar_before, row.uar_after):
            assert 0 <= figure <= 1
        # The models know these tones; with a profile weighed against one far away they do not.
        assert row.accuracy_before > 0.9 and row.accuracy_after < 0.5
        assert row.gain == pytest.approx(row.uar_after - row.uar_before, abs=0.05)
        assert row.harmed == 2
    # 15 clips: those after less than a second, after less than two, three, and the rest.
    assert [(row.kind, row.seconds, row.clips, row.scored) for row in run] == [
        ("on the run", 0.0, 0.5, 2 * 3 * 2),
        ("on the run", 1.0, 2.5, 2 * 3 * 2),
        ("on the run", 2.0, 4.5, 2 * 3 * 2),
        ("on the run", 3.0, 10.0, 2 * 3 * 9),
    ]
    assert run[0].accuracy_before > 0.9 and run[3].accuracy_after < 0.5
    assert every == list(measure(str(home / "clips.csv"), home / "folds", [1, 2, 3], draws=3))


def test_a_profile_without_weight_changes_nothing(home: Path, tmp_path: Path) -> None:
    population = Population.of([-5.0] * VALUES, [1e9] * VALUES)
    write_base(tmp_path / "m.onnx", labels=LABELS, population=population, deciding={})
    rows = list(measure(str(home / "clips.csv"), tmp_path, [2.0], draws=2))
    assert [row.kind for row in rows] == ["mixed", "neutral", "on the run", "on the run"]
    for row in rows:
        assert (row.accuracy_before, row.uar_before) == (row.accuracy_after, row.uar_after)
        assert (row.gain, row.gain_std, row.harmed) == (0.0, 0.0, 0)


def test_models_that_heard_a_speaker_prove_nothing(home: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no \.tflite or \.onnx file"):
        list(measure(str(home / "clips.csv"), tmp_path, [1.0], draws=1))
    (tmp_path / "a.onnx").write_bytes((home / "folds" / "a.onnx").read_bytes())
    with pytest.raises(DataError, match="speaker a: every model was trained on clips of theirs"):
        list(measure(str(home / "clips.csv"), tmp_path, [1.0], draws=1))


def test_clips_are_drawn_until_they_are_long_enough() -> None:
    lengths = np.full(20, 1.5)
    every = np.arange(20)
    for seed in range(20):
        taken = drawn(lengths, 4.0, every, np.random.default_rng(seed))
        assert taken is not None and len(set(taken.tolist())) == 3
    assert drawn(lengths, 15.0, every, np.random.default_rng(0)) is not None
    assert FEWEST_LEFT == 10  # 15 seconds are ten clips: one more would leave nine
    assert drawn(lengths, 15.1, every, np.random.default_rng(0)) is None
    assert drawn(lengths, 40.0, every, np.random.default_rng(0)) is None
    assert drawn(lengths, 4.0, every[:2], np.random.default_rng(0)) is None
    assert drawn(lengths, 1.0, every[:0], np.random.default_rng(0)) is None


def test_the_page() -> None:
    row = Row("mixed", 5.0, 2.5, 10, 480, 0.5, 0.61, 0.45, 0.6, 3, 0.15, 0.02)
    text = page([row, replace(row, kind="neutral")])
    assert "| mixed | 5 | 2.5 | 10 | 0.500 | 0.610 | 0.450 | 0.600 | +0.150 ± 0.020 | 3 |" in text
    assert text.count("\n| neutral |") == 1


def test_every_figure_is_printed(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(home / "clips.csv"), str(home / "folds"), "--seconds", "1", "--draws", "1"]
    monkeypatch.setattr(sys, "argv", ["profile_speakers", *given, "--json"])
    assert main() == 0
    found = json.loads(capsys.readouterr().out)
    assert found["asked"]["draws"] == 1 and "conditions" in found
    kinds = ["mixed", "neutral", "on the run", "on the run"]
    assert [row["kind"] for row in found["rows"]] == kinds
    monkeypatch.setattr(sys, "argv", ["profile_speakers", *given])
    assert main() == 0
    assert capsys.readouterr().out.count("\n| ") >= 3
