"""What `edge-ser train` is told wrongly ends in one line that says what to do, before any epoch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from edge_ser.cli import main

pytestmark = pytest.mark.needs("torch")

EXPERIMENT = """
[data]
clip_samples = 9000
features = { layout = "time_last" }
[network]
name = "tim-tab1"
[protocol]
name = "loso"
[training]
epochs = 1
"""
ROWS = [f"{n}.wav,{'ab'[n % 2]},s{n // 2}" for n in range(6)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    for n in range(6):
        soundfile.write(home / f"{n}.wav", rng.uniform(-0.5, 0.5, 8000), 16_000)
    soundfile.write(home / "empty.wav", np.zeros(0), 16_000)
    manifests = {
        "good": ROWS,
        "missing": [*ROWS, "nowhere.wav,a,s0"],
        "empty": [*ROWS, "empty.wav,a,s0"],
        "alone": [row.rpartition(",")[0] + ",me" for row in ROWS],
        "nameless": [row.rpartition(",")[0] + "," for row in ROWS],
        "lonely_class": [row.replace(",b,s0", ",c,s0") for row in ROWS],
    }
    for name, rows in manifests.items():
        (home / f"{name}.csv").write_text("\n".join(["file,label,speaker", *rows]) + "\n")
    (home / "mine.toml").write_text(EXPERIMENT)
    return home


@pytest.mark.parametrize(
    ("manifest", "settings", "code", "said"),
    [
        ("missing", [], 7, "nowhere.wav: no such file (paths are relative"),
        ("empty", [], 5, "empty.wav: a header without samples"),
        ("alone", [], 7, "1 speaker: leaving one out takes at least two"),
        ("nameless", [], 7, "6 clips such as 0 have no speaker, which loso needs"),
        ("lonely_class", [], 7, "loso-s0: no clip of c to train on, expected some of each label"),
        ("good", ['data.labels=["a","b","c"]'], 7, "no clips of c, expected some of each label"),
        ("good", ['data.labels=["a"]'], 7, "labels b are not of a"),
        ("good", ["training.learning_rat=1"], 2, "did you mean learning_rate?"),
        ("good", ["trainning.epochs=1"], 2, "did you mean training?"),
        ("good", ["network.name=tim-tab11"], 2, "did you mean tim-tab1?"),
        ("good", ["network.name=cnn-custom-32-8"], 7, "give the network raw samples"),
        ("good", ["training.schedule=plateau"], 7, "no validation clips"),
        ("good", ["augmentation.preset=microphon"], 2, "did you mean microphone?"),
        ("nowhere", [], 7, "no such folder or manifest"),
    ],
)
def test_one_line(
    folder: Path,
    manifest: str,
    settings: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("EDGE_SER_RUNS", str(tmp_path))
    chosen = [part for setting in settings for part in ("--set", setting)]
    corpus = str(folder / f"{manifest}.csv")
    given = ["train", str(folder / "mine.toml"), "--corpus", corpus, "--threads", "1", *chosen]
    assert main(given) == code
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1
    assert not list(tmp_path.rglob("metrics.jsonl"))
